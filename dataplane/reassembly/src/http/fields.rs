//! The fields that frame a body: Content-Length and Transfer-Encoding (RFC 9112, sections 6.1 to 6.3).
//!
//! Invariant: a length comes from digits alone, and all lengths of a head agree, or there is none.

use super::message::{Framing, interim};
use super::waiting::Method;
use httparse::Header;

/// What the fields of one head say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    length: Option<u64>,
    /// A length that is none, or two that differ.
    bad_length: bool,
    /// Whether the last transfer coding is chunked, if there is any.
    chunked: Option<bool>,
}

/// How a body ends; the number is its length, 0 where unknown. `None`: it cannot be told.
type Framed = Option<(Framing, u64)>;

impl Fields {
    pub(super) fn read(headers: &[Header<'_>]) -> Self {
        let mut fields = Self::default();
        for header in headers {
            match header.name.len() {
                14 if header.name.eq_ignore_ascii_case("content-length") => fields.lengths(header.value),
                17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                    fields.chunked = Some(last_is_chunked(header.value));
                }
                _ => {}
            }
        }
        fields
    }

    /// Equal values in a list, or in several fields, are one (RFC 9112, section 6.3, item 5).
    fn lengths(&mut self, value: &[u8]) {
        for one in value.split(|byte| *byte == b',') {
            let length = number(one.trim_ascii());
            self.bad_length |= length.is_none() || (self.length.is_some() && self.length != length);
            self.length = length;
        }
    }

    pub(super) fn request(self) -> Framed {
        match self.chunked {
            Some(true) => Some((Framing::Chunked, 0)),
            // Nothing says where it ends.
            Some(false) => None,
            None if self.bad_length => None,
            None => Some(self.length.map_or((Framing::None, 0), |length| (Framing::Length, length))),
        }
    }

    pub(super) fn response(self, status: u16, asked: Method) -> Framed {
        if asked == Method::Head
            || matches!(status, 101 | 204 | 304)
            || interim(status)
            || tunnel(status, asked)
        {
            return Some((Framing::None, 0));
        }
        match self.chunked {
            Some(true) => Some((Framing::Chunked, 0)),
            Some(false) => Some((Framing::Close, 0)),
            None if self.bad_length => None,
            None => Some(self.length.map_or((Framing::Close, 0), |length| (Framing::Length, length))),
        }
    }
}

/// The connection is a tunnel from here on (RFC 9110, section 9.3.6).
pub(super) fn tunnel(status: u16, asked: Method) -> bool {
    asked == Method::Connect && status / 100 == 2
}

/// `1*DIGIT`
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| byte - b'0')?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// Empty elements of a list do not count (RFC 9110, section 5.6.1.2); chunked has no parameters.
fn last_is_chunked(value: &[u8]) -> bool {
    let last = value.rsplit(|byte| *byte == b',').map(<[u8]>::trim_ascii).find(|coding| !coding.is_empty());
    last.is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&str, &str)]) -> Fields {
        let headers: Vec<_> =
            fields.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect();
        Fields::read(&headers)
    }

    fn length(value: &str) -> Framed {
        read(&[("Content-Length", value)]).request()
    }

    #[test]
    fn lengths_are_digits_and_agree() {
        assert_eq!(length("7"), Some((Framing::Length, 7)));
        assert_eq!(length("7, 7"), Some((Framing::Length, 7)));
        assert_eq!(length("18446744073709551615"), Some((Framing::Length, u64::MAX)));
        for bad in ["", "-1", "+1", "1 2", "0x1", "7,", "7,8", "18446744073709551616", "1e3"] {
            assert_eq!(length(bad), None, "{bad:?}");
        }
        let twice = |b| read(&[("content-length", "7"), ("Host", "a"), ("CONTENT-LENGTH", b)]).request();
        assert_eq!(twice("7"), Some((Framing::Length, 7)));
        assert_eq!(twice("8"), None);
        assert_eq!(read(&[("Content-Length", "x"), ("Content-Length", "8")]).request(), None);
    }

    #[test]
    fn chunked_goes_before_any_length() {
        let both = read(&[("Content-Length", "x"), ("Transfer-Encoding", "gzip, Chunked")]);
        assert_eq!(both.request(), Some((Framing::Chunked, 0)));
        assert_eq!(both.response(200, Method::Other), Some((Framing::Chunked, 0)));
        assert_eq!(read(&[("transfer-encoding", "chunked , ,")]).request(), Some((Framing::Chunked, 0)));
    }

    #[test]
    fn any_other_last_coding_lasts_until_the_end() {
        for coding in ["gzip", "chunked, gzip", "chunkedx", "", "identity"] {
            let fields = read(&[("Content-Length", "3"), ("Transfer-Encoding", coding)]);
            assert_eq!(fields.request(), None, "{coding:?}");
            assert_eq!(fields.response(200, Method::Other), Some((Framing::Close, 0)), "{coding:?}");
        }
        let two = read(&[("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "gzip")]);
        assert_eq!(two.request(), None);
    }

    #[test]
    fn some_responses_have_no_body_whatever_they_say() {
        let fields = read(&[("Content-Length", "x"), ("Transfer-Encoding", "chunked")]);
        for (status, asked) in
            [(200, Method::Head), (100, Method::Other), (101, Method::Other), (199, Method::Other)]
        {
            assert_eq!(fields.response(status, asked), Some((Framing::None, 0)), "{status}");
        }
        for (status, asked) in [(204, Method::Other), (304, Method::Other), (200, Method::Connect)] {
            assert_eq!(fields.response(status, asked), Some((Framing::None, 0)), "{status}");
        }
        assert_eq!(fields.response(407, Method::Connect), Some((Framing::Chunked, 0)));
        assert_eq!(Fields::default().response(200, Method::Other), Some((Framing::Close, 0)));
        assert_eq!(Fields::default().request(), Some((Framing::None, 0)));
    }
}
