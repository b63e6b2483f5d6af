//! Packets of ports that are mirrors: followed, never answered.
//!
//! Invariant: every mbuf of a burst is counted once (delivered, dropped under a name, or handed to another worker) and
//! leaves this module freed, handed over, or held by the follower until its turn comes.

use crate::drop::DropReason;
use crate::event::Recorder;
use crate::frame::{self, ethertype};
use crate::mailbox::FlowView;
use crate::observe::{Follower, Level, ObserveCounters, ObserveGauges, ObserveSettings, Packet, Teller};
use crate::policy::Action;
use crate::settings::{Services, Steering};
use crate::worker::Worker;
use crate::worker::ingress::{Burst, Origin, Way, verified};
use crate::worker::tap::Taps;
use arrayvec::ArrayVec;
use core::time::Duration;
use dpdk_ffi::mbuf::Mbuf;
use l3l4::packet::{self, Headers};
use l3l4::{FlowId, FlowKey, Protocol, RxChecksum};
use reassembly::Buffer;

/// Connections ended in one step when the worker stops.
const ENDED_PER_STEP: usize = 256;

/// A frame that the follower may hold.
pub(crate) struct Frame(Mbuf);

impl Buffer for Frame {
    fn bytes(&self) -> &[u8] {
        self.0.data()
    }
}

/// What a worker observes with.
pub(crate) struct Observer {
    /// Only where a port is a mirror.
    pub(crate) follower: Option<Follower<Frame>>,
    pub(crate) teller: Teller,
    /// Nanoseconds since 1970 where the worker's clock began.
    epoch: u64,
    /// The time of this turn, in nanoseconds since 1970.
    pub(crate) time: u64,
    /// Packets followed.
    pub(crate) followed: u64,
    /// Flows that end here and are observed.
    pub(crate) taps: Taps,
}

impl Observer {
    pub(crate) fn new(
        settings: &ObserveSettings,
        follows: bool,
        recorder: Option<Recorder>,
        secret: &[u8; 32],
    ) -> Self {
        let follower = follows.then(|| Follower::new(settings, secret));
        Self {
            follower,
            teller: Teller::new(settings, recorder),
            epoch: 0,
            time: 0,
            followed: 0,
            taps: Taps::new(settings.follow.flows),
        }
    }

    /// Sets the clock: `uptime` nanoseconds after its beginning it is now. Time never goes back.
    pub(crate) fn set_clock(&mut self, uptime: u64) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        self.epoch = (now.as_nanos() as u64).saturating_sub(uptime);
    }

    /// It is `uptime` nanoseconds after the clock's beginning.
    #[inline]
    pub(crate) fn turn(&mut self, uptime: u64) {
        self.time = self.time.max(self.epoch + uptime);
    }

    pub(crate) fn fill(&self, counters: &mut ObserveCounters, gauges: &mut ObserveGauges) {
        if let Some(follower) = &self.follower {
            follower.fill(counters, gauges);
        }
        counters.taps_refused = self.taps.refused;
        gauges.taps = self.taps.len() as u64;
        counters.http = self.teller.http().counters;
        counters.events = self.teller.events();
        gauges.http_held = self.teller.http().held() as u64;
    }

    /// Gives up what has waited too long.
    pub(crate) fn expire(&mut self) {
        if let Some(follower) = &mut self.follower {
            follower.expire(self.time, &mut self.teller);
        }
    }

    /// Shows `each` connection that is followed, of up to `most` slots from slot `from` on, as it is listed; returns where to
    /// go on.
    pub(crate) fn scan(
        &self,
        from: usize,
        most: usize,
        worker: u16,
        mut each: impl FnMut(FlowView),
    ) -> Option<usize> {
        let since = |then: u64| Duration::from_nanos(self.time.saturating_sub(then));
        self.follower.as_ref()?.scan(from, most, |info| {
            let flow = &info.kept.flow;
            each(FlowView {
                worker,
                id: FlowId::default(),
                followed: Some(flow.id),
                key: FlowKey {
                    remote: flow.client.ip().into(),
                    local: flow.server.ip().into(),
                    remote_port: flow.client.port(),
                    local_port: flow.server.port(),
                    protocol: Protocol::TCP,
                    link: u32::from(flow.ingress) | u32::from(flow.vlan) << 16,
                },
                state: info.states[0].name(),
                asleep: false,
                service: flow.service,
                age: since(info.first),
                idle: since(info.last),
                bytes_in: info.bytes[0],
                bytes_out: info.bytes[1],
            });
        })
    }

    /// Ends some connections; false when there are none left.
    fn end_some(&mut self) -> bool {
        let Self { follower, teller, time, .. } = self;
        follower.as_mut().is_some_and(|follower| follower.shut_down(*time, ENDED_PER_STEP, teller))
    }

    /// Ends all of them, so that each is told as closed.
    pub(crate) fn end_all(&mut self) {
        while self.end_some() {}
    }
}

/// What is to be told of a connection with this five-tuple.
fn admitted(services: &Services, key: &FlowKey) -> Option<(u16, Level)> {
    let rule = services.policy.lookup(key, key.port_index() as u16, key.vlan())?;
    let service = services.services.get(usize::from(rule.service))?;
    (rule.action == Action::Monitor).then_some((rule.service, service.observe))
}

impl Worker {
    /// Takes the frames of mirrors out of a burst from another worker, and deals with them.
    #[cold]
    pub(crate) fn follow_some(&mut self, burst: &mut Burst) {
        let mut mirrored: Burst = ArrayVec::new();
        let mut others: Burst = ArrayVec::new();
        for mbuf in burst.drain(..) {
            let is_mirror = self.cx.sides.get(usize::from(mbuf.port())).is_some_and(|side| side.mirror);
            if is_mirror { mirrored.push(mbuf) } else { others.push(mbuf) }
        }
        *burst = others;
        if !mirrored.is_empty() {
            self.follow(&mut mirrored, Origin::Worker { asked: u16::MAX });
        }
    }

    /// Deals with a burst of a mirror, and leaves it empty.
    pub(crate) fn follow(&mut self, burst: &mut Burst, origin: Origin) {
        let mut done: Burst = ArrayVec::new();
        for mut mbuf in burst.drain(..) {
            let port = match origin {
                Origin::Port(port) => port,
                Origin::Worker { .. } => usize::from(mbuf.port()),
            };
            let (at, vlan) = match read(&mut mbuf) {
                Ok(read) => read,
                Err(reason) => {
                    self.dropped(reason);
                    done.push(mbuf);
                    continue;
                }
            };
            let packet = Packet { at, link: port as u32 | u32::from(vlan) << 16, known: verified(&mbuf) };
            if let Some(other) = self.mirror_owner(port, origin, &mbuf, packet) {
                self.hand_on(mbuf, Way::Owner(other), port);
                continue;
            }
            let (services, observer) = self.cx.services_and_observer();
            let Observer { follower, teller, time, followed, .. } = observer;
            let Some(follower) = follower else {
                done.push(mbuf);
                continue;
            };
            let admit = |key: &FlowKey| admitted(services?, key);
            let (result, left) = follower.packet(*time, packet, Frame(mbuf), admit, teller);
            match result {
                Ok(()) => *followed += 1,
                Err(reason) => {
                    let _ = self.engine.refuse(reason);
                }
            }
            done.extend(left.map(|frame| frame.0));
        }
        Mbuf::free_bulk(&mut done);
        self.flush_rings();
    }

    /// The other worker that follows this packet's connection, where packets have to be steered in software.
    #[inline]
    fn mirror_owner(&self, port: usize, origin: Origin, mbuf: &Mbuf, packet: Packet) -> Option<u16> {
        if self.cx.sides[port].steering != Steering::Software || origin != Origin::Port(port) {
            return None;
        }
        let mut h = Headers::default();
        packet::read(&mbuf.data()[packet.at..], packet.link, RxChecksum::GOOD, &mut h).ok()?;
        self.owner(port, origin, &h)
    }
}

/// Where the IP packet of a frame begins, and its VLAN.
#[inline]
fn read(mbuf: &mut Mbuf) -> Result<(usize, u16), DropReason> {
    if !mbuf.is_contiguous() && !mbuf.linearize() {
        return Err(DropReason::NotContiguous);
    }
    let frame = frame::parse(mbuf.data(), mbuf.vlan_stripped())?;
    match frame.ethertype {
        ethertype::IPV4 | ethertype::IPV6 => Ok((frame.payload, frame.vlan)),
        _ => Err(DropReason::EtherType),
    }
}
