//! The two command lines, `millrace` and `millctl`.
//!
//! Invariant: [`ctl`] needs nothing of DPDK, so that millctl runs where DPDK is not installed; a test looks at the
//! program's list of libraries.

pub mod ctl;
pub mod millrace;
