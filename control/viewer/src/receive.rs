//! Takes events from `ZeroMQ` sockets, in a thread of its own.
//!
//! Invariant: it waits for nothing but events; no more than a bounded number of messages and bytes of one wait in a
//! socket. What is no event is counted by reason.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::event::{Event, Refusal};
use crate::shared::Shared;

/// Messages that may wait in a socket.
const MOST_WAITING: i32 = 1000;
/// The longest frame, in bytes. A peer that sends a longer one is cut off and connects anew.
const MOST_FRAME: i64 = 64 << 20;
/// How long a stop may go unnoticed, in milliseconds.
const WAKE: i64 = 100;
/// How many messages one socket may give before the next one has its turn.
const TURN: usize = 256;
/// Frames of an event.
const FRAMES: usize = 3;

/// Opens the sockets.
///
/// # Errors
/// One line that says what to do.
pub(crate) fn open(
    context: &zmq::Context,
    connect: &[String],
    bind: &[String],
    subscribe: bool,
) -> Result<Vec<zmq::Socket>, String> {
    let kind = if subscribe { zmq::SUB } else { zmq::PULL };
    let make = |endpoint: &str, binds: bool| {
        let socket = context.socket(kind)?;
        socket.set_rcvhwm(MOST_WAITING)?;
        socket.set_maxmsgsize(MOST_FRAME)?;
        socket.set_linger(0)?;
        socket.set_ipv6(true)?;
        if subscribe {
            socket.set_subscribe(b"")?;
        }
        if binds && let Some(path) = endpoint.strip_prefix("ipc://") {
            writable(path)?;
        }
        if binds { socket.bind(endpoint) } else { socket.connect(endpoint) }?;
        Ok(socket)
    };
    let told = |endpoint: &str, what: &str, error: zmq::Error| {
        let fix = match error {
            zmq::Error::EADDRINUSE => "; fix: another program has it: choose another endpoint",
            zmq::Error::EACCES => "; fix: choose a place that this user may write to",
            zmq::Error::EINVAL => "; fix: write tcp://ADDRESS:PORT or ipc://PATH",
            _ => "",
        };
        format!("cannot {what} {endpoint}: {error}{fix}")
    };
    let connected = connect
        .iter()
        .map(|endpoint| make(endpoint, false).map_err(|error| told(endpoint, "connect to", error)));
    let bound =
        bind.iter().map(|endpoint| make(endpoint, true).map_err(|error| told(endpoint, "bind", error)));
    connected.chain(bound).collect()
}

/// Whether a file can be made beside a socket to be bound: the crate panics at errors that it has no name for, such as those of
/// a file system that is read only.
fn writable(path: &str) -> Result<(), zmq::Error> {
    let probe = format!("{path}.{}", std::process::id());
    let made = std::fs::File::create_new(&probe).and_then(|_| std::fs::remove_file(&probe));
    made.map_err(|_| zmq::Error::EACCES)
}

/// Receives until it is told to stop.
pub(crate) fn run(sockets: &[zmq::Socket], shared: &Arc<Shared>, stop: &AtomicBool) {
    let mut frames = Vec::with_capacity(FRAMES);
    while !stop.load(Ordering::Relaxed) {
        let mut items: Vec<_> = sockets.iter().map(|socket| socket.as_poll_item(zmq::POLLIN)).collect();
        match zmq::poll(&mut items, WAKE) {
            Ok(0) | Err(zmq::Error::EINTR) => continue,
            Ok(_) => {}
            Err(_) => {
                shared.counts.receive_errors.add();
                std::thread::sleep(std::time::Duration::from_millis(100));
                continue;
            }
        }
        for (socket, item) in sockets.iter().zip(&items) {
            if item.is_readable() {
                drain(socket, shared, &mut frames);
            }
        }
    }
}

fn drain(socket: &zmq::Socket, shared: &Shared, frames: &mut Vec<zmq::Message>) {
    for _ in 0..TURN {
        match message(socket, frames) {
            Ok(true) => {}
            Ok(false) => {
                refuse(shared, Refusal::Frames);
                continue;
            }
            Err(zmq::Error::EAGAIN) => return,
            Err(_) => {
                shared.counts.receive_errors.add();
                return;
            }
        }
        match Event::read(frames) {
            Ok(event) => shared.store().insert(event, shared.second()),
            Err(refusal) => refuse(shared, refusal),
        }
    }
}

fn refuse(shared: &Shared, refusal: Refusal) {
    if let Some(count) = shared.counts.refused.get(refusal as usize) {
        count.add();
    }
}

/// Reads a whole message; whether it has as many frames as an event. Frames beyond that are not kept.
fn message(socket: &zmq::Socket, frames: &mut Vec<zmq::Message>) -> Result<bool, zmq::Error> {
    frames.clear();
    let mut count = 0_usize;
    loop {
        // Messages arrive whole: only the first frame may have to be waited for.
        let frame = socket.recv_msg(zmq::DONTWAIT)?;
        let more = frame.get_more();
        count += 1;
        if frames.len() < FRAMES {
            frames.push(frame);
        }
        if !more {
            return Ok(count == FRAMES);
        }
    }
}
