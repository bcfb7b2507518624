//! What the operating system says about a process.

use std::fs;

/// What a process uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of memory that the machine has given to it.
    pub resident: u64,
    /// Its threads.
    pub threads: usize,
}

impl Usage {
    /// Of the process with this number, or of this one. `None` where the system does not tell, or the process is gone.
    pub fn of(process: Option<u32>) -> Option<Self> {
        let process = process.map_or_else(|| "self".to_owned(), |number| number.to_string());
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let kib: u64 = field("VmRSS:")?.strip_suffix("kB")?.trim().parse().ok()?;
        Some(Self { resident: kib * 1_024, threads: field("Threads:")?.parse().ok()? })
    }
}
