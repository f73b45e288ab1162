//! What a function is doing, and has done.

use std::sync::Arc;

use serde::Serialize;

/// A function's figures since it was declared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The function's name.
    pub name: Arc<str>,
    /// Processes that run.
    pub processes: usize,
    /// Processes that are working on an event.
    pub busy: usize,
    /// Events that wait for a process.
    pub waiting: usize,
    /// Events that were taken by a process.
    pub invocations: u64,
    /// Of those, how many had to wait for a new process.
    pub cold_starts: u64,
    /// Of those, how many the function failed on.
    pub errors: u64,
    /// Of those, how many ran out of time.
    pub timeouts: u64,
    /// Events that were refused because too many waited.
    pub throttles: u64,
    /// Milliseconds that functions ran, added up.
    pub duration_ms: u64,
    /// Most memory that a process and its children had resident, in bytes.
    pub memory_bytes_max: u64,
}
