//! What `millrace check`, `millrace schema` and `millrace show` do, without the argument parsing.
//!
//! Invariant: each returns the process's exit code: 0 for fine, 2 for a bad configuration, and nothing else.

use std::io::{self, Write};
use std::path::Path;

use super::{Host, effective_yaml, load_for, reference_yaml, schema};
use crate::plan;

/// Exit code: fine.
pub const EXIT_OK: u8 = 0;
/// Exit code: the configuration is refused.
pub const EXIT_BAD_CONFIG: u8 = 2;

/// Checks a file, and the files of HTTP directories it names: one line for each problem or warning, then `ok` if it is
/// usable. With `any_host` CPUs, paths and groups are not compared with this machine.
///
/// # Errors
/// Only if `out` cannot be written.
pub fn check(path: &Path, any_host: bool, out: &mut dyn Write) -> io::Result<u8> {
    let checked = load_for(path, &host(path, any_host)).and_then(|loaded| {
        // What a start would make of it and then refuse. The secret is for a start only.
        if !any_host {
            plan::settings(&loaded, [0; 32])?;
        }
        Ok(loaded)
    });
    match checked {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                writeln!(out, "{warning}")?;
            }
            writeln!(out, "{}: ok", path.display())?;
            Ok(EXIT_OK)
        }
        Err(problems) => {
            writeln!(out, "{problems}")?;
            Ok(EXIT_BAD_CONFIG)
        }
    }
}

/// Shows the effective configuration: YAML with the origin of each value, or JSON.
///
/// # Errors
/// Only if `out` cannot be written.
pub fn show(path: &Path, any_host: bool, json: bool, out: &mut dyn Write) -> io::Result<u8> {
    match load_for(path, &host(path, any_host)) {
        Ok(loaded) if json => {
            serde_json::to_writer_pretty(&mut *out, &loaded.config)?;
            writeln!(out)?;
            Ok(EXIT_OK)
        }
        Ok(loaded) => {
            write!(out, "{}", effective_yaml(&loaded))?;
            Ok(EXIT_OK)
        }
        Err(problems) => {
            writeln!(out, "{problems}")?;
            Ok(EXIT_BAD_CONFIG)
        }
    }
}

/// Writes the JSON Schema, or with `reference` the commented reference configuration.
///
/// # Errors
/// Only if `out` cannot be written.
pub fn print_schema(reference: bool, out: &mut dyn Write) -> io::Result<u8> {
    if reference {
        write!(out, "{}", reference_yaml())?;
    } else {
        serde_json::to_writer_pretty(&mut *out, &schema())?;
        writeln!(out)?;
    }
    Ok(EXIT_OK)
}

fn host(path: &Path, any_host: bool) -> Host {
    if any_host { Host::lenient(path) } else { Host::current(path) }
}
