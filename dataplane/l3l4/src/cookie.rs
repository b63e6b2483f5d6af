//! SYN cookies: a SYN answered without remembering it, and the ACK of that answer recognised (RFC 4987 section 3.6).
//!
//! The initial sequence number is a keyed hash of the tuple, the peer's number and the time, whose low four bits are
//! mixed with what must be known of the SYN's options. Window scaling is not among them, so a connection opened this
//! way has windows of 64 KiB at most.
//!
//! Invariant: what [`Cookies::open`] accepts was sealed here for the same tuple and number in the present or the last
//! [`EPOCH`]; a guess succeeds once in 2^27 times. The options themselves are not sealed: whoever holds a cookie may
//! change what it says of his own SYN, to his own harm. To anybody else all 32 bits look random.

use crate::key::FlowKey;
use crate::time::Instant;
use siphasher::sip::SipHasher24;

/// How long a cookie is good at least; at most twice as long.
pub(crate) const EPOCH: core::time::Duration = core::time::Duration::from_secs(32);

/// Segment sizes a cookie can name: the largest not above what the peer asked for is taken.
const SIZES: [u16; 8] = [0, 536, 1220, 1360, 1400, 1440, 1460, 8900];

/// What a cookie remembers of a SYN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Offer {
    pub(crate) mss: u16,
    pub(crate) sack: bool,
}

/// Makes and reads cookies under one secret.
#[derive(Clone, Debug)]
pub(crate) struct Cookies(SipHasher24);

impl Cookies {
    pub(crate) fn new(secret: [u8; 16]) -> Self {
        Self(SipHasher24::new_with_key(&secret))
    }

    /// The initial sequence number that answers a SYN numbered `irs`.
    pub(crate) fn seal(&self, key: &FlowKey, irs: u32, offer: Offer, now: Instant) -> u32 {
        let size = SIZES.iter().rposition(|&size| size <= offer.mss).unwrap_or(0) as u32;
        let low = size << 1 | u32::from(offer.sack);
        self.hash(key, irs, epoch(now)) ^ low
    }

    /// What the SYN said, where `cookie` is one that was sealed for it not too long ago. `least` stands for sizes
    /// below those that are tabled.
    pub(crate) fn open(
        &self,
        key: &FlowKey,
        irs: u32,
        cookie: u32,
        least: u16,
        now: Instant,
    ) -> Option<Offer> {
        let present = epoch(now);
        [present, present.wrapping_sub(1)].into_iter().find_map(|epoch| {
            let low = self.hash(key, irs, epoch) ^ cookie;
            (low < 16).then(|| Offer { mss: SIZES[(low >> 1) as usize].max(least), sack: low & 1 != 0 })
        })
    }

    fn hash(&self, key: &FlowKey, irs: u32, epoch: u32) -> u32 {
        let mut bytes = [0u8; 48];
        bytes[..2].copy_from_slice(&key.remote_port.to_be_bytes());
        bytes[2..4].copy_from_slice(&key.local_port.to_be_bytes());
        bytes[4..8].copy_from_slice(&key.link.to_be_bytes());
        bytes[8..12].copy_from_slice(&irs.to_be_bytes());
        bytes[12..16].copy_from_slice(&epoch.to_be_bytes());
        // A flood costs a hash for each packet, so of IPv4 nothing is hashed that is always the same. The length is part
        // of the hash, so no address of one kind gives what one of the other does.
        let bytes = if key.remote.is_v4() {
            bytes[16..20].copy_from_slice(&(key.remote.0 as u32).to_be_bytes());
            bytes[20..24].copy_from_slice(&(key.local.0 as u32).to_be_bytes());
            &bytes[..24]
        } else {
            bytes[16..32].copy_from_slice(&key.remote.octets());
            bytes[32..48].copy_from_slice(&key.local.octets());
            &bytes[..]
        };
        self.0.hash(bytes) as u32
    }
}

/// Comes around after thousands of years.
fn epoch(now: Instant) -> u32 {
    (now.micros() / EPOCH.as_micros() as u64) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: FlowKey = FlowKey {
        remote: crate::Addr::v4([10, 0, 0, 1]),
        local: crate::Addr::v4([10, 0, 0, 2]),
        remote_port: 4000,
        local_port: 80,
        protocol: crate::Protocol::TCP,
        link: 0,
    };

    proptest! {
        #[test]
        fn what_was_sealed_opens_for_a_while(irs: u32, mss in 64u16.., sack: bool, at in 0u64..1 << 50, later in 0u64..32_000_000) {
            let cookies = Cookies::new([7; 16]);
            let now = Instant::from_micros(at);
            let cookie = cookies.seal(&KEY, irs, Offer { mss, sack }, now);
            let opened = cookies.open(&KEY, irs, cookie, 64, Instant::from_micros(at + later));
            prop_assert!(opened.is_some_and(|offer| offer.sack == sack && offer.mss <= mss && offer.mss >= mss.min(536).min(64)));
            prop_assert_eq!(cookies.open(&KEY, irs, cookie, 64, Instant::from_micros(at + 64_000_000)), None);
        }

        /// Anything that differs, a bit anywhere: not ours (the chance of 2^-27 aside).
        #[test]
        fn nothing_else_opens(irs: u32, bit in 0u32..32, at in 0u64..1 << 50) {
            let cookies = Cookies::new([7; 16]);
            let now = Instant::from_micros(at);
            let cookie = cookies.seal(&KEY, irs, Offer { mss: 1460, sack: true }, now);
            prop_assert_eq!(cookies.open(&KEY, irs, cookie ^ 1 << bit.max(4), 64, now), None);
            prop_assert_eq!(cookies.open(&KEY, irs ^ 1 << bit, cookie, 64, now), None);
            let other = FlowKey { remote_port: 4001, ..KEY };
            prop_assert_eq!(cookies.open(&other, irs, cookie, 64, now), None);
            prop_assert_eq!(Cookies::new([8; 16]).open(&KEY, irs, cookie, 64, now), None);
        }
    }

    #[test]
    fn sizes() {
        let cookies = Cookies::new([7; 16]);
        for (mss, wanted) in [(100, 64), (536, 536), (1459, 1440), (1460, 1460), (8960, 8900), (65_535, 8900)]
        {
            let cookie = cookies.seal(&KEY, 1, Offer { mss, sack: false }, Instant::default());
            let offer = cookies.open(&KEY, 1, cookie, 64, Instant::default());
            assert_eq!(offer, Some(Offer { mss: wanted, sack: false }));
        }
    }
}
