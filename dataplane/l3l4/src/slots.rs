//! Memory of live stacks: one smoltcp socket and its two byte rings per slot, taken once and used again.
//!
//! Invariant: a slot's rings are lent to the socket in that slot and to nothing else, from [`Slots::open`] to
//! [`Slots::close`]; a socket set made by [`Slots::with`] is gone before `with` returns. That is what makes the
//! one use of `unsafe` in this crate sound. It is needed because smoltcp ties a socket, its buffers and the set
//! that holds it to one lifetime: without it every connection would allocate and zero its buffers anew
//! (5 microseconds and more against 0.5 for the whole connection).
#![allow(unsafe_code)]

use core::ptr::{self, NonNull};
use smoltcp::iface::{SocketHandle, SocketSet, SocketStorage};
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer};

/// Ring memory is taken in pieces of this many slots; untouched pages of it cost nothing.
const SLOTS_PER_CHUNK: usize = 256;

/// Lends memory for as long as the borrower likes.
///
/// # Safety
/// `memory` must be valid and initialised, must outlive the returned reference's last use, and nothing else may
/// touch it until then.
unsafe fn lend<T>(mut memory: NonNull<[T]>) -> &'static mut [T] {
    // SAFETY: passed on to the caller.
    unsafe { memory.as_mut() }
}

/// Bytes of a cache line.
const LINE: usize = 64;

/// How the rings of one slot lie in memory.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// From the receive ring's start to the transmit ring's.
    tx: usize,
    /// From one slot's to the next one's.
    stride: usize,
}

/// Each ring begins a cache line of its own, and an odd number of lines behind the one before: rings have sizes near
/// powers of two, and their fronts, which is where most of them are used, would all fall into the same few sets.
fn layout(rx_ring: usize, tx_ring: usize) -> Layout {
    let odd = |bytes: usize| (bytes.div_ceil(LINE) | 1) * LINE;
    let tx = odd(rx_ring);
    Layout { tx, stride: odd(tx + tx_ring.div_ceil(LINE) * LINE) }
}

/// What every stack of an engine is made with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) rx_ring: usize,
    pub(crate) tx_ring: usize,
    /// The stack's own Reno; without, the window that it is told is the congestion window (see `recovery`), or none.
    pub(crate) reno: bool,
}

/// The slots of one engine.
pub(crate) struct Slots {
    // Dropped before the rings its sockets point into.
    sockets: Vec<SocketStorage<'static>>,
    free: Vec<u32>,
    limit: usize,
    shape: Shape,
    layout: Layout,
    /// Base of each chunk of rings, from the vectors below.
    bases: Vec<*mut u8>,
    /// Owns the rings; never looked into, so that the lent parts stay the only access.
    _chunks: Vec<Vec<u8>>,
}

impl Slots {
    pub(crate) fn new(limit: usize, shape: Shape) -> Self {
        let layout = layout(shape.rx_ring, shape.tx_ring);
        let mut chunks: Vec<Vec<u8>> = (0..limit.div_ceil(SLOTS_PER_CHUNK))
            .map(|chunk| vec![0; layout.stride * SLOTS_PER_CHUNK.min(limit - chunk * SLOTS_PER_CHUNK)])
            .collect();
        let bases = chunks.iter_mut().map(|chunk| chunk.as_mut_ptr()).collect();
        Self {
            sockets: Vec::with_capacity(limit),
            free: Vec::with_capacity(limit),
            limit,
            shape,
            layout,
            bases,
            _chunks: chunks,
        }
    }

    /// Slots in use.
    pub(crate) fn used(&self) -> usize {
        self.sockets.len() - self.free.len()
    }

    fn rings(&self, slot: u32) -> (NonNull<[u8]>, NonNull<[u8]>) {
        let Shape { rx_ring, tx_ring, .. } = self.shape;
        let (chunk, place) = (slot as usize / SLOTS_PER_CHUNK, slot as usize % SLOTS_PER_CHUNK);
        let rx = self.bases[chunk].wrapping_add(place * self.layout.stride);
        let part = |start: *mut u8, len| {
            NonNull::new(ptr::slice_from_raw_parts_mut(start, len)).unwrap_or(NonNull::from(&mut []))
        };
        (part(rx, rx_ring), part(rx.wrapping_add(self.layout.tx), tx_ring))
    }

    /// Takes a slot and makes a closed socket in it; `None` where all are taken.
    pub(crate) fn open(&mut self) -> Option<u32> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.sockets.len() < self.limit => {
                self.sockets.push(SocketStorage::EMPTY);
                (self.sockets.len() - 1) as u32
            }
            None => return None,
        };
        let (rx, tx) = self.rings(slot);
        // SAFETY: the rings lie inside a chunk that lives as long as `self` and is not otherwise touched; the
        // slot was free, so no socket holds them, and `close` drops this one before the slot is free again.
        let (rx, tx) = unsafe { (lend(rx), lend(tx)) };
        // Always a new socket: one that is told to listen again keeps the last peer's window and SACK state.
        let mut socket = Socket::new(SocketBuffer::new(rx), SocketBuffer::new(tx));
        // Acknowledgments coalesce because egress runs once per burst; a timer would only add delay.
        socket.set_ack_delay(None);
        socket.set_nagle_enabled(false);
        let own = if self.shape.reno { CongestionControl::Reno } else { CongestionControl::None };
        socket.set_congestion_control(own);
        self.with(slot, |set| set.add(socket));
        Some(slot)
    }

    /// Drops the socket of `slot` and frees the slot.
    pub(crate) fn close(&mut self, slot: u32) {
        self.sockets[slot as usize] = SocketStorage::EMPTY;
        self.free.push(slot);
    }

    /// Runs `f` on the one-socket set of `slot`.
    #[inline]
    pub(crate) fn with<R>(&mut self, slot: u32, f: impl FnOnce(&mut SocketSet<'static>) -> R) -> R {
        let storage = NonNull::from(&mut self.sockets[slot as usize..=slot as usize]);
        // SAFETY: `storage` is borrowed from `self`, which stays borrowed until this function returns, and the
        // set does not outlive it: `f` gets a reference that it cannot keep.
        let mut set = SocketSet::new(unsafe { lend(storage) });
        f(&mut set)
    }

    /// Runs `f` on the one-socket sets of two slots. They must not be the same.
    pub(crate) fn with_both<R>(
        &mut self,
        one: u32,
        other: u32,
        f: impl FnOnce(&mut SocketSet<'static>, &mut SocketSet<'static>) -> R,
    ) -> R {
        let (one, other) = (one as usize, other as usize);
        let [one, other] = match self.sockets.get_disjoint_mut([one..one + 1, other..other + 1]) {
            Ok(both) => both.map(NonNull::from),
            Err(_) => unreachable!("two slots that are in use"),
        };
        // SAFETY: as in `with`, for two places that have nothing in common.
        let (mut one, mut other) = unsafe { (SocketSet::new(lend(one)), SocketSet::new(lend(other))) };
        f(&mut one, &mut other)
    }

    /// Runs `f` on the socket of `slot`.
    #[inline]
    pub(crate) fn socket<R>(&mut self, slot: u32, f: impl FnOnce(&mut Socket<'static>) -> R) -> R {
        self.with(slot, |set| f(socket(set)))
    }
}

/// The socket of a one-socket set.
#[inline]
pub(crate) fn socket<'a>(set: &'a mut SocketSet<'static>) -> &'a mut Socket<'static> {
    set.get_mut(SocketHandle::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way in which memory is lent, two chunks of it: to be run under Miri, too.
    #[test]
    fn what_is_lent_is_used_and_lent_again() {
        let limit = SLOTS_PER_CHUNK + 2;
        let mut slots = Slots::new(limit, Shape { rx_ring: 100, tx_ring: 60, reno: false });
        let taken: Vec<u32> = std::iter::from_fn(|| slots.open()).collect();
        assert_eq!((taken.len(), slots.used(), slots.open()), (limit, limit, None));
        let (first, last) = (taken[0], taken[limit - 1]);
        let room = |slots: &mut Slots, slot| slots.socket(slot, |s| (s.recv_capacity(), s.send_capacity()));
        for slot in [first, last, first] {
            assert_eq!(room(&mut slots, slot), (100, 60));
        }
        let both = slots.with_both(last, first, |one, other| {
            let (one, other) = (socket(one), socket(other));
            one.set_hop_limit(Some(7));
            other.set_hop_limit(Some(9));
            (one.hop_limit(), other.hop_limit())
        });
        assert_eq!(both, (Some(7), Some(9)));
        assert_eq!(slots.socket(last, |s| s.hop_limit()), Some(7), "each in its place");
        slots.close(first);
        slots.close(last);
        assert_eq!(slots.open(), Some(last));
        assert_eq!(slots.socket(last, |s| (s.hop_limit(), s.is_open())), (None, false), "a new socket");
        assert_eq!(slots.used(), limit - 1);
    }

    #[test]
    fn rings_lie_apart_and_in_different_sets() {
        for (rx, tx) in [(65_535, 64_240), (2048, 1460), (1 << 20, 1_047_240), (1, 1)] {
            let Layout { tx: at, stride } = layout(rx, tx);
            assert!(at >= rx && stride >= at + tx);
            assert_eq!((at % LINE, at / LINE % 2, stride % LINE, stride / LINE % 2), (0, 1, 0, 1));
        }
    }
}
