//! Path MTU discovery: the reaction to an ICMP error that says a segment was too big (RFC 1191, RFC 8201).
//!
//! Anybody can send such an error, so it is believed only where it quotes a sequence number that is under way now
//! (RFC 5927 section 4.1), asks for less than is used now, and not for less than is believed possible (section 7).
//! Each one that is believed lowers what the connection sends, and the next must ask for still less: there is no need
//! to limit their rate.
//!
//! Invariant: `Record::mss` says what the connection sends at most, wherever it is served; a stack built from the record
//! keeps to it by itself, and a stack that was there before is dispatched through an interface that takes no more
//! (`Flow::path`). What is sent again for it is no sign of congestion.

use super::L3l4;
use crate::callbacks::Callbacks;
use crate::device::{Core, OnePacket};
use crate::flow::note;
use crate::key::{FlowKey, Protocol};
use crate::paths::{PathMtu, TooBig};
use crate::record::{self, Kind, NONE, Record};
use crate::time::Instant;
use smoltcp::iface::PollResult;

/// Segments a stack may send that has more to send before it is made to fall back.
const BEFORE: usize = 64;

impl<B> L3l4<B> {
    /// Takes in an ICMP error that says a segment was too big. Where it is believed, what is not acknowledged leaves
    /// again at the next turn, in smaller segments.
    #[cold]
    pub fn path_mtu<C: Callbacks<Buffer = B>>(
        &mut self,
        cb: &mut C,
        now: Instant,
        error: &TooBig,
    ) -> PathMtu {
        let outcome = match self.judge_path(error) {
            Ok((index, mtu)) => {
                self.lower(cb, now, index, mtu);
                PathMtu::Lowered
            }
            Err(why) => why,
        };
        self.counters.path_mtu[outcome as usize] += 1;
        outcome
    }

    /// Whether to believe it: for which connection, and what the path takes.
    fn judge_path(&self, error: &TooBig) -> Result<(u32, u16), PathMtu> {
        if !self.path_mtu_discovery {
            return Err(PathMtu::Off);
        }
        let key = &error.key;
        // UDP has nothing by which a forgery could be told.
        let found = (key.protocol == Protocol::TCP).then(|| self.find(self.hash.hash(key), key)).flatten();
        let index = found.ok_or(PathMtu::NoFlow)?;
        let record = &self.records[index as usize];
        let (una, nxt, half_open, over) = match record.kind {
            Kind::Direct => {
                let has = |note| record.has(note);
                (record.snd_una, record.snd_nxt, has(record::note::HALF_OPEN), has(record::note::ABORT))
            }
            Kind::Tcp => {
                let flow = &self.flows[record.stack as usize];
                (flow.snd_una, flow.snd_nxt, flow.is_half_open(), flow.has(note::GIVEN_UP))
            }
            _ => return Err(PathMtu::NoFlow),
        };
        if over {
            return Err(PathMtu::NoFlow);
        }
        if half_open {
            return Err(PathMtu::HalfOpen);
        }
        if error.seq.wrapping_sub(una) >= nxt.wrapping_sub(una) {
            return Err(PathMtu::OutOfWindow);
        }
        let link = self.links[key.port_index()].mtu;
        let present = (usize::from(record.mss) + usize::from(header(key))).min(link);
        Ok((index, error.wanted(present as u16, self.min_path_mtu)?))
    }

    /// From now on the connection sends packets of `mtu` bytes at most, and what is under way again.
    fn lower<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, now: Instant, index: u32, mtu: u16) {
        let record = &mut self.records[index as usize];
        let key = record.key;
        record.mss = mtu - header(&key);
        let (kind, slot, mss) = (record.kind, record.stack, record.mss);
        self.counters.path_mtu_displaced += u64::from(self.paths.note(&key, mtu, now));
        if kind == Kind::Tcp {
            self.narrow(slot, mtu);
            self.flows[slot as usize].mss = mss;
            self.send_narrower(cb, now, slot);
        } else if slot != NONE {
            let under = self.held.under(slot);
            under.sent = 0;
            let record = &mut self.records[index as usize];
            // What is sent again measures nothing (RFC 6298 section 3).
            record.tries = record.tries.max(1);
            if !self.may_say(index)
                && let Some(stack) = self.promote(index)
            {
                if self.recovery.is_on() {
                    // It takes all that for under way; without, it begins with it.
                    self.send_narrower(cb, now, stack);
                }
                return;
            }
            self.mark_direct(index);
        }
    }

    /// Has a stack dispatched so that its packets have `mtu` bytes at most.
    pub(super) fn narrow(&mut self, stack: u32, mtu: u16) {
        let port = self.flows[stack as usize].key.port_index();
        self.flows[stack as usize].path = self.narrow_link(port, mtu);
    }

    /// The number of a link like that of `port`, whose interface takes `mtu` bytes. There are as many as there are steps
    /// (see [`crate::paths`]): some hundreds for each port at most, made when they are first needed.
    fn narrow_link(&mut self, port: usize, mtu: u16) -> u32 {
        let ports = self.links.len() - self.narrowed.len();
        let at = self.narrowed.iter().position(|&known| known == (port, mtu)).unwrap_or_else(|| {
            let link = self.links[port].narrowed(mtu, self.clock);
            self.links.push(link);
            self.narrowed.push((port, mtu));
            self.narrowed.len() - 1
        });
        (ports + at) as u32
    }

    /// Has a stack send again at once what is under way.
    fn send_narrower<C: Callbacks<Buffer = B>>(&mut self, cb: &mut C, now: Instant, stack: u32) {
        let Self { flows, slots, links, spare, counters, recovery, .. } = self;
        let flow = &mut flows[stack as usize];
        if flow.sender.is_on() {
            flow.sender.narrow(recovery, now, u32::from(flow.mss));
            self.mark(stack);
            self.arm_sender(stack);
            return;
        }
        // A stack that repairs losses itself falls back when its timer runs out, and cannot be told why: its own
        // congestion control, where it has one, takes this for a loss. It is shown the time for which the timer is set.
        let link = &mut links[flow.path as usize];
        let id = flow.id;
        slots.with(stack, |set| {
            let (mtu, checksum) = (link.mtu, link.checksum);
            let core = Core { cb, spare, counters, recovery, flow, id, mtu, checksum };
            let mut device = OnePacket { core, packet: None };
            for _ in 0..BEFORE {
                if !device.stock() {
                    return;
                }
                let at = link
                    .interface
                    .poll_at(now.smoltcp(), set)
                    .map_or(now.smoltcp(), |at| at.max(now.smoltcp()));
                let sent = link.interface.poll_egress(at, &mut device, set);
                if sent == PollResult::None || at > now.smoltcp() {
                    return;
                }
            }
        });
        self.mark(stack);
    }

    /// What the path to the peer of a connection that opens takes, if that is remembered.
    #[inline]
    pub(super) fn remembered(&mut self, key: &FlowKey, now: Instant) -> Option<u16> {
        if self.paths.any(now) { self.look_up(key, now) } else { None }
    }

    #[cold]
    #[inline(never)]
    fn look_up(&mut self, key: &FlowKey, now: Instant) -> Option<u16> {
        let mtu = self.paths.find(key, now)?;
        self.counters.path_mtu_remembered += 1;
        Some(mtu)
    }
}

impl Record {
    /// Keeps to what the path takes.
    pub(super) fn narrow(&mut self, mtu: u16) {
        self.mss = self.mss.min(mtu - header(&self.key));
    }
}

/// Bytes of the headers of a segment.
fn header(key: &FlowKey) -> u16 {
    if key.local.is_v4() { 40 } else { 60 }
}
