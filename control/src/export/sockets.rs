//! The sockets events leave by.
//!
//! Invariant: nothing here waits, and consumers get events whole or not at all.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

use zmq::{Context, DONTWAIT, SNDMORE, Socket, SocketType};

use super::ipc::{self, IpcFile};
use crate::config::model::Export;
use crate::config::{Endpoint, Place};

/// Milliseconds that what was sent may take to leave when a socket is closed.
const LINGER: i32 = 500;
/// Consumers say little: subscriptions. Longer messages are not read.
const LONGEST_HEARD: i64 = 4096;

/// The frames of an event: topic, meta, payload.
pub(super) type Frames<'a> = [&'a [u8]; 3];

/// Bound and connected as the configuration says. The files of unix sockets go with it.
pub struct Sockets {
    push: Option<Socket>,
    publish: Option<Socket>,
    // Behind the sockets, so that it goes after them.
    _files: Vec<IpcFile>,
}

impl Sockets {
    /// Looks whether [`Sockets::open`] will find addresses and paths free.
    ///
    /// # Errors
    /// One line that says what to do.
    pub fn check(export: &Export) -> Result<(), String> {
        for endpoint in export.push.iter().chain(&export.publish).filter(|endpoint| !endpoint.connects) {
            match &endpoint.place {
                Place::Ipc(path) => ipc::prepare(path)?,
                Place::Tcp(address, port) => {
                    let bound = match address {
                        Some(address) => TcpListener::bind((*address, *port)),
                        // A machine may be without IPv6.
                        None => TcpListener::bind((Ipv6Addr::UNSPECIFIED, *port))
                            .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port))),
                    };
                    bound.map_err(|error| cannot("bind", endpoint, &error.to_string()))?;
                }
            }
        }
        Ok(())
    }

    /// Makes them. Their threads run where the thread that calls this may run.
    ///
    /// # Errors
    /// One line that says what to do.
    pub fn open(export: &Export) -> Result<Self, String> {
        let context = Context::new();
        let mut files = Vec::new();
        let mut open = |kind, endpoints: &[Endpoint]| {
            if endpoints.is_empty() {
                return Ok(None);
            }
            let socket = make(&context, kind, export.high_water_mark)
                .map_err(|error| format!("cannot make a socket of ZeroMQ: {error}; fix: remove `export`"))?;
            for endpoint in endpoints {
                if let Place::Ipc(path) = &endpoint.place
                    && !endpoint.connects
                {
                    files.push(IpcFile::bind(&socket, path)?);
                    continue;
                }
                let place = endpoint.place.to_string();
                let (what, done) = match endpoint.connects {
                    true => ("connect to", socket.connect(&place)),
                    false => ("bind", socket.bind(&place)),
                };
                done.map_err(|error| cannot(what, endpoint, error.message()))?;
            }
            Ok::<_, String>(Some(socket))
        };
        let push = open(SocketType::PUSH, &export.push)?;
        let publish = open(SocketType::PUB, &export.publish)?;
        Ok(Self { push, publish, _files: files })
    }

    /// Whether there is a PUSH socket.
    pub(super) fn pushes(&self) -> bool {
        self.push.is_some()
    }

    /// Gives an event to one consumer; false where none has room for it.
    pub(super) fn push(&self, frames: Frames<'_>) -> bool {
        self.push.as_ref().is_some_and(|socket| send(socket, frames))
    }

    /// Gives an event to all subscribers that have room for it; false where there is no socket.
    pub(super) fn publish(&self, frames: Frames<'_>) -> bool {
        self.publish.as_ref().is_some_and(|socket| send(socket, frames))
    }
}

fn cannot(what: &str, endpoint: &Endpoint, error: &str) -> String {
    format!("cannot {what} {}: {error}; fix: write another endpoint in `export`", endpoint.place)
}

fn make(context: &Context, kind: SocketType, high_water_mark: u32) -> zmq::Result<Socket> {
    let socket = context.socket(kind)?;
    socket.set_sndhwm(i32::try_from(high_water_mark).unwrap_or(i32::MAX))?;
    socket.set_linger(LINGER)?;
    // Nothing is queued for a consumer that is not there.
    socket.set_immediate(true)?;
    socket.set_maxmsgsize(LONGEST_HEARD)?;
    socket.set_ipv6(true)?;
    // A machine that is gone without a word must not keep its queue for ever.
    socket.set_tcp_keepalive(1)?;
    socket.set_tcp_keepalive_idle(60)?;
    Ok(socket)
}

fn send(socket: &Socket, [topic, meta, payload]: Frames<'_>) -> bool {
    if socket.send(topic, DONTWAIT | SNDMORE).is_err() {
        return false;
    }
    // Begun, there is room for the rest. Where the consumer goes away in between, the library throws away what is sent up
    // to the last frame: this is sent in any case, so that the next event begins with its topic.
    let second = socket.send(meta, DONTWAIT | SNDMORE).is_ok();
    let third = socket.send(payload, DONTWAIT).is_ok();
    second && third
}
