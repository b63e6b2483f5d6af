//! Events from the workers' records to their consumers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is the test's result")]

mod assemble;
mod consumers;
mod records;
mod schema;
mod sockets;
