//! Serving: signals, servers and the watch over the workers, until it is time to stop.
//!
//! Invariant: servers answer until the last flow is gone; nothing here blocks the control thread.

use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

use super::notify::Notifier;
use super::run::Failure;
use super::start::Doors;
use super::state::Daemon;
use super::stop;
use super::watch::Watch;
use crate::admin::{self, AdminSocket, Bounds};
use crate::metrics;
use crate::snapshot::Source;

/// How often the workers are looked at.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// Why serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Told to stop, and drained.
    Stopped,
    /// This worker ended by itself.
    WorkerFailed(u16),
}

/// The signals the daemon listens to.
pub(super) struct Signals {
    reload: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            reload: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The name of the next signal to stop.
    pub(super) async fn stop(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Serves; gives back the admin socket so that it outlives the data plane.
pub(super) async fn serve(daemon: Rc<Daemon>, mut doors: Doors) -> Result<(Ending, AdminSocket), Failure> {
    let failed = |what: &str, error: std::io::Error| Failure::Start(format!("cannot {what}: {error}"));
    let mut signals = Signals::new().map_err(|error| failed("listen to signals", error))?;
    let bounds = Bounds {
        sessions: daemon.in_force.borrow().loaded.config.limits.admin_sessions.into(),
        ..Bounds::default()
    };
    if let Some(listener) = doors.admin.take_listener() {
        let listener =
            UnixListener::from_std(listener).map_err(|error| failed("use the admin socket", error))?;
        let tally = Arc::clone(&daemon.admin);
        tokio::task::spawn_local(admin::serve(listener, Rc::clone(&daemon), tally, bounds));
    }
    if let Some(listener) = doors.metrics {
        let listener = TcpListener::from_std(listener).map_err(|error| failed("serve metrics", error))?;
        let tally = Arc::clone(&daemon.http);
        tokio::task::spawn_local(metrics::http::serve(listener, Rc::clone(&daemon), tally));
    }
    let notifier = Notifier::new();
    notifier.ready();
    info!(admin = %doors.admin.path().display(), "running");
    let ending = until_stopped(&daemon, &mut signals, &notifier).await;
    Ok((ending, doors.admin))
}

async fn until_stopped(daemon: &Rc<Daemon>, signals: &mut Signals, notifier: &Notifier) -> Ending {
    let mut watch = Watch::new();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = signals.reload.recv() => {
                let daemon = Rc::clone(daemon);
                tokio::task::spawn_local(async move { daemon.reload().await });
            }
            signal = async { tokio::select! {
                _ = signals.terminate.recv() => "SIGTERM",
                _ = signals.interrupt.recv() => "SIGINT",
            } } => {
                info!(signal, "stopping");
                notifier.stopping();
                return stop::drain(daemon, signals, &mut watch, notifier).await;
            }
            _ = ticks.tick() => {
                if let Some(worker) = watch.look(daemon, notifier) {
                    return Ending::WorkerFailed(worker);
                }
            }
        }
    }
}
