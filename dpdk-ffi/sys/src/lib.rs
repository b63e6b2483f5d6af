//! Raw bindings to the installed DPDK (22.11 or later): an allow-list of functions and types made by bindgen, the
//! `shim_*` wrappers of DPDK's static inline functions, and the 64-bit flags under their DPDK names.
//!
//! Invariant: no logic here. What the calls demand of their callers is upheld by the crate `dpdk-ffi`, the only user.

#![no_std]

#[allow(
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    clippy::all,
    clippy::undocumented_unsafe_blocks
)]
mod bindings {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}

pub use bindings::*;
