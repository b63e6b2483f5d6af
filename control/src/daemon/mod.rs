//! `millrace run`: starts the data plane from a configuration file, serves its operators, and stops it in order.
//!
//! Invariant: what the daemon holds is released in the reverse order of taking: servers, data plane, admin socket.
//! Everything runs on the main thread, which shares its CPU with no worker while there is a CPU to spare.

mod events;
mod kernel;
mod listing;
mod notify;
mod progress;
mod reload;
mod run;
mod serve;
mod start;
mod state;
mod stop;
mod summary;
mod upstreams;
mod watch;

pub use run::{Options, run};

/// Exit code: ended as told to.
pub const EXIT_OK: u8 = 0;
/// Exit code: could not start, or could not stop in time.
pub const EXIT_START: u8 = 1;
/// Exit code: the configuration is refused.
pub const EXIT_CONFIG: u8 = 2;
/// Exit code: a worker ended by itself (a defect). 70 is EX_SOFTWARE of sysexits.
pub const EXIT_WORKER: u8 = 70;
