//! `millrace doctor`: looks at the machine before DPDK does, and says what to do about what it finds.
//!
//! Invariant: nothing is changed, no device is opened and no DPDK function is called; everything comes from reading
//! files below one root directory, so that every check can be tried on a made-up tree.

mod checks;
pub mod cli;
mod report;
mod system;

use crate::config::Config;

pub use report::{Check, Report, Status};
pub use system::System;

/// Why a port of this configuration could not be opened by this process, if it lacks the rights.
pub(crate) fn no_rights(config: &Config) -> Option<String> {
    checks::rights::refusal(&System::this(), config)
}

/// Examines this machine. Without a configuration only what every configuration needs is checked.
#[must_use]
pub fn run(config: Option<&Config>) -> Report {
    run_on(&System::this(), config)
}

/// Examines a machine of the caller's choice.
#[must_use]
pub fn run_on(system: &System, config: Option<&Config>) -> Report {
    let mut report = Report::default();
    for check in checks::ALL {
        report.checks.extend(check(system, config));
    }
    report
}
