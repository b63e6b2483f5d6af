//! An HTTP/1.1 responder (RFC 9110, RFC 9112): a fixed response, or a directory of small files.
//!
//! Invariant: everything that can be said is written out when the application is built; a
//! connection only chooses among it. GET, HEAD and OPTIONS are answered, other methods get 405;
//! bodies of requests are read to their end, within `max_body`, and thrown away.

mod canned;
mod content;
mod directory;
mod fields;
mod parse;
mod plain;
mod response;
mod session;
#[cfg(test)]
mod tests;
mod waiting;

use std::path::PathBuf;
use std::time::Duration;

use super::{AppCounters, Application, BuildError, FlowState, Reply, Stream};
use canned::Canned;
use content::Content;
use parse::{Method, Resolve};
use response::{Response, check_headers};
use session::Life;
pub use session::Session;

/// The least that `max_head` may be, in bytes.
pub const MIN_HEAD: usize = 256;
/// The most that `max_head` may be, in bytes.
pub const MAX_HEAD: usize = 16 * 1024;

/// Bytes by which a body has to grow within each `body_timeout`, if that is not its end: with the default of 30 s about
/// 500 a second.
pub const MIN_BODY: u32 = 16 * 1024;

/// An HTTP service as configuration describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSpec {
    /// The status of a fixed response, 200 to 599; 200 with a directory.
    pub status: u16,
    /// Fields added to every response of what is served (not to errors), in order.
    pub headers: Vec<(String, String)>,
    /// What is served.
    pub body: Body,
    /// Bytes that the body of one request may have.
    pub max_body: u64,
    /// Bytes that the head of one request may have, from [`MIN_HEAD`] to [`MAX_HEAD`].
    pub max_head: usize,
    /// Whether a connection stays after a response.
    pub keep_alive: bool,
    /// From the first byte of a request to the end of its head.
    pub head_timeout: Duration,
    /// Within each such time a body is complete or [`MIN_BODY`] further.
    pub body_timeout: Duration,
    /// How long nothing at all may come before the first request and between two.
    pub keep_alive_timeout: Duration,
}

/// What an HTTP service serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// These bytes, for every path.
    Bytes(Vec<u8>),
    /// The files of this directory, read once, at start.
    Directory(PathBuf),
}

impl Default for HttpSpec {
    /// An empty 200 for every path.
    fn default() -> HttpSpec {
        HttpSpec {
            status: 200,
            headers: Vec::new(),
            body: Body::Bytes(Vec::new()),
            max_body: 1 << 20,
            max_head: 8 * 1024,
            keep_alive: true,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            keep_alive_timeout: Duration::from_secs(75),
        }
    }
}

/// The http application.
#[derive(Debug)]
pub struct Http {
    responses: Vec<Response>,
    content: Content,
    max_body: u64,
    max_head: usize,
    keep_alive: bool,
    head_timeout: Duration,
    body_timeout: Duration,
    keep_alive_timeout: Duration,
}

impl Http {
    /// Writes out every response there can be.
    ///
    /// # Errors
    /// What in `spec` cannot be served, and what to write instead.
    pub fn new(spec: &HttpSpec) -> Result<Http, BuildError> {
        if !(200..=599).contains(&spec.status) {
            return Err(BuildError::Status(spec.status));
        }
        if !(MIN_HEAD..=MAX_HEAD).contains(&spec.max_head) {
            return Err(BuildError::MaxHead(spec.max_head));
        }
        check_headers(&spec.headers)?;
        let headers: Vec<_> = spec.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let mut responses: Vec<_> = Canned::ALL.into_iter().map(Canned::response).collect();
        let content = match &spec.body {
            Body::Bytes(bytes) => {
                if !bytes.is_empty() && matches!(spec.status, 204 | 205 | 304) {
                    return Err(BuildError::BodyWithStatus(spec.status));
                }
                if bytes.len() as u64 > directory::MAX_FILE {
                    let (what, max) = ("the body".to_owned(), directory::MAX_FILE);
                    return Err(BuildError::TooLong { what, max });
                }
                responses.push(Response::new(spec.status, &headers, bytes));
                Content::One(responses.len() as u32 - 1)
            }
            Body::Directory(_) if spec.status != 200 => {
                return Err(BuildError::DirectoryStatus(spec.status));
            }
            Body::Directory(dir) => Content::Files(directory::load(dir, &headers, &mut responses)?),
        };
        Ok(Http {
            responses,
            content,
            max_body: spec.max_body,
            max_head: spec.max_head,
            keep_alive: spec.keep_alive,
            head_timeout: spec.head_timeout,
            body_timeout: spec.body_timeout,
            keep_alive_timeout: spec.keep_alive_timeout,
        })
    }
}

impl Resolve for Http {
    #[inline]
    fn resolve(&self, method: Method, target: &[u8]) -> Result<u32, Canned> {
        match method {
            Method::Get | Method::Head => self.content.find(target),
            // `*` asks about the server as a whole (RFC 9110, section 9.3.7).
            Method::Options if target == b"*" => Ok(Canned::Options.index()),
            Method::Options => self.content.find(target).map(|_| Canned::Options.index()),
            Method::Other if target.is_empty() => Err(Canned::BadRequest),
            Method::Other => Ok(Canned::MethodNotAllowed.index()),
        }
    }
}

impl Application for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn on_tcp(&self, state: &mut FlowState, stream: &mut dyn Stream, counters: &mut AppCounters) {
        if let FlowState::New = state {
            *state = FlowState::Http(Session::default());
        }
        let FlowState::Http(session) = state else {
            return;
        };
        if session.run(self, stream, counters) == Life::Over {
            *state = FlowState::Done;
        }
    }

    fn on_deadline(&self, state: &mut FlowState, stream: &mut dyn Stream, counters: &mut AppCounters) {
        if let FlowState::New = state {
            *state = FlowState::Http(Session::default());
        }
        let FlowState::Http(session) = state else {
            return;
        };
        if session.out_of_time(self, stream, counters) == Life::Over {
            *state = FlowState::Done;
        }
    }

    fn idle_timeout(&self) -> Option<Duration> {
        Some(self.keep_alive_timeout)
    }

    /// HTTP/1 has no datagrams: they are counted and left unanswered.
    fn on_udp(&self, data: &[u8], _: &mut dyn Reply, counters: &mut AppCounters) {
        counters.datagram(data);
    }
}
