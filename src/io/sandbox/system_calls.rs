//! System calls: those of a list, and any other ends the process (seccomp(2)).

use std::collections::BTreeMap;

use super::profile::Role;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Length, SeccompCmpOp as Is, SeccompCondition as Condition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter,
};

/// Without looking at their arguments: reading and writing what is open, waiting, memory, threads, sockets, clocks, and files,
/// which Landlock confines. No `execve`, `fork`, `ptrace`, `mount`, `bpf`, `io_uring`, modules, keys, or namespaces.
const ALLOWED: &[libc::c_long] = &[
    // What packets need, first.
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_ppoll,
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmmsg,
    libc::SYS_recvmmsg,
    // Waiting and time.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_eventfd2,
    libc::SYS_pselect6,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_restart_syscall,
    // Memory.
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_munlock,
    libc::SYS_memfd_secret,
    libc::SYS_getrandom,
    // Threads of our own, their signals and their end.
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_rseq,
    libc::SYS_membarrier,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_setpriority,
    libc::SYS_getpriority,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_tgkill,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getrusage,
    // Descriptors.
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_fcntl,
    libc::SYS_pipe2,
    libc::SYS_lseek,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_ftruncate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fchmod,
    libc::SYS_fstatfs,
    // Files.
    libc::SYS_openat,
    libc::SYS_newfstatat,
    libc::SYS_fstat,
    libc::SYS_statx,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    // Sockets that are open; `socket` itself is looked at.
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_listen,
    libc::SYS_accept4,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
];

/// The older forms of some of them, which newer machines do not have.
#[cfg(target_arch = "x86_64")]
const OLDER: &[libc::c_long] = &[
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_wait,
    libc::SYS_epoll_create,
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_accept,
    libc::SYS_time,
    libc::SYS_arch_prctl,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[libc::c_long] = &[];

/// Calls that libraries try and can do without, so that to try is no reason to end. The flags of `clone3` lie in memory, where
/// no filter looks: threads are then made by `clone`. `memfd_create` would carry a log line that is too long for a datagram.
const ABSENT: [libc::c_long; 2] = [libc::SYS_clone3, libc::SYS_memfd_create];

/// Requests to a descriptor: of the TUN interface (what it takes off us), of sockets and of terminals (what they are).
const IOCTLS: [u64; 8] = [
    libc::TUNGETIFF,
    libc::TUNSETOFFLOAD,
    libc::TUNSETVNETHDRSZ,
    libc::FIONBIO,
    libc::FIONREAD,
    libc::TCGETS,
    // What glibc asks in its place from 2.42 on.
    libc::TCGETS2,
    libc::TIOCGWINSZ,
];

/// Names of threads and memory, the slack of timers, and asking how things stand.
const PRCTLS: [libc::c_int; 6] = [
    libc::PR_SET_NAME,
    libc::PR_SET_TIMERSLACK,
    libc::PR_GET_DUMPABLE,
    libc::PR_GET_NO_NEW_PRIVS,
    libc::PR_SET_VMA,
    libc::PR_CAPBSET_READ,
];

/// Families of new sockets for packets: those of systemd and journald.
const FAMILIES_PACKETS: &[libc::c_int] = &[libc::AF_UNIX];
/// For keys those of KMEs and of resolving their names too, and netlink, which gives nothing but answers to who has no right.
const FAMILIES_KEYS: &[libc::c_int] = &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Confines this thread and those that it starts.
///
/// # Errors
/// In words: this kernel has no seccomp, or refuses.
pub(super) fn confine(role: Role) -> Result<String, String> {
    absent(&ABSENT)?;
    apply_filter(&allow_list(role)?).map_err(|error| error.to_string())?;
    Ok(String::new())
}

/// Answers these calls as a kernel does that has none of them.
///
/// # Errors
/// In words: this kernel has no seccomp, or refuses.
pub(super) fn absent(calls: &[libc::c_long]) -> Result<(), String> {
    let rules = calls.iter().map(|call| (*call, Vec::new())).collect();
    let absent = program(rules, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS as u32))?;
    apply_filter(&absent).map_err(|error| error.to_string())
}

fn allow_list(role: Role) -> Result<BpfProgram, String> {
    let mut rules: BTreeMap<libc::c_long, Vec<SeccompRule>> = BTreeMap::new();
    // Of two filters the stricter answer stands: what is absent must not end the process here.
    rules.extend(ALLOWED.iter().chain(OLDER).chain(&ABSENT).map(|call| (*call, Vec::new())));
    let thread = libc::CLONE_THREAD as u64;
    rules.insert(libc::SYS_clone, vec![argument(0, Length::Qword, Is::MaskedEq(thread), thread)?]);
    rules.insert(libc::SYS_ioctl, one_of(1, &IOCTLS)?);
    rules.insert(libc::SYS_prctl, one_of(0, &PRCTLS.map(|option| option as u64))?);
    let families = match role {
        Role::Packets => FAMILIES_PACKETS,
        Role::Keys => FAMILIES_KEYS,
    };
    let families: Vec<u64> = families.iter().map(|family| *family as u64).collect();
    rules.insert(libc::SYS_socket, one_of(0, &families)?);
    rules.insert(libc::SYS_socketpair, one_of(0, &[libc::AF_UNIX as u64])?);
    // Limits are read; to set them takes a new value.
    rules.insert(libc::SYS_prlimit64, vec![argument(2, Length::Qword, Is::Eq, 0)?]);
    program(rules, SeccompAction::KillProcess, SeccompAction::Allow)
}

fn program(
    rules: BTreeMap<libc::c_long, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, String> {
    let machine = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    let filter = SeccompFilter::new(rules, otherwise, matched, machine).map_err(|error| error.to_string())?;
    filter.try_into().map_err(|error: seccompiler::BackendError| error.to_string())
}

fn one_of(at: u8, values: &[u64]) -> Result<Vec<SeccompRule>, String> {
    values.iter().map(|value| argument(at, Length::Dword, Is::Eq, *value)).collect()
}

fn argument(at: u8, length: Length, is: Is, value: u64) -> Result<SeccompRule, String> {
    let condition = Condition::new(at, length, is, value).map_err(|error| error.to_string())?;
    SeccompRule::new(vec![condition]).map_err(|error| error.to_string())
}
