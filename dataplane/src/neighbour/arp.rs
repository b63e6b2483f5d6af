//! ARP for IPv4 over Ethernet (RFC 826) with address conflict detection (RFC 5227).
//!
//! Invariant: what [`ArpPacket::parse`] lets through has a sender that can exist: a unicast MAC address equal to
//! the frame's, and a unicast IPv4 address or none (a probe).

use core::net::Ipv4Addr;

use l3l4::Addr;

use super::{Learned, Learning, Mac, Owned, ShortBuffer, Verdict};

/// Bytes of an ARP packet after the Ethernet header. (Ethernet pads to 46.)
pub const ARP_LEN: usize = 28;

/// Ethernet, IPv4, and the lengths of their addresses.
const PREAMBLE: [u8; 6] = [0, 1, 0x08, 0, 6, 4];

/// Why an ARP packet goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ArpDrop {
    /// Shorter than [`ARP_LEN`].
    #[error("truncated")]
    Truncated,
    /// Hardware type other than Ethernet.
    #[error("hardware type is not Ethernet")]
    HardwareType,
    /// Protocol type other than IPv4.
    #[error("protocol type is not IPv4")]
    ProtocolType,
    /// Address lengths other than 6 and 4.
    #[error("address lengths are not 6 and 4")]
    Lengths,
    /// Neither request nor reply.
    #[error("operation is neither request nor reply")]
    Operation,
    /// A group or zero sender MAC address.
    #[error("sender MAC address is no station")]
    SenderMac,
    /// The sender MAC address is not the one in the Ethernet header.
    #[error("sender MAC address differs from the frame's")]
    SenderMismatch,
    /// A multicast, broadcast, loopback or (in a reply) missing sender IP address.
    #[error("sender IP address is no host")]
    SenderAddress,
    /// Our own packet came back.
    #[error("our own packet")]
    Own,
    /// The sender is outside the port's subnets.
    #[error("sender is not on the link")]
    OffLink,
}

/// What an ARP packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Who has the target address?
    Request,
    /// The sender has the sender address.
    Reply,
}

/// A parsed ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArpPacket {
    /// Request or reply.
    pub operation: Operation,
    /// Who sends it.
    pub sender_mac: Mac,
    /// The sender's address, unspecified in a probe.
    pub sender_ip: Ipv4Addr,
    /// Meaningless in a request.
    pub target_mac: Mac,
    /// The address asked for, or of the station replied to.
    pub target_ip: Ipv4Addr,
}

impl ArpPacket {
    /// Parses what follows the Ethernet and VLAN headers of a frame sent by `ethernet_source`.
    pub fn parse(bytes: &[u8], ethernet_source: Mac) -> Result<Self, ArpDrop> {
        let p: &[u8; ARP_LEN] = bytes.first_chunk().ok_or(ArpDrop::Truncated)?;
        if p[0..2] != PREAMBLE[0..2] {
            return Err(ArpDrop::HardwareType);
        }
        if p[2..4] != PREAMBLE[2..4] {
            return Err(ArpDrop::ProtocolType);
        }
        if p[4..6] != PREAMBLE[4..6] {
            return Err(ArpDrop::Lengths);
        }
        let operation = match [p[6], p[7]] {
            [0, 1] => Operation::Request,
            [0, 2] => Operation::Reply,
            _ => return Err(ArpDrop::Operation),
        };
        let sender_mac = Mac::read(&p[8..14]);
        if !sender_mac.is_unicast() {
            return Err(ArpDrop::SenderMac);
        }
        if sender_mac != ethernet_source {
            return Err(ArpDrop::SenderMismatch);
        }
        let sender_ip = Ipv4Addr::new(p[14], p[15], p[16], p[17]);
        let probe = sender_ip.is_unspecified() && operation == Operation::Request;
        let host = !(sender_ip.is_multicast() || sender_ip.is_broadcast() || sender_ip.is_loopback());
        if !(probe || host && p[14] != 0) {
            return Err(ArpDrop::SenderAddress);
        }
        Ok(Self {
            operation,
            sender_mac,
            sender_ip,
            target_mac: Mac::read(&p[18..24]),
            target_ip: Ipv4Addr::new(p[24], p[25], p[26], p[27]),
        })
    }

    /// What to do about the packet, where `known` is the MAC address the table has for the target.
    pub fn decide(&self, owned: &Owned, own_mac: Mac, known: Option<Mac>) -> Result<Verdict, ArpDrop> {
        let (sender, target) = (Addr::from(self.sender_ip), Addr::from(self.target_ip));
        if self.sender_mac == own_mac {
            return Err(ArpDrop::Own);
        }
        let request = self.operation == Operation::Request;
        if self.sender_ip.is_unspecified() {
            return Ok(Verdict {
                reply: request && owned.answers(target, None, known),
                ..Verdict::default()
            });
        }
        if owned.is_exact(sender) {
            return Ok(Verdict { conflict: true, ..Verdict::default() });
        }
        if !owned.on_link(sender) {
            return Err(ArpDrop::OffLink);
        }
        if owned.is_broadcast(sender) {
            return Err(ArpDrop::SenderAddress);
        }
        let reply = request && owned.answers(target, Some(sender), known);
        let source = match self.operation {
            _ if sender == target => Learned::Announcement,
            Operation::Request => Learned::ArpRequest,
            Operation::Reply => Learned::ArpReply,
        };
        // RFC 826: a known sender is updated; a new one is entered if it asked for us. A station that holds an
        // address we would answer for under `any_ip` is entered too, so that we stop answering for it.
        let create = reply || owned.owns(sender);
        let learn = Learning { address: sender, mac: self.sender_mac, source, replace: true, create };
        Ok(Verdict { reply, learn: Some(learn), conflict: false })
    }
}

fn write(
    out: &mut [u8],
    operation: u8,
    (sender_mac, sender_ip): (Mac, Ipv4Addr),
    (target_mac, target_ip): (Mac, Ipv4Addr),
) -> Result<usize, ShortBuffer> {
    let have = out.len();
    let p: &mut [u8; ARP_LEN] = out.first_chunk_mut().ok_or(ShortBuffer { need: ARP_LEN, have })?;
    p[0..6].copy_from_slice(&PREAMBLE);
    p[6..8].copy_from_slice(&[0, operation]);
    p[8..14].copy_from_slice(&sender_mac.0);
    p[14..18].copy_from_slice(&sender_ip.octets());
    p[18..24].copy_from_slice(&target_mac.0);
    p[24..28].copy_from_slice(&target_ip.octets());
    Ok(ARP_LEN)
}

/// Writes the reply to a request for an address at `own_mac`. Send it to the request's `sender_mac`.
pub fn write_reply(out: &mut [u8], own_mac: Mac, request: &ArpPacket) -> Result<usize, ShortBuffer> {
    write(out, 2, (own_mac, request.target_ip), (request.sender_mac, request.sender_ip))
}

/// Writes a request by `own_ip` for `target`. Send it to everybody, or to the MAC address to be confirmed.
pub fn write_request(
    out: &mut [u8],
    own_mac: Mac,
    own_ip: Ipv4Addr,
    target: Ipv4Addr,
) -> Result<usize, ShortBuffer> {
    write(out, 1, (own_mac, own_ip), (Mac::default(), target))
}

/// Writes an announcement of `own_ip` (RFC 5227, section 2.3). Send it to everybody.
pub fn write_announcement(out: &mut [u8], own_mac: Mac, own_ip: Ipv4Addr) -> Result<usize, ShortBuffer> {
    write_request(out, own_mac, own_ip, own_ip)
}

#[cfg(test)]
mod tests;
