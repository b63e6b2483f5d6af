//! The client of a running daemon. It uses `ctl` and not `control`, so that DPDK's libraries are never linked in.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ctl::main()
}
