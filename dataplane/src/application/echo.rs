//! Echo (RFC 862): sends back what it receives.
//!
//! Invariant: a byte is taken from the stream only once it is queued to be sent back, so a peer
//! that sends and does not read ends up facing a closed window, and no byte is lost or repeated.
//!
//! Over UDP an answer is exactly as long as the question: no amplification. Two echo servers can be
//! made to talk to each other for ever by one datagram with a forged source; a service that faces an
//! open network should match client port ranges, or deny the well-known source ports.

use super::{AppCounters, Application, FlowState, Reply, Stream};

/// Bytes moved at a time: a full Ethernet segment, or a short message for which clearing and
/// filling that much memory would be most of the work.
const SEGMENT: usize = 1536;
const SHORT: usize = 128;

/// The echo application.
#[derive(Debug)]
pub struct Echo;

impl Application for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn on_tcp(&self, state: &mut FlowState, stream: &mut dyn Stream, counters: &mut AppCounters) {
        if let FlowState::Done = state {
            return;
        }
        loop {
            let want = stream.pending().min(stream.room());
            let sent = match want {
                0 => break,
                1..=SHORT => turn::<SHORT>(stream, want),
                _ => turn::<SEGMENT>(stream, want.min(SEGMENT)),
            };
            counters.tcp_bytes_in += sent as u64;
            counters.tcp_bytes_out += sent as u64;
            if sent == 0 {
                break;
            }
        }
        if stream.at_end() {
            stream.close();
            *state = FlowState::Done;
        }
    }

    fn on_udp(&self, data: &[u8], reply: &mut dyn Reply, counters: &mut AppCounters) {
        counters.datagram(data);
        let sent = data.len() <= reply.max_len() && reply.reply(data);
        counters.replied(data.len(), sent);
    }
}

/// Sends back the first `want` pending bytes, at most `N`, and takes what was queued of them.
#[inline(never)]
fn turn<const N: usize>(stream: &mut dyn Stream, want: usize) -> usize {
    let mut piece = [0; N];
    let copied = stream.copy(piece.get_mut(..want).unwrap_or_default());
    let sent = stream.send(piece.get(..copied).unwrap_or_default());
    stream.take(sent);
    sent
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Answer, Mock};
    use super::*;

    #[test]
    fn returns_every_byte_whatever_the_room_then_closes() {
        let sent: Vec<u8> = (0..5000u32).map(|n| (n % 251) as u8).collect();
        for (ring, room) in [(1, 1), (7, 3), (64, 4096), (4096, 5), (8192, 8192)] {
            let mut mock = Mock::new(ring, room);
            let (mut state, mut counters) = (FlowState::New, AppCounters::default());
            mock.play(&Echo, &mut state, &mut counters, &sent, ring, room);
            assert_eq!(mock.sent, sent, "ring {ring}, room {room}");
            assert_eq!((mock.closes, mock.aborts), (1, 0));
            assert!(matches!(state, FlowState::Done));
            assert_eq!((counters.tcp_bytes_in, counters.tcp_bytes_out), (5000, 5000));
        }
    }

    #[test]
    fn takes_no_more_than_was_queued_where_the_queue_takes_less_than_its_room() {
        let mut mock = Mock::new(4000, 4000);
        mock.grain = 7;
        let (mut state, mut counters) = (FlowState::New, AppCounters::default());
        let sent: Vec<u8> = (0..3000u32).map(|n| (n % 253) as u8).collect();
        mock.play(&Echo, &mut state, &mut counters, &sent, 3000, 4000);
        assert_eq!(mock.sent, sent);
    }

    #[test]
    fn takes_only_what_it_could_queue() {
        let mut mock = Mock::new(100, 10);
        let (mut state, mut counters) = (FlowState::New, AppCounters::default());
        mock.arrive(&[7; 50]);
        for _ in 0..3 {
            Echo.on_tcp(&mut state, &mut mock, &mut counters);
            assert_eq!((mock.pending(), mock.queued()), (40, 10));
        }
        mock.fin();
        Echo.on_tcp(&mut state, &mut mock, &mut counters);
        assert_eq!(mock.closes, 0, "not before all is echoed");
    }

    #[test]
    fn answers_a_datagram_with_itself_or_not_at_all() {
        let mut counters = AppCounters::default();
        let mut answer = Answer::new(4);
        Echo.on_udp(b"four", &mut answer, &mut counters);
        Echo.on_udp(b"", &mut answer, &mut counters);
        Echo.on_udp(b"fifth", &mut answer, &mut counters);
        assert_eq!(answer.sent, [b"four".to_vec(), Vec::new()]);
        assert_eq!((counters.udp_datagrams_in, counters.udp_bytes_in), (3, 9));
        assert_eq!((counters.udp_datagrams_out, counters.udp_bytes_out), (2, 4));
        assert_eq!(counters.udp_replies_refused, 1);
    }
}
