//! The daemon and its helpers. Everything is in the library, where it can be tested.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    control::cli::main()
}
