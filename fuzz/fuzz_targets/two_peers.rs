#![no_main]
//! See `millrace_fuzz::two_peers`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_fuzz::two_peers::run(data));
