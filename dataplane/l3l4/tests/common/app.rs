//! The applications of the tests, chosen by port, and a record of what the engine told them.

use super::link::Rng;
use core::time::Duration;
use l3l4::{Callbacks, CloseReason, Conn, Datagram, FlowId, FlowKey, TxMeta, Verdict};
use std::collections::{HashMap, HashSet};

pub const REJECT: u16 = 1;
pub const DROP: u16 = 2;
pub const NO_SERVICE: u16 = 3;
pub const ECHO: u16 = 7;
/// Takes everything and remembers it; closes when the peer does.
pub const DISCARD: u16 = 9;
/// Takes at most [`App::quota`] bytes in all.
pub const QUOTA: u16 = 10;
/// Aborts on the first data.
pub const ABORT: u16 = 11;
/// Answers the first data with 200 bytes and closes.
pub const ANSWER: u16 = 12;
/// Does nothing: the test drives the connection from outside.
pub const MANUAL: u16 = 13;
/// Writes 1000 bytes when established, closes, goes on reading.
pub const SHOUT: u16 = 14;
/// Answers what comes with [`App::flood`] bytes of the pattern.
pub const SAY: u16 = 17;
/// Answers what ends with a line end; waits [`App::deadline`] for the end, and leaves or takes what came so far.
pub const LEAVING: u16 = 15;
pub const TAKING: u16 = 16;
/// Relays between the client and a connection that the world opens to [`SERVER`].
pub const PROXY: u16 = 18;
/// Its SYNs are answered when the test says so.
pub const HOLD: u16 = 20;
/// Its datagrams are passed on to the flow that is their pair.
pub const PASS: u16 = 21;
/// Sends [`App::flood`] bytes of a pattern, then closes.
pub const FLOOD: u16 = 19;

/// The first of the ports from which the world opens connections.
pub const OURS: u16 = 50_000;

pub struct App {
    mtu: usize,
    out: Vec<Vec<u8>>,
    pub metas: Vec<TxMeta>,
    /// Packets handed out so far.
    pub sent: u64,
    /// Chance per thousand that no buffer is to be had.
    pub starve: u64,
    /// No buffer at all.
    pub dry: bool,
    pub rng: Rng,
    pub quota: usize,
    pub flood: usize,
    pub opened: Vec<(FlowId, FlowKey)>,
    pub closed: Vec<(FlowId, CloseReason)>,
    pub calls: u64,
    pub got: HashMap<FlowId, Vec<u8>>,
    pub wrote: HashMap<FlowId, usize>,
    pub answer_udp: bool,
    pub deadline: Duration,
    /// How long [`LEAVING`] and [`TAKING`] let a peer say nothing.
    pub patience: Option<Duration>,
    /// Whether they say a word before they end a connection, or abort.
    pub polite: bool,
    /// Those in the middle of a line.
    pub waiting: HashSet<FlowId>,
    /// Connections whose time was over.
    pub late: Vec<FlowId>,
    /// Clients of [`PROXY`] that wait for their other connection to be opened.
    pub to_connect: Vec<FlowId>,
    /// Flows whose other connection broke off.
    pub to_abort: Vec<FlowId>,
    /// Both connections of each relay.
    pub pairs: HashMap<FlowId, FlowId>,
    /// Where [`Callbacks::l4_refused`] sends a connection.
    pub others: Vec<FlowKey>,
    /// What the world gives the other connection of a relay before anything of the client's; no more than found room.
    pub early: Vec<u8>,
    /// What [`Callbacks::l4_in_use`] was told.
    pub in_use: Vec<FlowKey>,
    /// What flows had received and written when they ended.
    pub totals: Vec<(FlowId, u64, u64)>,
}

impl App {
    pub fn new(mtu: usize) -> Self {
        Self {
            mtu,
            out: vec![],
            metas: vec![],
            sent: 0,
            starve: 0,
            dry: false,
            rng: Rng(99),
            quota: 0,
            flood: 0,
            opened: vec![],
            closed: vec![],
            calls: 0,
            got: HashMap::new(),
            wrote: HashMap::new(),
            answer_udp: true,
            deadline: Duration::from_secs(10),
            patience: None,
            polite: false,
            waiting: HashSet::new(),
            late: vec![],
            to_connect: vec![],
            to_abort: vec![],
            pairs: HashMap::new(),
            others: vec![],
            early: vec![],
            in_use: vec![],
            totals: vec![],
        }
    }

    pub fn take_out(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.out)
    }

    pub fn last_id(&self) -> FlowId {
        self.opened.last().unwrap().0
    }

    pub fn reason(&self, id: FlowId) -> Option<CloseReason> {
        self.closed.iter().find(|(closed, _)| *closed == id).map(|(_, reason)| *reason)
    }

    fn line(&mut self, conn: &mut Conn<'_>) {
        let id = conn.id();
        let mut bytes = vec![0; conn.pending()];
        conn.copy(&mut bytes);
        if !conn.may_send() {
            // It has said its last word.
            conn.take(bytes.len());
        } else if bytes.last() == Some(&b'\n') {
            conn.take(bytes.len());
            conn.send(b"ok\n");
            if self.waiting.remove(&id) {
                conn.set_deadline(None);
            }
        } else if !bytes.is_empty() {
            if conn.user() as u16 == TAKING {
                conn.take(bytes.len());
            }
            if self.waiting.insert(id) {
                conn.set_deadline(Some(self.deadline));
            }
        }
        if conn.at_end() {
            conn.close();
        }
    }

    fn read(&mut self, conn: &mut Conn<'_>, most: usize) -> usize {
        let mut bytes = vec![0; conn.pending().min(most)];
        assert_eq!(conn.copy(&mut bytes), bytes.len());
        conn.take(bytes.len());
        self.got.entry(conn.id()).or_default().extend_from_slice(&bytes);
        bytes.len()
    }
}

/// Byte `n` of a flood.
pub fn pattern(n: usize) -> u8 {
    (n ^ (n >> 8) ^ (n >> 16)) as u8
}

/// Echoes as much as there is room for.
pub fn echo(conn: &mut Conn<'_>) {
    let mut bytes = [0; 4096];
    loop {
        let n = bytes.len().min(conn.room()).min(conn.pending());
        if n == 0 {
            break;
        }
        let n = conn.copy(&mut bytes[..n]);
        assert_eq!(conn.send(&bytes[..n]), n);
        conn.take(n);
    }
    if conn.at_end() {
        conn.close();
    }
}

impl Callbacks for App {
    type Buffer = Vec<u8>;

    fn l3_tx_buffer(&mut self) -> Option<Vec<u8>> {
        if self.dry || self.starve > 0 && self.rng.chance(self.starve) {
            return None;
        }
        // Not zeroed: nothing may leave that was not written.
        Some(vec![0xa5; self.mtu])
    }

    fn l3_tx_buffer_mut<'b>(&self, buffer: &'b mut Vec<u8>) -> &'b mut [u8] {
        buffer
    }

    fn l3_tx(&mut self, mut buffer: Vec<u8>, meta: &TxMeta) {
        buffer.truncate(meta.len);
        self.sent += 1;
        self.out.push(buffer);
        self.metas.push(*meta);
    }

    fn l4_verdict(&mut self, key: &FlowKey) -> Verdict {
        match key.local_port {
            REJECT => Verdict::Reject,
            DROP => Verdict::Drop,
            NO_SERVICE => Verdict::NoService,
            HOLD => Verdict::Hold(u64::from(HOLD)),
            port => Verdict::Accept(u64::from(port)),
        }
    }

    fn l4_opened(&mut self, id: FlowId, key: &FlowKey, user: u64) {
        assert!(user == u64::from(key.local_port) || key.local_port >= OURS);
        self.opened.push((id, *key));
    }

    fn l4_rx(&mut self, conn: &mut Conn<'_>) {
        self.calls += 1;
        assert!(self.opened.iter().rev().any(|(id, _)| *id == conn.id()));
        assert!(self.reason(conn.id()).is_none(), "nothing is heard of a flow that was closed");
        match conn.user() as u16 {
            ECHO | HOLD => echo(conn),
            PROXY => match self.pairs.get(&conn.id()) {
                Some(&other) => conn.relay(other),
                None if !self.to_connect.contains(&conn.id()) => self.to_connect.push(conn.id()),
                None => {}
            },
            DISCARD => {
                self.read(conn, usize::MAX);
                if conn.at_end() {
                    conn.close();
                }
            }
            QUOTA => {
                let n = self.read(conn, self.quota);
                self.quota -= n;
            }
            ABORT if conn.pending() > 0 => conn.abort(),
            ANSWER if self.read(conn, usize::MAX) > 0 => {
                conn.send(&[b'x'; 200]);
                conn.close();
            }
            SHOUT => {
                self.read(conn, usize::MAX);
                if conn.may_send() {
                    conn.send(&[b'!'; 1000]);
                    conn.close();
                }
            }
            SAY if self.read(conn, usize::MAX) > 0 => {
                let bytes: Vec<u8> = (0..self.flood).map(pattern).collect();
                assert_eq!(conn.send(&bytes), bytes.len());
            }
            LEAVING | TAKING => self.line(conn),
            FLOOD => {
                let done = self.wrote.entry(conn.id()).or_default();
                while *done < self.flood && conn.room() > 0 {
                    let (start, end) = (*done, self.flood);
                    *done += conn.send_with(|part| {
                        let n = part.len().min(end - start);
                        part[..n].iter_mut().enumerate().for_each(|(i, b)| *b = pattern(start + i));
                        n
                    });
                }
                if *done == self.flood {
                    conn.close();
                }
            }
            _ => {}
        }
    }

    fn l4_deadline(&mut self, conn: &mut Conn<'_>) {
        let id = conn.id();
        assert!(self.reason(id).is_none(), "nothing is heard of a flow that was closed");
        self.late.push(id);
        assert!(self.waiting.remove(&id) || self.patience.is_some(), "it waits for nothing");
        if self.polite {
            conn.send(b"late\n");
            conn.close();
        } else {
            conn.abort();
        }
    }

    fn l4_idle(&mut self, id: FlowId, user: u64) -> Option<Duration> {
        let blank = matches!(user as u16, LEAVING | TAKING) && !self.waiting.contains(&id);
        self.patience.filter(|_| blank)
    }

    fn l4_datagram(&mut self, datagram: &mut Datagram<'_>) {
        self.got.entry(datagram.id()).or_default().extend_from_slice(datagram.data());
        if datagram.user() as u16 == PASS {
            if let Some(&other) = self.pairs.get(&datagram.id()) {
                datagram.relay(other);
            }
        } else if self.answer_udp {
            assert_eq!(datagram.reply(datagram.data()), datagram.data().len() <= datagram.max_len());
        }
    }

    fn l4_refused(&mut self, _: FlowId, _: &FlowKey, _: u64, _: CloseReason) -> Option<(FlowKey, Duration)> {
        self.others.pop().map(|key| (key, Duration::from_secs(5)))
    }

    fn l4_in_use(&mut self, _: FlowId, key: &FlowKey, _: u64) -> Option<FlowKey> {
        self.in_use.push(*key);
        self.others.pop()
    }

    fn l4_totals(&mut self, id: FlowId, _: u64, bytes_in: u64, bytes_out: u64) {
        assert!(self.reason(id).is_none(), "it comes before the end");
        self.totals.push((id, bytes_in, bytes_out));
    }

    fn l4_closed(&mut self, id: FlowId, _: &FlowKey, _: u64, reason: CloseReason) {
        if let Some(other) = self.pairs.remove(&id)
            && reason != CloseReason::Finished
        {
            self.to_abort.push(other);
        }
        assert_eq!(self.totals.last().map(|(last, ..)| *last), Some(id), "totals come right before");
        self.closed.push((id, reason));
    }
}
