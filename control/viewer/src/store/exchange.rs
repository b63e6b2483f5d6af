//! A request and its response.
//!
//! Invariant: the two belong to the same run, flow and number; a response joins only one exchange.

use std::collections::VecDeque;
use std::sync::Arc;

use hyper::body::Bytes;

use crate::event::{End, Http};

/// The connection an exchange belongs to.
#[derive(Debug)]
pub(crate) struct Origin {
    /// The number of the flow in the store.
    pub(crate) flow: u64,
    pub(crate) service: String,
    pub(crate) action: String,
    pub(crate) client: End,
    pub(crate) server: End,
}

/// One message with its body.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) http: Http,
    pub(crate) payload: Bytes,
    /// When its last byte was seen, in nanoseconds since 1970.
    pub(crate) end: u64,
    pub(crate) seq: u64,
}

impl Message {
    pub(super) fn new(http: Box<Http>, payload: Bytes, end: u64, seq: u64) -> Self {
        Self { http: *http, payload, end, seq }
    }

    /// Whether another response to the same request follows (RFC 9110, section 15.2).
    pub(super) fn is_interim(&self) -> bool {
        matches!(self.http.status, Some(100 | 102..=199))
    }

    /// Whether it tells of a failure: a status from 400 on, or it broke off.
    pub(crate) fn is_error(&self) -> bool {
        !self.http.complete || self.http.status.is_some_and(|status| status >= 400)
    }

    /// Bytes of it in the stream, without what chunked coding takes.
    pub(crate) fn size(&self) -> u64 {
        self.http.head_length.saturating_add(self.http.body_length)
    }
}

/// A request, the response, and interim responses before it.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pub(crate) id: u64,
    pub(crate) origin: Arc<Origin>,
    /// Its number in its connection.
    pub(crate) number: u64,
    /// `None`: not seen, or evicted.
    pub(crate) request: Option<Arc<Message>>,
    pub(crate) response: Option<Arc<Message>>,
    pub(crate) interim: VecDeque<Arc<Message>>,
}

impl Exchange {
    pub(super) fn new(id: u64, origin: Arc<Origin>, number: u64) -> Self {
        Self { id, origin, number, request: None, response: None, interim: VecDeque::new() }
    }

    /// Any response there is, the last one rather than an interim one.
    fn answer(&self) -> Option<&Message> {
        self.response.as_deref().or_else(|| self.interim.back().map(|message| &**message))
    }

    pub(crate) fn method(&self) -> &str {
        let own = self.request.as_ref().and_then(|message| message.http.method.as_deref());
        own.or_else(|| Some(&self.answer()?.http.request.as_ref()?.method)).unwrap_or_default()
    }

    pub(crate) fn target(&self) -> &str {
        let own = self.request.as_ref().and_then(|message| message.http.target.as_deref());
        own.or_else(|| Some(&self.answer()?.http.request.as_ref()?.target)).unwrap_or_default()
    }

    pub(crate) fn status(&self) -> Option<u16> {
        self.answer().and_then(|message| message.http.status)
    }

    /// The name of the server with its port, as the client wrote it; else its address.
    pub(crate) fn host(&self) -> String {
        let (authority, _) = split(self.target(), self.method());
        let named = self.request.as_ref().and_then(|message| message.http.header("host"));
        let named = authority.or(named.filter(|name| !name.is_empty()));
        named.map_or_else(|| self.origin.server.to_string(), str::to_owned)
    }

    /// The path and the query of the target.
    pub(crate) fn path(&self) -> &str {
        split(self.target(), self.method()).1
    }

    /// The whole URL. The scheme is `http`, for it is seen in the clear.
    pub(crate) fn url(&self) -> String {
        format!("http://{}{}", self.host(), self.path())
    }

    /// When its first byte was seen, in nanoseconds since 1970.
    pub(crate) fn begin(&self) -> u64 {
        let asked = self.answer().and_then(|message| message.http.request.as_ref());
        let own = self.request.as_ref().map(|message| message.http.begin).or(asked.map(|asked| asked.begin));
        own.or_else(|| self.answer().map(|message| message.http.begin)).unwrap_or_default()
    }

    /// Nanoseconds from the first byte of the request to the last of the response.
    pub(crate) fn duration(&self) -> Option<u64> {
        let response = self.response.as_ref()?;
        let asked = response.http.request.as_ref().map(|asked| asked.begin);
        let begin = self.request.as_ref().map(|message| message.http.begin).or(asked)?;
        response.end.checked_sub(begin)
    }
}

/// The authority in a target, if it has one, and the path (RFC 9112, section 3.2).
fn split<'a>(target: &'a str, method: &str) -> (Option<&'a str>, &'a str) {
    if method == "CONNECT" {
        return (Some(target).filter(|target| !target.is_empty()), "");
    }
    let Some(at) = target.find("://").filter(|_| !target.starts_with('/')) else { return (None, target) };
    let rest = &target[at + 3..];
    let path = rest.find(['/', '?']).unwrap_or(rest.len());
    (Some(&rest[..path]), &rest[path..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_come_in_four_forms() {
        assert_eq!(split("/a?b", "GET"), (None, "/a?b"));
        assert_eq!(split("http://h:1/a", "GET"), (Some("h:1"), "/a"));
        assert_eq!(split("http://h", "GET"), (Some("h"), ""));
        assert_eq!(split("h:443", "CONNECT"), (Some("h:443"), ""));
        assert_eq!(split("*", "OPTIONS"), (None, "*"));
        assert_eq!(split("/go?to=http://x/", "GET"), (None, "/go?to=http://x/"));
    }
}
