//! What goes back: bodies that are whole, made piece by piece, or live; problems; headers that are always there.
//!
//! Invariant: nothing that is served can run as a script of this origin but the viewer's own.

use core::convert::Infallible;
use core::pin::Pin;
use core::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::filter::Mistake;

/// A response.
pub(super) type Answer = Response<Payload>;

/// The body of a response.
pub(super) enum Payload {
    /// All of it.
    Whole(Bytes),
    /// Made while it is sent; the permit is given back behind it.
    Chunks { chunks: Box<dyn Iterator<Item = Bytes> + Send>, _permit: OwnedSemaphorePermit },
    /// As it comes.
    Live(mpsc::Receiver<Bytes>),
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match self.get_mut() {
            Self::Whole(bytes) => Some(core::mem::take(bytes)).filter(|bytes| !bytes.is_empty()),
            Self::Chunks { chunks, .. } => chunks.next(),
            Self::Live(receiver) => match receiver.poll_recv(context) {
                Poll::Ready(next) => next,
                Poll::Pending => return Poll::Pending,
            },
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Chunks { .. } | Self::Live(_) => SizeHint::default(),
        }
    }
}

/// Why a request is not answered.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    #[serde(skip)]
    pub(super) status: StatusCode,
    pub(super) error: String,
    /// Where a filter is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mistake: Option<Mistake>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into(), mistake: None }
    }

    /// Not, or no longer, kept.
    pub(super) fn gone() -> Self {
        Self::new(StatusCode::NOT_FOUND, "this is no longer kept: it was evicted for newer events")
    }

    pub(super) fn stopping() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the viewer is stopping")
    }

    pub(super) fn answer(&self) -> Answer {
        json(self.status, self)
    }
}

impl From<Mistake> for Problem {
    fn from(mistake: Mistake) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: mistake.message.clone(), mistake: Some(mistake) }
    }
}

/// JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(bytes) => whole(status, "application/json", bytes.into()),
        Err(error) => whole(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", error.to_string().into()),
    }
}

/// A whole body of a type.
pub(super) fn whole(status: StatusCode, kind: &'static str, bytes: Bytes) -> Answer {
    with(status, kind, Payload::Whole(bytes))
}

/// Any body of a type.
pub(super) fn with(status: StatusCode, kind: &'static str, payload: Payload) -> Answer {
    let mut response = Response::new(payload);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A file to keep, named `name`, which has nothing in it that a header would mind.
pub(super) fn file(name: &str, kind: &'static str, payload: Payload) -> Answer {
    let mut answer = with(StatusCode::OK, kind, payload);
    let value = format!("attachment; filename=\"{name}\"");
    if let Ok(value) = HeaderValue::from_str(&value) {
        answer.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    // Should anything show it all the same, then as a document that may do nothing.
    let sandbox = HeaderValue::from_static("sandbox; default-src 'none'");
    answer.headers_mut().insert("content-security-policy", sandbox);
    answer
}

/// The page may load its own script, styles and data, show images it made itself, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Puts the headers on that every response has.
pub(super) fn harden(answer: &mut Answer) {
    let headers = answer.headers_mut();
    let always = [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ];
    for (name, value) in always {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.entry("content-security-policy").or_insert(HeaderValue::from_static(POLICY));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
