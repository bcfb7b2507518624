//! The fuzz targets without a fuzzer: each runs its seeds, and inputs that are random and the same every time.
//!
//! `choices` is an input, `generators` make something of it, `oracles` run that and say what must hold, `vm` is what
//! they run it in; `findings` is what came of that. `fuzz/` hands the same oracles to libFuzzer; see `scripts/fuzz`.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "an oracle fails by panicking")]

mod choices;
mod findings;
mod generators;
mod oracles;
mod vm;

use std::path::Path;

/// Runs the seeds of `target`, and so many random inputs: about a second in all.
fn drive(target: &str, inputs: u64) {
    let (_, check) = oracles::ALL.iter().find(|(name, _)| *name == target).unwrap();
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut seeds: Vec<_> = std::fs::read_dir(&seeds).unwrap().map(|entry| entry.unwrap().path()).collect();
    seeds.sort();
    for seed in seeds {
        let _name = Name(format!("the seed {}", seed.display()));
        check(&std::fs::read(seed).unwrap());
    }
    for number in 0..inputs {
        let _name = Name(format!("the random input {number}"));
        check(&random(number));
    }
}

/// Says which input it was that failed.
struct Name(String);

impl Drop for Name {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("failed at {}", self.0);
        }
    }
}

/// Up to 500 bytes (an xorshift generator).
fn random(number: u64) -> Vec<u8> {
    let mut state = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    };
    let length = usize::from(next()) * 2;
    (0..length).map(|_| next()).collect()
}

#[test]
fn values_come_out_as_they_went_in() {
    drive("values", 2_000);
}

#[test]
fn a_request_leads_to_a_module_of_its_bundle_or_to_an_error() {
    drive("require", 1_000);
}

#[test]
fn a_library_function_ends_and_leaves_the_library_as_it_was() {
    drive("library", 150);
}

#[test]
fn scripts_notice_no_slices_and_survive_failing_allocations() {
    drive("scripts", 60);
}
