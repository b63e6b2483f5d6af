//! Chargen (RFC 864): sends the recommended pattern, 72 of 95 characters a line, one further each line.
//!
//! Invariant: what a flow received so far is always a prefix of the endless pattern, whatever the
//! room was; input is discarded unread.
//!
//! Over UDP, RFC 864 answers any datagram with up to 512 characters, which with a forged source
//! makes every host that speaks it an amplifier. Here an answer is never longer than the datagram it
//! answers: a random length from 0 to the smaller of that and 512.

use super::discard::take_all;
use super::{AppCounters, Application, FlowState, Reply, Stream};

/// The printing characters, from space to tilde.
const CHARACTERS: usize = 95;
/// 72 of them and the end of the line.
const LINE: usize = 74;
/// After as many lines as there are characters the pattern repeats.
const CYCLE: usize = CHARACTERS * LINE;
/// The longest answer to a datagram.
const MAX_DATAGRAM: usize = 512;

static PATTERN: [u8; CYCLE] = pattern();

const fn pattern() -> [u8; CYCLE] {
    let mut bytes = [0; CYCLE];
    let mut at = 0;
    while at < CYCLE {
        let (line, column) = (at / LINE, at % LINE);
        bytes[at] = match column {
            72 => b'\r',
            73 => b'\n',
            _ => b' ' + ((line + column) % CHARACTERS) as u8,
        };
        at += 1;
    }
    bytes
}

/// The place in the pattern of the next byte to send.
#[derive(Debug, Default)]
pub struct Position(u16);

/// The chargen application.
#[derive(Debug)]
pub struct Chargen;

impl Application for Chargen {
    fn name(&self) -> &'static str {
        "chargen"
    }

    fn on_tcp(&self, state: &mut FlowState, stream: &mut dyn Stream, counters: &mut AppCounters) {
        if let FlowState::New = state {
            *state = FlowState::Chargen(Position::default());
        }
        let FlowState::Chargen(Position(position)) = state else {
            return;
        };
        take_all(stream, counters);
        if stream.at_end() {
            stream.close();
            *state = FlowState::Done;
            return;
        }
        loop {
            let at = usize::from(*position);
            let sent = stream.send(PATTERN.get(at..).unwrap_or_default());
            if sent == 0 {
                break;
            }
            counters.tcp_bytes_out += sent as u64;
            *position = ((at + sent) % CYCLE) as u16;
        }
    }

    fn on_udp(&self, data: &[u8], reply: &mut dyn Reply, counters: &mut AppCounters) {
        counters.datagram(data);
        // The count of datagrams serves as the generator's state: an application has none of its own.
        let random = mix(counters.udp_datagrams_in);
        let longest = data.len().min(MAX_DATAGRAM).min(reply.max_len());
        let len = (random >> 32) as usize % (longest + 1);
        let at = (random as u32) as usize % CHARACTERS * LINE;
        let mut answer = [0; MAX_DATAGRAM];
        for (to, from) in answer.iter_mut().zip(PATTERN.iter().cycle().skip(at)) {
            *to = *from;
        }
        let sent = reply.reply(answer.get(..len).unwrap_or_default());
        counters.replied(len, sent);
    }
}

/// The output function of SplitMix64.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Answer, Mock};
    use super::*;

    /// RFC 864 written again, one character at a time.
    fn expected(len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut first = 0;
        while bytes.len() < len {
            bytes.extend((0..72).map(|n| 32 + ((first + n) % 95) as u8));
            bytes.extend(b"\r\n");
            first = (first + 1) % 95;
        }
        bytes.truncate(len);
        bytes
    }

    #[test]
    fn the_first_lines_are_those_of_the_rfc() {
        assert!(PATTERN.starts_with(b" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFG"));
        assert_eq!(&PATTERN[70..78], b"fg\r\n!\"#$");
    }

    #[test]
    fn sends_the_pattern_for_ever_whatever_the_room() {
        for room in [1, 3, 73, 74, 1000, 20_000] {
            let mut mock = Mock::new(8, room);
            let (mut state, mut counters) = (FlowState::New, AppCounters::default());
            while mock.sent.len() < 16_000 {
                mock.arrive(b"ignored");
                Chargen.on_tcp(&mut state, &mut mock, &mut counters);
                assert_eq!((mock.pending(), mock.room()), (0, 0));
                mock.drain(usize::MAX);
            }
            assert_eq!(mock.sent, expected(mock.sent.len()), "room {room}");
            mock.fin();
            Chargen.on_tcp(&mut state, &mut mock, &mut counters);
            Chargen.on_tcp(&mut state, &mut mock, &mut counters);
            assert_eq!((mock.closes, mock.queued()), (1, 0));
            assert_eq!(counters.tcp_bytes_out, mock.sent.len() as u64);
        }
    }

    #[test]
    fn a_datagram_is_never_answered_with_a_longer_one() {
        let mut counters = AppCounters::default();
        let mut longest = [0; 3];
        for (which, len) in [0usize, 40, 1400].into_iter().enumerate() {
            for _ in 0..2000 {
                let mut answer = Answer::new(1472);
                Chargen.on_udp(&vec![0; len], &mut answer, &mut counters);
                let [sent] = &answer.sent[..] else { panic!("one answer, not {}", answer.sent.len()) };
                assert!(sent.len() <= len.min(512));
                let text = expected(CYCLE * 2);
                assert!(text.windows(sent.len().max(1)).any(|w| w.starts_with(sent)));
                longest[which] = longest[which].max(sent.len());
            }
        }
        assert_eq!(longest[..2], [0, 40], "every length is reached");
        assert!(longest[2] > 490);
        assert_eq!(counters.udp_datagrams_out, 6000);
    }
}
