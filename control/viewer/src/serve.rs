//! Starts everything, and ends it at SIGTERM or SIGINT.
//!
//! Invariant: whatever cannot be opened is told in one line before anything is served.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::Arguments;
use crate::decode::Limits;
use crate::http::{Access, Server};
use crate::receive;
use crate::shared::Shared;
use crate::store::Bounds;
use crate::token::Secret;

/// Runs the command line of this process.
pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("millrace-viewer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let listener = bind(arguments.listen)?;
    let address = listener.local_addr().map_err(|error| format!("cannot serve: {error}"))?;
    let token = token(arguments, address)?;
    let connect = arguments.endpoints();
    let context = zmq::Context::new();
    let sockets = receive::open(&context, &connect, &arguments.bind, arguments.subscribe)?;
    let shown = connect.iter().chain(&arguments.bind).cloned().collect();
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let bounds = Bounds { events: size(arguments.events), bytes: size(arguments.bytes) };
    let shared = Arc::new(Shared::new(bounds, Limits::new(size(arguments.decode_limit)), shown));
    let stop = Arc::new(AtomicBool::new(false));
    let receiver = {
        let (shared, stop) = (Arc::clone(&shared), Arc::clone(&stop));
        std::thread::Builder::new()
            .name("receive".into())
            .spawn(move || receive::run(&sockets, &shared, &stop))
            .map_err(|error| format!("cannot start a thread: {error}"))?
    };
    say(address, token.as_ref(), arguments.token_file.is_none());
    let served = Access::new(address, token)
        .and_then(|access| serve(listener, Server::new(shared, access, arguments.clients)));
    stop.store(true, Ordering::Relaxed);
    let joined = receiver.join();
    served?;
    joined.map_err(|_| "the receiving thread died".to_owned())
}

fn serve(listener: std::net::TcpListener, server: Server) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot serve: {error}");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .build()
        .map_err(failed)?;
    let served = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
        tokio::select! {
            () = Arc::new(server).run(listener) => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    });
    // A search that is under way must not hold the end up.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    served
}

fn bind(at: SocketAddr) -> Result<std::net::TcpListener, String> {
    let listener = std::net::TcpListener::bind(at).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|error| {
        let fix = match error.kind() {
            std::io::ErrorKind::AddrInUse => "another program uses it: choose another port with --listen",
            std::io::ErrorKind::AddrNotAvailable => "no interface of this machine has it: change --listen",
            std::io::ErrorKind::PermissionDenied => "choose a port above 1023 with --listen",
            _ => "change --listen",
        };
        format!("cannot serve on {at}: {error}; fix: {fix}")
    })
}

/// The token to ask for: the one in the file, or a new one where others than this machine's users may come.
fn token(arguments: &Arguments, address: SocketAddr) -> Result<Option<Secret>, String> {
    match &arguments.token_file {
        Some(path) => Secret::read(path).map(Some),
        None if address.ip().is_loopback() => Ok(None),
        None => Secret::random().map(Some),
    }
}

/// Tells where the page is. The token is in the fragment, which browsers do not send.
fn say(address: SocketAddr, token: Option<&Secret>, made_up: bool) {
    match token {
        Some(token) if made_up => {
            println!("millrace-viewer: open http://{address}/#token={}", token.expose());
        }
        Some(_) => println!("millrace-viewer: open http://{address}/ with the token of the file"),
        None => println!("millrace-viewer: open http://{address}/"),
    }
}
