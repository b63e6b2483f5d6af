//! Between turns, about once a millisecond: commands, reports, heartbeat, neighbours, old fragments.
//!
//! Invariant: each step is bounded, so that packets wait no longer than a burst would make them.

use crate::drop::{DropReason, all_reasons};
use crate::frame::ethertype;
use crate::mailbox::{self, Command, FlowFilter, FlowView};
use crate::neighbour::{Mac, Probe, arp, ndp};
use crate::report::Report;
use crate::worker::{Worker, proxy};
use core::time::Duration;
use l3l4::{Addr, FlowInfo, Instant};
use std::sync::mpsc::SyncSender;

/// How often housekeeping runs.
pub(crate) const EVERY: Duration = Duration::from_millis(1);
/// How often a report is left.
const REPORT_EVERY: Duration = Duration::from_millis(100);
/// Flow slots looked at in one step of a listing.
const SLOTS_PER_STEP: usize = 2048;
/// Connections aborted in one step.
const ABORTS_PER_STEP: usize = 256;

/// A list of flows being made.
pub(crate) struct Listing {
    filter: FlowFilter,
    most: usize,
    next: usize,
    /// The engine's have been looked at: those that are followed are next.
    followed: bool,
    found: Vec<FlowView>,
    answer: SyncSender<Vec<FlowView>>,
}

impl Worker {
    pub(crate) fn housekeeping(&mut self) {
        let now = self.now;
        self.outlook.beat(now.micros());
        for _ in 0..mailbox::WAITING {
            let Some(command) = self.mailbox.take() else { break };
            self.obey(command);
        }
        self.list_on();
        self.list_sessions_on();
        self.proxy_housekeeping();
        self.cx.observer.expire();
        if self.aborting {
            self.aborting = self.engine.abort_some(&mut self.cx, ABORTS_PER_STEP);
        }
        if let Some(reassembler) = &mut self.reassembler {
            self.drops[DropReason::FragmentTimeout.index()] += reassembler.expire(now.micros());
        }
        if self.index == 0 {
            self.ask_neighbours();
        }
        if now >= self.next_report {
            self.next_report = now + REPORT_EVERY;
            self.cx.observer.set_clock(self.clock.nanos(self.clock.read().wrapping_sub(self.clock.start())));
            self.report();
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Flows { filter, most, answer } => {
                // One too many goes unanswered, which who asked sees at once.
                if self.listings.len() < mailbox::WAITING {
                    self.listings.push_back(Listing {
                        filter,
                        most,
                        next: 0,
                        followed: false,
                        found: Vec::new(),
                        answer,
                    });
                }
            }
            Command::Sessions { filter, most, answer } => {
                if self.session_listings.len() < mailbox::WAITING {
                    let listing = proxy::Listing { filter, most, next: 0, found: Vec::new(), answer };
                    self.session_listings.push_back(listing);
                }
            }
            Command::Shutdown { id, answer } => {
                let _ = answer.try_send(self.engine.abort_flow(id).is_ok());
            }
            Command::Services(services) => {
                self.cx.exchange(services);
            }
            Command::Rates(limits) => self.engine.set_rates(&limits),
            Command::Drain => self.engine.set_accepting(false),
            Command::Abort => self.aborting = true,
            Command::Stop => self.stopping = true,
        }
    }

    /// Goes on with the first list of flows asked for; sends it when it is full or at its end.
    fn list_on(&mut self) {
        let Some(listing) = self.listings.front_mut() else { return };
        let (worker, most) = (self.index, listing.most);
        let Listing { filter, found, .. } = listing;
        let mut list = |view: FlowView| {
            if found.len() < most && filter.fits(&view) {
                found.push(view);
            }
        };
        let next = if listing.followed {
            self.cx.observer.scan(listing.next, SLOTS_PER_STEP, worker, list)
        } else {
            self.engine.scan(listing.next, SLOTS_PER_STEP, self.now, |flow| list(flow_view(worker, flow)))
        };
        match next {
            Some(next) if listing.found.len() < most => listing.next = next,
            None if !listing.followed && listing.found.len() < most => {
                (listing.next, listing.followed) = (0, true);
            }
            _ => {
                if let Some(listing) = self.listings.pop_front() {
                    // Nobody there to take it: not our concern.
                    let _ = listing.answer.try_send(listing.found);
                }
            }
        }
    }

    /// A flow as it is listed.
    pub(crate) fn flow_view(&self, flow: &FlowInfo) -> FlowView {
        flow_view(self.index, flow)
    }

    /// Leaves a report for the control thread, if there is one to fill in.
    pub(crate) fn report(&mut self) {
        if let Some(mut report) = self.outlook.take_spare() {
            self.fill(&mut report);
            self.outlook.publish(report);
        }
    }

    pub(crate) fn fill(&self, report: &mut Report) {
        let cx = &self.cx;
        report.uptime_us = self.now.micros();
        report.counters = cx.counters;
        report.counters.delivered += self.cx.observer.followed;
        self.cx.observer.fill(&mut report.observed, &mut report.observing);
        report.engine.clone_from(self.engine.counters());
        debug_assert_eq!(report.drops.len(), all_reasons().count());
        let (own, engine) = report.drops.split_at_mut(DropReason::ALL.len());
        own.copy_from_slice(&self.drops);
        engine.copy_from_slice(&self.engine.counters().dropped);
        report.gauges.flows = self.engine.flow_count() as u64;
        report.gauges.tcp_flows = self.engine.tcp_flow_count() as u64;
        report.gauges.stacks = self.engine.stack_count() as u64;
        report.gauges.asleep = self.engine.asleep_count() as u64;
        report.gauges.half_open = self.engine.half_open_count() as u64;
        report.gauges.udp_flows = self.engine.udp_flow_count() as u64;
        report.gauges.fragments_held = self.reassembler.as_ref().map_or(0, |r| r.held());
        report.gauges.mempool_size = u64::from(cx.pool().size());
        report.gauges.mempool_available = u64::from(cx.pool().available());
        report.gauges.policy_version = cx.policy_version();
        report.ports.clone_from(&cx.ports);
        report.services.clone_from(&cx.services);
        report.proxies.clone_from(&cx.proxies.services);
        report.servers.clone_from(&cx.proxies.servers);
        report.counters.legs_apart = cx.proxies.legs_apart;
        report.gauges.connecting = self.engine.connecting_count() as u64;
        report.gauges.sessions = cx.proxies.sessions.len() as u64;
        report.latency_ns.clone_from(&self.latency_ns);
        report.turn_ns.clone_from(&self.turn_ns);
    }

    /// Sends the questions that are due; says who we are where nobody asked yet.
    fn ask_neighbours(&mut self) {
        let now = self.now.micros();
        if !self.announced {
            self.announced = true;
            self.announce();
        }
        let Self { prober, neighbours, probes, .. } = self;
        probes.extend(prober.due(neighbours, now));
        while let Some(probe) = self.probes.pop() {
            self.probe(&probe);
        }
    }

    pub(crate) fn probe(&mut self, probe: &Probe) {
        let side = &self.cx.sides[usize::from(probe.port)];
        let Some(segment) = side.segment(probe.vlan) else { return };
        let Some(source) = segment.owned.source_for(probe.addr) else { return };
        let (mac, target, unicast) = (side.mac, probe.addr, probe.unicast);
        self.say(probe.port, probe.vlan, target.is_v4(), |room| {
            if target.is_v4() {
                let len = arp::write_request(room, mac, source.v4_octets().into(), target.v4_octets().into());
                Some((len.ok()?, unicast.unwrap_or(Mac::BROADCAST)))
            } else {
                let written = ndp::write_solicitation(room, mac, source, target, unicast).ok()?;
                Some((written.len, written.destination))
            }
        });
    }

    /// Tells every network which addresses are here, so that stations with an old entry learn the new one.
    fn announce(&mut self) {
        let all: Vec<(u16, u16, Mac, Addr)> = (0u16..)
            .zip(&self.cx.sides)
            .flat_map(|(port, side)| side.segments.iter().map(move |segment| (port, side.mac, segment)))
            .flat_map(|(port, mac, s)| s.owned.addresses().iter().map(move |addr| (port, s.vlan, mac, *addr)))
            .collect();
        for (port, vlan, mac, addr) in all {
            self.say(port, vlan, addr.is_v4(), |room| {
                if addr.is_v4() {
                    let len = arp::write_announcement(room, mac, addr.v4_octets().into()).ok()?;
                    Some((len, Mac::BROADCAST))
                } else {
                    let written = ndp::write_announcement(room, mac, addr).ok()?;
                    Some((written.len, written.destination))
                }
            });
        }
    }

    /// Sends a neighbour message of our own.
    fn say(&mut self, port: u16, vlan: u16, v4: bool, write: impl FnOnce(&mut [u8]) -> Option<(usize, Mac)>) {
        let Some(mut buffer) = self.cx.buffer() else { return };
        let Some((len, to)) = write(buffer.room_mut()) else { return };
        if !buffer.set_len(len as u16) {
            return;
        }
        let link = u32::from(port) | u32::from(vlan) << 16;
        self.cx.counters.neighbour_probes += 1;
        let kind = if v4 { ethertype::ARP } else { ethertype::IPV6 };
        self.cx.send(buffer, link, to, kind, None);
    }

    pub(crate) fn housekeeping_due(&self) -> bool {
        self.now >= self.next_housekeeping
    }

    pub(crate) fn schedule_housekeeping(&mut self) {
        self.next_housekeeping = Instant::from_micros(self.now.micros()) + EVERY;
    }
}

fn flow_view(worker: u16, flow: &FlowInfo) -> FlowView {
    FlowView {
        worker,
        id: flow.id,
        followed: None,
        key: flow.key,
        state: flow.state,
        asleep: flow.asleep,
        service: flow.user as u16,
        age: flow.age,
        idle: flow.idle,
        bytes_in: flow.bytes_in,
        bytes_out: flow.bytes_out,
    }
}
