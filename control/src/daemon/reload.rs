//! Reload: the file is read again, and what can be exchanged while running is.
//!
//! Invariant: a file with a problem changes nothing. Running flows keep the application they began with; a key that
//! needs a restart keeps its old value and is named. Reading that does not end costs one thread, however often it is
//! tried again.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use dataplane::mailbox::Command;
use dataplane::settings::Services;
use tokio::task::AbortHandle;
use tracing::{error, info, warn};

use super::events;
use super::state::{Daemon, InForce};
use crate::config::model::Config;
use crate::config::{self, Loaded, Problems};
use crate::plan::{self, Fixed};
use crate::protocol::Reloaded;
use crate::snapshot::{Phase, Source};

/// How long workers may take to report the new services.
const PATIENCE: Duration = Duration::from_secs(1);

/// The reading that was begun last.
#[derive(Debug, Default)]
pub(super) struct Reading(Option<AbortHandle>);

impl Reading {
    /// Does `make` where it may block, and waits for it no longer than `limit`.
    async fn in_time<T: Send + 'static>(
        &mut self,
        limit: Duration,
        make: impl FnOnce() -> Result<T, Problems> + Send + 'static,
    ) -> Result<T, Vec<String>> {
        // A thread that waits for a file cannot be stopped. Another one would wait for the same file, and in the end
        // there would be none left for flow listings.
        if self.0.as_ref().is_some_and(|earlier| !earlier.is_finished()) {
            let what =
                "an earlier reload still waits for a file that does not answer: make it readable, or restart";
            return Err(vec![what.to_owned()]);
        }
        let making = tokio::task::spawn_blocking(make);
        self.0 = Some(making.abort_handle());
        match tokio::time::timeout(limit, making).await {
            Ok(Ok(made)) => made.map_err(|problems| problems.0.iter().map(ToString::to_string).collect()),
            Ok(Err(error)) => Err(vec![format!("the reload ended early: {error}")]),
            Err(_) => Err(vec![format!(
                "the file, or one that it names, could not be read within {} seconds: nothing was changed",
                limit.as_secs_f64()
            )]),
        }
    }
}

pub(super) async fn reload(daemon: &Daemon) -> Reloaded {
    let mut reading = daemon.reloading.lock().await;
    let fixed = daemon.fixed.clone();
    let (source, services, in_force) = {
        let now = daemon.in_force.borrow();
        (now.loaded.source.clone(), Arc::clone(&now.services), now.loaded.config.clone())
    };
    let mut outcome = Reloaded {
        source: source.display().to_string(),
        services_version: services.version,
        ..Reloaded::default()
    };
    let made = if daemon.phase.get() == Phase::Draining {
        Err(vec!["the daemon is stopping: start it again with the new file".to_owned()])
    } else {
        // Files are read, some of them large, some from a network: not on the thread that answers operators.
        reading.in_time(daemon.reload_limit, move || make(&source, &services, &in_force, &fixed)).await
    };
    match made {
        Ok((loaded, services)) => apply(daemon, loaded, Arc::new(services), &mut outcome).await,
        Err(problems) => outcome.problems = problems,
    }
    outcome.succeeded = outcome.problems.is_empty();
    note(daemon, &outcome);
    outcome
}

fn make(
    source: &Path,
    services: &Services,
    in_force: &Config,
    fixed: &Fixed,
) -> Result<(Loaded, Services), Problems> {
    let loaded = config::load(source)?;
    let services = plan::services(&loaded, Some((services, in_force)), fixed)?;
    Ok((loaded, services))
}

async fn apply(daemon: &Daemon, loaded: Loaded, services: Arc<Services>, outcome: &mut Reloaded) {
    let diff = {
        let now = daemon.in_force.borrow();
        config::diff(&now.loaded.config, &loaded)
    };
    let limits = plan::limits(&loaded.config);
    if let Some(exporter) = &daemon.exporter {
        // Before the workers know the services: no event comes of one that has no name here.
        exporter.rename(events::names(&daemon.in_force.borrow().loaded.config, &services));
    }
    let mut deaf = daemon.tell(|| Command::Services(Arc::clone(&services))).await;
    deaf.extend(daemon.tell(|| Command::Rates(limits)).await);
    deaf.sort_unstable();
    deaf.dedup();
    daemon.log.set(loaded.config.log.level);
    loaded.warnings.iter().for_each(|warning| warn!("{}", warning.unmarked()));
    outcome.warnings = loaded.warnings.iter().map(ToString::to_string).collect();
    outcome.services_version = services.version;
    outcome.applied = diff.reloadable;
    outcome.needs_restart = diff.needs_restart;
    let late = |worker| format!("worker {worker} has not taken the new services: see `millctl show workers`");
    let waiting = if deaf.is_empty() { arrival(daemon, services.version).await } else { deaf };
    outcome.problems = waiting.into_iter().map(late).collect();
    let mut now = daemon.in_force.borrow_mut();
    put_in_force(&mut now, loaded, services, outcome.needs_restart.clone());
}

/// Waits until every worker reports the services; returns the numbers of those that do not in time.
async fn arrival(daemon: &Daemon, version: u64) -> Vec<usize> {
    let until = Instant::now() + PATIENCE;
    loop {
        let behind: Vec<usize> = daemon.look(|now| {
            let reports = now.workers.iter().map(|worker| worker.report);
            let behind = |report: Option<&dataplane::report::Report>| {
                report.is_none_or(|report| report.gauges.policy_version < version)
            };
            reports.enumerate().filter(|(_, report)| behind(*report)).map(|(worker, _)| worker).collect()
        });
        if behind.is_empty() || Instant::now() >= until {
            return behind;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The keys that a reload exchanges take their new values, all others keep those of the start.
fn put_in_force(now: &mut InForce, loaded: Loaded, services: Arc<Services>, needs_restart: Vec<String>) {
    let config = merged(&now.loaded.config, &loaded.config);
    now.loaded = Loaded { config, ..loaded };
    now.services = services;
    now.needs_restart = needs_restart;
    now.reloads.version = now.services.version;
}

fn merged(old: &Config, new: &Config) -> Config {
    let mut config = old.clone();
    config.upstreams = new.upstreams.clone();
    config.services = new.services.clone();
    config.limits.rst_per_second = new.limits.rst_per_second;
    config.limits.icmp_per_second = new.limits.icmp_per_second;
    config.limits.challenge_acks_per_second = new.limits.challenge_acks_per_second;
    config.log.level = new.log.level;
    config.shutdown.drain = new.shutdown.drain;
    config
}

/// Counts and logs what came of it.
fn note(daemon: &Daemon, outcome: &Reloaded) {
    let numbers = &mut daemon.in_force.borrow_mut().reloads;
    if outcome.succeeded {
        numbers.succeeded += 1;
        numbers.last_success = SystemTime::now();
        let (version, applied) = (outcome.services_version, outcome.applied.join(", "));
        info!(source = outcome.source, version, applied, "configuration reloaded");
    } else {
        numbers.failed += 1;
        error!(source = outcome.source, problems = outcome.problems.len(), "configuration not reloaded");
    }
    outcome.problems.iter().for_each(|problem| error!("{problem}"));
    if !outcome.needs_restart.is_empty() {
        warn!(
            keys = outcome.needs_restart.join(", "),
            "changed in the file, but in force only after a restart"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{diff, parse};

    /// What the model marks as reloadable is what a reload exchanges, and nothing else.
    #[test]
    fn merging_takes_exactly_the_live_keys() {
        let text = |more: &str, mtu: u16| {
            let port = format!("{{name: a, device: net_null0, addresses: [10.0.0.1/24], mtu: {mtu}}}");
            format!("workers: [1]\nports: [{port}]\n{more}")
        };
        let old = parse("t", &text("", 1500)).unwrap();
        let more = "upstreams: [{name: u, servers: [{address: \"10.0.0.9:80\"}]}]\nservices: [{name: s, match: {}, action: drop}]\nlog: {level: debug, format: json}\n\
                    shutdown: {drain: 1s}\nlimits: {rst_per_second: 1, icmp_per_second: 1, \
                    challenge_acks_per_second: 1, flows: 100}\n";
        let new = parse("t", &text(more, 1400)).unwrap();
        let merged = Loaded { config: merged(&old.config, &new.config), ..new.clone() };
        let left = diff(&merged.config, &new);
        assert_eq!(left.reloadable, Vec::<String>::new());
        assert_eq!(left.needs_restart, diff(&old.config, &new).needs_restart);
        assert!(left.needs_restart.contains(&"log.format".to_owned()), "{left:?}");
        assert_eq!(diff(&old.config, &merged).needs_restart, Vec::<String>::new());
    }

    /// A FIFO that nobody writes to is a file that never answers.
    #[test]
    fn a_file_that_does_not_answer_is_waited_for_once_and_not_for_ever() {
        let fifo = std::env::temp_dir().join(format!("millrace-reload-{}.yaml", std::process::id()));
        let _ = std::fs::remove_file(&fifo);
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let text = "workers: [1]\nports: [{name: a, device: net_null0, addresses: [10.0.0.1/24]}]\n";
        let loaded = parse("t", text).unwrap();
        let services = Arc::new(plan::services(&loaded, None, &Fixed::default()).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut reading = Reading::default();
        let mut attempt = |limit: u64| {
            let (fifo, services, config) = (fifo.clone(), Arc::clone(&services), loaded.config.clone());
            let attempt = reading.in_time(Duration::from_millis(limit), move || {
                make(&fifo, &services, &config, &Fixed::default())
            });
            runtime.block_on(attempt).map(|(loaded, services)| (loaded.config, services.version))
        };
        let said = attempt(50).unwrap_err();
        assert!(said[0].contains("could not be read within 0.05 seconds: nothing was changed"), "{said:?}");
        let began = Instant::now();
        let said = attempt(60_000).unwrap_err();
        assert!(said[0].contains("an earlier reload still waits"), "{said:?}");
        assert!(began.elapsed() < Duration::from_secs(30), "refused at once");

        // What the first one then finds in the file is nobody's business any more; the next one reads anew.
        std::fs::write(&fifo, "nonsense").unwrap();
        std::fs::remove_file(&fifo).unwrap();
        std::fs::write(&fifo, text).unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        let read = loop {
            match attempt(30_000) {
                Ok(made) => break made,
                Err(said) => assert!(Instant::now() < until && said[0].contains("still waits"), "{said:?}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        assert_eq!(read, (loaded.config.clone(), 2));
        std::fs::remove_file(&fifo).unwrap();
    }
}
