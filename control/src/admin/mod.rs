//! The admin socket: answers millctl's requests in JSON lines.
//!
//! Invariant: sessions, requests and waits are bounded; a client that is slow, silent or wrong costs its own session
//! and nothing else. The protocol is in [`crate::protocol`].

mod session;
pub mod show;
mod socket;

use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use crate::protocol::{Outcome, Refusal, RefusalCode, Reply, VERSION, to_line};
use crate::snapshot::Source;
use crate::tally::Tally;

pub use socket::{AdminSocket, LONGEST_SOCKET, SocketError};

/// Bounds of the admin socket.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Sessions at a time.
    pub sessions: u64,
    /// How long a session may be silent.
    pub idle: Duration,
    /// How long a client may take to read an answer.
    pub write: Duration,
    /// How long a request may wait for a flow listing of another session to end.
    pub listing: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            sessions: 16,
            idle: Duration::from_secs(300),
            write: Duration::from_secs(10),
            listing: Duration::from_secs(5),
        }
    }
}

/// What all sessions share.
struct Shared<S> {
    source: Rc<S>,
    tally: Arc<Tally>,
    bounds: Bounds,
    /// Flow listings are large: one at a time, from asking until the client has read it.
    listings: Semaphore,
}

/// Serves until it is dropped.
pub async fn serve<S: Source>(listener: UnixListener, source: Rc<S>, tally: Arc<Tally>, bounds: Bounds) {
    let shared = Rc::new(Shared { source, tally, bounds, listings: Semaphore::new(1) });
    loop {
        match listener.accept().await {
            Ok((stream, _)) => match shared.tally.admit(bounds.sessions) {
                Some(seat) => {
                    let shared = Rc::clone(&shared);
                    tokio::task::spawn_local(async move {
                        session::run(stream, &shared).await;
                        drop(seat);
                    });
                }
                None => refuse(stream, bounds.sessions),
            },
            Err(error) => {
                tracing::warn!(%error, "admin: a session could not be accepted");
                // Out of file descriptors, most likely: trying again at once would not help.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Says why and closes. The line fits any socket buffer, so nothing waits for the client.
fn refuse(stream: UnixStream, most: u64) {
    let message = format!("{most} sessions are open: end one, or raise `limits.admin_sessions`");
    let outcome = Outcome::Error(Refusal::new(RefusalCode::Busy, message));
    if let Ok(line) = to_line(&Reply { version: VERSION, outcome }) {
        // The client may be gone already; then nobody needs to know.
        let _ = stream.try_write(&line);
    }
}

/// Writes a whole line, for at most as long as allowed.
async fn write_line(stream: &mut (impl AsyncWriteExt + Unpin), line: &[u8], most: Duration) -> bool {
    let written = async {
        stream.write_all(line).await?;
        stream.flush().await
    };
    matches!(tokio::time::timeout(most, written).await, Ok(Ok(())))
}
