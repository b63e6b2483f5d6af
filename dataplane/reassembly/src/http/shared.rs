//! What the framers of a worker share: limits, counters, and the account of memory held.
//!
//! Invariant: `held` is the sum of the room that all partial heads and trailers of the worker have, and never more
//! than its limit.

/// What bounds a framer.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a head, and of a trailer section.
    pub head: usize,
    /// Fields in a head.
    pub headers: usize,
    /// Requests that wait for their responses, the one being answered included.
    pub pipeline: usize,
    /// Bytes of a line that announces a chunk, extensions and line end included; at most 65535 count.
    pub chunk_line: usize,
    /// Bytes of partial heads and trailers held by all framers of the worker.
    pub held: usize,
    /// Bytes looked through for a message, in a row. Then a stream that never had one is given up, and of any other
    /// only the beginnings of segments are looked at.
    pub rubbish: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: 64 << 10,
            headers: 128,
            pipeline: 32,
            chunk_line: 256,
            held: 64 << 20,
            rubbish: 64 << 10,
        }
    }
}

/// What has happened so far. All only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Heads of requests.
    pub requests: u64,
    /// Heads of final responses, 101 included.
    pub responses: u64,
    /// Heads of interim (1xx) responses.
    pub interim: u64,
    /// Messages that ended before they were complete.
    pub incomplete: u64,
    /// Responses to no request that was seen.
    pub unmatched: u64,
    /// Connections that left HTTP by an upgrade or a tunnel.
    pub upgrades: u64,
    /// Times a direction stopped being readable as HTTP because of its bytes.
    pub unreadable: u64,
    /// Times a direction stopped being readable because of a gap.
    pub lost_in_gaps: u64,
    /// Messages found after looking for one.
    pub resyncs: u64,
    /// Directions that are not looked at any more: no HTTP in the first bytes of their streams.
    pub given_up: u64,
    /// Heads and trailer sections over the limit of bytes.
    pub heads_too_long: u64,
    /// Heads with too many fields.
    pub too_many_headers: u64,
    /// Heads that are not well-formed.
    pub bad_heads: u64,
    /// Heads whose Content-Length or Transfer-Encoding cannot frame a body.
    pub bad_lengths: u64,
    /// Chunks that are not well-formed.
    pub bad_chunks: u64,
    /// Requests too many waiting: their responses still get their number, but neither their times nor what is special
    /// to their method.
    pub pipeline_overflows: u64,
    /// Partial heads or trailers that would have taken more memory than there is for all.
    pub refused_memory: u64,
}

/// One per worker; lent to each call of its framers.
#[derive(Debug, Default)]
pub struct Shared {
    /// What bounds the framers.
    pub limits: Limits,
    /// What has happened.
    pub counters: Counters,
    held: usize,
    most_held: usize,
}

impl Shared {
    /// Nothing held, nothing counted.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Bytes of memory that partial heads and trailers have now.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held
    }

    /// The most they ever had.
    #[must_use]
    pub const fn most_held(&self) -> usize {
        self.most_held
    }

    /// Whether so many bytes more may be held.
    pub(super) fn has_room(&self, more: usize) -> bool {
        self.held.saturating_add(more) <= self.limits.held
    }

    pub(super) fn take(&mut self, bytes: usize) {
        self.held += bytes;
        self.most_held = self.most_held.max(self.held);
    }

    pub(super) fn give(&mut self, bytes: usize) {
        self.held = self.held.saturating_sub(bytes);
    }
}
