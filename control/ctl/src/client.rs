//! The client's end of the admin socket.
//!
//! Invariant: waiting and answers are bounded; a daemon that hangs or talks nonsense is an error in one line.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::protocol::{Answer, MAX_ANSWER, Message, Outcome, Refusal, Reply, Request, VERSION, to_line};

/// How long the daemon may take: a reload reads files, the rest is quick.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error("no daemon answers on {path}: {source}; fix: {fix}", path = .path.display())]
    Connect { path: PathBuf, source: std::io::Error, fix: &'static str },
    #[error("the daemon on {path} does not answer: {source}; fix: see its log", path = .path.display())]
    Exchange { path: PathBuf, source: std::io::Error },
    #[error("the daemon on {path} closed the session without an answer; fix: see its log", path = .path.display())]
    Closed { path: PathBuf },
    #[error("the daemon's answer is not understood: {0}; fix: use the millctl that came with the daemon")]
    Nonsense(String),
    /// The daemon said no.
    #[error("{}", .0.message)]
    Refused(Refusal),
}

/// Asks the daemon one thing.
pub(super) fn ask(path: &Path, request: Request) -> Result<Answer, ClientError> {
    let stream = UnixStream::connect(path).map_err(|source| {
        let fix = match source.kind() {
            ErrorKind::PermissionDenied => "run as root or as a member of the daemon's `admin.group`",
            _ => "start it with `millrace run`, or name its `admin.socket` with --socket",
        };
        ClientError::Connect { path: path.to_owned(), source, fix }
    })?;
    let exchange = |source| ClientError::Exchange { path: path.to_owned(), source };
    stream.set_read_timeout(Some(PATIENCE)).map_err(exchange)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(exchange)?;
    let line = to_line(&Message { version: VERSION, request })
        .map_err(|error| ClientError::Nonsense(error.to_string()))?;
    // A daemon that has no seat left answers and closes without reading: its answer is still to be read then.
    let sent = (&stream).write_all(&line);
    let mut answer = Vec::new();
    BufReader::new((&stream).take(MAX_ANSWER)).read_until(b'\n', &mut answer).map_err(exchange)?;
    if answer.is_empty() {
        sent.map_err(exchange)?;
        return Err(ClientError::Closed { path: path.to_owned() });
    }
    if !answer.ends_with(b"\n") {
        return Err(ClientError::Nonsense(format!("it ends after {} bytes", answer.len())));
    }
    let reply: Reply =
        serde_json::from_slice(&answer).map_err(|error| ClientError::Nonsense(error.to_string()))?;
    match reply.outcome {
        Outcome::Answer(answer) => Ok(answer),
        Outcome::Error(refusal) => Err(ClientError::Refused(refusal)),
    }
}
