//! `millrace`: runs the appliance, checks its configuration, examines the machine.
//!
//! Invariant: only `run` starts DPDK.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::{config, daemon, doctor, metrics, read};

/// Terminates every TCP and UDP flow that reaches its ports, on DPDK.
#[derive(Debug, Parser)]
#[command(name = "millrace", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run in the foreground until SIGTERM or SIGINT; SIGHUP reads the configuration again.
    ///
    /// Exit codes: 0 stopped as told, 1 could not start (or stop in time), 2 the configuration is refused, 70 a worker
    /// ended by itself. While it drains, a second SIGTERM or SIGINT resets open flows at once, a third ends the
    /// process.
    Run {
        /// The configuration file.
        config: PathBuf,
        /// Print the whole effective configuration first.
        #[arg(long)]
        show_config: bool,
        /// Give up a reload that cannot read the file, and the files it names, within this many seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
        reload_limit: u64,
    },
    /// Check a configuration file, and the HTTP files it names. Exit codes: 0 usable, 2 refused.
    Check {
        /// The configuration file.
        config: PathBuf,
        /// Do not compare CPUs, paths, files and groups with this machine.
        #[arg(long)]
        any_host: bool,
    },
    /// Show the effective configuration of a file, each value with its origin.
    Show {
        /// The configuration file.
        config: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
        /// Do not compare CPUs, paths, files and groups with this machine.
        #[arg(long)]
        any_host: bool,
    },
    /// Examine this machine and say what to do. Exit codes: 0 fine, 1 a check failed, 2 the configuration is refused.
    Doctor {
        /// A configuration file to examine the machine for.
        config: Option<PathBuf>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what was said in the connections of a capture file. Exit codes: 0 read, 1 not readable to its end, 2 wrong usage.
    Read(read::Options),
    /// Print the JSON Schema of the configuration.
    Schema {
        /// Print the commented reference configuration instead.
        #[arg(long)]
        reference: bool,
    },
    /// Print the catalogue of metrics (docs/metrics.md).
    Metrics,
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let out = &mut io::stdout();
    match execute(&arguments.command, out) {
        Ok(code) => ExitCode::from(code),
        // Whoever read the output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "millrace: cannot write the output: {error}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: &Command, out: &mut dyn Write) -> io::Result<u8> {
    match command {
        Command::Run { config, show_config, reload_limit } => {
            let options = daemon::Options {
                config: config.clone(),
                show_config: *show_config,
                reload_limit: Duration::from_secs(*reload_limit),
            };
            Ok(daemon::run(&options, out))
        }
        Command::Check { config, any_host } => config::cli::check(config, *any_host, out),
        Command::Show { config, json, any_host } => config::cli::show(config, *any_host, *json, out),
        Command::Doctor { config, json } => doctor::cli::doctor(config.as_deref(), *json, out),
        Command::Read(options) => read::run(options, out),
        Command::Schema { reference } => config::cli::print_schema(*reference, out),
        Command::Metrics => write!(out, "{}", metrics::document()).map(|()| config::cli::EXIT_OK),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
