//! Discard (RFC 863): receives and sends nothing.
//!
//! Invariant: nothing stays pending after a call, so the window is always open.

use super::{AppCounters, Application, FlowState, Reply, Stream};

/// The discard application.
#[derive(Debug)]
pub struct Discard;

impl Application for Discard {
    fn name(&self) -> &'static str {
        "discard"
    }

    fn on_tcp(&self, state: &mut FlowState, stream: &mut dyn Stream, counters: &mut AppCounters) {
        if let FlowState::Done = state {
            return;
        }
        take_all(stream, counters);
        if stream.at_end() {
            stream.close();
            *state = FlowState::Done;
        }
    }

    fn on_udp(&self, data: &[u8], _: &mut dyn Reply, counters: &mut AppCounters) {
        counters.datagram(data);
    }
}

/// Takes all there is and looks at none of it.
pub(super) fn take_all(stream: &mut dyn Stream, counters: &mut AppCounters) {
    let pending = stream.pending();
    if pending > 0 {
        stream.take(pending);
        counters.tcp_bytes_in += pending as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Answer, Mock};
    use super::*;

    #[test]
    fn takes_everything_sends_nothing_and_closes_after_the_peer() {
        let mut mock = Mock::new(16, 16);
        let (mut state, mut counters) = (FlowState::New, AppCounters::default());
        mock.play(&Discard, &mut state, &mut counters, &[1; 1000], 16, 16);
        assert!(mock.sent.is_empty());
        assert_eq!((mock.closes, mock.aborts), (1, 0));
        assert_eq!((counters.tcp_bytes_in, counters.tcp_bytes_out), (1000, 0));
    }

    #[test]
    fn answers_no_datagram() {
        let (mut answer, mut counters) = (Answer::new(1500), AppCounters::default());
        Discard.on_udp(b"anything", &mut answer, &mut counters);
        assert!(answer.sent.is_empty());
        assert_eq!((counters.udp_datagrams_in, counters.udp_replies_refused), (1, 0));
    }
}
