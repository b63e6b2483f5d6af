//! Loads: what the generator does to Millrace, apart from when and for how long.
//!
//! Invariant: a load does a bounded amount of work per call, waits for nothing, and begins operations only when its pace
//! says so and the outbox has room.

mod datagrams;
mod flood;
mod plan;
mod table;
mod tcp;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use datagrams::Datagrams;
pub(crate) use flood::{Flood, Random};
pub(crate) use plan::{Plan, Script};
pub(crate) use table::Table;
pub(crate) use tcp::Tcp;

use crate::outbox::Outbox;
use crate::pace::Pace;
use crate::tally::Tally;

/// A load.
pub(crate) trait Load {
    /// Takes in a received frame.
    fn packet(&mut self, out: &mut Outbox, frame: &[u8], now: u64);
    /// Begins what is due, and answers what a burst has left to answer.
    fn launch(&mut self, out: &mut Outbox, now: u64);
    /// Looks after timers, a few connections at a time.
    fn sweep(&mut self, out: &mut Outbox, now: u64);
    /// The schedule from now on; none: begin no more operations.
    fn set_pace(&mut self, pace: Option<Pace>);
    /// Whether everything that has to be open before operations can begin is open.
    fn ready(&self) -> bool;
    /// Operations begun and neither done nor failed.
    fn outstanding(&self) -> u64;
    /// Ends some of the connections; true when there is none left.
    fn end(&mut self, out: &mut Outbox) -> bool;
    /// What was counted.
    fn tally(&mut self) -> &mut Tally;
}
