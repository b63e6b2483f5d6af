//! The states of RFC 9293 section 3.3.2, of both ends, as an observer on the way infers them.
//!
//! Invariant: a state follows from what was seen alone: who sent SYN and FIN, and whether the other side has
//! acknowledged it. What is seen is taken to arrive.

/// A state of RFC 9293 section 3.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // The RFC names them.
pub enum State {
    Closed = 0,
    Listen = 1,
    SynSent = 2,
    SynReceived = 3,
    Established = 4,
    FinWait1 = 5,
    FinWait2 = 6,
    CloseWait = 7,
    Closing = 8,
    LastAck = 9,
    TimeWait = 10,
}

impl State {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::Closed,
        Self::Listen,
        Self::SynSent,
        Self::SynReceived,
        Self::Established,
        Self::FinWait1,
        Self::FinWait2,
        Self::CloseWait,
        Self::Closing,
        Self::LastAck,
        Self::TimeWait,
    ];

    /// Its name as the RFC writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::Listen => "LISTEN",
            Self::SynSent => "SYN-SENT",
            Self::SynReceived => "SYN-RECEIVED",
            Self::Established => "ESTABLISHED",
            Self::FinWait1 => "FIN-WAIT-1",
            Self::FinWait2 => "FIN-WAIT-2",
            Self::CloseWait => "CLOSE-WAIT",
            Self::Closing => "CLOSING",
            Self::LastAck => "LAST-ACK",
            Self::TimeWait => "TIME-WAIT",
        }
    }
}

/// What was seen of one end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// It sent SYN, or is taken to have sent it (mid-stream).
    pub(crate) syn: bool,
    /// The other side acknowledged that.
    pub(crate) syn_acked: bool,
    /// It sent FIN, and all before it.
    pub(crate) fin: bool,
    /// The other side acknowledged that.
    pub(crate) fin_acked: bool,
    /// Its FIN came before the other side's: it closed first.
    pub(crate) fin_first: bool,
}

/// The state of one end, from what both sent.
pub(crate) const fn infer(own: Seen, other: Seen, reset: bool) -> State {
    if reset {
        return State::Closed;
    }
    if !own.syn {
        return if other.syn { State::Listen } else { State::Closed };
    }
    if own.fin {
        return match (other.fin, own.fin_acked, own.fin_first) {
            (false, false, _) => State::FinWait1,
            (false, true, _) => State::FinWait2,
            (true, false, true) => State::Closing,
            (true, true, true) => State::TimeWait,
            (true, false, false) => State::LastAck,
            (true, true, false) => State::Closed,
        };
    }
    match (other.syn, own.syn_acked, other.fin) {
        (_, true, true) => State::CloseWait,
        (true, true, false) => State::Established,
        (true, false, _) => State::SynReceived,
        (false, ..) => State::SynSent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_a_handshake_and_of_both_closes() {
        let none = Seen::default();
        let syn = Seen { syn: true, ..none };
        let open = Seen { syn: true, syn_acked: true, ..none };
        let states = |a, b| (infer(a, b, false), infer(b, a, false));
        assert_eq!(states(none, none), (State::Closed, State::Closed));
        assert_eq!(states(syn, none), (State::SynSent, State::Listen));
        assert_eq!(states(open, syn), (State::Established, State::SynReceived));
        assert_eq!(states(syn, syn), (State::SynReceived, State::SynReceived), "simultaneous open");
        assert_eq!(states(open, open), (State::Established, State::Established));
        let fin = Seen { fin: true, fin_first: true, ..open };
        assert_eq!(states(fin, open), (State::FinWait1, State::CloseWait));
        let acked = Seen { fin_acked: true, ..fin };
        assert_eq!(states(acked, open), (State::FinWait2, State::CloseWait));
        let second = Seen { fin: true, ..open };
        assert_eq!(states(acked, second), (State::TimeWait, State::LastAck));
        assert_eq!(states(fin, second), (State::Closing, State::LastAck));
        assert_eq!(states(acked, Seen { fin_acked: true, ..second }), (State::TimeWait, State::Closed));
        assert_eq!(infer(open, open, true), State::Closed);
        for (number, state) in State::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, number);
        }
    }
}
