//! Answers to ARP requests (RFC 826) for the servers' addresses.
//!
//! Invariant: nothing is answered that was not asked for an address of a server.

use super::place;
use crate::wire::{UPSTREAM_MAC, be32};

/// An ARP message with its Ethernet header.
const LENGTH: usize = 42;
/// Ethernet and IPv4, and a request.
const REQUEST: [u8; 10] = [8, 6, 0, 1, 8, 0, 6, 4, 0, 1];

/// Whether a frame is about ARP: also what others say of themselves, which is nothing to us.
pub(super) fn is_arp(frame: &[u8]) -> bool {
    frame.get(12..14) == Some(&REQUEST[..2])
}

/// The answer to a frame, if it is a request for a server's address.
pub(super) fn answer(frame: &[u8]) -> Option<[u8; LENGTH]> {
    let asked = frame.first_chunk::<LENGTH>()?;
    if asked[12..22] != REQUEST || !place::is_server(be32(asked, 38)) {
        return None;
    }
    let mut answer = *asked;
    answer[..6].copy_from_slice(&asked[22..28]);
    answer[6..12].copy_from_slice(&UPSTREAM_MAC);
    answer[21] = 2;
    answer[22..28].copy_from_slice(&UPSTREAM_MAC);
    answer[28..32].copy_from_slice(&asked[38..42]);
    answer[32..42].copy_from_slice(&asked[22..32]);
    Some(answer)
}

/// Writes an answer to the front of `room`, padded to the shortest frame, and returns its length; 0 when it does not fit.
pub(super) fn write(room: &mut [u8], answer: &[u8; LENGTH]) -> u16 {
    let Some(frame) = room.first_chunk_mut::<60>() else { return 0 };
    frame.fill(0);
    frame[..LENGTH].copy_from_slice(answer);
    60
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_where_it_is_and_nobody_else_does() {
        let mut asked = [0; 60];
        asked[..6].fill(0xff);
        asked[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 3]);
        asked[12..22].copy_from_slice(&REQUEST);
        asked[22..28].copy_from_slice(&[2, 0, 0, 0, 0, 3]);
        asked[28..32].copy_from_slice(&place::FIRST_SOURCE.to_be_bytes());
        asked[38..42].copy_from_slice(&place::server(3).to_be_bytes());
        assert!(is_arp(&asked) && !is_arp(&[0; 60]) && !is_arp(&asked[..13]));
        let mut room = [0xee; 64];
        assert_eq!(write(&mut room, &answer(&asked).unwrap()), 60);
        assert_eq!(room[..12], [2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 4]);
        assert_eq!(room[20..28], [0, 2, 2, 0, 0, 0, 0, 4]);
        assert_eq!(room[28..32], place::server(3).to_be_bytes());
        assert_eq!(room[32..42], [2, 0, 0, 0, 0, 3, 10, 65, 0, 1]);
        assert!(room[42..60].iter().all(|byte| *byte == 0));

        asked[38..42].copy_from_slice(&place::server(place::SERVERS).to_be_bytes());
        assert_eq!(answer(&asked), None);
        asked[38..42].copy_from_slice(&place::server(0).to_be_bytes());
        asked[21] = 2;
        assert_eq!(answer(&asked), None);
        assert_eq!(answer(&asked[..40]), None);
    }
}
