//! How much memory this machine lets the service use.
//!
//! Owns the look at what Linux tells about it. What part of it is for VMs is a setting's default, in `sections`.

use std::path::Path;

/// Bytes of memory of the machine, or of the control group that the process is in where that has less. `None` where the
/// operating system does not say.
pub(super) fn memory() -> Option<usize> {
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let machine = read(Path::new("/proc/meminfo")).and_then(|text| total(&text));
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let group = limit_files(&groups).iter().filter_map(|path| limit(&read(Path::new(path))?)).min();
    machine.into_iter().chain(group).min()
}

/// The line `MemTotal:  16303428 kB`.
fn total(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1024)
}

/// A number of bytes, or `max`, which is no limit.
fn limit(text: &str) -> Option<usize> {
    text.trim().parse().ok()
}

/// The files with the limits of a process whose groups are `groups` (`0::/system.slice/worker.service`): its own
/// group's, and those of the groups that this is in.
fn limit_files(groups: &str) -> Vec<String> {
    let path_in = |controller: &str| {
        let mut fields = groups.lines().map(|line| line.splitn(3, ':').skip(1));
        fields.find_map(|mut line| (line.next()? == controller).then(|| line.next())?)
    };
    let upwards = |root: &str, path: &str, file: &str| {
        let folders = Path::new(path.trim_start_matches('/')).ancestors();
        folders
            .map(|folder| Path::new(root).join(folder).join(file).display().to_string())
            .collect::<Vec<_>>()
    };
    let unified = path_in("").map(|path| upwards("/sys/fs/cgroup", path, "memory.max"));
    let older = path_in("memory").map(|path| upwards("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes"));
    unified.into_iter().chain(older).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_says_is_understood() {
        assert_eq!(total("MemTotal:       16303428 kB\nMemFree: 5 kB\n"), Some(16_303_428 << 10));
        assert_eq!((total("MemFree: 5 kB\n"), total("MemTotal: much\n")), (None, None));
        assert_eq!((limit("max\n"), limit("1073741824\n")), (None, Some(1 << 30)));
    }

    #[test]
    fn the_limits_of_all_groups_around_the_process_count() {
        assert_eq!(
            limit_files("0::/system.slice/worker.service\n"),
            [
                "/sys/fs/cgroup/system.slice/worker.service/memory.max",
                "/sys/fs/cgroup/system.slice/memory.max",
                "/sys/fs/cgroup/memory.max"
            ]
        );
        assert_eq!(
            limit_files("5:memory:/worker\n1:cpu:/worker\n"),
            [
                "/sys/fs/cgroup/memory/worker/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes"
            ]
        );
        assert_eq!(limit_files("").len(), 0);
    }
}
