//! The HTTP application's settings.
//!
//! Invariant: nothing from the configuration can break an answer's framing (RFC 9112): no line breaks in header
//! fields, no framing fields, no body where the status forbids one.

use super::Checker;
use crate::config::model::Http;

/// Header fields that frame a message or keep its connection: the server's own.
const OWN_FIELDS: &[&str] = &[
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

pub(super) fn check(checker: &mut Checker<'_>, path: &str, http: &Http) {
    headers(checker, path, http);
    content(checker, path, http);
}

fn headers(checker: &mut Checker<'_>, path: &str, http: &Http) {
    /// Bytes of all fields together.
    const MOST: usize = 16 * 1024;
    let at = format!("{path}.headers");
    let length: usize = http.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    if length > MOST {
        checker.error(
            &at,
            format!("the header fields take {length} bytes"),
            format!("shorten them to {MOST}"),
        );
    }
    for (name, value) in &http.headers {
        let at = format!("{at}.{name}");
        // RFC 9110, section 5.6.2: a token.
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(token) {
            let what = format!("`{}` is not a header field name", name.escape_debug());
            checker.error(&at, what, "use letters, digits and `-`");
        } else if OWN_FIELDS.contains(&name.to_ascii_lowercase().as_str()) {
            checker.error(&at, format!("`{name}` is written by the server itself"), "remove it");
        }
        if value.chars().any(|c| c.is_control() && c != '\t') || value.trim() != value {
            let what = "a header field's value cannot have control characters or outer blanks";
            checker.error(&at, what, "write it on one line without them");
        }
    }
}

fn content(checker: &mut Checker<'_>, path: &str, http: &Http) {
    let (at_body, at_directory) = (format!("{path}.body"), format!("{path}.directory"));
    if let Some(directory) = &http.directory {
        if http.body.is_some() {
            let what = "`body` and `directory` exclude each other";
            checker.error(&at_directory, what, "keep one of the two");
        }
        if http.status != 200 {
            let what = "`status` is for the fixed answer, not for files";
            checker.error(
                &format!("{path}.status"),
                what,
                "remove it, or write `body` instead of `directory`",
            );
        }
        if checker.host.strict && !directory.is_dir() {
            let what = format!("there is no directory {}", directory.display());
            let instead =
                format!("create it with `mkdir -p {}`, or name an existing one", directory.display());
            checker.error(&at_directory, what, instead);
        }
    }
    // RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5.
    let bodiless = matches!(http.status, 204 | 205 | 304);
    if bodiless && http.body.as_ref().is_some_and(|body| !body.is_empty()) {
        let what = format!("an answer with status {} has no body", http.status);
        checker.error(&at_body, what, "remove `body`, or write another status");
    }
}
