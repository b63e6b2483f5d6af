//! `millrace-viewer`: shows in a browser the events that Millrace pushes over `ZeroMQ` (docs/events.md).
//!
//! Invariant: one thread receives and never waits for a reader; everything that is kept has a bound, and what a bound
//! costs is counted and shown.
#![forbid(unsafe_code)]

mod arguments;
mod decode;
mod event;
mod filter;
mod http;
mod mask;
mod metrics;
mod pcap;
mod receive;
mod serve;
mod shared;
mod store;
mod token;

use std::process::ExitCode;

fn main() -> ExitCode {
    serve::main()
}
