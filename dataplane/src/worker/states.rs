//! What applications remember of their connections, for those of which there is anything to remember.
//!
//! Invariant: between requests, and once closed, a connection takes no slot: with millions of idle ones the slots are
//! as many as were ever in the middle of something at once.

use crate::application::FlowState;

/// Where the state of one connection is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Nowhere: it says no more than [`FlowState::New`].
    #[default]
    Blank,
    /// Nowhere: [`FlowState::Done`].
    Done,
    /// In this slot.
    Slot(u32),
    /// The flow is a leg of this session (`worker::proxy`).
    Session(u32),
    /// It is this health check (`worker::proxy`).
    Check(u32),
}

impl Kept {
    /// Whether no application is behind the flow.
    #[inline]
    pub(crate) fn is_proxied(self) -> bool {
        matches!(self, Self::Session(_) | Self::Check(_))
    }
}

/// The slots of one worker.
#[derive(Debug)]
pub(crate) struct States {
    slots: Vec<FlowState>,
    free: Vec<u32>,
}

impl States {
    /// Slots for at most `limit` connections. Untouched pages cost nothing.
    pub(crate) fn new(limit: usize) -> Self {
        Self { slots: Vec::with_capacity(limit), free: Vec::with_capacity(limit) }
    }

    /// Runs `f` on a connection's state and keeps what it leaves.
    #[inline]
    pub(crate) fn with<R>(&mut self, kept: &mut Kept, f: impl FnOnce(&mut FlowState) -> R) -> R {
        if let Kept::Slot(slot) = *kept {
            let state = &mut self.slots[slot as usize];
            let result = f(state);
            if let Some(brief) = brief(state) {
                *state = FlowState::New;
                self.free.push(slot);
                *kept = brief;
            }
            return result;
        }
        let mut state = if *kept == Kept::Done { FlowState::Done } else { FlowState::New };
        let result = f(&mut state);
        *kept = match brief(&state) {
            Some(brief) => brief,
            None => self.keep(state),
        };
        result
    }

    fn keep(&mut self, state: FlowState) -> Kept {
        match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = state;
                Kept::Slot(slot)
            }
            None => {
                self.slots.push(state);
                Kept::Slot((self.slots.len() - 1) as u32)
            }
        }
    }

    /// Forgets a connection.
    pub(crate) fn release(&mut self, kept: &mut Kept) {
        if let Kept::Slot(slot) = core::mem::take(kept) {
            self.slots[slot as usize] = FlowState::New;
            self.free.push(slot);
        }
    }
}

/// How a state is kept that needs no slot.
#[inline]
fn brief(state: &FlowState) -> Option<Kept> {
    match state {
        FlowState::Done => Some(Kept::Done),
        state if state.is_blank() => Some(Kept::Blank),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy() -> FlowState {
        FlowState::Chargen(Default::default())
    }

    #[test]
    fn only_what_says_something_takes_a_slot() {
        let mut states = States::new(4);
        let (mut a, mut b) = (Kept::Blank, Kept::Blank);
        states.with(&mut a, |state| assert!(matches!(state, FlowState::New)));
        assert_eq!(a, Kept::Blank);
        states.with(&mut a, |state| *state = busy());
        states.with(&mut b, |state| *state = busy());
        assert_eq!((a, b), (Kept::Slot(0), Kept::Slot(1)));
        states.with(&mut a, |state| assert!(matches!(state, FlowState::Chargen(_))));
        states.with(&mut a, |state| *state = FlowState::Done);
        assert_eq!(a, Kept::Done);
        states.with(&mut a, |state| assert!(matches!(state, FlowState::Done)));
        // The slot that came free is used again.
        let mut c = Kept::Blank;
        states.with(&mut c, |state| *state = busy());
        assert_eq!(c, Kept::Slot(0));
        states.release(&mut b);
        states.release(&mut b);
        assert_eq!((b, states.free.len()), (Kept::Blank, 1));
    }
}
