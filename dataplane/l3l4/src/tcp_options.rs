//! TCP options (RFC 9293 section 3.1, RFC 7323, RFC 2018), read strictly.
//!
//! Invariant: what is accepted here the stack behind reads too; a segment it would pass over in silence is
//! named as malformed instead.

/// The options that matter to us.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Maximum segment size.
    pub mss: Option<u16>,
    /// Window scale, cut to 14 (RFC 7323 section 2.3).
    pub window_scale: Option<u8>,
    /// Selective acknowledgments are permitted.
    pub sack: bool,
}

/// Reads the option bytes of a TCP header; `None` where they are malformed.
#[inline]
#[must_use]
pub fn read(mut bytes: &[u8]) -> Option<Options> {
    let mut options = Options::default();
    while let [kind, rest @ ..] = bytes {
        match *kind {
            0 => break,
            1 => {
                bytes = rest;
                continue;
            }
            _ => {}
        }
        let len = usize::from(*rest.first()?);
        if len < 2 || len > bytes.len() {
            return None;
        }
        let value = &bytes[2..len];
        match (*kind, value) {
            (2, &[high, low]) => options.mss = Some(u16::from_be_bytes([high, low])),
            (3, &[shift]) => options.window_scale = Some(shift.min(14)),
            (4, &[]) => options.sack = true,
            (5, blocks) if matches!(blocks.len(), 8 | 16 | 24 | 32) => {}
            (8, values) if values.len() == 8 => {}
            (2..=5 | 8, _) => return None,
            _ => {}
        }
        bytes = &bytes[len..];
    }
    Some(options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_linux_syn() {
        let bytes = [2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7];
        assert_eq!(read(&bytes), Some(Options { mss: Some(1460), window_scale: Some(7), sack: true }));
    }

    #[test]
    fn malformed() {
        for bad in [
            &[2u8][..],
            &[2, 0],
            &[2, 1, 1],
            &[2, 3, 1],
            &[3, 2],
            &[8, 9, 1],
            &[4, 3, 0],
            &[5, 3, 0],
            &[9, 1],
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
        assert_eq!(read(&[3, 3, 99]), Some(Options { window_scale: Some(14), ..Options::default() }));
        assert!(read(&[253, 4, 1, 2]).is_some(), "unknown options are skipped (RFC 9293 MUST-6)");
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = read(&bytes);
        }
    }
}
