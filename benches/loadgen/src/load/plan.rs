//! What is said on a TCP connection.
//!
//! Invariant: everything that may come back is known beforehand, byte for byte.

use crate::template::Template;
use crate::wire::{MSS, flag};

/// What the connections of a load are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Connect, one request, its answer, and the peer closes; at most so many at a time.
    OneShot { most: u32 },
    /// So many connections stay open; each request goes to the one that has been idle longest.
    KeepAlive { connections: u32 },
    /// The same, but each speaks as soon as it is open, and acknowledges at once: nothing stays under way.
    Crowd { connections: u32 },
    /// So many connections receive the endless answer.
    Download { connections: u32 },
    /// So many connections send without end.
    Upload { connections: u32 },
}

impl Plan {
    /// Connections that are kept open.
    pub(crate) fn connections(self) -> u32 {
        match self {
            Plan::OneShot { .. } => 0,
            Plan::KeepAlive { connections }
            | Plan::Crowd { connections }
            | Plan::Download { connections }
            | Plan::Upload { connections } => connections,
        }
    }

    pub(crate) fn is_bulk(self) -> bool {
        matches!(self, Plan::Download { .. } | Plan::Upload { .. })
    }
}

/// The segments and the expected answer of a load.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) plan: Plan,
    pub(crate) syn: Template,
    pub(crate) ack: Template,
    /// The request, or a full segment of an upload.
    pub(crate) data: Template,
    pub(crate) fin: Template,
    pub(crate) rst: Template,
    /// The whole answer; of an endless one, a period and as much again as a segment may carry.
    pub(crate) answer: Vec<u8>,
    /// Bytes after which an endless answer begins again.
    pub(crate) period: u16,
}

impl Script {
    /// A script for port `to`.
    pub(crate) fn new(to: u16, plan: Plan, request: &[u8], answer: &[u8]) -> Self {
        let upload = [b'u'; MSS as usize];
        let request = if matches!(plan, Plan::Upload { .. }) { &upload } else { request };
        let (answer, period) = match plan {
            Plan::Download { .. } => chargen(),
            _ => (answer.to_vec(), 0),
        };
        Self {
            plan,
            syn: Template::tcp(to, flag::SYN, b""),
            ack: Template::tcp(to, flag::ACK, b""),
            data: Template::tcp(to, flag::ACK | flag::PSH, request),
            fin: Template::tcp(to, flag::ACK | flag::FIN, b""),
            rst: Template::tcp(to, flag::ACK | flag::RST, b""),
            answer,
            period,
        }
    }

    /// Whether `payload` is what has to come after `got` bytes of the answer.
    #[inline]
    pub(crate) fn expects(&self, got: u16, payload: &[u8]) -> bool {
        let got = usize::from(got);
        self.answer.get(got..got + payload.len()) == Some(payload)
    }
}

/// The pattern of RFC 864: lines of 72 of the 95 printing characters, each line one further.
#[allow(clippy::cast_possible_truncation, reason = "a few thousand bytes")]
fn chargen() -> (Vec<u8>, u16) {
    let line = |n: usize| {
        let text = (0..72).map(move |column| b' ' + ((n + column) % 95) as u8);
        text.chain(*b"\r\n")
    };
    let once: Vec<u8> = (0..95).flat_map(line).collect();
    let period = once.len() as u16;
    let more = once[..usize::from(MSS)].to_vec();
    ([once, more].concat(), period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_compared_where_it_stands() {
        let script = Script::new(80, Plan::OneShot { most: 1 }, b"?", b"hello");
        assert!(script.expects(0, b"hel") && script.expects(3, b"lo") && script.expects(5, b""));
        assert!(!script.expects(0, b"hex") && !script.expects(3, b"lo!") && !script.expects(9, b"x"));
    }

    #[test]
    fn the_endless_answer_begins_again() {
        let script = Script::new(19, Plan::Download { connections: 1 }, b"", b"");
        assert_eq!(script.period, 95 * 74);
        assert!(script.expects(0, b" !\"#"));
        assert!(script.expects(74, b"!\"#$"));
        let across = [&script.answer[7020..7030], &script.answer[..10]].concat();
        assert!(script.expects(7020, &across));
    }
}
