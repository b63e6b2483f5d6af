//! What the engine sees of the worker: buffers, ports to send by, services and applications.
//!
//! Invariant: a flow keeps the services it was opened under until it ends, whatever is reloaded meanwhile; an
//! answer to the packet at hand goes back to the station that sent it, and what a flow sends later to the station
//! its last packet came from.

use crate::application::{AppCounters, Application};
use crate::frame::{self, ethertype};
use crate::neighbour::Mac;
use crate::policy::Action;
use crate::proxy::ProxySpec;
use crate::report::{PortCounters, WorkerCounters};
use crate::settings::{Service, Services};
use crate::worker::mirror::Observer;
use crate::worker::network::Side;
use crate::worker::outbox::Outbox;
use crate::worker::proxy::{CHECK, HELD_LEG, Proxies, UPSTREAM_LEG, of};
use crate::worker::states::{Kept, States};
use crate::worker::stream::{TcpStream, UdpReply};
use arrayvec::ArrayVec;
use dpdk_ffi::mbuf::{L4Checksum, Mbuf, TxOffload};
use dpdk_ffi::mempool::Mempool;
use l3l4::{Callbacks, CloseReason, Conn, Datagram, FlowId, FlowKey, Protocol, TxMeta, Verdict};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// UDP ports of services that answer unasked-for datagrams, errors with errors among them: echo, active users,
/// daytime, quote of the day, chargen, time, DNS, TFTP, NTP. No client of ours sends from them. A bit for each.
const LOOP_PORTS: u128 =
    1 << 7 | 1 << 11 | 1 << 13 | 1 << 17 | 1 << 19 | 1 << 37 | 1 << 53 | 1 << 69 | 1 << 123;

/// Buffers taken from the pool at a time.
const STASH: usize = 32;

/// What a worker keeps for each flow beside the engine's record.
#[derive(Default)]
pub(crate) struct Companion {
    /// Where the flow's packets come from.
    pub(super) mac: Mac,
    /// Number of its service.
    pub(super) service: u16,
    /// Which entry of `Context::editions` it was opened under.
    pub(super) edition: u16,
    pub(super) state: Kept,
}

/// Services as they were exchanged, for as long as a flow opened under them lives.
pub(crate) struct Edition {
    services: Arc<Services>,
    /// How each service proxies: this worker's own copies, so that counting who uses them writes to nothing shared.
    pub(super) proxies: Vec<Option<Rc<ProxySpec>>>,
    flows: u32,
}

impl Edition {
    fn new(services: Arc<Services>) -> Self {
        let own = |service: &Service| service.proxy.as_deref().map(|spec| Rc::new(spec.clone()));
        let proxies = services.services.iter().map(own).collect();
        Self { services, proxies, flows: 0 }
    }

    /// A service as it was in this edition.
    pub(super) fn service(&self, number: u16) -> Option<&Service> {
        self.services.services.get(usize::from(number))
    }
}

pub(crate) struct Context {
    pub(crate) sides: Vec<Side>,
    pub(crate) outboxes: Vec<Outbox>,
    pub(crate) counters: WorkerCounters,
    pub(crate) ports: Vec<PortCounters>,
    pub(crate) services: Vec<AppCounters>,
    pool: Mempool,
    stash: ArrayVec<Mbuf, STASH>,
    pub(super) editions: Vec<Option<Edition>>,
    current: u16,
    pub(super) companions: Vec<Companion>,
    states: States,
    pub(crate) proxies: Proxies,
    pub(crate) observer: Observer,
    /// A service in force, or one that was, has its flows observed.
    tapping: bool,
    /// The station the packet at hand came from.
    pub(crate) sender: Mac,
    turn: Turn,
}

/// How much the engine may send just now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It answers packets: where an outbox is full an answer is lost, like any packet.
    Answering,
    /// It sends of its own accord: a full outbox holds it back instead of costing packets.
    Sending,
    /// An outbox was full; no more in this turn.
    HeldBack,
}

impl Context {
    pub(crate) fn new(
        sides: Vec<Side>,
        outboxes: Vec<Outbox>,
        pool: Mempool,
        services: Arc<Services>,
        proxies: Proxies,
        observer: Observer,
        flows: usize,
    ) -> Self {
        let tapping = services.are_observed();
        Self {
            ports: vec![PortCounters::default(); sides.len()],
            sides,
            outboxes,
            counters: WorkerCounters::default(),
            services: vec![AppCounters::default(); services.services.len()],
            pool,
            stash: ArrayVec::new(),
            editions: vec![Some(Edition::new(services))],
            current: 0,
            companions: Vec::with_capacity(flows),
            states: States::new(flows),
            proxies,
            observer,
            tapping,
            sender: Mac::default(),
            turn: Turn::Answering,
        }
    }

    /// A buffer to write a packet into.
    #[inline]
    pub(crate) fn buffer(&mut self) -> Option<Mbuf> {
        if self.stash.is_empty() && !self.pool.alloc_bulk(&mut self.stash, STASH) {
            // Too few for a whole helping; perhaps one.
            let one = self.pool.alloc();
            self.counters.tx_nobuf += u64::from(one.is_none());
            return one;
        }
        self.stash.pop()
    }

    pub(crate) fn pool(&self) -> &Mempool {
        &self.pool
    }

    /// Sends every port's waiting packets.
    #[inline]
    pub(crate) fn flush(&mut self) {
        for (outbox, counters) in self.outboxes.iter_mut().zip(&mut self.ports) {
            outbox.flush(counters);
        }
    }

    /// Puts an Ethernet header in front of a packet and sends it by `link`; `request` says what else is left to
    /// the NIC (the lengths of headers and the VLAN tag are filled in here).
    #[inline]
    pub(crate) fn send(
        &mut self,
        mut packet: Mbuf,
        link: u32,
        to: Mac,
        ethertype: u16,
        request: Option<TxOffload>,
    ) {
        let port = (link & 0xffff) as usize;
        let vlan = (link >> 16) as u16;
        let side = &self.sides[port];
        let tagged = vlan != 0 && !side.vlan_insert;
        let len = if tagged { frame::HEADER + frame::TAG } else { frame::HEADER } as u16;
        // There is always room: a fresh buffer has 128 bytes of headroom, a received one had its own header.
        let Some(header) = packet.prepend(len) else {
            self.ports[port].tx_dropped += 1;
            return;
        };
        frame::write(header, to, side.mac, vlan, ethertype);
        let insert = (vlan != 0 && !tagged).then_some(vlan);
        if request.is_some() || insert.is_some() {
            let request = TxOffload { l2_len: len, vlan: insert, ..request.unwrap_or_default() };
            if !packet.set_tx_offload(&request) {
                self.ports[port].tx_dropped += 1;
                return;
            }
        }
        self.outboxes[port].push(packet, &mut self.ports[port]);
    }

    /// Until [`Context::end_turn`] the engine sends of its own accord.
    pub(crate) fn begin_turn(&mut self) {
        self.turn = Turn::Sending;
    }

    /// Sends what has been collected.
    pub(crate) fn end_turn(&mut self) {
        self.turn = Turn::Answering;
        self.flush();
    }

    /// Whether the engine has to wait for room; found out at most once per turn, however many flows ask.
    fn is_held_back(&mut self) -> bool {
        if self.turn == Turn::Sending && self.outboxes.iter().any(Outbox::is_busy) {
            self.flush();
            if self.outboxes.iter().any(Outbox::is_busy) {
                self.turn = Turn::HeldBack;
            }
        }
        self.turn == Turn::HeldBack
    }

    /// Whether a datagram from this port to its service could go round for ever: the other end may be a server that
    /// answers whatever it gets, asked in our name by somebody else (RFC 862 and RFC 864 say nothing of it; inetd
    /// and its kin refuse such sources).
    #[inline]
    pub(crate) fn may_loop(&self, key: &FlowKey) -> bool {
        key.remote_port < 128
            && LOOP_PORTS >> key.remote_port & 1 != 0
            && key.protocol == Protocol::UDP
            && self.answers_anything(key)
    }

    #[cold]
    fn answers_anything(&self, key: &FlowKey) -> bool {
        let Some(services) = self.services_now() else { return false };
        let rule = services.policy.lookup(key, key.port_index() as u16, key.vlan());
        let service = rule.and_then(|rule| services.services.get(usize::from(rule.service)));
        let application = service.and_then(|service| service.application.as_ref());
        application.is_some_and(|application| matches!(application.name(), "echo" | "chargen"))
    }

    /// The services in force for new flows, and what observes with them.
    pub(crate) fn services_and_observer(&mut self) -> (Option<&Services>, &mut Observer) {
        let edition = self.editions.get(usize::from(self.current)).and_then(Option::as_ref);
        (edition.map(|edition| &*edition.services), &mut self.observer)
    }

    fn services_now(&self) -> Option<&Arc<Services>> {
        self.editions[usize::from(self.current)].as_ref().map(|edition| &edition.services)
    }

    /// Puts other services in force for flows to come. Refused (false) where too many editions are in use still.
    pub(crate) fn exchange(&mut self, services: Arc<Services>) -> bool {
        self.tapping |= services.are_observed();
        if self.services.len() < services.services.len() {
            self.services.resize(services.services.len(), AppCounters::default());
        }
        let old = usize::from(self.current);
        if self.editions[old].as_ref().is_some_and(|edition| edition.flows == 0) {
            self.editions[old] = None;
        }
        let free = self.editions.iter().position(Option::is_none).unwrap_or_else(|| {
            self.editions.push(None);
            self.editions.len() - 1
        });
        let Ok(slot) = u16::try_from(free) else { return false };
        self.proxies.exchange(&self.sides, &services);
        self.editions[free] = Some(Edition::new(services));
        self.current = slot;
        true
    }

    /// Puts a flow of which nothing has been heard yet under the services in force, if they proxy it, too: where the
    /// former ones would send it there may be nobody any more.
    #[cold]
    pub(super) fn renew(&mut self, id: FlowId, key: &FlowKey) {
        let Self { companions, editions, current, .. } = self;
        let companion = &mut companions[id.index()];
        let (old, new) = (usize::from(companion.edition), usize::from(*current));
        let rule = editions[new]
            .as_ref()
            .and_then(|edition| edition.services.policy.lookup(key, key.port_index() as u16, key.vlan()));
        let Some(service) =
            rule.and_then(|rule| matches!(rule.action, Action::Proxy { .. }).then_some(rule.service))
        else {
            return;
        };
        (companion.edition, companion.service) = (*current, service);
        if let Some(edition) = &mut editions[new] {
            edition.flows += 1;
        }
        if let Some(edition) = &mut editions[old] {
            edition.flows -= 1;
            if edition.flows == 0 && old != new {
                editions[old] = None;
            }
        }
    }

    /// Whether a flow goes by services that are not in force any more.
    #[inline]
    pub(super) fn is_old(&self, id: FlowId) -> bool {
        self.companions[id.index()].edition != self.current
    }

    /// How a service proxies, as it was said in an edition.
    pub(crate) fn proxy_spec(&self, edition: u16, service: u16) -> Option<Rc<ProxySpec>> {
        let edition = self.editions.get(usize::from(edition))?.as_ref()?;
        edition.proxies.get(usize::from(service))?.clone()
    }

    pub(crate) fn policy_version(&self) -> u64 {
        self.services_now().map_or(0, |services| services.version)
    }
}

impl Callbacks for Context {
    type Buffer = Mbuf;

    #[inline]
    fn l3_tx_buffer(&mut self) -> Option<Mbuf> {
        if self.turn != Turn::Answering && self.is_held_back() {
            return None;
        }
        self.buffer()
    }

    #[inline]
    fn l3_tx_buffer_mut<'b>(&self, buffer: &'b mut Mbuf) -> &'b mut [u8] {
        buffer.room_mut()
    }

    #[inline]
    fn l3_tx(&mut self, mut buffer: Mbuf, meta: &TxMeta) {
        let to = match meta.flow {
            Some(id) => self.companions[id.index()].mac,
            None => self.sender,
        };
        let fits = buffer.set_len(meta.len as u16);
        debug_assert!(fits, "the engine writes no more than the buffer holds");
        let request = meta.checksum_pending.then(|| checksums(&buffer, meta));
        let ethertype = if meta.v4 { ethertype::IPV4 } else { ethertype::IPV6 };
        self.send(buffer, meta.link, to, ethertype, request);
    }

    #[inline]
    fn l4_verdict(&mut self, key: &FlowKey) -> Verdict {
        let (port, vlan) = (key.port_index(), key.vlan());
        if !self.sides[port].segment(vlan).is_some_and(|segment| segment.takes(key.local)) {
            return Verdict::NotOurs;
        }
        match self.services_now().and_then(|services| services.policy.lookup(key, port as u16, vlan)) {
            Some(rule) => match rule.action {
                Action::Terminate { .. } => Verdict::Accept(u64::from(rule.service)),
                Action::Proxy { hold: false } => Verdict::Accept(u64::from(rule.service)),
                Action::Proxy { hold: true } => Verdict::Hold(u64::from(rule.service) | HELD_LEG),
                // Only mirrors have what is followed.
                Action::Monitor => Verdict::NoService,
                Action::Reject => Verdict::Reject,
                Action::Drop => Verdict::Drop,
            },
            None => Verdict::NoService,
        }
    }

    fn l4_opened(&mut self, id: FlowId, key: &FlowKey, user: u64) {
        while self.companions.len() <= id.index() {
            self.companions.push(Companion::default());
        }
        let mut companion =
            Companion { mac: self.sender, service: user as u16, edition: self.current, state: Kept::Blank };
        if user & (UPSTREAM_LEG | HELD_LEG | CHECK) != 0 {
            self.begin_companion(&mut companion, id, key, user);
        }
        if let Some(edition) = &mut self.editions[usize::from(companion.edition)] {
            edition.flows += 1;
        }
        self.companions[id.index()] = companion;
    }

    fn l4_refused(
        &mut self,
        id: FlowId,
        _: &FlowKey,
        _: u64,
        reason: CloseReason,
    ) -> Option<(FlowKey, Duration)> {
        let Self { companions, editions, sides, proxies, .. } = self;
        let companion = &mut companions[id.index()];
        match companion.state {
            Kept::Session(at) => {
                let of = of(sides, editions, companion)?;
                let patience = of.spec.connect_timeout;
                let (key, mac) = proxies.on_refused(at, reason, of)?;
                companion.mac = mac;
                Some((key, patience))
            }
            _ => None,
        }
    }

    fn l4_in_use(&mut self, id: FlowId, _: &FlowKey, _: u64) -> Option<FlowKey> {
        let Self { companions, editions, sides, proxies, .. } = self;
        let companion = &mut companions[id.index()];
        let Kept::Session(at) = companion.state else { return None };
        let (key, mac) = proxies.on_in_use(at, of(sides, editions, companion)?)?;
        companion.mac = mac;
        Some(key)
    }

    #[inline]
    fn l4_rx(&mut self, conn: &mut Conn<'_>) {
        if self.tapping {
            self.tap(conn);
        }
        let Self { companions, editions, services, sender, states, observer, tapping, .. } = self;
        let companion = &mut companions[conn.id().index()];
        companion.mac = *sender;
        if !companion.state.is_proxied()
            && let Some((application, counters)) = behind(editions, services, companion)
        {
            states.with(&mut companion.state, |state| {
                if *tapping {
                    observer.with_stream(conn, |stream| application.on_tcp(state, stream, counters));
                } else {
                    application.on_tcp(state, &mut TcpStream(conn), counters);
                }
            });
        } else {
            self.proxy_rx(conn);
        }
    }

    fn l4_deadline(&mut self, conn: &mut Conn<'_>) {
        let Self { companions, editions, services, states, sides, proxies, observer, .. } = self;
        let companion = &mut companions[conn.id().index()];
        if let Kept::Session(at) = companion.state {
            match of(sides, editions, companion) {
                Some(of) => proxies.on_deadline(at, conn, of),
                None => conn.abort(),
            }
            return;
        }
        match behind(editions, services, companion) {
            Some((application, counters)) => states.with(&mut companion.state, |state| {
                observer.with_stream(conn, |stream| application.on_deadline(state, stream, counters));
            }),
            None => conn.abort(),
        }
    }

    fn l4_idle(&mut self, id: FlowId, _: u64) -> Option<Duration> {
        let Self { companions, editions, services, sides, proxies, .. } = self;
        let companion = &companions[id.index()];
        match companion.state {
            Kept::Session(at) => proxies.idle_timeout(at, of(sides, editions, companion)?.spec),
            Kept::Blank => behind(editions, services, companion)?.0.idle_timeout(),
            _ => None,
        }
    }

    fn l4_datagram(&mut self, datagram: &mut Datagram<'_>) {
        let Self { companions, editions, services, sender, .. } = self;
        let companion = &mut companions[datagram.id().index()];
        companion.mac = *sender;
        if !companion.state.is_proxied()
            && let Some((application, counters)) = behind(editions, services, companion)
        {
            application.on_udp(datagram.data(), &mut UdpReply(datagram), counters);
        } else {
            self.proxy_datagram(datagram);
        }
    }

    fn l4_totals(&mut self, id: FlowId, _: u64, bytes_in: u64, _: u64) {
        if let Kept::Session(at) = self.companions[id.index()].state {
            self.proxies.on_totals(at, id, bytes_in);
        }
    }

    fn l4_closed(&mut self, id: FlowId, _: &FlowKey, _: u64, reason: CloseReason) {
        if self.tapping {
            self.observer.closed(id, reason);
        }
        let companion = &mut self.companions[id.index()];
        match companion.state {
            Kept::Session(at) => self.proxies.on_closed(at, id, reason),
            Kept::Check(at) => self.proxies.on_check_closed(at),
            _ => {}
        }
        self.states.release(&mut companion.state);
        let slot = usize::from(companion.edition);
        if let Some(edition) = &mut self.editions[slot] {
            edition.flows -= 1;
            if edition.flows == 0 && slot != usize::from(self.current) {
                self.editions[slot] = None;
            }
        }
    }
}

/// The application of a flow, and where it counts.
#[inline]
fn behind<'a>(
    editions: &'a [Option<Edition>],
    services: &'a mut [AppCounters],
    companion: &Companion,
) -> Option<(&'a dyn Application, &'a mut AppCounters)> {
    let edition = editions[usize::from(companion.edition)].as_ref()?;
    let service = edition.services.services.get(usize::from(companion.service))?;
    Some((service.application.as_deref()?, services.get_mut(usize::from(companion.service))?))
}

/// What the engine left to the NIC.
#[inline]
fn checksums(packet: &Mbuf, meta: &TxMeta) -> TxOffload {
    let (l4, l4_len) = match meta.protocol {
        Protocol::TCP => {
            let offset = packet.data().get(meta.l3_len + 12).copied().unwrap_or(5 << 4);
            (L4Checksum::Tcp, u16::from(offset >> 4) * 4)
        }
        _ => (L4Checksum::Udp, 8),
    };
    TxOffload {
        l3_len: meta.l3_len as u16,
        l4_len,
        ipv4: meta.v4,
        ipv6: !meta.v4,
        ip_checksum: meta.v4,
        l4,
        ..TxOffload::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each flow costs beside the engine's record, whether it sleeps or not.
    #[test]
    fn size() {
        assert!(size_of::<Companion>() <= 20, "{}", size_of::<Companion>());
    }
}
