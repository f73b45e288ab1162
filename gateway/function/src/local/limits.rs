//! What a process may use, and the end of one that uses more.
//!
//! A process leads a group of its own; what it starts belongs to the group and ends with it. Memory is measured, not limited by
//! address space: interpreters reserve far more than they use.

use std::fs;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};

/// Largest file a function may write, in bytes: room for `/tmp` work, not for filling a disk.
const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Most files a process may have open (source: Lambda quotas, file descriptors).
const FILES_MAX: u64 = 1024;
/// Most children that are looked at when memory is measured.
const CHILDREN_MAX: usize = 64;
/// Bytes in a page of `/proc/PID/statm`.
const PAGE_BYTES: u64 = 4096;

/// Sets a new process's limits. They can only be lowered by it.
pub(super) fn apply(process: u32) {
    let Some(pid) = pid(process) else { return };
    let limits = [(Resource::Core, 0), (Resource::Fsize, FILE_BYTES_MAX), (Resource::Nofile, FILES_MAX)];
    for (resource, most) in limits {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        if let Err(error) = prlimit(Some(pid), resource, limit) {
            tracing::debug!(process, %error, "a limit of a function's process was not set");
        }
    }
}

/// Ends a process and all that it started.
pub(super) fn kill(process: u32) {
    if let Some(pid) = pid(process) {
        // It may have ended already.
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

/// What a process and what it started have resident, in bytes.
pub(super) fn memory_bytes(process: u32) -> u64 {
    let mut open = vec![process];
    let mut seen = 0;
    let mut bytes = 0;
    while let Some(process) = open.pop() {
        seen += 1;
        if seen > CHILDREN_MAX {
            break;
        }
        let statm = fs::read_to_string(format!("/proc/{process}/statm")).unwrap_or_default();
        let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
        bytes += pages * PAGE_BYTES;
        let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
        open.extend(children.split_ascii_whitespace().filter_map(|child| child.parse::<u32>().ok()));
    }
    bytes
}

fn pid(process: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(process).ok()?)
}
