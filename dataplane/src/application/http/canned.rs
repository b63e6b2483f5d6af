//! The responses every HTTP service has, whatever it serves.
//!
//! Invariant: the discriminant of a [`Canned`] is its index in the application's responses, and
//! what the service serves comes after [`Canned::ALL`].

use super::response::{Response, reason};

/// The methods that are answered, as an Allow field lists them.
const ALLOW: (&str, &str) = ("Allow", "GET, HEAD, OPTIONS");

/// A response that does not depend on what is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Canned {
    Continue,
    Options,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    ContentTooLarge,
    TargetTooLong,
    ExpectationFailed,
    HeadTooLarge,
    NotImplemented,
    Version,
}

impl Canned {
    /// All of them, in the order of their discriminants.
    pub(super) const ALL: [Canned; 12] = [
        Canned::Continue,
        Canned::Options,
        Canned::BadRequest,
        Canned::NotFound,
        Canned::MethodNotAllowed,
        Canned::RequestTimeout,
        Canned::ContentTooLarge,
        Canned::TargetTooLong,
        Canned::ExpectationFailed,
        Canned::HeadTooLarge,
        Canned::NotImplemented,
        Canned::Version,
    ];

    /// Its place among the application's responses.
    pub(super) const fn index(self) -> u32 {
        self as u32
    }

    pub(super) const fn status(self) -> u16 {
        match self {
            Canned::Continue => 100,
            Canned::Options => 204,
            Canned::BadRequest => 400,
            Canned::NotFound => 404,
            Canned::MethodNotAllowed => 405,
            Canned::RequestTimeout => 408,
            Canned::ContentTooLarge => 413,
            Canned::TargetTooLong => 414,
            Canned::ExpectationFailed => 417,
            Canned::HeadTooLarge => 431,
            Canned::NotImplemented => 501,
            Canned::Version => 505,
        }
    }

    /// Writes it out.
    pub(super) fn response(self) -> Response {
        let status = self.status();
        match self {
            Canned::Continue => Response::new(status, &[], b""),
            Canned::Options => Response::new(status, &[ALLOW], b""),
            _ => {
                let kind = ("Content-Type", "text/plain");
                let fields: &[_] = match self {
                    Canned::MethodNotAllowed => &[ALLOW, kind],
                    _ => &[kind],
                };
                let text = format!("{status} {}\n", reason(status));
                Response::new(status, fields, text.as_bytes())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_a_place_in_the_list() {
        for (at, canned) in Canned::ALL.into_iter().enumerate() {
            assert_eq!(canned.index() as usize, at);
            assert_ne!(reason(canned.status()), "");
        }
    }
}
