//! Applications: what a terminated flow talks to.
//!
//! Invariant: a checked HTTP application has at most one of `body` and `directory`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::config::decoder::{Decoder, list, nearest};
use crate::config::node::{Node, Yaml, shorten};
use crate::config::problem::Wrong;
use crate::config::section::section;
use crate::config::spec::{Rule, Shape, default, required};
use crate::config::units::{Size, kib, mib, seconds};
use crate::config::value::Value;

/// What a terminated flow talks to.
#[derive(Debug, Clone, PartialEq)]
pub enum Application {
    /// Sends back what it receives (RFC 862).
    Echo,
    /// Takes everything, sends nothing (RFC 863).
    Discard,
    /// Sends characters without end (RFC 864).
    Chargen,
    /// An HTTP/1.1 server. TCP only.
    Http(Box<Http>),
}

section! {
    /// An HTTP/1.1 server: one fixed answer, or the files of a directory.
    pub struct Http {
        /// Status of the fixed answer.
        "status" status: u16 = default(200).range(200..=599);
        /// Header fields added to the answer.
        "headers" headers: BTreeMap<String, String> = default(BTreeMap::new()).example("{X-Served-By: millrace}");
        /// Body of the fixed answer. Default: empty. Not with `directory`.
        "body" body: Option<String> = default(None).range(0..=mib(1)).example("\"hello\\n\"");
        /// Directory whose files are served from memory: at most 4096 files, 16 MiB each, 64 MiB together. Not with `body`.
        "directory" directory: Option<PathBuf> = default(None).example("/srv/www").alternative();
        /// Largest request body that is read.
        "max_body" max_body: Size = default(Size::from_bytes(mib(1))).range(0..=mib(1024));
        /// Largest request line and header fields together.
        "max_head" max_head: Size = default(Size::from_bytes(kib(8))).range(256..=kib(16));
        /// Keep the connection open after an answer.
        "keep_alive" keep_alive: bool = default(true);
        /// From the first byte of a request to the end of its head. When it is over the answer is 408 and the connection closes.
        "head_timeout" head_timeout: Duration = default(Duration::from_secs(10)).range(seconds(1)..=seconds(3600));
        /// Within each such time the body of a request is complete or 16 KiB further. When it is over the answer is 408 and the connection closes.
        "body_timeout" body_timeout: Duration = default(Duration::from_secs(30)).range(seconds(1)..=seconds(3600));
        /// A connection on which nothing came is closed after this time, before the first request and between two.
        "keep_alive_timeout" keep_alive_timeout: Duration = default(Duration::from_secs(75)).range(seconds(1)..=seconds(86_400));
    }

    /// An application with settings.
    pub(crate) struct HttpApplication {
        /// An HTTP/1.1 server.
        "http" http: Http = required("{body: \"hello\\n\"}");
    }
}

const WORDS: &[&str] = &["echo", "discard", "chargen", "http"];

impl Value for Application {
    fn decode(node: &Node, rule: &Rule, cx: &mut Decoder<'_>) -> Self {
        match &node.yaml {
            Yaml::Scalar { text, .. } => match text.as_str() {
                "echo" => Self::Echo,
                "discard" => Self::Discard,
                "chargen" => Self::Chargen,
                "http" => Self::Http(Box::new(Http::placeholder())),
                _ => {
                    let instead = match nearest(text, WORDS.iter().copied()) {
                        Some(word) => format!("write `{word}`; the applications are {}", list(WORDS)),
                        None => format!("write one of {}", list(WORDS)),
                    };
                    let what = format!("unknown application `{}`", shorten(text));
                    cx.report(node.at, Wrong::new(what, instead));
                    Self::Echo
                }
            },
            Yaml::Map(entries) => match &entries[..] {
                // `echo: {}` is what one writes by analogy with `http: {...}`.
                [only] if WORDS[..3].contains(&only.key.as_str()) => {
                    let what = format!("`{}` has no settings", only.key);
                    let instead = format!("write `application: {}`", only.key);
                    cx.report(only.key_at, Wrong::new(what, instead));
                    Self::Echo
                }
                _ => Self::Http(Box::new(HttpApplication::decode(node, rule, cx).http)),
            },
            _ => {
                cx.mismatch(node, "an application", format!("write one of {}", list(WORDS)));
                Self::Echo
            }
        }
    }

    fn placeholder() -> Self {
        Self::Echo
    }

    fn to_json(&self) -> Json {
        match self {
            Self::Echo => "echo".into(),
            Self::Discard => "discard".into(),
            Self::Chargen => "chargen".into(),
            Self::Http(http) => json!({ "http": http.to_json() }),
        }
    }

    fn shape(rule: &Rule) -> Shape {
        let words = Shape::Plain {
            kind: "`echo`, `discard`, `chargen` or `http`".into(),
            schema: json!({ "enum": WORDS }),
        };
        Shape::Union(vec![words, HttpApplication::shape(rule)])
    }
}
