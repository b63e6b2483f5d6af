//! Follows the connections of packets that are copies: each is read, given to the tracker, and what that tells is told on.
//!
//! Invariant: every packet is either followed or has a drop reason; nothing is answered.

use super::{Level, ObserveCounters, ObserveGauges, ObserveSettings, Observed, Teller};
use crate::event::{Flow, Origin, Recorder};
use core::net::SocketAddr;
use l3l4::packet::{self, Class, Headers};
use l3l4::{Addr, DropReason, FlowKey, Protocol, RxChecksum};
use reassembly::{
    Buffer, Direction, Endpoint, FlowInfo, Gap, Identity, Key, Outcome, Segment, Side, Sink, Summary, Tracker,
};

/// One packet, and where it came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    /// Where in its buffer the IP packet begins.
    pub(crate) at: usize,
    /// Port index in the low 16 bits, VLAN id in the high 16.
    pub(crate) link: u32,
    /// What the NIC has verified.
    pub(crate) known: RxChecksum,
}

/// Follows connections on one worker. `B` is what a packet lies in.
pub(crate) struct Follower<B> {
    tracker: Tracker<B, Observed>,
    verify: bool,
}

impl<B: Buffer> Follower<B> {
    pub(crate) fn new(settings: &ObserveSettings, secret: &[u8; 32]) -> Self {
        let half = |at: usize| secret[at..at + 8].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        Self { tracker: Tracker::new(settings.follow, [half(0), half(8)]), verify: settings.verify_checksums }
    }

    /// Takes a packet that came at time `now`, in nanoseconds since 1970; gives the buffer back unless it is held. `admit`
    /// says, of the five-tuple as the client's packets have it, what service it is for and what is to be told of it.
    ///
    /// # Errors
    /// Why the packet is not followed.
    #[inline]
    pub(crate) fn packet(
        &mut self,
        now: u64,
        packet: Packet,
        buffer: B,
        admit: impl Fn(&FlowKey) -> Option<(u16, Level)>,
        teller: &mut Teller,
    ) -> (Result<(), DropReason>, Option<B>) {
        let mut h = Headers::default();
        let mut known = packet.known;
        if !self.verify {
            (known.ip_good, known.l4_good) = (true, true);
        }
        let bytes = buffer.bytes().get(packet.at..).unwrap_or_default();
        match packet::read(bytes, packet.link, known, &mut h) {
            Ok(Class::Whole) if h.key.protocol == Protocol::TCP => {}
            Ok(Class::Whole | Class::Other) => return (Err(DropReason::Protocol), Some(buffer)),
            Ok(Class::Fragment) => return (Err(DropReason::IpFragment), Some(buffer)),
            Err(reason) => return (Err(reason), Some(buffer)),
        }
        let source = Endpoint { address: h.key.remote.0, port: h.key.remote_port };
        let destination = Endpoint { address: h.key.local.0, port: h.key.local_port };
        let (key, from) = Key::of(source, destination, packet.link);
        let segment = Segment {
            key,
            from,
            seq: h.seq,
            ack: h.ack,
            flags: h.flags,
            window: h.window,
            begin: packet.at as u16 + h.payload,
            end: packet.at as u16 + h.payload_end,
        };
        let admit = |key: &Key, client: Side, sure: bool| admitted(key, client, sure, &admit);
        let (outcome, left) = self.tracker.segment(now, &segment, buffer, admit, &mut Telling(teller));
        let result = match outcome {
            Outcome::Followed => Ok(()),
            Outcome::NotAdmitted => Err(DropReason::NoService),
            Outcome::Stray => Err(DropReason::TcpNoFlow),
        };
        (result, left)
    }

    /// Gives up what has waited too long; to be called about once a millisecond.
    pub(crate) fn expire(&mut self, now: u64, teller: &mut Teller) {
        self.tracker.expire(now, &mut Telling(teller));
    }

    /// Ends up to `most` connections; false when there are none left.
    pub(crate) fn shut_down(&mut self, now: u64, most: usize, teller: &mut Teller) -> bool {
        self.tracker.shut_down(now, most, &mut Telling(teller))
    }

    /// See [`Tracker::scan`].
    pub(crate) fn scan(
        &self,
        from: usize,
        most: usize,
        each: impl FnMut(FlowInfo<'_, Observed>),
    ) -> Option<usize> {
        self.tracker.scan(from, most, each)
    }

    pub(crate) fn fill(&self, counters: &mut ObserveCounters, gauges: &mut ObserveGauges) {
        counters.follow = *self.tracker.counters();
        gauges.flows = self.tracker.len() as u64;
        gauges.half_open = self.tracker.half_open() as u64;
        gauges.held = self.tracker.held() as u64;
    }
}

/// What to keep for a new connection. Where its client is only guessed the other way round is tried, too.
fn admitted(
    key: &Key,
    client: Side,
    sure: bool,
    admit: &impl Fn(&FlowKey) -> Option<(u16, Level)>,
) -> Option<(Observed, Side)> {
    let tuple = |client: Side| FlowKey {
        remote: Addr(key.end(client).address),
        local: Addr(key.end(client.other()).address),
        remote_port: key.end(client).port,
        local_port: key.end(client.other()).port,
        protocol: Protocol::TCP,
        link: key.link,
    };
    let ways = [client, client.other()];
    let (client, (service, level)) =
        ways.into_iter().take(if sure { 1 } else { 2 }).find_map(|way| Some((way, admit(&tuple(way))?)))?;
    let address = |end: Endpoint| SocketAddr::new(Addr(end.address).ip(), end.port);
    let flow = Flow {
        // The tracker's number, filled in when it is told as opened.
        id: 0,
        client: address(key.end(client)),
        server: address(key.end(client.other())),
        service,
        ingress: key.link as u16,
        vlan: (key.link >> 16) as u16,
        origin: Origin::Monitor,
    };
    Some((Observed::new(flow, level, !sure), client))
}

/// What the tracker tells, told on.
struct Telling<'a>(&'a mut Teller);

impl Sink<Observed> for Telling<'_> {
    fn opened(&mut self, now: u64, flow: &Identity, kept: &mut Observed) {
        kept.flow.id = flow.id;
        self.0.opened(now, kept, flow.midstream);
    }

    #[inline]
    fn data(
        &mut self,
        now: u64,
        _: &Identity,
        kept: &mut Observed,
        direction: Direction,
        offset: u64,
        bytes: &[u8],
    ) {
        self.0.data(now, kept, direction, offset, bytes);
    }

    fn gap(&mut self, now: u64, _: &Identity, kept: &mut Observed, gap: Gap) {
        self.0.gap(now, kept, gap);
    }

    fn finished(&mut self, now: u64, _: &Identity, kept: &mut Observed, direction: Direction) {
        self.0.finished(now, kept, direction);
    }

    fn closed(&mut self, now: u64, _: &Identity, kept: &mut Observed, summary: &Summary) {
        self.0.closed(now, kept, summary);
    }
}

/// The recorder for a ring of so many bytes, and its other end.
pub(crate) fn ring(settings: &ObserveSettings) -> (Option<Recorder>, Option<crate::event::Records>) {
    settings.ring.map(crate::event::channel).unzip()
}
