//! What the filters say to a call, told by running them: some calls no safe code could make.

use super::*;

const PID: u32 = 77;
const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;

/// As far as the filters use it, the machine that the kernel runs them on. `data` is the call as the kernel shows it.
fn run(program: &BpfProgram, data: &[u32]) -> u32 {
    let (mut at, mut accumulator) = (0, 0);
    loop {
        let step = &program[at];
        at += 1;
        let code = u32::from(step.code);
        let jump = |yes: bool| usize::from(if yes { step.jt } else { step.jf });
        match (code & 0x07, code & 0xf0) {
            (libc::BPF_LD, _) => accumulator = data[step.k as usize / 4],
            (libc::BPF_ALU, libc::BPF_AND) => accumulator &= step.k,
            (libc::BPF_JMP, libc::BPF_JA) => at += step.k as usize,
            (libc::BPF_JMP, libc::BPF_JEQ) => at += jump(accumulator == step.k),
            (libc::BPF_JMP, libc::BPF_JGT) => at += jump(accumulator > step.k),
            (libc::BPF_JMP, libc::BPF_JGE) => at += jump(accumulator >= step.k),
            (libc::BPF_RET, _) => return step.k,
            _ => panic!("no such instruction: {code:#x}"),
        }
    }
}

fn architecture() -> u32 {
    match std::env::consts::ARCH {
        "x86_64" => 0xc000_003e,
        "aarch64" => 0xc000_00b7,
        other => panic!("no filter for {other}"),
    }
}

fn verdicts(architecture: u32, call: i64, arguments: &[u64]) -> [u32; 2] {
    let mut data = vec![u32::try_from(call).unwrap(), architecture, 0, 0];
    for index in 0..6 {
        let value = arguments.get(index).copied().unwrap_or_default();
        data.extend([(value & 0xffff_ffff) as u32, (value >> 32) as u32]);
    }
    filters(PID).unwrap().map(|program| run(&program, &data))
}

fn errno(number: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | number.unsigned_abs()
}

fn allowed(call: i64, arguments: &[u64]) -> bool {
    match verdicts(architecture(), call, arguments) {
        [ALLOW, ALLOW] => true,
        [ALLOW, refused] if refused == errno(libc::EPERM) => false,
        other => panic!("{call} {arguments:?}: {other:x?}"),
    }
}

#[test]
fn what_could_reach_out_of_the_process_is_not_on_the_list() {
    let calls = [
        libc::SYS_openat,
        libc::SYS_openat2,
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_accept4,
        libc::SYS_sendmsg,
        libc::SYS_sendmmsg,
        libc::SYS_recvmsg,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_getfd,
        libc::SYS_kill,
        libc::SYS_tkill,
        libc::SYS_rt_sigqueueinfo,
        libc::SYS_memfd_create,
        libc::SYS_memfd_secret,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
        libc::SYS_chroot,
        libc::SYS_ioctl,
        libc::SYS_prlimit64,
        libc::SYS_seccomp,
        libc::SYS_keyctl,
        libc::SYS_personality,
        libc::SYS_pkey_mprotect,
        libc::SYS_shmget,
        libc::SYS_inotify_init1,
        libc::SYS_name_to_handle_at,
        libc::SYS_open_by_handle_at,
        libc::SYS_setuid,
        libc::SYS_capset,
    ];
    let found: Vec<_> = calls.into_iter().filter(|call| allowed(*call, &[])).collect();
    assert!(found.is_empty(), "allowed: {found:?}");
}

#[test]
fn memory_can_be_had_but_not_executed_or_shared() {
    let map = |prot: i32, flags: i32| allowed(libc::SYS_mmap, &[0, 4096, number(prot), number(flags)]);
    let (write, private) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    assert!(map(write, private) && map(libc::PROT_NONE, private | libc::MAP_STACK));
    assert!(!map(libc::PROT_READ | libc::PROT_EXEC, private));
    assert!(!map(write, libc::MAP_SHARED | libc::MAP_ANONYMOUS));
    assert!(!map(write, libc::MAP_SHARED_VALIDATE));
    let protect = |prot: i32| allowed(libc::SYS_mprotect, &[0, 4096, number(prot)]);
    assert!(protect(write) && protect(libc::PROT_NONE));
    assert!(!protect(libc::PROT_EXEC) && !protect(write | libc::PROT_EXEC));
}

#[test]
fn a_thread_can_be_started_and_a_process_cannot() {
    let clone = |flags: i32| allowed(libc::SYS_clone, &[number(flags)]);
    assert!(clone(THREAD));
    assert!(!clone(libc::SIGCHLD) && !clone(libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD));
    assert!(!clone(THREAD & !libc::CLONE_THREAD) && !clone(THREAD | libc::CLONE_NEWNET));
    assert!(!allowed(libc::SYS_clone, &[number(THREAD) | 1 << 40]), "bits beyond the 32nd count");
    let [clone3, _] = verdicts(architecture(), libc::SYS_clone3, &[]);
    assert_eq!(clone3, errno(libc::ENOSYS), "so that the C library takes clone");
}

#[test]
fn calls_that_are_allowed_in_part_are_refused_otherwise() {
    assert!(allowed(libc::SYS_tgkill, &[PID.into(), 1, 6]) && !allowed(libc::SYS_tgkill, &[1, 1, 6]));
    assert!(allowed(libc::SYS_prctl, &[number(libc::PR_SET_NAME)]));
    for option in [libc::PR_SET_DUMPABLE, libc::PR_SET_PDEATHSIG, libc::PR_SET_PTRACER, libc::PR_SET_MM] {
        assert!(!allowed(libc::SYS_prctl, &[number(option), 1]), "prctl {option}");
    }
    assert!(allowed(libc::SYS_sendto, &[0, 1, 2, 3, 0, 0]), "to the peer");
    assert!(!allowed(libc::SYS_sendto, &[0, 1, 2, 3, 0xffff_0000_0000, 16]), "to an address");
    assert!(allowed(libc::SYS_fcntl, &[0, number(libc::F_GETFD)]));
    assert!(!allowed(libc::SYS_fcntl, &[0, number(libc::F_SETOWN), 1]));
}

#[test]
fn a_call_by_the_rules_of_another_architecture_kills() {
    let i386 = 0x4000_0003;
    assert_eq!(verdicts(i386, libc::SYS_getpid, &[]), [KILL, KILL]);
    // x86-64 has a second table of calls, which is this bit and the numbers of the first.
    assert!(allowed(libc::SYS_read, &[]) && !allowed(libc::SYS_read | 0x4000_0000, &[]));
}
