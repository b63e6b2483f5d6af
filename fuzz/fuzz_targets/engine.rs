#![no_main]
//! See `millrace_fuzz::engine`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_fuzz::engine::run(data));
