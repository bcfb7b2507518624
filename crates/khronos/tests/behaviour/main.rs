//! What a VM does, claim by claim. `vm` makes one and runs scripts in it; each other file is one area.

mod limits;
mod sandbox;
mod scheduling;
mod values;
mod vm;
