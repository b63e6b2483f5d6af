//! A million established connections, nearly all asleep, on one engine: what each costs in memory, what they cost the
//! loop, and whether any hundred thousand of them, when they speak, are answered right.
//!
//! Usage: cargo run --release -p l3l4 --example million [CONNECTIONS]

use l3l4::{
    Builder, Callbacks, CloseReason, Conn, Datagram, FlowId, FlowKey, Instant, L3l4, Limits, RxChecksum,
    TxChecksum, TxMeta, Verdict,
};
use std::hint::black_box;

const SYN: u8 = 2;
const ACK: u8 = 16;
const REQUEST: usize = 64;
type Buffer = Box<[u8; 1500]>;

/// Echoes what it receives.
struct Echo {
    #[allow(clippy::vec_box, reason = "boxes are what goes in and out")]
    pool: Vec<Buffer>,
    sent: u64,
}

impl Callbacks for Echo {
    type Buffer = Buffer;

    fn l3_tx_buffer(&mut self) -> Option<Buffer> {
        self.pool.pop()
    }
    fn l3_tx_buffer_mut<'b>(&self, buffer: &'b mut Buffer) -> &'b mut [u8] {
        &mut buffer[..]
    }
    fn l3_tx(&mut self, buffer: Buffer, _: &TxMeta) {
        self.sent += 1;
        self.pool.push(buffer);
    }
    fn l4_verdict(&mut self, _: &FlowKey) -> Verdict {
        Verdict::Accept(0)
    }
    fn l4_opened(&mut self, _: FlowId, _: &FlowKey, _: u64) {}
    fn l4_rx(&mut self, conn: &mut Conn<'_>) {
        let mut bytes = [0; 2 * REQUEST];
        let n = conn.copy(&mut bytes);
        conn.take(n);
        conn.send(&bytes[..n]);
    }
    fn l4_datagram(&mut self, _: &mut Datagram<'_>) {}
    fn l4_closed(&mut self, _: FlowId, _: &FlowKey, _: u64, _: CloseReason) {}
}

/// Resident bytes of this process.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

/// A segment of client `n`.
fn segment(packet: &mut [u8], n: u32, flags: u8, seq: u32, ack: u32, data: &[u8]) -> usize {
    let len = 40 + data.len();
    packet[..12].copy_from_slice(&[0x45, 0, 0, len as u8, 0, 0, 0x40, 0, 64, 6, 0, 0]);
    packet[12..16].copy_from_slice(&[10, 1 + (n >> 16) as u8, (n >> 8) as u8, n as u8 | 1]);
    packet[16..20].copy_from_slice(&[10, 0, 0, 2]);
    packet[20..22].copy_from_slice(&(1024 + (n & 1) as u16).to_be_bytes());
    packet[22..24].copy_from_slice(&[0, 7]);
    packet[24..28].copy_from_slice(&seq.to_be_bytes());
    packet[28..32].copy_from_slice(&ack.to_be_bytes());
    packet[32..40].copy_from_slice(&[5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
    packet[40..len].copy_from_slice(data);
    len
}

struct Clients {
    engine: L3l4<Buffer>,
    echo: Echo,
    began: std::time::Instant,
    /// What each client acknowledges next.
    next: Vec<u32>,
}

impl Clients {
    fn now(&self) -> Instant {
        Instant::from_micros(1_000_000 + self.began.elapsed().as_micros() as u64)
    }

    /// Sends a segment and returns the last packet that came back, if any did.
    fn exchange(&mut self, n: u32, flags: u8, seq: u32, data: &[u8]) -> Option<&[u8; 1500]> {
        let (mut packet, sent, now) = ([0; 40 + REQUEST], self.echo.sent, self.now());
        let len = segment(&mut packet, n, flags, seq, self.next[n as usize], data);
        let _ = self.engine.l3_rx(&mut self.echo, now, &mut packet[..len], 0, RxChecksum::GOOD);
        self.engine.turn(&mut self.echo, now);
        (self.echo.sent != sent).then(|| self.echo.pool.last().map(|buffer| &**buffer)).flatten()
    }
}

/// Turns per second of a loop that has nothing to do: of two engines, by turns, so that both see the same machine;
/// the median of each.
fn idle_turns(began: std::time::Instant, engines: [&mut L3l4<Buffer>; 2], echo: &mut Echo) -> [f64; 2] {
    let mut rates = [Vec::new(), Vec::new()];
    let [a, b] = engines;
    for _ in 0..15 {
        for (engine, rates) in [&mut *a, &mut *b].into_iter().zip(&mut rates) {
            let (start, mut turns) = (std::time::Instant::now(), 0u64);
            while start.elapsed().as_millis() < 100 {
                for _ in 0..64 {
                    let now = Instant::from_micros(1_000_000 + began.elapsed().as_micros() as u64);
                    engine.turn(black_box(&mut *echo), now);
                }
                turns += 64;
            }
            rates.push(turns as f64 / start.elapsed().as_secs_f64());
        }
    }
    rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    })
}

fn be32(packet: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]])
}

fn main() {
    let connections: u32 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let live = 4096;
    let limits = Limits {
        flows: connections as usize,
        live,
        udp_flows: 0,
        half_open: live / 2,
        half_open_per_source: 0,
        ..Limits::default()
    };
    let build = || {
        let built = Builder::new([7; 32]).limits(limits).tx_checksum(TxChecksum::None).build();
        built.unwrap_or_else(|why| {
            eprintln!("million: {why}");
            std::process::exit(1);
        })
    };
    let (engine, mut empty) = (build(), build());
    let echo = Echo { pool: (0..8).map(|_| Box::new([0; 1500])).collect(), sent: 0 };
    let began = std::time::Instant::now();
    let mut clients = Clients { engine, echo, began, next: vec![1; connections as usize] };
    let mut before = 0;
    for n in 0..connections {
        if n as usize == 2 * live {
            // From here on all stacks, their number fixed, have been used.
            before = resident();
        }
        clients.next[n as usize] = 0;
        let isn = clients.exchange(n, SYN, 999, &[]).map_or(0, |packet| be32(packet, 24));
        clients.next[n as usize] = isn.wrapping_add(1);
        clients.exchange(n, ACK, 1000, &[]);
    }
    let each = (resident() - before) as f64 / f64::from(connections - 2 * live as u32);
    let (all, asleep) = (clients.engine.tcp_flow_count(), clients.engine.asleep_count());
    println!("{all} connections, {asleep} asleep, {each:.0} bytes resident each");

    let Clients { engine, echo, .. } = &mut clients;
    let [nobody, crowd] = idle_turns(began, [&mut empty, engine], echo);
    let share = 100.0 * (nobody / crowd - 1.0);
    println!(
        "idle loop: {:.1} M turns/s without, {:.1} M with them ({share:+.1}% time)",
        nobody / 1e6,
        crowd / 1e6
    );

    let (mut right, mut wrong, mut random) = (0, 0, 0x9e37_79b9_7f4a_7c15u64);
    let mut seqs = std::collections::HashMap::new();
    let start = std::time::Instant::now();
    for _ in 0..100_000 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let n = (random % u64::from(connections)) as u32;
        let data: [u8; REQUEST] = core::array::from_fn(|i| (random >> (i % 8 * 8)) as u8 ^ i as u8);
        let seq = *seqs.entry(n).or_insert(1000u32);
        let ours = clients.next[n as usize];
        let good = clients.exchange(n, ACK, seq, &data).is_some_and(|answer| {
            be32(answer, 24) == ours
                && be32(answer, 28) == seq + REQUEST as u32
                && answer[40..40 + REQUEST] == data
        });
        if good {
            right += 1
        } else {
            wrong += 1
        }
        seqs.insert(n, seq + REQUEST as u32);
        clients.next[n as usize] = ours.wrapping_add(REQUEST as u32);
        clients.exchange(n, ACK, seq + REQUEST as u32, &[]);
    }
    let each = start.elapsed().as_nanos() / 100_000;
    let counters = clients.engine.counters();
    println!(
        "100000 requests of random ones: {right} right, {wrong} wrong, {} woken, {} dropped, {each} ns each",
        counters.tcp_woken,
        counters.dropped_total()
    );
    if wrong > 0 || all != connections as usize {
        std::process::exit(1);
    }
}
