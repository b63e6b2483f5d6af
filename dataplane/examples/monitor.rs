//! What following connections costs, in three designs and beside each other:
//!
//! - `thread per stream`: one map for all, shared; every connection has a thread of its own;
//! - `thread pool`: one map for all, shared; a few threads take packets as they come;
//! - `per core`: every thread has a map of its own, and gets the packets that hash to it.
//!
//! `cargo run --release -p dataplane --example monitor -- [--seconds N] [--threads N] [PCAP...]`
//!
//! Each design follows the same packets with the same code (headers read, streams put together, HTTP cut into messages):
//! generated traffic of 1, 100 and 10,000 connections at once, and the captures named. A feeder hands packets over in
//! bursts of 32, as a port would; `alone` is one thread without a feeder, which is what a worker is.

mod monitor_parts;

use monitor_parts::designs::{Design, Outcome, run};
use monitor_parts::traffic::{self, Traffic};
use std::process::ExitCode;

fn main() -> ExitCode {
    let (mut seconds, mut threads, mut files) = (2.0_f64, 2_usize, Vec::new());
    let mut only = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse::<f64>().ok()).filter(|n| *n > 0.0);
        match argument.as_str() {
            "--seconds" => match number() {
                Some(given) => seconds = given,
                None => return usage(),
            },
            "--only" => match arguments.next() {
                Some(name) => only = Some(name),
                None => return usage(),
            },
            "--threads" => match number() {
                Some(given) => threads = given as usize,
                None => return usage(),
            },
            "--write" => {
                let (count, packets) = (number().unwrap_or(0.0) as usize, number().unwrap_or(0.0) as usize);
                let (Some(path), true) = (arguments.next(), count > 0 && packets > count * 11) else {
                    return usage();
                };
                return match traffic::write(&traffic::generate(count, packets), &path) {
                    Ok(()) => ExitCode::SUCCESS,
                    Err(why) => {
                        eprintln!("{path}: {why}");
                        ExitCode::FAILURE
                    }
                };
            }
            "--help" | "-h" => return usage(),
            _ => files.push(argument),
        }
    }
    let mut all: Vec<Traffic> =
        [1, 100, 10_000].into_iter().map(|count| traffic::generate(count, traffic::ROUND)).collect();
    for file in files {
        match traffic::read(&file) {
            Ok(traffic) => all.push(traffic),
            Err(why) => {
                eprintln!("{file}: {why}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{seconds} s each; {threads} threads and a feeder (`alone`: one thread and no feeder)\n");
    println!("| traffic | design | packets/s | p50 | p99 | memory | requests | streams' bytes |");
    println!("|---|---|---|---|---|---|---|---|");
    for traffic in &all {
        for design in [Design::ThreadPerStream, Design::ThreadPool, Design::PerCore, Design::Alone] {
            if only.as_deref().is_some_and(|only| only != design.name()) {
                continue;
            }
            match run(design, traffic, seconds, threads) {
                Ok(outcome) => row(traffic, design, &outcome),
                Err(why) => println!("| {} | {} | {why} | | | | | |", traffic.name, design.name()),
            }
        }
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: monitor [--seconds N] [--threads N] [--only DESIGN] [PCAP...]");
    eprintln!("       monitor --write CONNECTIONS PACKETS FILE    writes generated traffic");
    ExitCode::from(2)
}

fn row(traffic: &Traffic, design: Design, outcome: &Outcome) {
    println!(
        "| {} | {} | {:.0} k | {} | {} | {:.1} MiB | {} | {} |",
        traffic.name,
        design.name(),
        outcome.rate / 1e3,
        time(outcome.p50),
        time(outcome.p99),
        outcome.memory as f64 / f64::from(1 << 20),
        outcome.requests,
        outcome.bytes,
    );
}

fn time(nanos: u64) -> String {
    match nanos {
        0..1_000 => format!("{nanos} ns"),
        1_000..1_000_000 => format!("{:.1} us", nanos as f64 / 1e3),
        _ => format!("{:.1} ms", nanos as f64 / 1e6),
    }
}
