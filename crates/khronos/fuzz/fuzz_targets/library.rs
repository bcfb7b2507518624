//! libFuzzer for the oracle of `library`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| khronos_fuzz::oracles::library::check(bytes));
