//! The end: no new flows, time for the open ones to finish, resets for the rest, then everything is taken down.
//!
//! Invariant: every step has a time it may take. A second signal to stop skips the waiting, a third the order.

use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use dataplane::mailbox::Command;
use tracing::{info, warn};

use super::EXIT_START;
use super::notify::Notifier;
use super::serve::{Ending, Signals, TICK};
use super::state::Daemon;
use super::watch::Watch;
use crate::snapshot::{Phase, Source};

/// How long resets may take to leave.
const ABORT_TIME: Duration = Duration::from_millis(500);
/// How long taking the data plane down may take.
const STOP_TIME: Duration = Duration::from_secs(15);

/// Lets flows finish for as long as the configuration says, then resets them.
pub(super) async fn drain(
    daemon: &Daemon,
    signals: &mut Signals,
    watch: &mut Watch,
    notifier: &Notifier,
) -> Ending {
    daemon.phase.set(Phase::Draining);
    let time = daemon.in_force.borrow().loaded.config.shutdown.drain;
    info!(flows = open_flows(daemon, 0), seconds = time.as_secs_f64(), "draining: no new flows");
    daemon.tell(|| Command::Drain).await;
    let mut wait = Wait { daemon, watch, notifier };
    let drained = tokio::select! {
        drained = wait.flows_to_end(time) => drained,
        signal = signals.stop() => {
            warn!(signal, "told again: not waiting for open flows");
            Ok(false)
        }
    };
    match drained {
        Ok(true) => return Ending::Stopped,
        Ok(false) => {}
        Err(worker) => return Ending::WorkerFailed(worker),
    }
    warn!(flows = open_flows(daemon, 0), "resetting the flows that are left");
    daemon.tell(|| Command::Abort).await;
    let aborted = tokio::select! {
        aborted = wait.flows_to_end(ABORT_TIME) => aborted,
        signal = signals.stop() => {
            warn!(signal, "told once more: ending at once");
            std::process::exit(i32::from(EXIT_START));
        }
    };
    aborted.err().map_or(Ending::Stopped, Ending::WorkerFailed)
}

struct Wait<'a> {
    daemon: &'a Daemon,
    watch: &'a mut Watch,
    notifier: &'a Notifier,
}

impl Wait<'_> {
    /// Whether the last flow ended in time; or the worker that ended by itself meanwhile.
    async fn flows_to_end(&mut self, time: Duration) -> Result<bool, u16> {
        let until = Instant::now() + time;
        // Only a report made after now knows of what was just told to the workers.
        let since = self.daemon.dataplane.uptime_us();
        loop {
            if let Some(worker) = self.watch.look(self.daemon, self.notifier) {
                return Err(worker);
            }
            if open_flows(self.daemon, since) == Some(0) {
                return Ok(true);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            tokio::time::sleep(left.min(TICK)).await;
        }
    }
}

/// TCP flows of all workers; none unless every worker has reported since then.
fn open_flows(daemon: &Daemon, since_us: u64) -> Option<u64> {
    daemon.look(|now| {
        let reported = |report: &&dataplane::report::Report| report.uptime_us >= since_us;
        let flows = now.workers.iter().map(|worker| Some(worker.report.filter(reported)?.gauges.tcp_flows));
        flows.sum()
    })
}

/// Does the last step; ends the process should it hang.
pub(super) fn within_time<T>(step: impl FnOnce() -> T) -> T {
    let (done, wait) = channel::<()>();
    let guard = thread::Builder::new().name("stop".into()).spawn(move || {
        use std::sync::mpsc::RecvTimeoutError::Timeout;
        if wait.recv_timeout(STOP_TIME) == Err(Timeout) {
            let seconds = STOP_TIME.as_secs();
            tracing::error!(seconds, "the data plane could not be taken down in time; ending without it");
            std::process::exit(i32::from(EXIT_START));
        }
    });
    let result = step();
    drop(done);
    if let Ok(guard) = guard {
        // It has nothing to say but its end.
        let _ = guard.join();
    }
    result
}
