//! Content codings taken off a body (RFC 9110, section 8.4): gzip, deflate, br.
//!
//! Invariant: no more than the limit is ever decoded, however small the body; what was decoded before something went
//! wrong is kept.

use std::io::{ErrorKind, Read};

use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// The most codings on top of each other. More than one is rare, many are an attack.
const MOST_CODINGS: usize = 4;

/// Bytes of brotli's input buffer.
const BROTLI_BUFFER: usize = 4096;

/// What a body came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// There was no coding on it: it is what it is.
    Plain,
    /// Without its codings.
    Body(Body),
}

/// A body without its codings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Body {
    /// Its bytes, or the first of them.
    pub bytes: Vec<u8>,
    /// Why these are not all; `None` where they are.
    pub trouble: Option<Trouble>,
}

/// Why a body is not decoded to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It is longer than the limit.
    Limit,
    /// It ends too early.
    Truncated,
    /// It is not what its coding says. Brotli that ends too early is taken for that, too.
    Broken,
    /// This coding is not known here, or there are too many of them.
    Unknown(String),
}

impl Trouble {
    /// In a few words.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Limit => "longer than the limit".into(),
            Self::Truncated => "ends too early".into(),
            Self::Broken => "not what its coding says".into(),
            Self::Unknown(coding) => format!("coding `{coding}` not known"),
        }
    }
}

/// Takes the codings that `Content-Encoding` names off a body, the last one first; gives no more than `limit` bytes.
#[must_use]
pub fn decode(codings: &str, body: &[u8], limit: usize) -> Decoded {
    let names = codings.split(',').map(str::trim);
    let names: Vec<&str> =
        names.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity")).collect();
    if names.is_empty() {
        return Decoded::Plain;
    }
    if names.len() > MOST_CODINGS {
        let trouble = Some(Trouble::Unknown(shortened(codings)));
        return Decoded::Body(Body { bytes: Vec::new(), trouble });
    }
    let mut now = Body { bytes: body.to_vec(), trouble: None };
    for name in names.iter().rev() {
        let mut inner = one(name, &now.bytes, limit);
        // What is wrong further out is why something is wrong further in.
        inner.trouble = now.trouble.or(inner.trouble);
        now = inner;
    }
    Decoded::Body(now)
}

fn one(name: &str, body: &[u8], limit: usize) -> Body {
    // Nothing is nothing in any coding: a response to HEAD names the coding, too.
    if body.is_empty() {
        return Body::default();
    }
    match name.to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => read(MultiGzDecoder::new(body), limit),
        // It is zlib by its definition; some servers send it without the wrapping.
        "deflate" if is_zlib(body) => read(ZlibDecoder::new(body), limit),
        "deflate" => read(DeflateDecoder::new(body), limit),
        "br" => read(brotli_decompressor::Decompressor::new(body, BROTLI_BUFFER), limit),
        _ => Body { bytes: Vec::new(), trouble: Some(Trouble::Unknown(shortened(name))) },
    }
}

/// The header of RFC 1950: deflate, a window of 32 KiB at most, a multiple of 31.
fn is_zlib(body: &[u8]) -> bool {
    let [first, second, ..] = *body else { return false };
    first & 0x0f == 8 && first >> 4 <= 7 && (u16::from(first) << 8 | u16::from(second)).is_multiple_of(31)
}

fn read(mut from: impl Read, limit: usize) -> Body {
    let mut bytes = Vec::new();
    let mut piece = [0; 8192];
    let trouble = loop {
        match from.read(&mut piece) {
            Ok(0) => break None,
            Ok(read) => {
                let room = limit - bytes.len();
                bytes.extend_from_slice(&piece[..read.min(room)]);
                if read > room {
                    break Some(Trouble::Limit);
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => break Some(Trouble::Truncated),
            Err(_) => break Some(Trouble::Broken),
        }
    };
    Body { bytes, trouble }
}

/// A name from the wire, short enough to be shown.
fn shortened(name: &str) -> String {
    name.chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;
    use std::io::Write;

    /// "hello hello hello hello\n", made with the reference encoder.
    const BROTLI: [u8; 23] = [
        0x1f, 0x17, 0x00, 0xf8, 0x8d, 0x94, 0x6e, 0xde, 0x44, 0x55, 0x86, 0xd6, 0x0a, 0x20, 0x6c, 0x6f, 0x4a,
        0x11, 0x79, 0xe2, 0x80, 0xae, 0x16,
    ];

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn body(codings: &str, bytes: &[u8], limit: usize) -> Body {
        match decode(codings, bytes, limit) {
            Decoded::Body(body) => body,
            Decoded::Plain => panic!("{codings} is a coding"),
        }
    }

    proptest! {
        #[test]
        fn each_coding_comes_off(bytes: Vec<u8>) {
            let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
            zlib.write_all(&bytes).unwrap();
            let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
            raw.write_all(&bytes).unwrap();
            let whole = Body { bytes: bytes.clone(), trouble: None };
            prop_assert_eq!(body("GZip", &gzip(&bytes), 1 << 20), whole.clone());
            prop_assert_eq!(body("deflate", &zlib.finish().unwrap(), 1 << 20), whole.clone());
            prop_assert_eq!(body("deflate", &raw.finish().unwrap(), 1 << 20), whole.clone());
            prop_assert_eq!(body("gzip, x-gzip", &gzip(&gzip(&bytes)), 1 << 20), whole);
        }

        #[test]
        fn other_bytes_do_no_harm(bytes: Vec<u8>, limit in 0..100usize) {
            for coding in ["gzip", "deflate", "br"] {
                prop_assert!(body(coding, &bytes, limit).bytes.len() <= limit);
            }
        }
    }

    #[test]
    fn what_goes_wrong_is_said_and_the_rest_is_kept() {
        let text = "0123456789".repeat(1000);
        let packed = gzip(text.as_bytes());
        let cut = body("gzip", &packed[..packed.len() - 9], 1 << 20);
        assert_eq!(cut.trouble, Some(Trouble::Truncated));
        assert!(text.as_bytes().starts_with(&cut.bytes));
        let bomb = gzip(&vec![0; 1 << 22]);
        assert!(bomb.len() < 8192);
        let limited = body("gzip", &bomb, 10_000);
        assert_eq!((limited.bytes.len(), limited.trouble), (10_000, Some(Trouble::Limit)));
        let exact = body("gzip", &packed, text.len());
        assert_eq!((exact.bytes.len(), exact.trouble), (text.len(), None), "as long as the limit");
        assert_eq!(body("gzip", b"no gzip at all", 99).trouble, Some(Trouble::Broken));
        assert_eq!(body("zstd", b"x", 99).trouble, Some(Trouble::Unknown("zstd".into())));
        let many = body("gzip,gzip,gzip,gzip,gzip", b"x", 99);
        assert!(matches!(many.trouble, Some(Trouble::Unknown(_))));
        assert_eq!(body("gzip", b"", 99), Body::default(), "the response to a HEAD");
        assert_eq!(decode("", b"x", 99), Decoded::Plain);
        assert_eq!(decode(" identity ", b"x", 99), Decoded::Plain);
    }

    #[test]
    fn brotli_comes_off() {
        let whole = Body { bytes: b"hello hello hello hello\n".to_vec(), trouble: None };
        assert_eq!(body("br", &BROTLI, 99), whole);
        assert_eq!(body("br", &BROTLI, 5), Body { bytes: b"hello".to_vec(), trouble: Some(Trouble::Limit) });
        let cut = body("br", &BROTLI[..BROTLI.len() - 2], 99);
        // This decoder does not tell the two apart.
        assert_eq!(cut.trouble, Some(Trouble::Broken), "{cut:?}");
    }
}
