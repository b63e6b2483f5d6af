//! What a service serves: one response for every path, or a response per file.
//!
//! Invariant: the set of paths is closed when the application is built. A request names a key of a
//! map and never reaches the file system, so no spelling of a path can leave the directory.

use std::collections::HashMap;

use super::canned::Canned;

/// The longest path that can be asked for, in bytes after decoding, without the leading slash.
pub(super) const MAX_PATH: usize = 1024;

/// What there is to find, as indices into the application's responses.
#[derive(Debug)]
pub(super) enum Content {
    /// The same for every path.
    One(u32),
    /// By decoded path, without the leading slash; a directory's own path ends with one.
    Files(HashMap<Box<[u8]>, u32>),
}

impl Content {
    /// Finds the response for a request target (RFC 9112, section 3.2): origin form or absolute form.
    #[inline]
    pub(super) fn find(&self, target: &[u8]) -> Result<u32, Canned> {
        let path = match target {
            [b'/', path @ ..] => path,
            _ => absolute(target).ok_or(Canned::BadRequest)?,
        };
        match self {
            Content::One(index) => Ok(*index),
            Content::Files(files) => file(files, path),
        }
    }
}

#[inline(never)]
fn file(files: &HashMap<Box<[u8]>, u32>, path: &[u8]) -> Result<u32, Canned> {
    let mut room = [0; MAX_PATH];
    let path = normalise(path, &mut room)?;
    Ok(*files.get(path).unwrap_or(&Canned::NotFound.index()))
}

/// The path of an absolute-form target, without its leading slash.
#[cold]
fn absolute(target: &[u8]) -> Option<&[u8]> {
    let rest = [&b"http://"[..], b"https://"].iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })?;
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?'));
    let (authority, path) = rest.split_at(end.unwrap_or(rest.len()));
    if authority.is_empty() {
        return None;
    }
    Some(path.strip_prefix(b"/").unwrap_or(path))
}

/// Drops the query, decodes percent escapes and removes dot segments (RFC 3986, sections 2.1 and 5.2.4).
///
/// Dot segments are removed after decoding, so that `%2e%2e` is no way around it. What cannot name
/// a file is not found: an escaped slash, a climb above the root, a path longer than any there is.
fn normalise<'a>(path: &[u8], room: &'a mut [u8; MAX_PATH]) -> Result<&'a [u8], Canned> {
    let path = path.split(|b| *b == b'?').next().unwrap_or_default();
    let mut len = 0;
    let mut segments = path.split(|b| *b == b'/').peekable();
    while let Some(segment) = segments.next() {
        let start = len;
        let mut bytes = segment.iter();
        while let Some(&byte) = bytes.next() {
            let byte = match byte {
                b'%' => decode(bytes.next(), bytes.next())?,
                other => other,
            };
            if byte == b'/' {
                return Err(Canned::NotFound);
            }
            *room.get_mut(len).ok_or(Canned::NotFound)? = byte;
            len += 1;
        }
        let last = segments.peek().is_none();
        match room.get(start..len).unwrap_or_default() {
            b"." => len = start,
            b".." => {
                // Back over the slash before this segment, then to the one before that.
                let above = start.checked_sub(1).ok_or(Canned::NotFound)?;
                let before = room.get(..above).unwrap_or_default();
                len = before.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
            }
            _ if last => {}
            _ => {
                *room.get_mut(len).ok_or(Canned::NotFound)? = b'/';
                len += 1;
            }
        }
    }
    Ok(room.get(..len).unwrap_or_default())
}

/// One escaped byte. NUL can be in no path, whatever it is meant for.
fn decode(high: Option<&u8>, low: Option<&u8>) -> Result<u8, Canned> {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    match (digit(high), digit(low)) {
        (Some(0), Some(0)) | (None, _) | (_, None) => Err(Canned::BadRequest),
        (Some(high), Some(low)) => Ok((high << 4 | low) as u8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(target: &str) -> Result<String, Canned> {
        let mut room = [0; MAX_PATH];
        let path = normalise(target.as_bytes(), &mut room)?;
        Ok(String::from_utf8(path.to_vec()).unwrap())
    }

    #[test]
    fn paths_come_out_normal() {
        for (asked, normal) in [
            ("", ""),
            ("?a=../b", ""),
            ("a/b.html?x/y", "a/b.html"),
            ("a%20b/%63", "a b/c"),
            ("./a/./b", "a/b"),
            ("a/../b", "b"),
            ("a/b/../c", "a/c"),
            ("a/b/..", "a/"),
            ("a/.", "a/"),
            ("a/..", ""),
            ("a/%2E%2e/b", "b"),
            ("a//b", "a//b"),
            ("a/...", "a/..."),
            ("..a", "..a"),
        ] {
            assert_eq!(path(asked).as_deref(), Ok(normal), "{asked}");
        }
    }

    #[test]
    fn what_cannot_name_a_file_is_refused() {
        for asked in ["..", "../a", "a/../../b", "%2e%2e/a", ".%2e", "a%2fb", "..%2fa"] {
            assert_eq!(path(asked), Err(Canned::NotFound), "{asked}");
        }
        for asked in ["%", "%4", "%zz", "a%00b", "%+1"] {
            assert_eq!(path(asked), Err(Canned::BadRequest), "{asked}");
        }
        assert_eq!(path(&"a".repeat(MAX_PATH + 1)), Err(Canned::NotFound));
        assert_eq!(path(&"a".repeat(MAX_PATH)).unwrap().len(), MAX_PATH);
    }

    #[test]
    fn both_forms_of_a_target_are_found_and_others_refused() {
        let one = Content::One(77);
        for target in ["/", "/a?b", "http://host/a", "HTTPS://host", "http://host?q"] {
            assert_eq!(one.find(target.as_bytes()), Ok(77), "{target}");
        }
        for target in ["", "a", "*", "host:80", "http:///a", "http://", "ftp://host/"] {
            assert_eq!(one.find(target.as_bytes()), Err(Canned::BadRequest), "{target}");
        }
    }
}
