//! What one packet costs, counted in instructions: run by `scripts/bench-instructions` under callgrind, which
//! counts only inside [`measured`].
//!
//! Invariant: outside of `measured` nothing is counted, inside of it nothing is allocated, and each packet is
//! followed by a turn, as in the worst burst (of one packet).

use l3l4::{
    Addr, Builder, Callbacks, CloseReason, Conn, Datagram, FlowId, FlowKey, Instant, L3l4, Limits, Protocol,
    RxChecksum, TxChecksum, TxMeta, Verdict,
};
use std::hint::black_box;

const SYN: u8 = 2;
const FIN: u8 = 1;
const ACK: u8 = 16;

static ANSWER: [u8; 200] = [b'x'; 200];

/// Answers 100 bytes with 200, from a pool of buffers that never runs out.
struct App {
    #[allow(clippy::vec_box, reason = "boxes are what goes in and out")]
    pool: Vec<Box<[u8; 1500]>>,
    /// Length of the last packet sent.
    len: usize,
    sent: u64,
    closed: u64,
    /// With which connection each is joined, by the index of its handle.
    peers: Vec<Option<FlowId>>,
    opened: Vec<FlowId>,
}

impl Callbacks for App {
    // One word, like an mbuf.
    type Buffer = Box<[u8; 1500]>;

    fn l3_tx_buffer(&mut self) -> Option<Box<[u8; 1500]>> {
        self.pool.pop()
    }

    fn l3_tx_buffer_mut<'b>(&self, buffer: &'b mut Box<[u8; 1500]>) -> &'b mut [u8] {
        &mut buffer[..]
    }

    fn l3_tx(&mut self, buffer: Box<[u8; 1500]>, meta: &TxMeta) {
        self.sent += 1;
        self.len = meta.len;
        self.pool.push(buffer);
    }

    fn l4_verdict(&mut self, key: &FlowKey) -> Verdict {
        Verdict::Accept(u64::from(key.local_port))
    }

    fn l4_opened(&mut self, id: FlowId, _: &FlowKey, _: u64) {
        self.opened.push(id);
    }

    fn l4_rx(&mut self, conn: &mut Conn<'_>) {
        if let Some(&Some(peer)) = self.peers.get(conn.id().index()) {
            return conn.relay(peer);
        }
        let n = conn.pending();
        if n > 0 {
            conn.take(n);
            // Opaque, or the copy of a constant would be turned into a fill.
            conn.send(black_box(&ANSWER[..]));
        }
        if conn.at_end() {
            conn.close();
        }
    }

    fn l4_datagram(&mut self, datagram: &mut Datagram<'_>) {
        datagram.reply(datagram.data());
    }

    fn l4_closed(&mut self, _: FlowId, _: &FlowKey, _: u64, _: CloseReason) {
        self.closed += 1;
    }
}

impl App {
    /// The sequence number behind the packet just sent, which is the last in the pool.
    fn next(&self) -> u32 {
        let Some(packet) = self.pool.last() else { return 0 };
        let seq = u32::from_be_bytes([packet[24], packet[25], packet[26], packet[27]]);
        let header = usize::from(packet[32] >> 4) * 4;
        let control = u32::from(packet[33] & FIN) + u32::from(packet[33] >> 1 & 1);
        seq.wrapping_add((self.len - 20 - header) as u32).wrapping_add(control)
    }
}

/// The part that is counted.
#[inline(never)]
fn measured(engine: &mut L3l4<Box<[u8; 1500]>>, app: &mut App, now: Instant, packet: &mut [u8]) {
    let _ = engine.l3_rx(app, now, packet, 0, RxChecksum::GOOD);
    engine.turn(app, now);
}

/// The same, not counted.
#[inline(never)]
fn silent(engine: &mut L3l4<Box<[u8; 1500]>>, app: &mut App, now: Instant, packet: &mut [u8]) {
    let _ = engine.l3_rx(app, black_box(now), packet, 0, RxChecksum::GOOD);
    engine.turn(app, now);
}

type Step = fn(&mut L3l4<Box<[u8; 1500]>>, &mut App, Instant, &mut [u8]);

struct Client {
    /// What the next segment acknowledges.
    next: u32,
    engine: L3l4<Box<[u8; 1500]>>,
    app: App,
    now: u64,
    packet: [u8; 200],
}

impl Client {
    fn new(direct: bool) -> Self {
        let limits = Limits { flows: 4096, udp_flows: 1024, half_open: 4096, ..Limits::default() };
        let engine = Builder::new(*b"0123456789abcdef0123456789ABCDEF")
            .limits(limits)
            .direct(direct)
            .tx_checksum(TxChecksum::None)
            .build()
            .unwrap_or_else(|error| panic!("{error}"));
        let app = App {
            pool: (0..8).map(|_| Box::new([0; 1500])).collect(),
            len: 0,
            sent: 0,
            closed: 0,
            peers: vec![],
            opened: Vec::with_capacity(8192),
        };
        Self { next: 0, engine, app, now: 1_000_000, packet: [0; 200] }
    }

    /// One segment of connection `n`.
    fn send(&mut self, step: Step, n: u32, flags: u8, seq: u32, data: usize) {
        let ports = [1024 + (n & 0x3fff) as u16, 80];
        self.send_from([10, 1, (n >> 14) as u8, 1, 10, 0, 0, 2], ports, step, flags, seq, data);
    }

    fn send_from(&mut self, ends: [u8; 8], ports: [u16; 2], step: Step, flags: u8, seq: u32, data: usize) {
        // So little that no timer runs out meanwhile.
        self.now += 1;
        let mut syn_options: &[u8] = &[];
        if flags & SYN != 0 {
            syn_options = &[2, 4, 5, 0xb4, 1, 3, 3, 7];
        }
        let len = 40 + syn_options.len() + data;
        let (next, sent) = (self.next, self.app.sent);
        let p = &mut self.packet;
        p.fill(0x55);
        p[..12].copy_from_slice(&[0x45, 0, 0, len as u8, 0, 0, 0x40, 0, 64, 6, 0, 0]);
        p[12..20].copy_from_slice(&ends);
        p[20..22].copy_from_slice(&ports[0].to_be_bytes());
        p[22..24].copy_from_slice(&ports[1].to_be_bytes());
        p[24..28].copy_from_slice(&seq.to_be_bytes());
        p[28..32].copy_from_slice(&next.to_be_bytes());
        p[32..40].copy_from_slice(&[((20 + syn_options.len()) as u8) << 2, flags, 0xff, 0xff, 0, 0, 0, 0]);
        p[40..40 + syn_options.len()].copy_from_slice(syn_options);
        step(&mut self.engine, &mut self.app, Instant::from_micros(self.now), &mut p[..len]);
        if self.app.sent != sent {
            self.next = self.app.next();
        }
    }

    /// Opens connection `n` and one to a server, whose answers are [`Client::serve`]d, and joins them; returns the next
    /// numbers that go to client and server.
    fn join(&mut self, n: u32) -> (u32, u32) {
        self.open(silent, n);
        let client = self.next;
        let key = FlowKey {
            remote: Addr::v4([10, 2, 0, 1]),
            local: Addr::v4([10, 0, 0, 3]),
            remote_port: 80,
            local_port: 1024 + n as u16,
            protocol: Protocol::TCP,
            link: 0,
        };
        let now = Instant::from_micros(self.now);
        let opened = self.engine.connect(&mut self.app, now, &key, 80, core::time::Duration::from_secs(5));
        let Ok(other) = opened else { panic!("{opened:?}") };
        self.engine.turn(&mut self.app, now);
        self.next = self.app.next();
        let server = self.next;
        self.serve(silent, n, SYN | ACK, 5000, 0);
        self.app.peers.resize(2 * n as usize + 2, None);
        let one = self.app.opened[self.app.opened.len() - 2];
        self.app.peers[one.index()] = Some(other);
        self.app.peers[other.index()] = Some(one);
        (client, server)
    }

    /// One segment of the server of connection `n`.
    fn serve(&mut self, step: Step, n: u32, flags: u8, seq: u32, data: usize) {
        self.send_from([10, 2, 0, 1, 10, 0, 0, 3], [80, 1024 + n as u16], step, flags, seq, data);
    }

    fn open(&mut self, step: Step, n: u32) {
        self.send(step, n, SYN, 1000, 0);
        self.send(step, n, ACK, 1001, 0);
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let phase = arguments.next().unwrap_or_default();
    let n: u32 = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(100);
    // The same operations with every connection on a stack.
    let (phase, direct) = match phase.strip_prefix("stack_") {
        Some(phase) => (phase, false),
        None => (&phase[..], true),
    };
    let mut c = Client::new(direct);
    match phase {
        "connection" => {
            for n in 0..n {
                c.open(measured, n);
                c.send(measured, n, ACK, 1001, 100);
                c.send(measured, n, ACK, 1101, 0);
                c.send(measured, n, FIN | ACK, 1101, 0);
                c.send(measured, n, ACK, 1102, 0);
            }
            assert_eq!(c.app.closed, u64::from(n));
        }
        "request" => {
            for n in 0..n {
                c.open(silent, n);
                c.send(measured, n, ACK, 1001, 100);
            }
            assert_eq!(c.app.sent, 2 * u64::from(n));
        }
        // A request and its answer through two connections that are joined, with the client's acknowledgment.
        "relay" => {
            for n in 0..n {
                let (client, server) = c.join(n);
                c.next = client;
                c.send(measured, n, ACK, 1001, 100);
                c.next = server.wrapping_add(100);
                c.serve(measured, n, ACK, 5001, 120);
                c.next = client.wrapping_add(120);
                c.send(measured, n, ACK, 1101, 0);
            }
            // Three of the handshakes, and an acknowledgment for each that passes on.
            assert_eq!(c.app.sent, 7 * u64::from(n));
            assert_eq!(c.engine.counters().tcp_bytes_out, 220 * u64::from(n));
            assert_eq!((c.engine.asleep_count(), c.engine.counters().tcp_woken), (2 * n as usize, 0));
        }
        "ack" => {
            for n in 0..n {
                c.open(silent, n);
                c.send(silent, n, ACK, 1001, 100);
                c.send(measured, n, ACK, 1101, 0);
            }
            assert_eq!(c.app.sent, 2 * u64::from(n));
        }
        "udp" => {
            for n in 0..n {
                let mut packet = [0u8; 128];
                packet[..12].copy_from_slice(&[0x45, 0, 0, 128, 0, 0, 0x40, 0, 64, 17, 0, 0]);
                packet[12..28].copy_from_slice(&[10, 1, 0, 1, 10, 0, 0, 2, 0, 9, 0, 7, 0, 108, 0, 0]);
                let step = if n == 0 { silent } else { measured };
                step(&mut c.engine, &mut c.app, Instant::from_micros(c.now), &mut packet);
            }
            assert_eq!(c.app.sent, u64::from(n));
        }
        "" => {} // `cargo bench` and `cargo test` run it without a phase.
        other => panic!("unknown phase {other}"),
    }
}
