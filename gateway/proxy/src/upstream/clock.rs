//! Milliseconds since the process first asked: times that fit an atomic.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    // A second back, so that 0 is never now.
    *START.get_or_init(|| Instant::now().checked_sub(Duration::from_secs(1)).unwrap_or_else(Instant::now))
}

/// Now.
pub(super) fn now() -> u64 {
    start().elapsed().as_millis() as u64
}

/// A time from now. Never 0.
pub(super) fn after(duration: Duration) -> u64 {
    now().saturating_add(duration.as_millis() as u64).max(1)
}
