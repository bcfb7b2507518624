//! libFuzzer for the oracle of `scripts`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| khronos_fuzz::oracles::scripts::check(bytes));
