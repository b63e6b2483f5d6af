//! Initial sequence numbers (RFC 6528): a keyed hash of the tuple plus a clock of 4 microseconds.
//!
//! smoltcp draws its numbers from a small generator that three observed values give away. That generator is
//! invertible and its seed is ours to give, so each connection's SYN is fed through a throw-away interface seeded
//! such that the next draw is the number we want.
//!
//! Invariant: what [`seed_for`] promises is checked against the real stack when an engine is built, so a
//! smoltcp that draws otherwise is refused instead of giving out guessable numbers.

use crate::key::FlowKey;
use crate::time::Instant;
use siphasher::sip::SipHasher24;

/// The multiplier and increment of smoltcp's generator (PCG, RXS variant, 64 bits of state).
const MULTIPLIER: u64 = 0xbb2e_fcec_3c39_611d;
const INCREMENT: u64 = 0x7590_ef39;
const INVERSE: u64 = inverse(MULTIPLIER);

/// The inverse of an odd number modulo 2^64, by Newton's iteration.
const fn inverse(odd: u64) -> u64 {
    let mut x = odd;
    let mut round = 0;
    while round < 6 {
        x = x.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(x)));
        round += 1;
    }
    x
}

const fn before(state: u64) -> u64 {
    state.wrapping_sub(INCREMENT).wrapping_mul(INVERSE)
}

const fn output(state: u64) -> u32 {
    (state >> (29 - (state >> 61))) as u32
}

/// The seed with which a new interface gives out `isn` first (after the one draw it makes for itself).
pub(crate) fn seed_for(isn: u32) -> u64 {
    let mut low = 0u64;
    loop {
        // Top three bits zero: the output is bits 29 to 60.
        let drawn = before(u64::from(isn) << 29 | low);
        let own = output(drawn);
        // The interface draws again where its own 16 bits come out zero; then another way to `isn` is taken.
        if (own ^ (own >> 16)) as u16 != 0 {
            return before(drawn);
        }
        low += 1;
    }
}

/// Makes sequence numbers under one secret.
#[derive(Clone, Debug)]
pub(crate) struct Isn(SipHasher24);

impl Isn {
    pub(crate) fn new(secret: [u8; 16]) -> Self {
        Self(SipHasher24::new_with_key(&secret))
    }

    /// The initial sequence number of a connection that begins now.
    pub(crate) fn number(&self, key: &FlowKey, now: Instant) -> u32 {
        let clock = (now.micros() / 4) as u32;
        if key.local.is_v4() && key.remote.is_v4() {
            // Sixteen bytes are hashed in half the time of forty; the length keeps the two kinds apart.
            let addresses = u128::from(key.remote.0 as u32) << 96 | u128::from(key.local.0 as u32) << 64;
            let ports = u128::from(key.remote_port) << 48 | u128::from(key.local_port) << 32;
            let bytes = (addresses | ports | u128::from(key.link)).to_be_bytes();
            return (self.0.hash(&bytes) as u32).wrapping_add(clock);
        }
        let mut bytes = [0u8; 40];
        bytes[..16].copy_from_slice(&key.remote.octets());
        bytes[16..32].copy_from_slice(&key.local.octets());
        bytes[32..34].copy_from_slice(&key.remote_port.to_be_bytes());
        bytes[34..36].copy_from_slice(&key.local_port.to_be_bytes());
        bytes[36..].copy_from_slice(&key.link.to_be_bytes());
        (self.0.hash(&bytes) as u32).wrapping_add(clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn draw(state: &mut u64) -> u32 {
        *state = state.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
        output(*state)
    }

    proptest! {
        #[test]
        fn the_second_draw_is_the_one_we_chose(isn: u32) {
            let mut state = seed_for(isn);
            let own = draw(&mut state);
            prop_assert_ne!((own ^ (own >> 16)) as u16, 0);
            prop_assert_eq!(draw(&mut state), isn);
        }
    }

    #[test]
    fn numbers_follow_the_clock_and_hide_the_tuple() {
        let isn = Isn::new([7; 16]);
        let key = FlowKey { remote_port: 1000, local_port: 80, ..FlowKey::default() };
        let other = FlowKey { remote_port: 1001, ..key };
        let at = |micros| isn.number(&key, Instant::from_micros(micros));
        assert_eq!(at(4_000_000).wrapping_sub(at(0)), 1_000_000, "one per 4 microseconds");
        assert!(isn.number(&other, Instant::default()).abs_diff(at(0)) > 1000);
        assert_ne!(Isn::new([8; 16]).number(&key, Instant::default()), at(0));
    }
}
