//! Neighbour discovery for IPv6 (RFC 4861): solicitations and advertisements, and the probes for duplicate
//! addresses (RFC 4862, section 5.4).
//!
//! Invariant: nothing that failed a check of RFC 4861, section 7.1, is returned by [`parse`]; router messages and
//! redirects are dropped by name and obeyed never, because routes are configured.

use l3l4::{Addr, Protocol, checksum};

use super::owned::{group_mac, solicited_node};
use super::{Learned, Learning, Mac, Owned, ShortBuffer, Verdict};

const HEADER: usize = 40;
/// Type, code, checksum, flags, target.
const MESSAGE: usize = 24;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const SOURCE_LINK: u8 = 1;
const TARGET_LINK: u8 = 2;
const ALL_NODES: Addr = Addr(0xff02 << 112 | 1);

/// Bytes of every message written here, from the IPv6 header on.
pub const NDP_LEN: usize = HEADER + MESSAGE + 8;

/// Why a neighbour discovery packet goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NdpDrop {
    /// Shorter than its headers say.
    #[error("truncated")]
    Truncated,
    /// Not neighbour discovery right after the IPv6 header.
    #[error("not neighbour discovery")]
    NotNdp,
    /// A hop limit below 255: it crossed a router.
    #[error("hop limit is not 255")]
    HopLimit,
    /// Wrong checksum.
    #[error("wrong checksum")]
    Checksum,
    /// A code other than 0.
    #[error("code is not 0")]
    Code,
    /// An option of length 0, beyond the end, or not of an Ethernet address's size.
    #[error("malformed option")]
    OptionLength,
    /// A multicast, loopback or unspecified target.
    #[error("target is no host")]
    Target,
    /// A multicast or loopback source, or none where one is needed.
    #[error("source is no host")]
    Source,
    /// A solicitation without source to another group than the target's.
    #[error("wrong destination")]
    Destination,
    /// A solicitation without source that names a link-layer address, or one that is no station's.
    #[error("unusable link-layer address")]
    LinkAddress,
    /// A solicited advertisement to a group.
    #[error("solicited advertisement to a group")]
    SolicitedGroup,
    /// A router solicitation: Millrace is no router.
    #[error("router solicitation")]
    RouterSolicitation,
    /// A router advertisement: routes are configured.
    #[error("router advertisement")]
    RouterAdvertisement,
    /// A redirect, which is never obeyed.
    #[error("redirect")]
    Redirect,
    /// Our own packet came back.
    #[error("our own packet")]
    Own,
    /// The neighbour is outside the port's subnets.
    #[error("neighbour is not on the link")]
    OffLink,
}

/// A valid message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ndp {
    /// Who has the target?
    Solicitation(Solicitation),
    /// The target is here.
    Advertisement(Advertisement),
}

/// A neighbour solicitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Solicitation {
    /// Who asks; None probes for a duplicate address.
    pub source: Option<Addr>,
    /// The address asked for.
    pub target: Addr,
    /// Where the answer goes: the option, or else the sender of the frame.
    pub reply_to: Mac,
    /// The source link-layer address option.
    pub source_link: Option<Mac>,
}

/// A neighbour advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertisement {
    /// The address advertised.
    pub target: Addr,
    /// The target link-layer address option.
    pub target_link: Option<Mac>,
    /// The sender of the frame.
    pub ethernet_source: Mac,
    /// It answers a solicitation.
    pub solicited: bool,
    /// It may replace a known MAC address.
    pub replace: bool,
}

/// Parses an IPv6 packet, from its header on, that came in a frame sent by `ethernet_source`.
pub fn parse(packet: &[u8], ethernet_source: Mac) -> Result<Ndp, NdpDrop> {
    let (header, rest) = packet.split_first_chunk::<HEADER>().ok_or(NdpDrop::Truncated)?;
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let body = rest.get(..length).ok_or(NdpDrop::Truncated)?;
    if header[0] >> 4 != 6 || header[6] != Protocol::ICMPV6.0 {
        return Err(NdpDrop::NotNdp);
    }
    let (source, destination) = (read_addr(&header[8..24]), read_addr(&header[24..40]));
    let &[kind, code, ..] = body else { return Err(NdpDrop::Truncated) };
    if !(133..=137).contains(&kind) {
        return Err(NdpDrop::NotNdp);
    }
    if header[7] != 255 {
        return Err(NdpDrop::HopLimit);
    }
    if !checksum::verify(source, destination, Protocol::ICMPV6, body) {
        return Err(NdpDrop::Checksum);
    }
    match kind {
        133 => return Err(NdpDrop::RouterSolicitation),
        134 => return Err(NdpDrop::RouterAdvertisement),
        137 => return Err(NdpDrop::Redirect),
        _ if code != 0 => return Err(NdpDrop::Code),
        _ => (),
    }
    let (message, options) = body.split_first_chunk::<MESSAGE>().ok_or(NdpDrop::Truncated)?;
    let target = read_addr(&message[8..24]);
    if !is_host(target) {
        return Err(NdpDrop::Target);
    }
    let named = link_option(options, if kind == SOLICITATION { SOURCE_LINK } else { TARGET_LINK })?;
    if named.is_some_and(|mac| !mac.is_unicast()) {
        return Err(NdpDrop::LinkAddress);
    }
    let group = destination.ip().is_multicast();
    if kind == ADVERTISEMENT {
        let [solicited, replace] = [0x40, 0x20].map(|flag| message[4] & flag != 0);
        return match () {
            () if !is_host(source) => Err(NdpDrop::Source),
            () if group && solicited => Err(NdpDrop::SolicitedGroup),
            () => Ok(Ndp::Advertisement(Advertisement {
                target,
                target_link: named,
                ethernet_source,
                solicited,
                replace,
            })),
        };
    }
    let reply_to = named.unwrap_or(ethernet_source);
    let source = match source.0 {
        0 if destination != solicited_node(target) => return Err(NdpDrop::Destination),
        0 if named.is_some() => return Err(NdpDrop::LinkAddress),
        0 => None,
        _ if is_host(source) => Some(source),
        _ => return Err(NdpDrop::Source),
    };
    Ok(Ndp::Solicitation(Solicitation { source, target, reply_to, source_link: named }))
}

impl Solicitation {
    /// What to do about it, where `known` is the MAC address the table has for the target.
    pub fn decide(&self, owned: &Owned, own_mac: Mac, known: Option<Mac>) -> Result<Verdict, NdpDrop> {
        if self.reply_to == own_mac {
            return Err(NdpDrop::Own);
        }
        let reply = owned.answers(self.target, self.source, known);
        let Some(source) = self.source else {
            return Ok(Verdict { reply, ..Verdict::default() });
        };
        if owned.is_exact(source) {
            return Ok(Verdict { conflict: true, ..Verdict::default() });
        }
        if !owned.on_link(source) {
            return Err(NdpDrop::OffLink);
        }
        let learn = self.source_link.map(|mac| Learning {
            address: source,
            mac,
            source: Learned::Solicitation,
            replace: true,
            create: reply || owned.owns(source),
        });
        Ok(Verdict { reply, learn, conflict: false })
    }
}

impl Advertisement {
    /// What to do about it.
    pub fn decide(&self, owned: &Owned, own_mac: Mac) -> Result<Verdict, NdpDrop> {
        let mac = self.target_link.unwrap_or(self.ethernet_source);
        if mac == own_mac || self.ethernet_source == own_mac {
            return Err(NdpDrop::Own);
        }
        if owned.is_exact(self.target) {
            return Ok(Verdict { conflict: true, ..Verdict::default() });
        }
        if !owned.on_link(self.target) {
            return Err(NdpDrop::OffLink);
        }
        let learn = Learning {
            address: self.target,
            mac,
            source: if self.solicited { Learned::Advertisement } else { Learned::Announcement },
            // Without the option the frame's sender can confirm what is known, not replace it.
            replace: self.replace && self.target_link.is_some(),
            create: owned.owns(self.target),
        };
        Ok(Verdict { reply: false, learn: Some(learn), conflict: false })
    }
}

/// A message written: its length, and the station or group to send it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Bytes from the IPv6 header on.
    pub len: usize,
    /// The Ethernet destination.
    pub destination: Mac,
}

/// Writes the advertisement that answers a solicitation for an address at `own_mac`. A probe for a duplicate
/// address is answered to all nodes. An address that is ours through `any_ip` only yields to a station that
/// holds it in earnest, so it is advertised without the override flag (as RFC 4861, section 7.2.8, has it for proxies).
pub fn write_reply(
    out: &mut [u8],
    own_mac: Mac,
    owned: &Owned,
    asked: &Solicitation,
) -> Result<Written, ShortBuffer> {
    let replace = if owned.is_exact(asked.target) { 0x20 } else { 0 };
    let (to, mac, flags) = match asked.source {
        Some(source) => (source, asked.reply_to, 0x40 | replace),
        None => (ALL_NODES, group_mac(ALL_NODES), replace),
    };
    let len = write(out, ADVERTISEMENT, flags, (asked.target, to), asked.target, (TARGET_LINK, own_mac))?;
    Ok(Written { len, destination: mac })
}

/// Writes a solicitation by `own_addr` for `target`, to its group or to the station to be confirmed.
pub fn write_solicitation(
    out: &mut [u8],
    own_mac: Mac,
    own_addr: Addr,
    target: Addr,
    unicast: Option<Mac>,
) -> Result<Written, ShortBuffer> {
    let group = solicited_node(target);
    let (to, destination) = unicast.map_or((group, group_mac(group)), |mac| (target, mac));
    let len = write(out, SOLICITATION, 0, (own_addr, to), target, (SOURCE_LINK, own_mac))?;
    Ok(Written { len, destination })
}

/// Writes an unsolicited advertisement of `own_addr` to all nodes (RFC 4861, section 7.2.6).
pub fn write_announcement(out: &mut [u8], own_mac: Mac, own_addr: Addr) -> Result<Written, ShortBuffer> {
    let len = write(out, ADVERTISEMENT, 0x20, (own_addr, ALL_NODES), own_addr, (TARGET_LINK, own_mac))?;
    Ok(Written { len, destination: group_mac(ALL_NODES) })
}

/// The link-local address of a station (RFC 4291, appendix A).
#[must_use]
pub const fn link_local(mac: Mac) -> Addr {
    let [a, b, c, d, e, f] = mac.0;
    Addr::v6([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

fn write(
    out: &mut [u8],
    kind: u8,
    flags: u8,
    (source, destination): (Addr, Addr),
    target: Addr,
    (option, mac): (u8, Mac),
) -> Result<usize, ShortBuffer> {
    let body_len = NDP_LEN - HEADER;
    let have = out.len();
    let packet: &mut [u8; NDP_LEN] = out.first_chunk_mut().ok_or(ShortBuffer { need: NDP_LEN, have })?;
    packet.fill(0);
    packet[0] = 0x60;
    packet[5] = body_len as u8;
    packet[6] = Protocol::ICMPV6.0;
    packet[7] = 255;
    packet[8..24].copy_from_slice(&source.octets());
    packet[24..40].copy_from_slice(&destination.octets());
    let body = &mut packet[HEADER..];
    body[0] = kind;
    body[4] = flags;
    body[8..24].copy_from_slice(&target.octets());
    body[24..26].copy_from_slice(&[option, 1]);
    body[26..32].copy_from_slice(&mac.0);
    let sum = checksum::segment(source, destination, Protocol::ICMPV6, body);
    body[2..4].copy_from_slice(&sum.to_be_bytes());
    Ok(NDP_LEN)
}

/// The link-layer address option of a kind; every option's length is checked.
fn link_option(mut options: &[u8], wanted: u8) -> Result<Option<Mac>, NdpDrop> {
    let mut found = None;
    while let [kind, units, ..] = *options {
        let length = usize::from(units) * 8;
        let option = options.get(..length).filter(|o| !o.is_empty()).ok_or(NdpDrop::OptionLength)?;
        if kind == wanted {
            if length != 8 {
                return Err(NdpDrop::OptionLength);
            }
            found = Some(Mac::read(&option[2..8]));
        }
        options = &options[length..];
    }
    if options.is_empty() { Ok(found) } else { Err(NdpDrop::OptionLength) }
}

fn read_addr(bytes: &[u8]) -> Addr {
    Addr::v6(bytes.first_chunk().copied().unwrap_or_default())
}

fn is_host(addr: Addr) -> bool {
    let ip = addr.ip();
    !(addr.is_v4() || ip.is_multicast() || ip.is_unspecified() || ip.is_loopback())
}

#[cfg(test)]
mod tests;
