//! The page, as the web build made it.
//!
//! Invariant: only files that were there at build time are served.

use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};

use super::answer::{Answer, whole};

// `FILES`: path, content and a tag that changes with it; written by build.rs.
include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The file at a path, if there is one.
pub(super) fn find(path: &str, headers: &HeaderMap) -> Option<Answer> {
    let path = if path == "/" { "/index.html" } else { path };
    let (name, bytes, tag) = FILES.iter().find(|(name, ..)| *name == path)?;
    let fresh = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut answer = if fresh {
        whole(StatusCode::NOT_MODIFIED, kind(name), Bytes::new())
    } else {
        whole(StatusCode::OK, kind(name), Bytes::from_static(bytes))
    };
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer.headers_mut().insert(ETAG, HeaderValue::from_static(tag));
    Some(answer)
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
