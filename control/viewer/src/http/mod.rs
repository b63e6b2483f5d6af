//! The HTTP server: the page, its API, live updates and metrics.
//!
//! Invariant: connections, heads, bodies of requests and work under way are bounded; no client waits for another one's
//! search, and none makes the receiver wait.

mod access;
mod answer;
mod assets;
mod body;
mod exchanges;
mod flows;
mod live;
mod query;
mod route;
mod state;
#[cfg(test)]
mod tests;
mod view;

use core::convert::Infallible;
use core::time::Duration;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

pub(crate) use access::Access;

use crate::shared::Shared;

/// How long a request's head may take; with it, how long a connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request's head.
const MOST_HEAD: usize = 16 * 1024;
/// Searches and decodings at a time.
const MOST_WORK: usize = 2;
/// Exports at a time: each keeps what it writes from going away.
const MOST_EXPORTS: usize = 4;

/// The server.
pub(crate) struct Server {
    shared: Arc<Shared>,
    access: Access,
    /// The most connections.
    clients: u64,
    work: Arc<Semaphore>,
    exports: Arc<Semaphore>,
}

impl Server {
    pub(crate) fn new(shared: Arc<Shared>, access: Access, clients: u32) -> Self {
        let work = Arc::new(Semaphore::new(MOST_WORK));
        let exports = Arc::new(Semaphore::new(MOST_EXPORTS));
        Self { shared, access, clients: clients.into(), work, exports }
    }

    /// Live streams may take half of the connections, so that there is room to ask for something.
    fn most_live(&self) -> u64 {
        self.clients / 2
    }

    /// Serves until it is dropped.
    pub(crate) async fn run(self: Arc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let counts = &self.shared.counts;
                    // Without room the connection is closed by leaving it here.
                    if counts.clients.enter(self.clients) {
                        tokio::spawn(connection(Arc::clone(&self), stream));
                    } else {
                        counts.clients_refused.add();
                    }
                }
                // Out of file descriptors, most likely: trying again at once would not help.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// Runs what takes long on a thread of its own, when its turn comes.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> T + Send + 'static,
    ) -> Result<T, answer::Problem> {
        let permit = Arc::clone(&self.work).acquire_owned().await.map_err(|_| answer::Problem::stopping())?;
        let shared = Arc::clone(&self.shared);
        let done = tokio::task::spawn_blocking(move || {
            let result = work(&shared);
            drop(permit);
            result
        });
        done.await.map_err(|_| answer::Problem::stopping())
    }
}

/// Counts a connection off, however it ends.
struct Seat(Arc<Server>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.shared.counts.clients.leave();
    }
}

async fn connection(server: Arc<Server>, stream: TcpStream) {
    let seat = Seat(Arc::clone(&server));
    let respond = |request: Request<Incoming>| {
        let server = Arc::clone(&server);
        async move { Ok::<_, Infallible>(route::respond(&server, request).await) }
    };
    let _ = stream.set_nodelay(true);
    // What is no HTTP was answered with 400 as far as that goes; who it was does not matter.
    let _ = hyper::server::conn::http1::Builder::new()
        .max_buf_size(MOST_HEAD)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service_fn(respond))
        .await;
    drop(seat);
}
