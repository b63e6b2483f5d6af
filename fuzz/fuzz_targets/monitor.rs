#![no_main]
//! See `millrace_fuzz::monitor`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_fuzz::monitor::run(data));
