//! When which server is asked whether it is up, and what the answers amount to. How it is asked is the caller's business.
//!
//! Invariant: a server has at most one check under way, and each check has exactly one result, be it that its time ran
//! out: whatever is said of a check that has ended changes nothing. Until its first result a server's health is
//! [`Health::Unknown`], which counts as up; that result decides at once. From then on it takes as many results in a
//! row against the verdict as the plan says.

mod http_status;
#[cfg(test)]
mod tests;

use core::time::Duration;

use l3l4::Instant;
use l3l4::wheel::Wheel;

pub use self::http_status::{HttpProgress, HttpStatus};
use super::spec::HealthCheck;
use super::status::Health;

/// First checks are spread over this time, or over the interval where that is shorter.
const SPREAD: Duration = Duration::from_secs(1);

/// Nothing is due twice within this time.
const LEAST: Duration = Duration::from_millis(1);

/// When a server is checked, and what it takes to change the verdict. A threshold of 0 is as good as 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// From the start of one check to the start of the next; a check that takes longer is not joined by another.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Successes in a row that bring a server up.
    pub rise: u8,
    /// Failures in a row that take it down.
    pub fall: u8,
}

impl From<&HealthCheck> for Plan {
    fn from(check: &HealthCheck) -> Self {
        let HealthCheck { interval, timeout, rise, fall, .. } = *check;
        Self { interval, timeout, rise, fall }
    }
}

/// One check of one server. Later checks of the server are not equal to it until 65,536 have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Check {
    server: u16,
    serial: u16,
}

impl Check {
    /// The number of the server.
    #[must_use]
    pub const fn server(self) -> u16 {
        self.server
    }

    /// All of it in a number, such as goes with a connection.
    #[must_use]
    pub const fn to_bits(self) -> u32 {
        (self.server as u32) << 16 | self.serial as u32
    }

    /// What [`Check::to_bits`] gave.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self { server: (bits >> 16) as u16, serial: bits as u16 }
    }
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Ask the server.
    Start(Check),
    /// Ask no further: the time for an answer is over, and this has been counted as a failure.
    GiveUp {
        /// The check, which has ended.
        check: Check,
        /// The new verdict, if it has changed.
        change: Option<Health>,
    },
}

#[derive(Clone, Debug)]
struct Watched {
    plan: Plan,
    health: Health,
    /// Results in a row against the verdict.
    against: u8,
    /// When the last check began.
    begun: Option<Instant>,
    under_way: bool,
    /// When the check under way is given up, or the next one begins.
    at: Instant,
}

impl Watched {
    /// Counts a result and gives the verdict if that has changed.
    fn count(&mut self, good: bool) -> Option<Health> {
        let needed = match (self.health, good) {
            (Health::Up, true) | (Health::Down, false) => {
                self.against = 0;
                return None;
            }
            (Health::Unknown, _) => 1,
            (Health::Up, false) => self.plan.fall,
            (Health::Down, true) => self.plan.rise,
        };
        self.against = self.against.saturating_add(1);
        if self.against < needed {
            return None;
        }
        self.against = 0;
        self.health = if good { Health::Up } else { Health::Down };
        Some(self.health)
    }
}

/// The checks of the servers that one worker looks after.
#[derive(Debug)]
pub struct Checker {
    /// By number.
    servers: Vec<Option<Watched>>,
    /// The last check of each, kept when it is forgotten: what is said of that must not be taken for the next one.
    serials: Vec<u16>,
    /// Each server that is watched is filed here, at its time or, where that is too far away, before.
    wheel: Wheel,
    seed: u64,
}

impl Checker {
    /// Without servers. The seed decides how first checks are spread; another one for each worker and each start.
    #[must_use]
    pub fn new(now: Instant, seed: u64) -> Self {
        Self { servers: Vec::new(), serials: Vec::new(), wheel: Wheel::new(0, now), seed }
    }

    /// Looks after a server from now on, by this plan. One that is watched already keeps its verdict and a check that
    /// is under way. Room is taken for all servers up to this number, here and nowhere else.
    pub fn watch(&mut self, server: u16, plan: Plan, now: Instant) {
        let delay = self.delay(server, plan.interval);
        let slot = usize::from(server);
        if self.servers.len() <= slot {
            self.servers.resize(slot + 1, None);
            self.serials.resize(slot + 1, 0);
        }
        let at = match &mut self.servers[slot] {
            Some(watched) if watched.plan == plan => return,
            Some(watched) => {
                watched.plan = plan;
                watched.at = match watched.begun {
                    Some(begun) if watched.under_way => begun + plan.timeout,
                    Some(begun) if begun + plan.interval > now => begun + plan.interval,
                    // A shorter interval makes many due at the same time.
                    Some(_) => now + delay,
                    None => watched.at.min(now + delay),
                };
                watched.at
            }
            empty => {
                let at = now + delay;
                let watched =
                    Watched { plan, health: Health::Unknown, against: 0, begun: None, under_way: false, at };
                empty.insert(watched).at
            }
        };
        self.wheel.catch_up(now);
        self.wheel.set(u32::from(server), at);
    }

    /// Looks after a server no longer, and gives the check that was under way: nobody waits for its result.
    pub fn forget(&mut self, server: u16) -> Option<Check> {
        let watched = self.servers.get_mut(usize::from(server))?.take()?;
        self.wheel.cancel(u32::from(server));
        watched.under_way.then(|| self.last(server))
    }

    /// What is said of the server; [`Health::Unknown`] also where it is not watched.
    #[must_use]
    pub fn health(&self, server: u16) -> Health {
        match self.servers.get(usize::from(server)) {
            Some(Some(watched)) => watched.health,
            _ => Health::Unknown,
        }
    }

    /// Whether [`Checker::due`] may have something: one comparison.
    #[inline]
    #[must_use]
    pub fn is_due(&mut self, now: Instant) -> bool {
        self.wheel.is_due(now)
    }

    /// When [`Checker::due`] may have something next, at the earliest.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.wheel.next()
    }

    /// The next thing to be done; to be called until there is none, or as often as a turn has time for.
    pub fn due(&mut self, now: Instant) -> Option<Due> {
        loop {
            let mut fired = None;
            let used = self.wheel.advance(now, 1, |_, server| fired = Some(server as u16));
            match fired {
                Some(server) => {
                    if let Some(due) = self.fire(server, now) {
                        return Some(due);
                    }
                }
                None if used == 0 => return None,
                // One was moved to where it fires later.
                None => {}
            }
        }
    }

    fn fire(&mut self, server: u16, now: Instant) -> Option<Due> {
        let slot = usize::from(server);
        let watched = self.servers.get_mut(slot)?.as_mut()?;
        if now < watched.at {
            self.wheel.set(u32::from(server), watched.at);
            return None;
        }
        if watched.under_way {
            let check = self.last(server);
            return Some(Due::GiveUp { check, change: self.ended(check, now, false) });
        }
        watched.begun = Some(now);
        watched.under_way = true;
        watched.at = now + watched.plan.timeout.max(LEAST);
        self.wheel.set(u32::from(server), watched.at);
        self.serials[slot] = self.serials[slot].wrapping_add(1);
        Some(Due::Start(self.last(server)))
    }

    /// The check of this server that was begun last.
    fn last(&self, server: u16) -> Check {
        Check { server, serial: self.serials[usize::from(server)] }
    }

    /// Whether this check has begun and has no result yet.
    #[must_use]
    pub fn is_under_way(&self, check: Check) -> bool {
        let slot = usize::from(check.server);
        let watched = self.servers.get(slot).and_then(Option::as_ref);
        watched.is_some_and(|watched| watched.under_way) && self.serials.get(slot) == Some(&check.serial)
    }

    /// The server answered as it should. Gives the verdict if that has changed.
    pub fn succeeded(&mut self, check: Check, now: Instant) -> Option<Health> {
        self.ended(check, now, true)
    }

    /// The server refused, answered something else, or could not be asked. Gives the verdict if that has changed.
    pub fn failed(&mut self, check: Check, now: Instant) -> Option<Health> {
        self.ended(check, now, false)
    }

    fn ended(&mut self, check: Check, now: Instant, good: bool) -> Option<Health> {
        let slot = usize::from(check.server);
        let watched = self.servers.get_mut(slot)?.as_mut()?;
        if !watched.under_way || self.serials[slot] != check.serial {
            return None;
        }
        watched.under_way = false;
        let begun = watched.begun.unwrap_or(now);
        watched.at = (begun + watched.plan.interval).max(now + LEAST);
        self.wheel.set(u32::from(check.server), watched.at);
        watched.count(good)
    }

    /// How long a server waits for its first check: the same in each run with the same seed.
    fn delay(&self, server: u16, interval: Duration) -> Duration {
        // splitmix64.
        let mut mixed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(u64::from(server) + 1));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let spread = interval.min(SPREAD).as_micros() as u64;
        Duration::from_micros(((u128::from(mixed) * u128::from(spread)) >> 64) as u64)
    }
}
