//! `millrace-load`: the load rig. Starts the appliance on one CPU, loads it from another over a shared-memory link, and
//! says what it held. `docs/benchmarking.md` explains the numbers.
//!
//! Invariant: every run is bounded in time and stops by itself; nothing but the link it makes is touched.
#![forbid(unsafe_code)]

mod args;
mod checksum;
mod conn;
mod daemon;
mod detail;
mod link;
mod load;
mod metrics;
mod outbox;
mod pace;
mod procfs;
mod reflector;
mod report;
mod run;
mod scenario;
mod search;
mod setup;
mod tally;
mod template;
mod upstream;
mod wire;

use args::Args;
use clap::Parser;
use report::Row;
use scenario::Scenario;
use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;

fn main() -> ExitCode {
    match measure(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("millrace-load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &Args) -> Result<(), Box<dyn Error>> {
    let yardstick: BTreeMap<String, f64> = match &args.yardstick {
        Some(path) => serde_json::from_str(&std::fs::read_to_string(path)?)?,
        None => BTreeMap::new(),
    };
    let wanted = args.scenarios();
    if wanted.len() > 1 && wanted.contains(&Scenario::Million) {
        return Err("the million scenario needs an appliance nobody has used: run it by itself".into());
    }
    let options = args.daemon()?;
    let daemon = daemon::Daemon::start(&options)
        .map_err(|error| format!("{error}\n{}", daemon::log_tail(&options.directory)))?;
    let rows = setup::with_link(args, &daemon, |bench| {
        let (mut rows, mut failed) = (Vec::<Row>::new(), Vec::new());
        for scenario in &wanted {
            eprintln!("millrace-load: {}", scenario.name());
            // The others are still worth having.
            match bench.run(*scenario) {
                Ok(mut row) => {
                    row.compare(*scenario, &yardstick);
                    rows.push(row);
                }
                Err(error) => failed.push(format!("{}: {error}", scenario.name())),
            }
        }
        report::share(&mut rows, &wanted);
        Ok((rows, failed))
    });
    let stopped = daemon.stop();
    let (rows, failed) =
        rows.map_err(|error| format!("{error}\n{}", daemon::log_tail(&options.directory)))?;
    stopped?;
    print!("{}", report::table(&rows));
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_string_pretty(&rows)? + "\n")?;
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n").into()) }
}
