//! Who is who on the upstream side of the appliance, and which connection a packet belongs to.
//!
//! Invariant: server, address and port of the appliance *are* the number of a connection's place, as a client's are that of
//! its slot: no table is searched, and no two connections share a place.

use crate::template::Ends;
use crate::wire::{SLOTS, client, slot};

/// Servers.
pub(crate) const SERVERS: u32 = 8;
/// 10.65.1.0, the first of them.
const FIRST_SERVER: u32 = 0x0a41_0100;
/// Addresses the appliance opens connections from.
pub(crate) const SOURCES: u32 = 2;
/// 10.65.0.1, the first of those.
pub(crate) const FIRST_SOURCE: u32 = 0x0a41_0001;
/// Ports of an address.
const PORTS: u32 = 1 << 16;
/// How many places there are; as many as clients have slots.
pub(crate) const PLACES: u32 = SERVERS * SOURCES * PORTS;
const _: () = assert!(PLACES == SLOTS);

/// Address of a server.
pub(crate) fn server(n: u32) -> u32 {
    FIRST_SERVER + n
}

/// Whether a server has this address.
pub(super) fn is_server(address: u32) -> bool {
    address.wrapping_sub(FIRST_SERVER) < SERVERS
}

/// The server at the end of a place.
#[inline]
pub(super) fn server_of(place: u32) -> usize {
    (place / (SOURCES * PORTS)) as usize
}

/// The place of a packet that arrives for a server's port, if it comes from an address of the appliance.
#[inline]
pub(super) fn place(ends: &Ends, port: u16) -> Option<u32> {
    let server = ends.to.0.wrapping_sub(FIRST_SERVER);
    let source = ends.from.0.wrapping_sub(FIRST_SOURCE);
    (server < SERVERS && source < SOURCES && ends.to.1 == port)
        .then(|| (server * SOURCES + source) * PORTS + u32::from(ends.from.1))
}

/// The ends of a packet from a server's port.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "below PORTS")]
pub(super) fn ends(place: u32, port: u16) -> Ends {
    let rest = place / PORTS;
    Ends {
        from: (FIRST_SERVER + rest / SOURCES, port),
        to: (FIRST_SOURCE + rest % SOURCES, (place % PORTS) as u16),
    }
}

/// Where a client's packet arrives when nothing but addresses are changed on its way, if it is one.
#[inline]
pub(super) fn across(source: (u32, u16), port: u16) -> Option<Ends> {
    let Ends { from, to } = ends(slot(source.0, source.1)?, port);
    Some(Ends { from: to, to: from })
}

/// And the client that a server's packet is for.
#[inline]
pub(super) fn home(ends: &Ends) -> Option<(u32, u16)> {
    let there = Ends { from: ends.to, to: ends.from };
    place(&there, ends.from.1).map(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_its_own_ends() {
        for n in [0, 1, PORTS - 1, PORTS, 5 * PORTS + 77, PLACES - 1] {
            let Ends { from, to } = ends(n, 80);
            let there = Ends { from: to, to: from };
            assert_eq!(place(&there, 80), Some(n));
            assert_eq!(place(&there, 81), None);
            assert_eq!(server(u32::try_from(server_of(n)).unwrap()), from.0);
            assert!(is_server(from.0) && !is_server(to.0));
        }
        let last = ends(PLACES - 1, 80);
        assert!(!is_server(last.from.0 + 1));
        let stranger = Ends { from: (last.to.0 + 1, 9), to: last.from };
        assert_eq!(place(&stranger, 80), None);
    }

    #[test]
    fn clients_go_across_and_home() {
        for n in [0, 1, 4095, 4096, SLOTS - 1] {
            let Ends { from, to } = across(client(n), 7).unwrap();
            assert_eq!(to.1, 7);
            assert_eq!(home(&Ends { from: to, to: from }), Some(client(n)));
        }
        assert_eq!(across((1, 1), 7), None);
    }
}
