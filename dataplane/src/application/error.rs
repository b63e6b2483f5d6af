//! Why an application could not be built.
//!
//! Invariant: each message names the offending value and says what to write instead; it is shown
//! to the operator as it is, after the place in the configuration.

use std::path::PathBuf;

/// Why [`super::Spec::build`] refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A status that is no final HTTP status.
    #[error("status {0} is not a final HTTP status: write one from 200 to 599")]
    Status(u16),
    /// A body with a status that must not have one (RFC 9110, section 6.4.1).
    #[error("a response with status {0} has no body: leave the body out or use another status")]
    BodyWithStatus(u16),
    /// Files answer with 200, nothing else.
    #[error("status {0} cannot be used with a directory: leave it out, files answer with 200")]
    DirectoryStatus(u16),
    /// A header name that is not a token (RFC 9110, section 5.6.2).
    #[error("header name {0:?} is not an HTTP token: use letters, digits and hyphens")]
    HeaderName(String),
    /// A header value with bytes that would change the response's framing.
    #[error("the value of header {0:?} has control characters or outer spaces: remove them")]
    HeaderValue(String),
    /// A header that Millrace writes itself.
    #[error("header {0:?} is written by the server itself: leave it out")]
    HeaderReserved(String),
    /// Headers longer than a response may carry.
    #[error("the headers take {len} bytes, more than {max}: shorten them")]
    HeadersTooLong {
        /// What they take, in bytes.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// `max_head` outside its range.
    #[error("max_head {0} is out of range: write a number of bytes from {min} to {max}", min = super::http::MIN_HEAD, max = super::http::MAX_HEAD)]
    MaxHead(usize),
    /// A body or a file longer than its limit.
    #[error("{what} is longer than {max} bytes: serve something smaller")]
    TooLong {
        /// The body, or the file's path.
        what: String,
        /// The limit in bytes.
        max: u64,
    },
    /// More bytes in a directory than may be held in memory.
    #[error("{dir}: its files take more than {max} bytes together: serve fewer or smaller files", dir = .dir.display())]
    TotalTooLong {
        /// The directory.
        dir: PathBuf,
        /// The limit in bytes.
        max: u64,
    },
    /// More files in a directory than may be held in memory.
    #[error("{dir}: more than {max} files and directories: serve a smaller directory", dir = .dir.display())]
    TooManyFiles {
        /// The directory.
        dir: PathBuf,
        /// The limit.
        max: usize,
    },
    /// Directories nested too deep, or a symbolic link that leads back up.
    #[error("{path}: more than {max} directories deep: flatten it, or remove a symbolic link that leads back up", path = .path.display())]
    TooDeep {
        /// Where the limit was reached.
        path: PathBuf,
        /// The limit.
        max: usize,
    },
    /// A path too long to be asked for.
    #[error("{path}: its path in the directory is longer than {max} bytes: shorten it", path = .path.display())]
    PathTooLong {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        max: usize,
    },
    /// Nothing to serve.
    #[error("{dir}: no file to serve: put one there, names that begin with a dot are not served", dir = .0.display())]
    Empty(PathBuf),
    /// The path is not a directory.
    #[error("{dir}: not a directory: write the directory that holds the files", dir = .0.display())]
    NotADirectory(PathBuf),
    /// A symbolic link whose target is outside of the directory.
    #[error("{link}: symbolic link to {target}, outside of the directory: copy the file or remove the link", link = .link.display(), target = .target.display())]
    LinkOutside {
        /// The link.
        link: PathBuf,
        /// What it leads to.
        target: PathBuf,
    },
    /// A socket, a pipe or a device.
    #[error("{path}: neither a file nor a directory: remove it", path = .0.display())]
    NotAFile(PathBuf),
    /// The operating system refused.
    #[error("{path}: {source}: check that it exists and that this user may read it", path = .path.display())]
    Io {
        /// What was being read.
        path: PathBuf,
        /// Why it could not be.
        source: std::io::Error,
    },
}
