//! What a terminated flow talks to: echo, discard, chargen and http behind one trait.
//!
//! Invariant: an application is level-triggered. Each call does all that can be done with the bytes
//! and the room there are now, takes from the stream only what it has dealt with, and leaves the
//! rest where it is, so a full transmit queue closes the peer's window instead of losing data. No
//! call allocates, locks, logs, makes a system call or reads a clock: everything an answer needs is
//! built by [`Spec::build`].

mod chargen;
mod counters;
mod discard;
mod echo;
mod error;
pub mod http;
#[cfg(test)]
mod testing;

use std::sync::Arc;
use std::time::Duration;

pub use chargen::Chargen;
pub use counters::AppCounters;
pub use discard::Discard;
pub use echo::Echo;
pub use error::BuildError;
pub use http::{Body, HttpSpec};

/// One TCP flow as an application sees it.
pub trait Stream {
    /// Received bytes not yet taken: the contiguous front part, empty only if nothing is pending.
    /// The receive ring may wrap, so [`Stream::pending`] may be more.
    fn data(&mut self) -> &[u8];

    /// How many received bytes are not yet taken.
    fn pending(&self) -> usize;

    /// Copies from the front without taking, across the ring's wrap; returns how many bytes.
    fn copy(&mut self, into: &mut [u8]) -> usize;

    /// Takes `n` bytes (at most [`Stream::pending`]): the advertised window opens by as much.
    fn take(&mut self, n: usize);

    /// The peer sent FIN and everything before it was taken.
    fn at_end(&self) -> bool;

    /// The peer sent FIN; bytes sent before it may still be pending.
    ///
    /// With the default, a flow whose peer stops in the middle of a line is only noticed by the
    /// engine's idle timeout.
    fn peer_closed(&self) -> bool {
        self.at_end()
    }

    /// The receive queue is full: nothing more can arrive before something is taken.
    ///
    /// With the default, a line longer than the queue is only noticed by the idle timeout.
    fn full(&self) -> bool {
        false
    }

    /// Queues as much as fits, returns how much.
    fn send(&mut self, bytes: &[u8]) -> usize;

    /// Lets `fill` write into the contiguous free part of the transmit ring; it returns how much it wrote.
    fn send_with(&mut self, fill: &mut dyn FnMut(&mut [u8]) -> usize) -> usize;

    /// Bytes of room in the transmit queue.
    fn room(&self) -> usize;

    /// Half-close: FIN after what is queued.
    fn close(&mut self);

    /// RST, and forget what is queued.
    fn abort(&mut self);

    /// How long what is waited for may take, from now on; `None`: nothing is waited for. It replaces what was said
    /// before, and stays until it is over or said anew: then [`Application::on_deadline`] is called.
    fn set_deadline(&mut self, after: Option<Duration>);
}

/// The answer to one datagram: all or nothing.
pub trait Reply {
    /// Sends one datagram back to the sender; `false` if it could not be sent.
    fn reply(&mut self, bytes: &[u8]) -> bool;

    /// The longest payload that one reply may carry, in bytes.
    fn max_len(&self) -> usize;
}

/// What a terminated flow talks to: shared by all flows of a service, on every worker.
pub trait Application: Send + Sync {
    /// The name in configuration, metrics and logs.
    fn name(&self) -> &'static str;

    /// Called whenever something changed: opened, data, room, peer closed. Idempotent.
    fn on_tcp(&self, state: &mut FlowState, stream: &mut dyn Stream, counters: &mut AppCounters);

    /// Called when the deadline that was set is over, or nothing came for [`Application::idle_timeout`].
    fn on_deadline(&self, state: &mut FlowState, stream: &mut dyn Stream, _: &mut AppCounters) {
        stream.abort();
        *state = FlowState::Done;
    }

    /// How long a flow may stay without a byte of which nothing is remembered ([`FlowState::is_blank`]).
    fn idle_timeout(&self) -> Option<Duration> {
        None
    }

    /// Called once per datagram. There is no state between datagrams.
    fn on_udp(&self, data: &[u8], reply: &mut dyn Reply, counters: &mut AppCounters);
}

/// What an application remembers of one TCP flow. Made with `default()` when the flow opens.
#[derive(Debug, Default)]
pub enum FlowState {
    /// Nothing happened yet.
    #[default]
    New,
    /// The place in the generated characters.
    Chargen(chargen::Position),
    /// The place in the requests and in the response under way.
    Http(http::Session),
    /// The application has closed its side and expects nothing more.
    Done,
}

impl FlowState {
    /// Whether it says no more than [`FlowState::New`] does.
    #[inline]
    #[must_use]
    pub fn is_blank(&self) -> bool {
        match self {
            FlowState::New => true,
            FlowState::Http(session) => session.between_requests(),
            FlowState::Chargen(_) | FlowState::Done => false,
        }
    }
}

/// An application as configuration describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spec {
    /// Sends back what it receives (RFC 862).
    Echo,
    /// Receives and sends nothing (RFC 863).
    Discard,
    /// Sends characters without end (RFC 864).
    Chargen,
    /// Answers HTTP/1.1 requests from memory (RFC 9110, RFC 9112).
    Http(HttpSpec),
}

impl Spec {
    /// Builds the application: reads its files, checks its limits, prepares its responses.
    ///
    /// # Errors
    /// A [`BuildError`] that says what is wrong and what to write instead.
    pub fn build(&self) -> Result<Arc<dyn Application>, BuildError> {
        Ok(match self {
            Spec::Echo => Arc::new(Echo),
            Spec::Discard => Arc::new(Discard),
            Spec::Chargen => Arc::new(Chargen),
            Spec::Http(spec) => Arc::new(http::Http::new(spec)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_flow_fits_a_cache_line() {
        assert!(size_of::<FlowState>() <= 64, "{}", size_of::<FlowState>());
    }

    #[test]
    fn every_spec_builds_what_it_names() {
        for (spec, name) in [
            (Spec::Echo, "echo"),
            (Spec::Discard, "discard"),
            (Spec::Chargen, "chargen"),
            (Spec::Http(HttpSpec::default()), "http"),
        ] {
            assert_eq!(spec.build().unwrap().name(), name);
        }
    }
}
