//! Credentials in headers and in streams, made unreadable unless they are asked for.
//!
//! Invariant: no byte of a credential's value leaves the process masked in part; the length of a stream stays as it is.

/// What stands for a masked value in headers.
const MASK: &str = "••••••";
/// Headers whose values are credentials. So are those whose names contain a word of [`WORDS`].
const NAMES: [&str; 6] =
    ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-amz-security-token", "x-csrftoken"];
const WORDS: [&str; 5] = ["token", "secret", "password", "api-key", "apikey"];
/// The longest name of a header that is looked at in a stream.
const MOST_NAME: usize = 64;

/// Whether values of the header `name` are credentials.
pub(crate) fn is_sensitive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    NAMES.contains(&name.as_str()) || WORDS.iter().any(|word| name.contains(word))
}

/// The value of the header `name` as it may be shown; `None` if that is all of it.
pub(crate) fn masked(name: &str, value: &str) -> Option<String> {
    if !is_sensitive(name) {
        return None;
    }
    Some(match name.to_ascii_lowercase().as_str() {
        // The scheme is no secret (RFC 9110, section 11.4).
        "authorization" | "proxy-authorization" => match value.trim_start().split_once(' ') {
            Some((scheme, _)) => format!("{scheme} {MASK}"),
            None => MASK.to_owned(),
        },
        "cookie" => value.split(';').map(pair).collect::<Vec<_>>().join("; "),
        "set-cookie" => match value.split_once(';') {
            Some((cookie, attributes)) => format!("{};{attributes}", pair(cookie)),
            None => pair(value),
        },
        _ => MASK.to_owned(),
    })
}

/// A cookie with its name left readable.
fn pair(cookie: &str) -> String {
    match cookie.trim().split_once('=') {
        Some((name, _)) => format!("{name}={MASK}"),
        None => MASK.to_owned(),
    }
}

/// Masks values of headers in the bytes of one direction, which may come in pieces cut anywhere.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    state: State,
    /// The beginning of the line, as long as it may be the name of a header.
    name: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In what may be a name.
    #[default]
    Name,
    /// In a line that is none of ours.
    Other,
    /// In a value.
    Value,
    /// At the beginning of a line behind a value: blanks continue the value (obs-fold).
    Behind,
}

impl Lines {
    /// Masks `bytes`, which follow those of the call before.
    pub(crate) fn mask(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.step(*byte) {
                *byte = b'*';
            }
        }
    }

    /// Goes on behind `bytes` without masking.
    pub(crate) fn skip(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.step(*byte);
        }
    }

    /// Bytes are missing here: what follows is the rest of a value if one had begun.
    pub(crate) fn gap(&mut self) {
        if self.state == State::Name {
            self.state = State::Other;
        }
    }

    /// Whether this byte is one of a credential.
    fn step(&mut self, byte: u8) -> bool {
        if self.state == State::Behind {
            if matches!(byte, b' ' | b'\t') {
                self.state = State::Value;
                return false;
            }
            self.begin();
        }
        match (self.state, byte) {
            (State::Value, b'\n') => {
                self.state = State::Behind;
                false
            }
            (State::Value, _) => !matches!(byte, b'\r' | b' ' | b'\t'),
            (_, b'\n') => {
                self.begin();
                false
            }
            (State::Name, b':') => {
                let sensitive = core::str::from_utf8(&self.name).is_ok_and(is_sensitive);
                self.state = if sensitive { State::Value } else { State::Other };
                false
            }
            (State::Name, _) => {
                let token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
                if token && self.name.len() < MOST_NAME {
                    self.name.push(byte);
                } else {
                    self.state = State::Other;
                }
                false
            }
            (State::Other | State::Behind, _) => false,
        }
    }

    fn begin(&mut self) {
        self.state = State::Name;
        self.name.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_headers_are_masked() {
        for (name, value, shown) in [
            ("Authorization", "Basic dXNlcjpwYXNz", "Basic ••••••"),
            ("proxy-authorization", "opaque", "••••••"),
            ("Cookie", "sid=abc; theme=dark", "sid=••••••; theme=••••••"),
            ("Set-Cookie", "sid=abc; Path=/; HttpOnly", "sid=••••••; Path=/; HttpOnly"),
            ("X-Api-Key", "k", "••••••"),
            ("X-Auth-Token", "k", "••••••"),
        ] {
            assert_eq!(masked(name, value).as_deref(), Some(shown), "{name}");
        }
        for name in ["Host", "Content-Type", "WWW-Authenticate", "Accept"] {
            assert_eq!(masked(name, "x"), None, "{name}");
        }
    }

    const STREAM: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\nAuthorization: Basic abc=\r\n more\r\ncookie:a=b\r\nX: y\r\n\r\nCookie of text";
    const SHOWN: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\nAuthorization: ***** ****\r\n ****\r\ncookie:***\r\nX: y\r\n\r\nCookie of text";

    #[test]
    fn credentials_in_streams_are_masked_wherever_they_are_cut() {
        for cut in 0..STREAM.len() {
            let mut shown = STREAM.to_vec();
            let mut lines = Lines::default();
            let (first, second) = shown.split_at_mut(cut);
            lines.mask(first);
            lines.mask(second);
            assert_eq!(String::from_utf8_lossy(&shown), String::from_utf8_lossy(SHOWN), "{cut}");
            let mut lines = Lines::default();
            lines.skip(&STREAM[..cut]);
            let mut rest = STREAM[cut..].to_vec();
            lines.mask(&mut rest);
            assert_eq!(rest, SHOWN[cut..], "{cut}");
        }
    }

    #[test]
    fn a_gap_in_a_value_does_not_end_it() {
        let mut lines = Lines::default();
        lines.skip(b"Cookie: a=");
        lines.gap();
        let mut rest = *b"secret\r\nX: y";
        lines.mask(&mut rest);
        assert_eq!(&rest, b"******\r\nX: y");
    }
}
