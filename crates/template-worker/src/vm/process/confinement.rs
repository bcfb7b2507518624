//! Locks a process in, so that a script that breaks out of Luau finds nothing that it could use.
//!
//! Owns which locks there are, the order in which they are closed, and the account of what each came to. Which system
//! calls are left is `syscalls`' list; trying to get out is `escape`'s business.
//!
//! Every lock holds for the whole process, since it is closed while there is one thread, whose children inherit it. None
//! can be opened again. Each is looked at after it was closed, where the system tells: what is called enforced was seen.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use landlock::{
    ABI, Access, AccessFs, AccessNet, LandlockStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    RulesetStatus, Scope,
};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::syscalls;

/// Descriptors at one time: those that are left, and duplicates of them.
const OPEN_FILES: u64 = 16;

/// How far into a file may be written. Not 0: the marker on descriptor 1 is a file in memory, and has to fit.
const FILE_BYTES: u64 = 64 << 10;

/// Addresses beyond twice the memory: what is reserved and never touched, mostly by the allocator, 64 MiB a thread.
const SPARE_ADDRESSES: u64 = 1 << 30;

/// How a process is to be locked in.
#[derive(Debug, Clone, Copy)]
pub struct Locks {
    /// Bytes of writable memory: heap, and the stacks of all threads in their full size. A last resort: what needs more
    /// fails to get it, and where that cannot be told to a script, the process aborts.
    pub memory_bytes: u64,
    /// Whether a kernel without landlock or seccomp is an error.
    pub require: bool,
}

/// One of the locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lock {
    /// No descriptor is open but 0, 1 and 2.
    Descriptors,
    /// Memory is limited.
    Memory,
    /// The number of open descriptors is limited.
    OpenFiles,
    /// Files cannot grow.
    FileSize,
    /// A crash writes no memory to a disk.
    CoreDumps,
    /// Processes of the same user cannot look into this one.
    NotDumpable,
    /// It does not outlive the thread that started it.
    ParentDeath,
    /// No program that it executes gets more rights.
    NoNewPrivileges,
    /// No file can be opened, made, removed or executed.
    LandlockFiles,
    /// No TCP port can be bound or connected to.
    LandlockNetwork,
    /// No signal and no abstract socket reaches another process.
    LandlockScopes,
    /// Only the system calls of a list can be made.
    SystemCalls,
}

impl Lock {
    /// The name in logs and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Descriptors => "descriptors",
            Self::Memory => "memory",
            Self::OpenFiles => "open_files",
            Self::FileSize => "file_size",
            Self::CoreDumps => "core_dumps",
            Self::NotDumpable => "not_dumpable",
            Self::ParentDeath => "parent_death",
            Self::NoNewPrivileges => "no_new_privileges",
            Self::LandlockFiles => "landlock_files",
            Self::LandlockNetwork => "landlock_network",
            Self::LandlockScopes => "landlock_scopes",
            Self::SystemCalls => "system_calls",
        }
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a lock came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockState {
    /// It holds.
    Enforced,
    /// It does not, for this reason, which says what can be done.
    Missing(String),
}

/// What every lock of this process came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    locks: BTreeMap<Lock, LockState>,
}

impl Confinement {
    /// Every lock, and what it came to.
    pub fn locks(&self) -> impl Iterator<Item = (Lock, &LockState)> {
        self.locks.iter().map(|(lock, state)| (*lock, state))
    }

    /// The locks that this kernel lacks, and why.
    pub fn missing(&self) -> impl Iterator<Item = (Lock, &str)> {
        self.locks().filter_map(|(lock, state)| match state {
            LockState::Enforced => None,
            LockState::Missing(why) => Some((lock, why.as_str())),
        })
    }

    /// The later parts of landlock may be missing: they are a second wall behind the system calls.
    fn require(&self) -> Result<(), LockError> {
        let required = [Lock::LandlockFiles, Lock::SystemCalls];
        match self.missing().find(|(lock, _)| required.contains(lock)) {
            Some((lock, why)) => Err(LockError::Required { lock, why: why.to_owned() }),
            None => Ok(()),
        }
    }

    fn enforced(&mut self, lock: Lock) {
        self.locks.insert(lock, LockState::Enforced);
    }

    fn missing_because(&mut self, lock: Lock, why: impl Into<String>) {
        self.locks.insert(lock, LockState::Missing(why.into()));
    }
}

/// Why a process could not be locked in. It must not run templates then.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Threads that run already would not be locked in.
    #[error(
        "failed to lock the process in: {threads} threads run already, and it has to be the first thing it does"
    )]
    Threads {
        /// Those that run.
        threads: usize,
    },
    /// `/proc` tells what is open and what runs.
    #[error("failed to read {path}; mount /proc where VM processes are started")]
    Proc {
        /// What was read.
        path: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Something that every Linux has was refused, or did not stay.
    #[error("failed to close the lock `{lock}`")]
    Close {
        /// The lock.
        lock: Lock,
        /// What the system said.
        source: Errno,
    },
    /// The kernel has landlock, and would not take the rules.
    #[error("failed to close the locks of landlock")]
    Landlock(#[source] RulesetError),
    /// The kernel lacks a lock that is required.
    #[error(
        "the lock `{lock}` is missing, and vm.require_confinement is set: {why}. Or set vm.require_confinement to false, \
         and VM processes are started without it"
    )]
    Required {
        /// The lock.
        lock: Lock,
        /// What the kernel lacks.
        why: String,
    },
}

/// Locks this process in, for good. To be called on the main thread before another is started, with everything that it
/// needs of files read.
///
/// Descriptors other than 0, 1 and 2 are closed, whoever holds them. The signal of the parent's death is sent when the
/// *thread* ends that started this process: that thread has to live as long as the service.
pub fn lock_in(locks: &Locks) -> Result<Confinement, LockError> {
    let mut confinement = lock_in_but_for_system_calls(locks)?;
    // The last: what the others need is not on its list.
    close_system_calls(&mut confinement);
    if locks.require {
        confinement.require()?;
    }
    Ok(confinement)
}

/// The same with every system call left open, for the drill that shows what the other locks refuse by themselves.
pub fn lock_in_but_for_system_calls(locks: &Locks) -> Result<Confinement, LockError> {
    let threads = numbers_in("/proc/self/task")?.len();
    if threads != 1 {
        return Err(LockError::Threads { threads });
    }
    let mut confinement = Confinement { locks: BTreeMap::new() };
    close_descriptors(&mut confinement)?;
    limit_resources(locks.memory_bytes, &mut confinement)?;
    close_process(&mut confinement)?;
    close_landlock(&mut confinement)?;
    Ok(confinement)
}

/// The names in a folder of `/proc`, which are numbers.
fn numbers_in(path: &'static str) -> Result<Vec<i32>, LockError> {
    let entries = std::fs::read_dir(path).map_err(|source| LockError::Proc { path, source })?;
    let number = |entry: io::Result<std::fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    Ok(entries.filter_map(number).collect())
}

fn close_descriptors(confinement: &mut Confinement) -> Result<(), LockError> {
    let failed = |source| LockError::Close { lock: Lock::Descriptors, source };
    // One of them is that of the folder itself, which is closed by now.
    for descriptor in numbers_in("/proc/self/fd")?.into_iter().filter(|number| *number > 2) {
        match nix::unistd::close(descriptor) {
            Ok(()) | Err(Errno::EBADF) => (),
            Err(error) => return Err(failed(error)),
        }
    }
    // Reading the folder takes one.
    match numbers_in("/proc/self/fd")?.into_iter().filter(|number| *number > 2).count() {
        0 | 1 => confinement.enforced(Lock::Descriptors),
        _ => return Err(failed(Errno::EBUSY)),
    }
    Ok(())
}

/// Processes are not limited by number, which would count the threads of the user's other processes as well: that none can
/// be started is left to the system calls.
fn limit_resources(memory: u64, confinement: &mut Confinement) -> Result<(), LockError> {
    let addresses = memory.saturating_mul(2).saturating_add(SPARE_ADDRESSES);
    for (lock, resource, most) in [
        (Lock::Memory, Resource::RLIMIT_DATA, memory),
        (Lock::Memory, Resource::RLIMIT_AS, addresses),
        (Lock::OpenFiles, Resource::RLIMIT_NOFILE, OPEN_FILES),
        (Lock::FileSize, Resource::RLIMIT_FSIZE, FILE_BYTES),
        (Lock::CoreDumps, Resource::RLIMIT_CORE, 0),
    ] {
        let limit = || {
            // Where an operator allows less already, it stays.
            let most = getrlimit(resource)?.1.min(most);
            setrlimit(resource, most, most)?;
            if getrlimit(resource)? == (most, most) { Ok(()) } else { Err(Errno::EINVAL) }
        };
        limit().map_err(|source| LockError::Close { lock, source })?;
        confinement.enforced(lock);
    }
    Ok(())
}

fn close_process(confinement: &mut Confinement) -> Result<(), LockError> {
    let seen = |holds: bool| if holds { Ok(()) } else { Err(Errno::EINVAL) };
    let parent_death = || {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        seen(prctl::get_pdeathsig()? == Some(Signal::SIGKILL))
    };
    let not_dumpable = || {
        prctl::set_dumpable(false)?;
        seen(!prctl::get_dumpable()?)
    };
    let no_new_privileges = || {
        prctl::set_no_new_privs()?;
        seen(prctl::get_no_new_privs()?)
    };
    for (lock, closed) in [
        (Lock::ParentDeath, parent_death()),
        (Lock::NotDumpable, not_dumpable()),
        (Lock::NoNewPrivileges, no_new_privileges()),
    ] {
        closed.map_err(|source| LockError::Close { lock, source })?;
        confinement.enforced(lock);
    }
    Ok(())
}

/// Takes every right that landlock knows and this kernel has, and gives none back.
fn close_landlock(confinement: &mut Confinement) -> Result<(), LockError> {
    let newest = ABI::V10;
    let restrict = || {
        Ruleset::default()
            .handle_access(AccessFs::from_all(newest))?
            .handle_access(AccessNet::from_all(newest))?
            .scope(Scope::from_all(newest))?
            .create()?
            .no_new_privs(true)
            .restrict_self()
    };
    let status = restrict().map_err(LockError::Landlock)?;
    let has = match status.landlock {
        LandlockStatus::Available { effective_abi, .. } if status.ruleset != RulesetStatus::NotEnforced => {
            Ok(effective_abi)
        }
        lacking => Err(lacks_landlock(&lacking)),
    };
    account_for_landlock(has, confinement);
    Ok(())
}

/// Of a kernel that `has` this much of landlock, or none for a reason.
fn account_for_landlock(has: Result<ABI, &str>, confinement: &mut Confinement) {
    for (lock, since, linux) in [
        (Lock::LandlockFiles, ABI::V1, "5.13"),
        (Lock::LandlockNetwork, ABI::V4, "6.7"),
        (Lock::LandlockScopes, ABI::V6, "6.12"),
    ] {
        match has {
            Ok(has) if has >= since => confinement.enforced(lock),
            Ok(_) => {
                let why = format!("this kernel's landlock is too old: use Linux {linux} or later");
                confinement.missing_because(lock, why);
            }
            Err(why) => confinement.missing_because(lock, why),
        }
    }
}

fn lacks_landlock(status: &LandlockStatus) -> &'static str {
    match status {
        LandlockStatus::NotEnabled => "landlock is not enabled: add it to the kernel's parameter `lsm=`",
        _ => "this kernel has no landlock: use Linux 5.13 or later, built with CONFIG_SECURITY_LANDLOCK",
    }
}

fn close_system_calls(confinement: &mut Confinement) {
    let filters = match syscalls::filters(std::process::id()) {
        Ok(filters) => filters,
        Err(error) => {
            let why =
                format!("there is no list of system calls for this machine ({error}): use x86-64 or ARM64");
            return confinement.missing_because(Lock::SystemCalls, why);
        }
    };
    for filter in filters {
        if let Err(error) = seccompiler::apply_filter_all_threads(&filter) {
            let why =
                format!("this kernel takes no filter ({error}): use one built with CONFIG_SECCOMP_FILTER");
            return confinement.missing_because(Lock::SystemCalls, why);
        }
    }
    confinement.enforced(Lock::SystemCalls);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_a_kernel_with(has: Result<ABI, &str>) -> Confinement {
        let mut confinement = Confinement { locks: BTreeMap::new() };
        account_for_landlock(has, &mut confinement);
        confinement.enforced(Lock::SystemCalls);
        confinement
    }

    fn missing(confinement: &Confinement) -> Vec<Lock> {
        confinement.missing().map(|(lock, _)| lock).collect()
    }

    #[test]
    fn a_kernel_without_landlock_is_refused_where_confinement_is_required_and_the_error_says_what_to_do() {
        let lacking = on_a_kernel_with(Err(lacks_landlock(&LandlockStatus::NotImplemented)));
        assert_eq!(missing(&lacking), [Lock::LandlockFiles, Lock::LandlockNetwork, Lock::LandlockScopes]);
        let text = lacking.require().unwrap_err().to_string();
        for part in ["`landlock_files`", "use Linux 5.13 or later", "vm.require_confinement to false"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    #[test]
    fn an_old_landlock_counts_as_far_as_it_goes() {
        for (has, lacks) in [
            (ABI::V1, vec![Lock::LandlockNetwork, Lock::LandlockScopes]),
            (ABI::V4, vec![Lock::LandlockScopes]),
            (ABI::V6, vec![]),
            (ABI::V10, vec![]),
        ] {
            let confinement = on_a_kernel_with(Ok(has));
            assert_eq!(missing(&confinement), lacks, "{has:?}");
            assert!(confinement.require().is_ok(), "{has:?}: the system calls stand for the rest");
        }
    }

    #[test]
    fn a_kernel_without_filters_is_refused_where_confinement_is_required() {
        let mut confinement = on_a_kernel_with(Ok(ABI::V10));
        confinement.missing_because(Lock::SystemCalls, "use another");
        assert!(matches!(
            confinement.require(),
            Err(LockError::Required { lock: Lock::SystemCalls, why }) if why == "use another"
        ));
    }

    #[test]
    fn a_process_with_threads_cannot_be_locked_in_any_more() {
        let (done, wait) = std::sync::mpsc::sync_channel::<()>(0);
        let other = std::thread::spawn(move || wait.recv());
        let locked = lock_in(&Locks { memory_bytes: 1 << 30, require: false });
        assert!(matches!(locked, Err(LockError::Threads { threads: 2.. })), "{locked:?}");
        drop(done);
        assert!(other.join().unwrap().is_err());
    }

    #[test]
    fn the_names_are_those_of_the_wire() {
        for lock in [Lock::NoNewPrivileges, Lock::LandlockFiles, Lock::Memory] {
            assert_eq!(serde_json::to_string(&lock).unwrap(), format!("\"{lock}\""));
        }
    }
}
