#![no_main]
//! See `millrace_fuzz::config`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_fuzz::config::run(data));
