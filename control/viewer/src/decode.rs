//! Content codings (RFC 9110, section 8.4) taken off a body.
//!
//! Invariant: at most as many bytes as the limit says come out of any coding, whatever goes in; what stopped before the
//! end says so.

use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use hyper::body::Bytes;

use crate::store::Message;

/// How many codings may be on top of each other.
const MOST_CODINGS: usize = 4;
/// How far filters look into a decoded body, in bytes.
const SEARCH: usize = 1 << 20;

/// How far decoding goes.
#[derive(Debug)]
pub(crate) struct Limits {
    /// Bytes that come out, for a reader.
    pub(crate) decoded: usize,
    /// How often that stopped something.
    hits: AtomicU64,
}

impl Limits {
    pub(crate) fn new(decoded: usize) -> Self {
        Self { decoded, hits: AtomicU64::new(0) }
    }

    /// The limit for filters, in bytes.
    pub(crate) fn search(&self) -> usize {
        self.decoded.min(SEARCH)
    }

    /// Decodes for a reader, and counts where the limit stops it.
    pub(crate) fn decode(&self, message: &Message) -> Decoded {
        let decoded = decoded(message, self.decoded);
        if matches!(decoded.stopped, Some(Stop::Limit(_))) {
            self.hits.fetch_add(1, Ordering::Relaxed);
        }
        decoded
    }

    /// How often the limit stopped something.
    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }
}

/// A body without its codings.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) bytes: Bytes,
    /// The codings taken off, outermost first.
    pub(crate) taken: Vec<String>,
    /// Why the rest is missing or still encoded.
    pub(crate) stopped: Option<Stop>,
}

/// Why decoding ended before the end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// More than this many bytes came out.
    Limit(usize),
    /// A coding nobody here knows, or too many of them.
    Unknown(String),
    /// The bytes are not what the coding says, or end too early.
    Broken(String),
}

impl core::fmt::Display for Stop {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Limit(bytes) => write!(f, "stopped behind {bytes} bytes, the limit of decoding"),
            Self::Unknown(name) => write!(f, "left in `{name}`, which is not known here"),
            Self::Broken(name) => write!(f, "the {name} data ends early or is broken"),
        }
    }
}

/// Takes off what `Content-Encoding` names; at most `limit` bytes come out.
pub(crate) fn decoded(message: &Message, limit: usize) -> Decoded {
    let names = message.http.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-encoding"));
    let codings: Vec<String> = names
        .flat_map(|(_, value)| value.split(','))
        .map(|coding| coding.trim().to_ascii_lowercase())
        .filter(|coding| !coding.is_empty() && coding != "identity")
        .collect();
    let mut result = Decoded { bytes: message.payload.clone(), taken: Vec::new(), stopped: None };
    if codings.len() > MOST_CODINGS {
        result.stopped = Some(Stop::Unknown(format!("{} codings", codings.len())));
        return result;
    }
    // The last one was applied last.
    for coding in codings.into_iter().rev() {
        if result.stopped.is_some() || result.bytes.is_empty() {
            break;
        }
        match take_off(&coding, &result.bytes, limit) {
            Some((bytes, stopped)) => {
                result.bytes = bytes;
                result.stopped = stopped;
                result.taken.push(coding);
            }
            None => result.stopped = Some(Stop::Unknown(coding.chars().take(40).collect())),
        }
    }
    result
}

fn take_off(coding: &str, bytes: &[u8], limit: usize) -> Option<(Bytes, Option<Stop>)> {
    Some(match coding {
        "gzip" | "x-gzip" => drain(coding, MultiGzDecoder::new(bytes), limit),
        // What RFC 9110 calls deflate is zlib's format; some send it without zlib's header.
        "deflate" if is_zlib(bytes) => drain(coding, ZlibDecoder::new(bytes), limit),
        "deflate" => drain(coding, DeflateDecoder::new(bytes), limit),
        "br" => drain("brotli", brotli_decompressor::Decompressor::new(bytes, 4096), limit),
        _ => return None,
    })
}

/// Whether this is a header of zlib (RFC 1950, section 2.2).
fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [cmf, flg, ..] if cmf & 0x0f == 8 && u16::from_be_bytes([*cmf, *flg]) % 31 == 0)
}

fn drain(coding: &str, mut from: impl Read, limit: usize) -> (Bytes, Option<Stop>) {
    let mut out = Vec::new();
    let mut chunk = [0; 16 << 10];
    loop {
        match from.read(&mut chunk) {
            Ok(0) => return (out.into(), None),
            Ok(read) if out.len() + read > limit => {
                out.extend_from_slice(&chunk[..limit - out.len()]);
                return (out.into(), Some(Stop::Limit(limit)));
            }
            Ok(read) => out.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return (out.into(), Some(Stop::Broken(coding.to_owned()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use serde_json::json;

    use super::*;
    use crate::event::tests::{event, message};
    use crate::event::{Body, Event};

    /// "brotli brotli brotli\n", by the brotli tool.
    const BROTLI: &[u8] = include_bytes!("../tests/hello.br");

    fn with(coding: &str, bytes: &[u8]) -> Message {
        let more = json!({"status": 200, "reason": "", "headers": [["Content-Encoding", coding]]});
        let Event { body: Body::Response(http, payload), .. } =
            event("http.response", &message(1, "a", 0, more), bytes)
        else {
            panic!("no response")
        };
        Message { http: *http, payload, end: 0, seq: 1 }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_coding_comes_off() {
        let text = b"some text, some text, some text".as_slice();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(text).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
        raw.write_all(text).unwrap();
        for (coding, bytes) in [
            ("gzip", gzip(text)),
            ("X-GZip", gzip(text)),
            ("deflate", zlib.finish().unwrap()),
            ("deflate", raw.finish().unwrap()),
            ("gzip, gzip", gzip(&gzip(text))),
            ("identity, gzip", gzip(text)),
            ("identity", text.to_vec()),
        ] {
            let decoded = decoded(&with(coding, &bytes), 1000);
            assert_eq!((&decoded.bytes[..], decoded.stopped), (text, None), "{coding}");
        }
        let brotli = decoded(&with("br", BROTLI), 1000);
        assert_eq!(
            (&brotli.bytes[..], brotli.taken, brotli.stopped),
            (&b"brotli brotli brotli\n"[..], vec!["br".to_owned()], None)
        );
    }

    #[test]
    fn a_bomb_ends_at_the_limit_and_is_counted() {
        let bomb = gzip(&vec![0; 64 << 20]);
        assert!(bomb.len() < 100_000);
        let limits = Limits::new(1 << 20);
        let decoded = limits.decode(&with("gzip", &bomb));
        assert_eq!((decoded.bytes.len(), decoded.stopped), (1 << 20, Some(Stop::Limit(1 << 20))));
        // One within the other: the outer one is stopped first, and the inner one is not begun.
        let decoded = limits.decode(&with("gzip, gzip", &gzip(&vec![0; 4 << 20])));
        assert_eq!(decoded.stopped, Some(Stop::Limit(1 << 20)));
        assert_eq!(limits.hits(), 2);
        // As many as the limit allows are no bomb.
        assert_eq!(limits.decode(&with("gzip", &gzip(&vec![7; 1 << 20]))).stopped, None);
    }

    #[test]
    fn what_is_broken_gives_what_came_before() {
        let whole = gzip(&(0..20_000_u32).flat_map(u32::to_be_bytes).collect::<Vec<_>>());
        let half = decoded(&with("gzip", &whole[..whole.len() / 2]), 1 << 20);
        assert!(half.bytes.len() > 1000);
        assert_eq!(half.stopped, Some(Stop::Broken("gzip".into())));
        let not = decoded(&with("gzip", b"plain text"), 1000);
        assert_eq!((not.bytes.len(), not.stopped), (0, Some(Stop::Broken("gzip".into()))));
    }

    #[test]
    fn unknown_codings_are_left_on() {
        let left = decoded(&with("gzip, zstd", b"xyz"), 1000);
        assert_eq!((&left.bytes[..], left.stopped), (&b"xyz"[..], Some(Stop::Unknown("zstd".into()))));
        let many = decoded(&with("gzip,gzip,gzip,gzip,gzip", b"xyz"), 1000);
        assert_eq!(&many.bytes[..], b"xyz");
        assert!(matches!(many.stopped, Some(Stop::Unknown(_))));
    }
}
