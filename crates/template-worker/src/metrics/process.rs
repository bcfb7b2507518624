//! What the operating system says about a process.

use std::fs;

/// Bytes of memory that the machine has given to the process with this number, or to this one. `None` where the system
/// does not tell, or the process is gone.
pub fn resident_memory(process: Option<u32>) -> Option<u64> {
    let process = process.map_or_else(|| "self".to_owned(), |number| number.to_string());
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let kib: u64 = field(&status, "VmRSS:")?.strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

/// How many threads the process has.
pub fn threads(process: u32) -> Option<usize> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    field(&status, "Threads:")?.parse().ok()
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}
