//! How long a session waits for its peer, and what it does when that is over.
//!
//! Invariant: the time of a head begins with its first byte and is not moved by more of it; a body's begins anew only
//! where enough of it has come meanwhile. So a session that is in the middle of something ends, however slowly bytes
//! trickle in. One that is in the middle of nothing remembers nothing, and so sets no deadline: see
//! [`super::super::Application::idle_timeout`].

use super::super::{AppCounters, Stream};
use super::canned::Canned;
use super::session::{Life, Session};
use super::{Http, MIN_BODY};

/// What a deadline is set for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Waiting {
    /// Nothing: there is no deadline.
    #[default]
    Nothing,
    /// For something that has come.
    Past,
    /// The rest of a request's head.
    Head,
    /// More of its body.
    Body,
    /// The end of what is thrown away after this side has closed.
    End,
}

impl Waiting {
    /// A request is complete: what is waited for from here on is another one.
    #[inline]
    pub(super) fn renew(&mut self) {
        if *self != Waiting::Nothing {
            *self = Waiting::Past;
        }
    }
}

impl Session {
    /// Sets a deadline where what is waited for has changed.
    #[inline]
    pub(super) fn await_more(&mut self, http: &Http, stream: &mut dyn Stream, life: Life) {
        let now = if life == Life::Over { Waiting::Nothing } else { self.awaited() };
        if now == self.waiting {
            return;
        }
        self.waiting = now;
        self.came = 0;
        stream.set_deadline(match now {
            Waiting::Nothing | Waiting::Past => None,
            Waiting::Body => Some(http.body_timeout),
            Waiting::Head | Waiting::End => Some(http.head_timeout),
        });
    }

    /// What was waited for has not come in time.
    pub(super) fn out_of_time(
        &mut self,
        http: &Http,
        stream: &mut dyn Stream,
        counters: &mut AppCounters,
    ) -> Life {
        match self.waiting {
            Waiting::Body if self.came >= MIN_BODY => {
                self.came = 0;
                stream.set_deadline(Some(http.body_timeout));
                Life::Open
            }
            Waiting::Head | Waiting::Body => {
                // RFC 9110, section 15.5.9.
                counters.http_timeouts += 1;
                self.waiting = Waiting::Past;
                self.refuse(http, Canned::RequestTimeout, counters);
                self.step_by_step(http, stream, counters)
            }
            Waiting::End => {
                stream.abort();
                counters.http_drain_aborts += 1;
                Life::Over
            }
            Waiting::Nothing | Waiting::Past => {
                counters.http_idle_closes += 1;
                self.close(stream);
                Life::Open
            }
        }
    }
}
