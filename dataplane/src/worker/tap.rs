//! Observation of flows that end here: what applications and proxied sessions receive and send is told as events.
//!
//! Invariant: each byte is told once, when it can be read, whoever takes it and when; a flow that is not observed costs one
//! comparison.

use crate::application::Stream;
use crate::event::{Flow, Origin};
use crate::observe::{Level, Observed, Teller};
use crate::worker::context::Context;
use crate::worker::mirror::Observer;
use crate::worker::states::Kept;
use crate::worker::stream::TcpStream;
use core::net::SocketAddr;
use core::time::Duration;
use l3l4::{CloseReason, Conn, FlowId, FlowKey};
use reassembly::{Direction, End, Sent, State, Summary};
use std::collections::HashMap;

/// A flow that is observed.
pub(crate) struct Tapped {
    observed: Observed,
    /// By direction: the sequence number of the first byte not told yet, of what is received; `None` before anything is.
    next: [Option<u32>; 2],
    bytes: [u64; 2],
    finished: [bool; 2],
    opened: u64,
    last: u64,
}

/// All of one worker.
pub(crate) struct Taps {
    flows: HashMap<FlowId, Tapped>,
    most: usize,
    next_id: u64,
    /// What wraps in a receive ring is put together here.
    scratch: Vec<u8>,
    /// Flows not observed because there were too many.
    pub(crate) refused: u64,
}

/// Numbers of flows that are followed count up from 1, those of flows that end here from here on.
const FIRST_ID: u64 = 1 << 63;

impl Taps {
    pub(crate) fn new(most: usize) -> Self {
        Self { flows: HashMap::new(), most, next_id: FIRST_ID, scratch: Vec::new(), refused: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.flows.len()
    }

    /// The flow of a client, told as opened if it is new.
    fn flow(&mut self, id: FlowId, whose: &Whose, teller: &mut Teller, time: u64) -> Option<&mut Tapped> {
        if !self.flows.contains_key(&id) {
            if self.flows.len() >= self.most {
                self.refused += 1;
                return None;
            }
            let key = &whose.key;
            self.next_id += 1;
            let flow = Flow {
                id: self.next_id,
                client: SocketAddr::new(key.remote.ip(), key.remote_port),
                server: SocketAddr::new(key.local.ip(), key.local_port),
                service: whose.service,
                ingress: key.port_index() as u16,
                vlan: key.vlan(),
                origin: whose.origin,
            };
            let observed = Observed::new(flow, whose.level, false);
            teller.opened(time, &observed, false);
            let tapped = Tapped {
                observed,
                next: [None; 2],
                bytes: [0; 2],
                finished: [false; 2],
                opened: time,
                last: time,
            };
            self.flows.insert(id, tapped);
        }
        self.flows.get_mut(&id)
    }

    /// Tells what a connection has received and was not told yet: of the client `client`, or sent to it.
    pub(crate) fn received(
        &mut self,
        client: FlowId,
        whose: &Whose,
        direction: Direction,
        conn: &mut Conn<'_>,
        teller: &mut Teller,
        time: u64,
    ) {
        let (pending, front, closed) = (conn.pending(), conn.front(), conn.peer_closed());
        if pending == 0 && !closed {
            return;
        }
        let mut scratch = core::mem::take(&mut self.scratch);
        if let Some(tapped) = self.flow(client, whose, teller, time) {
            let d = direction.index();
            let next = *tapped.next[d].get_or_insert(front);
            let told = (next.wrapping_sub(front) as i32).max(0) as usize;
            if pending > told {
                let whole = conn.data().len() == pending;
                if !whole {
                    scratch.resize(pending, 0);
                    conn.copy(&mut scratch);
                }
                let bytes = if whole { conn.data() } else { &scratch[..] };
                tapped.tell(direction, &bytes[told..], teller, time);
                tapped.next[d] = Some(front.wrapping_add(pending as u32));
            }
            if closed && !core::mem::replace(&mut tapped.finished[d], true) {
                teller.finished(time, &mut tapped.observed, direction);
            }
        }
        self.scratch = scratch;
    }

    /// A flow that may have been observed is over.
    pub(crate) fn closed(&mut self, id: FlowId, reason: CloseReason, teller: &mut Teller, time: u64) {
        let Some(mut tapped) = self.flows.remove(&id) else { return };
        let end = match reason {
            CloseReason::Finished => End::Fin,
            CloseReason::Idle | CloseReason::KeepAlive => End::Idle,
            _ => End::Reset,
        };
        if end == End::Fin {
            for direction in [Direction::Client, Direction::Server] {
                if !core::mem::replace(&mut tapped.finished[direction.index()], true) {
                    teller.finished(time, &mut tapped.observed, direction);
                }
            }
        }
        let sent = |d: usize| Sent { bytes: tapped.bytes[d], ..Sent::default() };
        let summary = Summary {
            end,
            states: [State::Closed; 2],
            duration: tapped.last.saturating_sub(tapped.opened),
            handshake_rtt: None,
            sent: [sent(0), sent(1)],
        };
        teller.closed(time, &mut tapped.observed, &summary);
    }

    /// The connection of a terminated flow, as its application is to see it: what it sends is told.
    pub(crate) fn stream<'a, 'c>(
        &'a mut self,
        conn: &'a mut Conn<'c>,
        teller: &'a mut Teller,
        time: u64,
    ) -> Result<TappedStream<'a, 'c>, &'a mut Conn<'c>> {
        match self.flows.get_mut(&conn.id()) {
            Some(tapped) => Ok(TappedStream { stream: TcpStream(conn), tapped, teller, time }),
            None => Err(conn),
        }
    }
}

/// Whose flow it is, and what is to be told of it.
pub(crate) struct Whose {
    /// The client's.
    pub(crate) key: FlowKey,
    pub(crate) service: u16,
    pub(crate) level: Level,
    pub(crate) origin: Origin,
}

impl Tapped {
    fn tell(&mut self, direction: Direction, bytes: &[u8], teller: &mut Teller, time: u64) {
        let d = direction.index();
        teller.data(time, &mut self.observed, direction, self.bytes[d], bytes);
        self.bytes[d] += bytes.len() as u64;
        self.last = time;
    }
}

/// A connection as applications see it, whose answers are told.
pub(crate) struct TappedStream<'a, 'c> {
    stream: TcpStream<'a, 'c>,
    tapped: &'a mut Tapped,
    teller: &'a mut Teller,
    time: u64,
}

impl Stream for TappedStream<'_, '_> {
    fn data(&mut self) -> &[u8] {
        self.stream.data()
    }
    fn pending(&self) -> usize {
        self.stream.pending()
    }
    fn copy(&mut self, into: &mut [u8]) -> usize {
        self.stream.copy(into)
    }
    fn take(&mut self, n: usize) {
        self.stream.take(n);
    }
    fn at_end(&self) -> bool {
        self.stream.at_end()
    }
    fn peer_closed(&self) -> bool {
        self.stream.peer_closed()
    }
    fn full(&self) -> bool {
        self.stream.full()
    }
    fn send(&mut self, bytes: &[u8]) -> usize {
        let sent = self.stream.send(bytes);
        self.tapped.tell(Direction::Server, &bytes[..sent], self.teller, self.time);
        sent
    }
    fn send_with(&mut self, fill: &mut dyn FnMut(&mut [u8]) -> usize) -> usize {
        let Self { stream, tapped, teller, time } = self;
        stream.send_with(&mut |room| {
            let filled = fill(room);
            tapped.tell(Direction::Server, &room[..filled.min(room.len())], teller, *time);
            filled
        })
    }
    fn room(&self) -> usize {
        self.stream.room()
    }
    fn close(&mut self) {
        self.stream.close();
        if !core::mem::replace(&mut self.tapped.finished[1], true) {
            self.teller.finished(self.time, &mut self.tapped.observed, Direction::Server);
        }
    }
    fn abort(&mut self) {
        self.stream.abort();
    }
    fn set_deadline(&mut self, after: Option<Duration>) {
        self.stream.set_deadline(after);
    }
}

impl Observer {
    /// Lets an application have a connection, and tells what it sends where that is observed.
    pub(crate) fn with_stream<R>(&mut self, conn: &mut Conn<'_>, f: impl FnOnce(&mut dyn Stream) -> R) -> R {
        let Self { taps, teller, time, .. } = self;
        match taps.stream(conn, teller, *time) {
            Ok(mut tapped) => f(&mut tapped),
            Err(conn) => f(&mut TcpStream(conn)),
        }
    }

    /// A flow is over.
    pub(crate) fn closed(&mut self, id: FlowId, reason: CloseReason) {
        let Self { taps, teller, time, .. } = self;
        taps.closed(id, reason, teller, *time);
    }
}

impl Context {
    /// Tells what has come on a connection, if it is one that is observed.
    #[cold]
    pub(super) fn tap(&mut self, conn: &mut Conn<'_>) {
        let companion = &self.companions[conn.id().index()];
        let edition = self.editions.get(usize::from(companion.edition)).and_then(Option::as_ref);
        let service = edition.and_then(|edition| edition.service(companion.service));
        let Some(service) = service.filter(|service| service.observe != Level::None) else { return };
        let origin = if service.proxy.is_some() { Origin::Proxy } else { Origin::Terminate };
        let (client, key, direction) = match companion.state {
            Kept::Check(_) => return,
            Kept::Session(at) => match self.proxies.client_of(at) {
                Some((client, key)) if client == conn.id() => (client, key, Direction::Client),
                Some((client, key)) => (client, key, Direction::Server),
                None => return,
            },
            _ => (conn.id(), *conn.key(), Direction::Client),
        };
        let whose = Whose { key, service: companion.service, level: service.observe, origin };
        let Observer { taps, teller, time, .. } = &mut self.observer;
        taps.received(client, &whose, direction, conn, teller, *time);
    }
}
