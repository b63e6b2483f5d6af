//! A message of HTTP/1.x.
//!
//! Invariant: `body_length` = bytes of the payload + `body_left_out` + `body_missing`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A name and its value.
pub type Pair = (String, String);

/// `http.request`, `http.response`. What only one of them has is `None` in the other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `client` for requests, `server` for responses.
    pub direction: Cow<'static, str>,
    /// Number of the request in its connection.
    pub exchange: u32,
    /// Where in the stream the message begins.
    pub offset: u64,
    /// Time of its first byte, nanoseconds since 1970.
    pub begin: u64,
    /// `1.0` or `1.1`; empty where the head is not known any more.
    pub version: Cow<'static, str>,
    /// Requests only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Requests only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Responses only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Responses only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// In their order, as sent.
    pub headers: Vec<Pair>,
    /// Those behind a chunked body.
    pub trailers: Vec<Pair>,
    /// `none`, `length`, `chunked` or `close`.
    pub framing: Cow<'static, str>,
    /// Bytes of the head.
    pub head_length: u32,
    /// Bytes of the body.
    pub body_length: u64,
    /// Those at its end that are not in the payload because of a limit.
    pub body_left_out: u64,
    /// Those that were never seen.
    pub body_missing: u64,
    /// Position in the payload, and bytes, of those never seen.
    pub holes: Vec<(u64, u64)>,
    /// It came to its end.
    pub complete: bool,
    /// The first one after bytes that could not be read as HTTP.
    pub resync: bool,
    /// The connection leaves HTTP behind it. Responses only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<bool>,
    /// What a response answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestSeen>,
}

/// The request that a response answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestSeen {
    /// Its method.
    pub method: String,
    /// Its target.
    pub target: String,
    /// Time of its first byte, nanoseconds since 1970.
    pub begin: u64,
    /// Time of its last byte, nanoseconds since 1970.
    pub end: u64,
}

impl Message {
    /// The value of the first field with this name, whatever its case (RFC 9110, section 5.1).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.headers.iter();
        fields.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The values of all fields with this name as one list (RFC 9110, section 5.3); empty without one.
    #[must_use]
    pub fn header_list(&self, name: &str) -> String {
        let fields = self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        fields.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Whether the payload is all of the body.
    #[must_use]
    pub fn body_is_whole(&self) -> bool {
        self.complete && self.body_left_out == 0 && self.body_missing == 0
    }
}
