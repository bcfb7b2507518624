//! The drill: what a script that broke out of Luau would try next, done on purpose.
//!
//! Owns the closed list of attempts and what came of one. That they are refused is `confinement`'s business; who may ask
//! for one, that of whoever offers it.
//!
//! Each is harmless where it succeeds: it reads nothing that it keeps, changes nothing, starts no program, and asks for what
//! is not there wherever the answer "there is none" tells that nobody stood in the way. So only the two errors by which
//! the system forbids something count as refused; with any other, the attempt got through.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{self as unix, UnixStream};
use std::time::Duration;

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions};
use nix::sys::memfd::MFdFlags;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::socket::{MsgFlags, recv};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::sys::{memfd, prctl, ptrace, signal};
use nix::unistd::{self, Pid};
use serde::{Deserialize, Serialize};

use crate::config::Environment;

/// Nothing is there.
const NO_PROGRAM: &std::ffi::CStr = c"/nonexistent/program";

/// Nobody listens there, if not by chance.
const NO_SERVICE: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 9);

/// No process has this number: it is beyond the most that Linux gives.
const NO_PROCESS: Pid = Pid::from_raw(0x7fff_fff0);

/// As far as descriptors are looked for; a process has seldom a limit beyond.
const DESCRIPTORS: i32 = 1 << 16;

/// A way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attempt {
    /// Reads a file.
    OpenFile,
    /// Opens a file to write to it.
    WriteFile,
    /// Lists the root folder.
    ListFolder,
    /// Reads what the parent process was started with.
    ReadProc,
    /// Reads the parent's memory.
    ReadMemory,
    /// Connects to a port of this machine.
    ConnectTcp,
    /// Connects to a Unix socket without a file, `@template-worker-escape`, where a test listens and else nobody.
    ConnectUnix,
    /// Listens on a port.
    Bind,
    /// Makes a pair of sockets.
    SocketPair,
    /// Executes a program in place of this one; there is none by the name.
    Exec,
    /// Starts a process; there is no program for it to execute.
    Fork,
    /// Traces a process; there is none by the number.
    Ptrace,
    /// Asks whether it might send the parent a signal.
    Signal,
    /// Makes a file in memory.
    MemfdCreate,
    /// Leaves the namespaces that it is in; it names none.
    NewNamespace,
    /// Sets a limit on itself, to what it is.
    RaiseLimits,
    /// Asks whether it may be looked into, which is how one would allow it.
    BecomeDumpable,
    /// Looks for variables of the environment.
    ReadEnvironment,
    /// Looks for descriptors other than 0, 1 and 2.
    OpenDescriptors,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Escape {
    /// It was stopped, in these words.
    Refused(String),
    /// Nothing stopped it; this is how far it came.
    Succeeded(String),
}

impl Attempt {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::OpenFile,
        Self::WriteFile,
        Self::ListFolder,
        Self::ReadProc,
        Self::ReadMemory,
        Self::ConnectTcp,
        Self::ConnectUnix,
        Self::Bind,
        Self::SocketPair,
        Self::Exec,
        Self::Fork,
        Self::Ptrace,
        Self::Signal,
        Self::MemfdCreate,
        Self::NewNamespace,
        Self::RaiseLimits,
        Self::BecomeDumpable,
        Self::ReadEnvironment,
        Self::OpenDescriptors,
    ];

    /// The name in requests and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenFile => "open_file",
            Self::WriteFile => "write_file",
            Self::ListFolder => "list_folder",
            Self::ReadProc => "read_proc",
            Self::ReadMemory => "read_memory",
            Self::ConnectTcp => "connect_tcp",
            Self::ConnectUnix => "connect_unix",
            Self::Bind => "bind",
            Self::SocketPair => "socket_pair",
            Self::Exec => "exec",
            Self::Fork => "fork",
            Self::Ptrace => "ptrace",
            Self::Signal => "signal",
            Self::MemfdCreate => "memfd_create",
            Self::NewNamespace => "new_namespace",
            Self::RaiseLimits => "raise_limits",
            Self::BecomeDumpable => "become_dumpable",
            Self::ReadEnvironment => "read_environment",
            Self::OpenDescriptors => "open_descriptors",
        }
    }

    /// Tries it, on this thread.
    pub fn attempt(self) -> Escape {
        let parent = Pid::parent();
        match self {
            Self::OpenFile => outcome(File::open("/dev/null")),
            Self::WriteFile => outcome(OpenOptions::new().write(true).open("/dev/null")),
            Self::ListFolder => outcome(std::fs::read_dir("/")),
            Self::ReadProc => outcome(std::fs::read(format!("/proc/{parent}/cmdline"))),
            Self::ReadMemory => outcome(read_memory(parent)),
            Self::ConnectTcp => {
                outcome(TcpStream::connect_timeout(&SocketAddr::from(NO_SERVICE), Duration::from_secs(1)))
            }
            Self::ConnectUnix => {
                let address = unix::SocketAddr::from_abstract_name("template-worker-escape");
                outcome(address.and_then(|address| UnixStream::connect_addr(&address)))
            }
            Self::Bind => outcome(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))),
            Self::SocketPair => outcome(UnixStream::pair()),
            Self::Exec => outcome(unistd::execv(NO_PROGRAM, &[NO_PROGRAM])),
            Self::Fork => outcome(fork()),
            Self::Ptrace => outcome(ptrace::seize(NO_PROCESS, ptrace::Options::empty())),
            Self::Signal => outcome(signal::kill(parent, None::<Signal>)),
            Self::MemfdCreate => outcome(memfd::memfd_create(c"escape", MFdFlags::MFD_CLOEXEC)),
            Self::NewNamespace => outcome(nix::sched::unshare(CloneFlags::empty())),
            Self::RaiseLimits => outcome(
                getrlimit(Resource::RLIMIT_NOFILE)
                    .and_then(|(soft, hard)| setrlimit(Resource::RLIMIT_NOFILE, soft, hard)),
            ),
            Self::BecomeDumpable => outcome(prctl::get_dumpable().and_then(prctl::set_dumpable)),
            Self::ReadEnvironment => found(Environment::size_of_process(), "variables"),
            Self::OpenDescriptors => {
                found((3..DESCRIPTORS).filter(|number| is_open(*number)).count(), "descriptors")
            }
        }
    }
}

/// What came of a call to the system.
fn outcome<T>(result: Result<T, impl Into<io::Error>>) -> Escape {
    match result.map_err(Into::into) {
        Ok(_) => Escape::Succeeded("nothing stood in the way".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Escape::Refused(error.to_string()),
        Err(error) => Escape::Succeeded(format!("nobody forbade it; it failed all the same: {error}")),
    }
}

/// What came of a search.
fn found(count: usize, what: &str) -> Escape {
    match count {
        0 => Escape::Refused(format!("there are no {what}")),
        count => Escape::Succeeded(format!("found {count} {what}")),
    }
}

/// From an address at which there is nothing.
fn read_memory(of: Pid) -> nix::Result<usize> {
    let mut byte = [0];
    process_vm_readv(of, &mut [IoSliceMut::new(&mut byte)], &[RemoteIoVec { base: 0, len: 1 }])
}

fn fork() -> nix::Result<Pid> {
    let (actions, attributes) = (PosixSpawnFileActions::init()?, PosixSpawnAttr::init()?);
    nix::spawn::posix_spawn(NO_PROGRAM, &actions, &attributes, &[NO_PROGRAM], &[] as &[&std::ffi::CStr])
}

/// Whether there is such a descriptor: what is no socket says so, and what is none at all says that. Nothing is taken out.
fn is_open(descriptor: i32) -> bool {
    recv(descriptor, &mut [], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) != Err(Errno::EBADF)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without locks they get through, so it is the locks that refuse them.
    #[test]
    fn without_locks_nothing_is_refused_that_any_process_may_do() {
        let may_be_refused = |attempt: &Attempt| {
            // A container or a hardened machine forbids these on its own account.
            !matches!(attempt, Attempt::ReadMemory | Attempt::Ptrace | Attempt::ReadEnvironment)
        };
        let held = File::open("/dev/null").unwrap();
        let refused: Vec<_> = Attempt::ALL
            .into_iter()
            .filter(may_be_refused)
            .map(|attempt| (attempt.name(), attempt.attempt()))
            .filter(|(_, escape)| matches!(escape, Escape::Refused(_)))
            .collect();
        drop(held);
        assert!(refused.is_empty(), "{refused:?}");
    }

    #[test]
    fn the_names_are_those_of_requests() {
        for attempt in Attempt::ALL {
            assert_eq!(serde_json::to_string(&attempt).unwrap(), format!("\"{}\"", attempt.name()));
        }
    }
}
