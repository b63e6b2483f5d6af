#![no_main]
//! See `millrace_fuzz::admin`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_fuzz::admin::run(data));
