//! What `millrace doctor` does, without the argument parsing.
//!
//! Invariant: the exit code is 1 if something failed, 2 if the configuration is refused, otherwise 0.

use std::io::{self, Write};
use std::path::Path;

use super::{Status, run};
use crate::config::cli::{EXIT_BAD_CONFIG, EXIT_OK};
use crate::config::{Host, Loaded, load_for};

/// Exit code: a check failed.
pub const EXIT_FAILED: u8 = 1;

/// Examines this machine for the configuration at `path`, if there is one, as text or JSON.
///
/// # Errors
/// Only if `out` cannot be written.
pub fn doctor(path: Option<&Path>, json: bool, out: &mut dyn Write) -> io::Result<u8> {
    // What the file asks of the machine is for the checks to find missing, not for the reader to refuse.
    let read = |path| load_for(path, &Host::lenient(path));
    let loaded: Option<Loaded> = match path.map(read).transpose() {
        Ok(loaded) => loaded,
        Err(problems) => {
            writeln!(out, "{problems}")?;
            return Ok(EXIT_BAD_CONFIG);
        }
    };
    let report = run(loaded.as_ref().map(|loaded| &loaded.config));
    if json {
        serde_json::to_writer_pretty(&mut *out, &report)?;
        writeln!(out)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(if report.worst() == Status::Fail { EXIT_FAILED } else { EXIT_OK })
}
