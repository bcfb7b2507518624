//! libFuzzer for the oracle of `values`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| khronos_fuzz::oracles::values::check(bytes));
