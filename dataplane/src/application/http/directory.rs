//! Loads a directory of small files into memory, when the application is built.
//!
//! Invariant: nothing outside of the directory is read, whatever links are in it, and files,
//! directories, depth and bytes are all bounded before anything is allocated for them.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::super::BuildError;
use super::content::MAX_PATH;
use super::response::Response;

/// Files and directories that may be looked at.
pub(super) const MAX_FILES: usize = 4096;
/// Bytes of one file, or of a body given in the configuration.
pub(super) const MAX_FILE: u64 = 16 << 20;
/// Bytes of all files together.
pub(super) const MAX_TOTAL: u64 = 64 << 20;
/// Directories within one another.
const MAX_DEPTH: usize = 16;

/// The files found so far.
struct Load<'a> {
    root: PathBuf,
    headers: &'a [(&'a str, &'a str)],
    responses: &'a mut Vec<Response>,
    files: HashMap<Box<[u8]>, u32>,
    seen: usize,
    bytes: u64,
}

/// Reads every file below `dir` and appends a response for each to `responses`.
///
/// Names that begin with a dot are left out. `index.html` also answers for its directory, and a
/// directory's path without the last slash redirects to the path with it.
pub(super) fn load(
    dir: &Path,
    headers: &[(&str, &str)],
    responses: &mut Vec<Response>,
) -> Result<HashMap<Box<[u8]>, u32>, BuildError> {
    let root = fs::canonicalize(dir).map_err(io(dir))?;
    if !root.is_dir() {
        return Err(BuildError::NotADirectory(dir.to_owned()));
    }
    let files = HashMap::new();
    let mut load = Load { root: root.clone(), headers, responses, files, seen: 0, bytes: 0 };
    load.directory(&root, b"", 0)?;
    if load.files.is_empty() {
        return Err(BuildError::Empty(dir.to_owned()));
    }
    Ok(load.files)
}

impl Load<'_> {
    /// `key` is the path within the root, empty or with a slash at its end.
    fn directory(&mut self, path: &Path, key: &[u8], depth: usize) -> Result<(), BuildError> {
        if depth > MAX_DEPTH {
            return Err(BuildError::TooDeep { path: path.to_owned(), max: MAX_DEPTH });
        }
        for entry in fs::read_dir(path).map_err(io(path))? {
            let entry = entry.map_err(io(path))?;
            let name = entry.file_name();
            if name.as_bytes().starts_with(b".") {
                continue;
            }
            self.seen += 1;
            if self.seen > MAX_FILES {
                return Err(BuildError::TooManyFiles { dir: self.root.clone(), max: MAX_FILES });
            }
            let found = entry.path();
            let key = [key, name.as_bytes()].concat();
            if key.len() >= MAX_PATH {
                return Err(BuildError::PathTooLong { path: found, max: MAX_PATH - 1 });
            }
            let real = fs::canonicalize(&found).map_err(io(&found))?;
            if !real.starts_with(&self.root) {
                return Err(BuildError::LinkOutside { link: found, target: real });
            }
            let meta = fs::metadata(&real).map_err(io(&found))?;
            if meta.is_dir() {
                self.directory(&real, &[&key[..], b"/"].concat(), depth + 1)?;
            } else if meta.is_file() {
                self.file(&real, &key, content_type(&found))?;
            } else {
                return Err(BuildError::NotAFile(found));
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, key: &[u8], kind: &str) -> Result<(), BuildError> {
        let mut content = Vec::new();
        let file = File::open(path).map_err(io(path))?;
        // The file may be growing: its length is what could be read of it.
        file.take(MAX_FILE + 1).read_to_end(&mut content).map_err(io(path))?;
        if content.len() as u64 > MAX_FILE {
            return Err(BuildError::TooLong { what: path.display().to_string(), max: MAX_FILE });
        }
        self.bytes += content.len() as u64;
        if self.bytes > MAX_TOTAL {
            return Err(BuildError::TotalTooLong { dir: self.root.clone(), max: MAX_TOTAL });
        }
        let mut headers = self.headers.to_vec();
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("Content-Type")) {
            headers.insert(0, ("Content-Type", kind));
        }
        let index = self.add(Response::new(200, &headers, &content));
        self.files.insert(key.into(), index);
        if let Some(dir) = key.strip_suffix(b"index.html")
            && (dir.is_empty() || dir.ends_with(b"/"))
        {
            self.files.insert(dir.into(), index);
            if let Some(bare) = dir.strip_suffix(b"/") {
                let location = format!("/{}", escape(dir));
                let mut headers = self.headers.to_vec();
                headers.insert(0, ("Location", &location));
                let redirect = self.add(Response::new(301, &headers, b""));
                self.files.insert(bare.into(), redirect);
            }
        }
        Ok(())
    }

    fn add(&mut self, response: Response) -> u32 {
        self.responses.push(response);
        // At most two per file and a dozen of the service's own.
        (self.responses.len() - 1) as u32
    }
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> BuildError {
    move |source| BuildError::Io { path: path.to_owned(), source }
}

/// A path as it may stand in a URI (RFC 3986, section 2.3).
fn escape(path: &[u8]) -> String {
    path.iter().fold(String::new(), |mut uri, &byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
        uri
    })
}

/// The media type, by the name's extension.
fn content_type(path: &Path) -> &'static str {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "txt" | "md" | "log" => "text/plain; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "xml" => "application/xml",
        "json" | "map" => "application/json",
        "wasm" => "application/wasm",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/vnd.microsoft.icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "mp4" => "video/mp4",
        "mp3" => "audio/mpeg",
        _ => "application/octet-stream",
    }
}
