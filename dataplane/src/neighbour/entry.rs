//! What the table knows of one neighbour, and what a message changes about it.
//!
//! Invariant: only an answer to a recent question of ours (or traffic that proves one) vouches for a neighbour, and
//! only such an answer gives another MAC address to a gateway or to a neighbour that is vouched for.

use l3l4::Addr;

use super::state::{LearnOutcome, Refusal};
use super::{Learning, Mac};

/// How long an answer vouches for a neighbour (REACHABLE_TIME of RFC 4861, section 10).
pub const REACHABLE_US: u64 = 30_000_000;
/// How long after a question an answer counts as one, and a neighbour being asked for keeps its slot.
const ANSWER_US: u64 = 3_000_000;

/// Whom an entry is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Key {
    /// Port in the low 16 bits, VLAN in the high 16.
    pub(super) link: u32,
    pub(super) address: Addr,
}

/// What a slot holds. Times are in microseconds, 0 for never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: Key,
    /// None while the neighbour is being asked for.
    pub(super) mac: Option<Mac>,
    pub(super) gateway: bool,
    pub(super) permanent: bool,
    /// Another MAC address was claimed: ask everybody.
    pub(super) challenged: bool,
    /// Last heard of.
    pub(super) seen: u64,
    /// Last answered us.
    pub(super) confirmed: u64,
    /// Last looked up (within a second).
    pub(super) used: u64,
    /// Last asked.
    pub(super) probed: u64,
    /// Questions since the last answer.
    pub(super) attempts: u8,
}

pub(super) fn within(now: u64, time: u64, span: u64) -> bool {
    time != 0 && now.saturating_sub(time) <= span
}

impl Entry {
    pub(super) fn reachable(&self, now: u64) -> bool {
        self.mac.is_some() && within(now, self.confirmed, REACHABLE_US)
    }

    pub(super) fn in_use(&self, now: u64) -> bool {
        within(now, self.used, REACHABLE_US)
    }

    fn asked(&self, now: u64) -> bool {
        within(now, self.probed, ANSWER_US)
    }

    pub(super) fn fixed(&self) -> bool {
        self.permanent || self.gateway
    }

    pub(super) fn displaceable(&self, now: u64) -> bool {
        let waiting = self.mac.is_none() && (self.asked(now) || within(now, self.seen, ANSWER_US));
        !self.fixed() && !self.reachable(now) && !waiting
    }

    pub(super) fn confirm(&mut self, now: u64) {
        self.confirmed = now;
        self.probed = 0;
        self.attempts = 0;
        self.challenged = false;
    }

    /// The entry after a message about it, and what that means. None: nothing to write.
    pub(super) fn learn(mut self, what: &Learning, now: u64) -> (Option<Self>, LearnOutcome) {
        let refused = |why| LearnOutcome::Refused(why);
        let answer = what.source.is_answer() && self.asked(now);
        let outcome = match self.mac {
            Some(mac) if self.permanent => {
                let same = mac == what.mac;
                return (None, if same { LearnOutcome::Refreshed } else { refused(Refusal::Permanent) });
            }
            None => LearnOutcome::New,
            Some(mac) if mac == what.mac => LearnOutcome::Refreshed,
            Some(_) if !what.replace => return (None, refused(Refusal::NotReplaced)),
            Some(_) if answer || !(self.gateway || self.reachable(now)) => LearnOutcome::Changed,
            Some(_) => {
                if !self.challenged {
                    self.challenged = true;
                    self.attempts = 0;
                }
                return (Some(self), refused(Refusal::Challenged));
            }
        };
        self.seen = now;
        self.mac = Some(what.mac);
        if answer {
            self.confirm(now);
        } else if outcome == LearnOutcome::Changed {
            self.confirmed = 0;
        }
        (Some(self), outcome)
    }
}
