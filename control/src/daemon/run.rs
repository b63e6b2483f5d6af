//! From the command line to the exit code.
//!
//! Invariant: a configuration that is refused, a socket in use or an address in use is found out before DPDK starts.

use std::io::{self, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tracing::{error, info};

use super::serve::Ending;
use super::{EXIT_CONFIG, EXIT_OK, EXIT_START, EXIT_WORKER, serve, start, stop, summary};
use crate::config::{self, Problems};
use crate::export::Exporter;

/// What `millrace run` is given.
#[derive(Debug, Clone)]
pub struct Options {
    /// The configuration file.
    pub config: PathBuf,
    /// Print the whole effective configuration before the start.
    pub show_config: bool,
    /// How long a reload may take to read the file and what it names.
    pub reload_limit: Duration,
}

/// Why the daemon does not run.
pub(super) enum Failure {
    /// The configuration.
    Config(Problems),
    /// Everything else, in one line.
    Start(String),
}

/// Runs until it is told to stop; returns the exit code. `out` gets the summary at the end.
pub fn run(options: &Options, out: &mut dyn Write) -> u8 {
    match attempt(options, out) {
        Ok(code) => code,
        Err(Failure::Config(problems)) => {
            // One line for each problem, as `millrace check` prints them; there may be no log yet.
            let _ = writeln!(io::stderr(), "{problems}");
            EXIT_CONFIG
        }
        Err(Failure::Start(line)) => {
            let _ = writeln!(io::stderr(), "millrace: {line}");
            EXIT_START
        }
    }
}

fn attempt(options: &Options, out: &mut dyn Write) -> Result<u8, Failure> {
    let loaded = config::load(&options.config).map_err(Failure::Config)?;
    if options.show_config {
        // A closed output is no reason not to run.
        let _ = write!(out, "{}", config::effective_yaml(&loaded)).and_then(|()| out.flush());
    }
    let log = crate::log::init(&loaded.config.log);
    start::announce(&loaded);
    let (daemon, doors) = start::start(loaded, log, options.reload_limit)?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        // Reloads and flow listings wait on files and workers here; both are one at a time.
        .max_blocking_threads(4)
        .build()
        .map_err(|error| Failure::Start(format!("cannot start the control runtime: {error}")))?;
    let local = LocalSet::new();
    let (ending, admin_socket) =
        runtime.block_on(local.run_until(serve::serve(Rc::clone(&daemon), doors)))?;
    match ending {
        Ending::WorkerFailed(worker) => {
            error!(worker, "a worker ended by itself: its flows are lost; stopping at once");
            // Its memory is in an unknown state: nothing is taken down in order, the kernel does it.
            drop(admin_socket);
            std::process::exit(i32::from(EXIT_WORKER));
        }
        Ending::Stopped => {}
    }
    // Sessions hold the daemon: they end here.
    drop(local);
    // Not waited for: a reload may hang on a file that does not answer.
    runtime.shutdown_background();
    let Some(daemon) = Rc::into_inner(daemon) else {
        return Err(Failure::Start("a session outlived the servers; fix: report this as a defect".into()));
    };
    let (dataplane, exporter) = daemon.into_parts();
    let end = stop::within_time(|| {
        let end = dataplane.stop();
        // What the workers said last is in the rings.
        exporter.map(Exporter::stop);
        end
    });
    drop(admin_socket);
    let text = summary::text(&end);
    let _ = write!(out, "{text}").and_then(|()| out.flush());
    info!("stopped");
    Ok(EXIT_OK)
}
