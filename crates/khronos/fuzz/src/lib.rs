//! The generators and oracles of `tests/fuzzing`, for the targets to call. Nothing is written here twice.

#[path = "../../tests/fuzzing/choices.rs"]
pub mod choices;
#[path = "../../tests/fuzzing/generators/mod.rs"]
pub mod generators;
#[path = "../../tests/fuzzing/oracles/mod.rs"]
pub mod oracles;
#[path = "../../tests/fuzzing/vm.rs"]
pub mod vm;
