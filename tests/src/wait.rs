//! Waiting for a condition, with a deadline instead of a sleep.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything that should happen soon may take. Long, because it is spent only by failing tests and test machines
/// are slow.
pub const SOON: Duration = Duration::from_secs(20);

/// Time between two looks at a condition that cannot wake us.
const POLL: Duration = Duration::from_millis(2);

/// Asks until there is an answer.
///
/// # Panics
///
/// When there is none after `deadline`; `what` says what was awaited.
#[track_caller]
pub fn wait_for<T>(what: &str, deadline: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < deadline, "waited {deadline:?} in vain for {what}");
        thread::sleep(POLL);
    }
}

/// Asks until a condition holds.
///
/// # Panics
///
/// As [`wait_for`].
#[track_caller]
pub fn wait_until(what: &str, deadline: Duration, mut holds: impl FnMut() -> bool) {
    wait_for(what, deadline, || holds().then_some(()));
}
