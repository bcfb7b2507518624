//! What locks a VM process in, tried from inside. That the attempts get through where nothing is locked is tested beside
//! them, in `vm::process::escape`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

const PROGRAM: &str = env!("CARGO_BIN_EXE_template-worker");

const LOCKS: [&str; 12] = [
    "descriptors",
    "memory",
    "open_files",
    "file_size",
    "core_dumps",
    "not_dumpable",
    "parent_death",
    "no_new_privileges",
    "landlock_files",
    "landlock_network",
    "landlock_scopes",
    "system_calls",
];

const ATTEMPTS: [&str; 19] = [
    "open_file",
    "write_file",
    "list_folder",
    "read_proc",
    "read_memory",
    "connect_tcp",
    "connect_unix",
    "bind",
    "socket_pair",
    "exec",
    "fork",
    "ptrace",
    "signal",
    "memfd_create",
    "new_namespace",
    "raise_limits",
    "become_dumpable",
    "read_environment",
    "open_descriptors",
];

/// As the service starts a VM process, but for the pipes.
fn vm_process(flags: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("vm-process").args(flags).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What it printed.
struct Report {
    text: String,
    /// By lock: "enforced", or "MISSING:".
    locks: BTreeMap<String, String>,
    /// By attempt and thread: "refused", or "SUCCEEDED".
    attempts: BTreeMap<(String, String), String>,
}

impl Report {
    fn of(output: &Output) -> Self {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (mut locks, mut attempts) = (BTreeMap::new(), BTreeMap::new());
        for line in text.lines() {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["lock", lock, state, ..] => drop(locks.insert(lock.to_owned(), state.to_owned())),
                ["attempt", attempt, thread, outcome, ..] => {
                    drop(attempts.insert((attempt.to_owned(), thread.to_owned()), outcome.to_owned()));
                }
                _ => (),
            }
        }
        Self { text: format!("{text}\n{}", String::from_utf8_lossy(&output.stderr)), locks, attempts }
    }

    fn outcome(&self, attempt: &str, thread: &str) -> &str {
        let outcome = self.attempts.get(&(attempt.to_owned(), thread.to_owned()));
        outcome.unwrap_or_else(|| panic!("{attempt} was not tried on the thread {thread}: {}", self.text))
    }

    fn succeeded(&self) -> Vec<(&str, &str)> {
        let outcomes = self.attempts.iter().filter(|(_, outcome)| *outcome != "refused");
        outcomes.map(|((attempt, thread), _)| (attempt.as_str(), thread.as_str())).collect()
    }

    fn has_landlock(&self) -> bool {
        LOCKS[8..11].iter().all(|lock| self.locks[*lock] == "enforced")
    }
}

#[test]
fn behind_the_locks_every_way_out_is_refused_on_every_thread_and_work_goes_on() {
    let output = vm_process(&["--try-locks"]).output().unwrap();
    let report = Report::of(&output);
    assert_eq!(output.status.code(), Some(0), "{}", report.text);
    for attempt in ATTEMPTS {
        for thread in ["main", "other"] {
            assert_eq!(report.outcome(attempt, thread), "refused", "{attempt}: {}", report.text);
        }
    }
    assert_eq!(report.outcome("exceed_memory", "main"), "refused", "{}", report.text);
    assert_eq!(report.attempts.len(), 2 * ATTEMPTS.len() + 1, "an attempt is missing in this test");
    assert!(report.text.contains("work: 4 threads with a VM each"), "{}", report.text);
    let caught = report.text.matches("on purpose, to see that it is caught").count();
    assert_eq!(caught, 4, "{}", report.text);
}

#[test]
fn every_lock_is_enforced_or_says_what_the_kernel_lacks() {
    let report = Report::of(&vm_process(&["--try-locks"]).output().unwrap());
    let mut known = LOCKS;
    known.sort_unstable();
    assert_eq!(report.locks.keys().map(String::as_str).collect::<Vec<_>>(), known, "{}", report.text);
    for lock in LOCKS {
        let state = &report.locks[lock];
        let may_be_missing = lock.starts_with("landlock_");
        assert!(state == "enforced" || (may_be_missing && state == "MISSING:"), "{lock}: {}", report.text);
    }
}

/// What has ended and was not waited for still has its limits and filters, where the kernel tells them.
#[test]
fn the_kernel_tells_the_same_limits_and_filters() {
    let mut child = vm_process(&["--try-locks"]).stderr(Stdio::null()).spawn().unwrap();
    let mut printed = String::new();
    child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", child.id())).unwrap();
    let (status, limits) = (read("status"), read("limits"));
    assert!(child.wait().unwrap().success(), "{printed}");
    let value = |text: &str, start: &str| {
        let line = text.lines().find(|line| line.starts_with(start));
        let line = line.unwrap_or_else(|| panic!("no {start} in {text}"));
        line[start.len()..].split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(value(&status, "NoNewPrivs:"), "1");
    assert_eq!(value(&status, "Seccomp:"), "2");
    assert_eq!(value(&limits, "Max data size"), "536870912 536870912");
    assert_eq!(value(&limits, "Max address space"), "2147483648 2147483648");
    assert_eq!(value(&limits, "Max open files"), "16 16");
    assert_eq!(value(&limits, "Max file size"), "65536 65536");
    assert_eq!(value(&limits, "Max core file size"), "0 0");
}

#[test]
fn a_variable_of_the_environment_is_told_and_a_backtrace_hurts_nobody() {
    let output =
        vm_process(&["--try-locks"]).env("RUST_BACKTRACE", "full").env("SECRET", "x").output().unwrap();
    let report = Report::of(&output);
    let both = [("read_environment", "main"), ("read_environment", "other")];
    assert_eq!(report.succeeded(), both, "{}", report.text);
    assert!(report.text.contains("found 2 variables"), "{}", report.text);
    assert!(report.text.contains("stack backtrace:"), "{}", report.text);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_descriptor_that_was_inherited_is_closed() {
    let file = File::open(PROGRAM).unwrap();
    fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let seen = Command::new("readlink").arg(format!("/proc/self/fd/{}", file.as_raw_fd())).output().unwrap();
    let inherited = String::from_utf8(seen.stdout).unwrap();
    assert!(inherited.ends_with("template-worker\n"), "a child inherits it: {inherited:?}");
    let report = Report::of(&vm_process(&["--try-locks"]).output().unwrap());
    assert!(report.succeeded().is_empty(), "{}", report.text);
    assert_eq!(report.locks["descriptors"], "enforced");
}

#[test]
fn landlock_alone_refuses_files_ports_abstract_sockets_and_signals() {
    // Where nobody listens, the kernel says that before it asks landlock.
    let _listener = listen();
    let output = vm_process(&["--try-locks", "--without-system-calls"]).output().unwrap();
    let report = Report::of(&output);
    assert_eq!(output.status.code(), Some(1), "{}", report.text);
    if !report.has_landlock() {
        eprintln!("nothing to see: this kernel's landlock lacks something\n{}", report.text);
        return;
    }
    for thread in ["main", "other"] {
        for refused in [
            "open_file",
            "write_file",
            "list_folder",
            "read_proc",
            "connect_tcp",
            "connect_unix",
            "bind",
            "signal",
        ] {
            assert_eq!(report.outcome(refused, thread), "refused", "{refused}: {}", report.text);
        }
        // The control: these are the system calls' to refuse.
        for open in ["socket_pair", "fork", "memfd_create", "new_namespace", "raise_limits"] {
            assert_eq!(report.outcome(open, thread), "SUCCEEDED", "{open}: {}", report.text);
        }
    }
}

/// Listens where `connect_unix` connects to, as soon as a test of somebody else no longer does.
fn listen() -> UnixListener {
    let address = SocketAddr::from_abstract_name("template-worker-escape").unwrap();
    let bind = |_| {
        let bound = UnixListener::bind_addr(&address);
        bound.inspect_err(|_| std::thread::park_timeout(Duration::from_millis(20))).ok()
    };
    (0..500).find_map(bind).unwrap()
}

#[test]
fn started_by_hand_it_says_who_starts_it() {
    let output = vm_process(&[]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("started by the service only"), "{said}");
}
