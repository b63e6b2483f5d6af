#![no_main]
//! See `millrace_fuzz::packets`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_fuzz::packets::run(data));
