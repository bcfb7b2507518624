//! The system calls that a locked process may still make; everything else is refused.
//!
//! Owns the list and its translation into seccomp filters. When they are put in force, and what else is locked, is
//! `confinement`'s business.
//!
//! What is refused fails with `EPERM`, and does not kill: a C library that tries something new and can do without must
//! live on, and a panic's backtrace, which would like to read files, must not end the process. Only a call by the rules of
//! another architecture kills.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::SeccompCmpArgLen::Dword;
use seccompiler::SeccompCmpArgLen::Qword;
use seccompiler::SeccompCmpOp::{Eq, MaskedEq};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// Allowed whatever their arguments are. No I/O driver of the async runtime: it would need sockets.
const ALLOWED: &[libc::c_long] = &[
    // Descriptors that are there already.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_recvfrom,
    libc::SYS_ppoll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_close,
    // Memory; `mmap` and `mprotect` are below.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    // Threads; `clone` is below, and `clone3` has a filter of its own.
    libc::SYS_clone3,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Signals to itself: guard pages, and `abort`.
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    // Time, where the kernel does not answer without a call, and random numbers.
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_gettimeofday,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_time,
    libc::SYS_getrandom,
];

/// What a C library starts a thread with. No other flags, so that it can be neither a process nor in a namespace.
const THREAD: i32 = libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM
    | libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_CLEARTID;

/// The bits of `mmap`'s flags that say whether others see what is written.
const MAP_TYPE: u64 = 0xf;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The filters for the process `pid`, in the order in which they are to be put in force.
///
/// The flags of `clone3` are behind a pointer, where no filter can read them. The first says that the kernel has no such
/// call, upon which the C library takes `clone`; the second has the list.
pub(super) fn filters(pid: u32) -> Result<[BpfProgram; 2], BackendError> {
    let no_clone3 = Rules::from([(libc::SYS_clone3, Vec::new())]);
    let unknown = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    Ok([
        program(no_clone3, SeccompAction::Allow, unknown)?,
        program(rules(pid)?, refused, SeccompAction::Allow)?,
    ])
}

fn program(
    rules: Rules,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, otherwise, matched, arch)?.try_into()
}

fn rules(pid: u32) -> Result<Rules, BackendError> {
    let mut rules: Rules = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    let not_executable = || argument(2, Qword, MaskedEq(number(libc::PROT_EXEC)), 0);
    let private = argument(3, Qword, MaskedEq(MAP_TYPE), number(libc::MAP_PRIVATE))?;
    // Memory that grows by itself, and huge pages, are in no limit of data.
    let counted = argument(3, Qword, MaskedEq(number(libc::MAP_GROWSDOWN | libc::MAP_HUGETLB)), 0)?;
    rules.insert(libc::SYS_mmap, vec![SeccompRule::new(vec![not_executable()?, private, counted])?]);
    rules.insert(libc::SYS_mprotect, vec![SeccompRule::new(vec![not_executable()?])?]);
    rules.insert(libc::SYS_clone, only(0, Qword, &[number(THREAD)])?);
    rules.insert(libc::SYS_prctl, only(0, Dword, &[number(libc::PR_SET_NAME)])?);
    rules.insert(libc::SYS_tgkill, only(0, Dword, &[pid.into()])?);
    // A debug build looks at a descriptor before it closes it; a second handle to standard input is a duplicate.
    rules.insert(libc::SYS_fcntl, only(1, Dword, &[number(libc::F_GETFD), number(libc::F_DUPFD_CLOEXEC)])?);
    // Only to whom a socket is connected to; `sendmsg` hides the address behind a pointer.
    rules.insert(libc::SYS_sendto, only(4, Qword, &[0])?);
    Ok(rules)
}

/// The argument `index` is one of `values`.
fn only(index: u8, length: SeccompCmpArgLen, values: &[u64]) -> Result<Vec<SeccompRule>, BackendError> {
    let rule = |value: &u64| SeccompRule::new(vec![argument(index, length.clone(), Eq, *value)?]);
    values.iter().map(rule).collect()
}

fn argument(
    index: u8,
    length: SeccompCmpArgLen,
    how: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(index, length, how, value)
}

/// A constant of the C library as the filter compares it.
fn number(constant: i32) -> u64 {
    constant.unsigned_abs().into()
}

#[cfg(test)]
#[path = "syscalls_tests.rs"]
mod tests;
