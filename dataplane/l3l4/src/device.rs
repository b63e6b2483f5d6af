//! The door between smoltcp and the caller's buffers, and the place where what leaves is seen.
//!
//! Invariant: a buffer is reserved when a token is made, before smoltcp changes any state, and given back if the
//! token goes unused; so with no buffer left a packet is simply not processed. Every segment that leaves updates
//! the flow's record, and gets its checksums here and nowhere else.

use crate::callbacks::{Callbacks, TxMeta};
use crate::checksum;
use crate::counters::Counters;
use crate::flow::{Flow, seq_lt};
use crate::key::{Addr, FlowId, Protocol};
use crate::packet::{be16, be32, flags};
use crate::recovery::{Again, Shared};
use smoltcp::phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;

/// Who computes the checksums of packets that leave by a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TxChecksum {
    /// The engine does.
    #[default]
    Software,
    /// The NIC does: the transport checksum field holds the pseudo-header's sum, the IPv4 one is zero.
    Offload,
    /// Nobody (measuring, or a link that cannot corrupt).
    None,
}

/// Takes a buffer of at least `mtu` bytes: the spare one, or a fresh one.
#[inline]
pub(crate) fn reserve<C: Callbacks>(
    cb: &mut C,
    spare: &mut Option<C::Buffer>,
    counters: &mut Counters,
    mtu: usize,
) -> Option<C::Buffer> {
    // The spare one was looked at when it came.
    if let Some(buffer) = spare.take() {
        return Some(buffer);
    }
    let Some(mut buffer) = cb.l3_tx_buffer() else {
        counters.tx_nobuf += 1;
        return None;
    };
    if cb.l3_tx_buffer_mut(&mut buffer).len() < mtu {
        counters.tx_nobuf += 1;
        return None;
    }
    Some(buffer)
}

/// Everything a token needs.
pub(crate) struct Core<'a, C: Callbacks> {
    pub(crate) cb: &'a mut C,
    pub(crate) spare: &'a mut Option<C::Buffer>,
    pub(crate) counters: &'a mut Counters,
    pub(crate) recovery: &'a mut Shared,
    pub(crate) flow: &'a mut Flow,
    pub(crate) id: FlowId,
    pub(crate) mtu: usize,
    pub(crate) checksum: TxChecksum,
}

/// A smoltcp device that holds at most one packet to receive.
pub(crate) struct OnePacket<'a, 'p, C: Callbacks> {
    pub(crate) core: Core<'a, C>,
    pub(crate) packet: Option<&'p [u8]>,
}

impl<C: Callbacks> OnePacket<'_, '_, C> {
    /// Sees to it that the next token finds its buffer; false where there is none.
    #[inline]
    pub(crate) fn stock(&mut self) -> bool {
        let Core { cb, spare, counters, mtu, .. } = &mut self.core;
        if spare.is_none() {
            **spare = reserve(*cb, spare, counters, *mtu);
        }
        spare.is_some()
    }
}

impl<'a, 'p, C: Callbacks> Device for OnePacket<'a, 'p, C> {
    type RxToken<'t>
        = Rx<'p>
    where
        Self: 't;
    type TxToken<'t>
        = Tx<'t, 'a, C>
    where
        Self: 't;

    #[inline]
    fn receive(&mut self, _: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        if !self.stock() {
            return None;
        }
        let packet = self.packet.take()?;
        Some((Rx(packet), Tx { core: &mut self.core }))
    }

    #[inline]
    fn transmit(&mut self, _: Instant) -> Option<Self::TxToken<'_>> {
        // Stocked before smoltcp was asked. Without a way to fail here it writes what it sends where it is needed.
        Some(Tx { core: &mut self.core })
    }

    #[inline]
    fn capabilities(&self) -> DeviceCapabilities {
        let mut caps = DeviceCapabilities::default();
        caps.medium = Medium::Ip;
        caps.max_transmission_unit = self.core.mtu;
        caps.checksum = ChecksumCapabilities::ignored();
        caps
    }
}

pub(crate) struct Rx<'p>(&'p [u8]);

impl RxToken for Rx<'_> {
    #[inline]
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

pub(crate) struct Tx<'t, 'a, C: Callbacks> {
    core: &'t mut Core<'a, C>,
}

impl<C: Callbacks> TxToken for Tx<'_, '_, C> {
    #[inline]
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let Some(mut buffer) = self.core.spare.take() else { return f(&mut []) };
        let packet = &mut self.core.cb.l3_tx_buffer_mut(&mut buffer)[..len];
        let result = f(packet);
        let l3_len = if packet[0] >> 4 == 4 { 20 } else { 40 };
        let len = observe(self.core, packet, l3_len);
        if len == 0 {
            *self.core.spare = Some(buffer);
            return result;
        }
        let packet = &mut packet[..len];
        finish(packet, l3_len, Protocol::TCP, self.core.checksum);
        let meta = TxMeta {
            flow: Some(self.core.id),
            link: self.core.flow.key.link,
            len,
            l3_len,
            v4: l3_len == 20,
            protocol: Protocol::TCP,
            checksum_pending: self.core.checksum == TxChecksum::Offload,
        };
        self.core.counters.tx_packets += 1;
        self.core.cb.l3_tx(buffer, &meta);
        result
    }
}

/// Follows what a socket sends, and puts its number right where it would be refused. Returns how much of the packet
/// is to leave; 0 where none of it is.
#[inline(always)]
fn observe<C: Callbacks>(core: &mut Core<'_, C>, packet: &mut [u8], l3_len: usize) -> usize {
    let Core { flow, counters, .. } = core;
    let whole = packet.len();
    // smoltcp has just written a header there, so the other way is never taken.
    let Some(tcp) = packet[l3_len..].first_chunk_mut::<20>() else { return 0 };
    let (seq, control) = (be32(tcp, 4), tcp[13]);
    let header_len = usize::from(tcp[12] >> 4) * 4;
    let mut len = (whole - l3_len - header_len) as u32;
    let mut shift = flow.rcv_shift;
    if control & (flags::SYN | flags::FIN | flags::RST) != 0 {
        len += u32::from(control & flags::FIN) + u32::from(control >> 1 & 1);
        if control & flags::RST != 0 {
            // It acknowledges nothing and advertises nothing; the flow ends with it.
            counters.rst_sent += 1;
            return whole;
        }
        if control & flags::SYN != 0 {
            // The window of a SYN is never scaled (RFC 7323 section 2.2).
            shift = 0;
        }
    }
    let said = (flow.acked, flow.edge);
    flow.acked = be32(tcp, 8);
    flow.edge = flow.acked.wrapping_add(u32::from(be16(tcp, 14)) << shift);
    if len == 0 {
        // After a retransmission timeout smoltcp numbers bare ACKs from where it fell back to; peers do not look
        // at the ACK of a segment that is old (RFC 9293 section 3.10.7.4), and both sides may wait for ever.
        let right = flow.bare_ack_seq();
        if seq_lt(seq, right) {
            tcp[4..8].copy_from_slice(&right.to_be_bytes());
        }
        return whole;
    }
    flow.pos = seq.wrapping_add(len);
    if seq_lt(seq, flow.snd_nxt) {
        if flow.sender.judges() {
            let news = said != (flow.acked, flow.edge);
            return again(core, packet, l3_len, seq, news);
        }
        counters.tcp_retransmits += 1;
        flow.syn_acks = flow.syn_acks.saturating_add(control >> 1 & 1);
    }
    if seq_lt(flow.snd_nxt, flow.pos) {
        flow.snd_nxt = flow.pos;
    }
    whole
}

/// A segment from `seq` on, some or all of which was sent before: recovery says whether it leaves. Where it does not
/// and acknowledges something (`news`), that leaves alone.
#[cold]
#[inline(never)]
fn again<C: Callbacks>(
    core: &mut Core<'_, C>,
    packet: &mut [u8],
    l3_len: usize,
    seq: u32,
    news: bool,
) -> usize {
    let Core { flow, counters, recovery, .. } = core;
    let why = flow.sender.again(recovery, seq, flow.pos);
    if let Some(why) = why {
        counters.tcp_retransmits += 1;
        match why {
            Again::Refit => {}
            Again::Fast => counters.tcp_fast_retransmits += 1,
            Again::Probe => counters.tcp_tail_probes += 1,
            Again::Timeout => counters.tcp_timeout_retransmits += 1,
        }
        if seq_lt(flow.snd_nxt, flow.pos) {
            flow.snd_nxt = flow.pos;
        }
        return packet.len();
    }
    if !news {
        return 0;
    }
    let tcp = &mut packet[l3_len..];
    let header_len = usize::from(tcp[12] >> 4) * 4;
    tcp[4..8].copy_from_slice(&flow.bare_ack_seq().to_be_bytes());
    tcp[13] &= !(flags::FIN | flags::PSH);
    let len = l3_len + header_len;
    let (at, value) = if l3_len == 20 { (2, len) } else { (4, header_len) };
    packet[at..at + 2].copy_from_slice(&(value as u16).to_be_bytes());
    len
}

/// Fills in the checksums of a packet whose fields hold zero or anything.
#[inline(always)]
pub(crate) fn finish(packet: &mut [u8], l3_len: usize, protocol: Protocol, mode: TxChecksum) {
    if mode != TxChecksum::None {
        fill(packet, l3_len, protocol, mode);
    }
}

fn fill(packet: &mut [u8], l3_len: usize, protocol: Protocol, mode: TxChecksum) {
    let v4 = l3_len == 20;
    let (ip, l4) = packet.split_at_mut(l3_len);
    let (source, destination) = ends(ip, v4);
    let at = if protocol == Protocol::TCP { 16 } else { 6 };
    l4[at..at + 2].fill(0);
    let value = match mode {
        TxChecksum::Offload => checksum::fold(checksum::pseudo(source, destination, protocol, l4.len())),
        _ => match checksum::segment(source, destination, protocol, l4) {
            // RFC 768: zero means none, so a zero sum goes out as all ones.
            0 if protocol == Protocol::UDP => 0xffff,
            value => value,
        },
    };
    l4[at..at + 2].copy_from_slice(&value.to_be_bytes());
    if v4 {
        ip[10..12].fill(0);
        if mode == TxChecksum::Software {
            let value = checksum::header(ip);
            ip[10..12].copy_from_slice(&value.to_be_bytes());
        }
    }
}

#[inline]
fn ends(ip: &[u8], v4: bool) -> (Addr, Addr) {
    let four = |at: usize| Addr::v4([ip[at], ip[at + 1], ip[at + 2], ip[at + 3]]);
    let sixteen = |at: usize| {
        let mut octets = [0; 16];
        octets.copy_from_slice(&ip[at..at + 16]);
        Addr::v6(octets)
    };
    if v4 { (four(12), four(16)) } else { (sixteen(8), sixteen(24)) }
}
