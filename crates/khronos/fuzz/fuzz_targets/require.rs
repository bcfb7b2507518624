//! libFuzzer for the oracle of `require`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| khronos_fuzz::oracles::require::check(bytes));
