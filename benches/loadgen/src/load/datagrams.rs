//! A load of UDP datagrams: echoes that are waited for, or a flood that nothing answers.
//!
//! Invariant: a datagram carries the time it was meant to be sent, so an echo needs no memory here; an operation of a
//! flood is done when the link took its datagram.

use super::Load;
use crate::outbox::Outbox;
use crate::pace::Pace;
use crate::tally::Tally;
use crate::template::{Template, stamp};
use crate::wire::{Packet, parse};

/// Clients that send, each from its own port; a power of two.
const CLIENTS: u32 = 1024;
/// Echoes that may be under way: half of what link and queues hold, so that no packet of them is lost for want of room.
const WINDOW: u64 = 1024;

/// A load of datagrams.
#[derive(Debug)]
pub(crate) struct Datagrams {
    template: Template,
    echo: bool,
    tally: Tally,
    pace: Option<Pace>,
    client: u32,
    /// Echoes given up, so that they do not count as under way.
    lost: u64,
    progress: u64,
    patience: u64,
}

impl Datagrams {
    /// Datagrams to port `to`; with `echo` each is waited for. `hz` is the rate of the clock.
    pub(crate) fn new(to: u16, echo: bool, hz: u64) -> Self {
        Self {
            template: Template::udp(to),
            echo,
            tally: Tally::new(),
            pace: None,
            client: 0,
            lost: 0,
            progress: 0,
            patience: hz / 5,
        }
    }
}

impl Load for Datagrams {
    #[inline]
    fn packet(&mut self, _: &mut Outbox, frame: &[u8], now: u64) {
        self.tally.counts.received += 1;
        let read = match parse(frame, true) {
            Some(Packet::Udp(_, payload)) => stamp(payload),
            _ => None,
        };
        match read {
            Some(intended) if self.echo => {
                self.progress = now;
                self.tally.done(intended, now);
            }
            _ => self.tally.counts.stray += 1,
        }
    }

    #[inline]
    fn launch(&mut self, out: &mut Outbox, now: u64) {
        let Some(mut pace) = self.pace else { return };
        while out.room() > 0 && (!self.echo || self.outstanding() < WINDOW) {
            let Some(intended) = pace.take(now) else { break };
            let queued = out.datagram(&self.template, self.client, intended);
            self.client = (self.client + 1) % CLIENTS;
            self.tally.counts.begun += 1;
            if queued && !self.echo {
                self.tally.done(intended, now);
            }
        }
        self.pace = Some(pace);
    }

    #[inline]
    fn sweep(&mut self, _: &mut Outbox, now: u64) {
        // Nothing came back for a while: what is under way will not come.
        if self.echo && self.outstanding() > 0 && now.saturating_sub(self.progress) > self.patience {
            self.lost += self.outstanding();
            self.progress = now;
        }
    }

    fn set_pace(&mut self, pace: Option<Pace>) {
        self.pace = pace;
    }

    fn ready(&self) -> bool {
        true
    }

    #[inline]
    fn outstanding(&self) -> u64 {
        self.tally.counts.begun.saturating_sub(self.tally.counts.done + self.lost)
    }

    fn end(&mut self, _: &mut Outbox) -> bool {
        self.pace = None;
        true
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }
}
