//! What one run of a script may use.

use std::time::Duration;

/// Processor time of one run: several thousand times what a mapping of a few kilobytes takes.
const CPU: Duration = Duration::from_millis(50);

/// Wall-clock time of one run. Far looser than the CPU budget: a script must not be killed because its thread had to wait for
/// a processor, only when it holds up a worker for longer than clients put up with.
const WALL: Duration = Duration::from_millis(500);

/// Memory of one run. Not larger, because what Luau does to one long string cannot be interrupted.
const MEMORY_BYTES: usize = 16 * 1024 * 1024;

/// How long one run may wait for others, all in all. As long as a client of an API waits for anything but a download.
const WAIT: Duration = Duration::from_secs(10);

/// Requests of one run: enough to ask a few services about a caller, far too few to be a tool against anyone.
const CALLS_MAX: u32 = 16;

/// Bytes that the requests and answers of one run may have, all in all.
const OUTBOUND_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// What one run of a script may use. A run that passes any of these ends with an error that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Processor time of the thread. A run is killed at most about 10 ms after it passed this.
    pub cpu: Duration,
    /// Wall-clock time.
    pub wall: Duration,
    /// Memory in bytes, beyond what the machine holds when all scripts are loaded. What scripts leave behind on purpose, in
    /// variables outside their functions, counts too.
    pub memory_bytes: usize,
    /// Time that the run may wait for stores and services, all in all, beside what it takes itself.
    pub wait: Duration,
    /// Requests it may send.
    pub calls_max: u32,
    /// Bytes that the bodies of its requests and their answers may have, all in all.
    pub outbound_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu: CPU,
            wall: WALL,
            memory_bytes: MEMORY_BYTES,
            wait: WAIT,
            calls_max: CALLS_MAX,
            outbound_bytes_max: OUTBOUND_BYTES_MAX,
        }
    }
}

/// Which time a run used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overrun {
    Cpu,
    Wall,
}

/// What a watchdog has to know about a run: nanoseconds it may use, and nanoseconds it has been seen to use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) cpu_ns: u64,
    pub(crate) wall_ns: u64,
}

impl Usage {
    /// The budget as nanoseconds; durations beyond 584 years are cut.
    pub(crate) fn budget(limits: &Limits) -> Self {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self { cpu_ns: nanoseconds(limits.cpu), wall_ns: nanoseconds(limits.wall) }
    }

    /// What this usage passes of a budget.
    pub(crate) fn overrun(self, budget: Self) -> Option<Overrun> {
        if self.cpu_ns >= budget.cpu_ns {
            Some(Overrun::Cpu)
        } else if self.wall_ns >= budget.wall_ns {
            Some(Overrun::Wall)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_over_budget_from_its_last_nanosecond_on_and_cpu_time_is_named_first() {
        let budget = Usage::budget(&Limits {
            cpu: Duration::from_nanos(10),
            wall: Duration::from_nanos(20),
            ..Limits::default()
        });
        let cases = [
            ((0, 0), None),
            ((9, 19), None),
            ((10, 10), Some(Overrun::Cpu)),
            ((9, 20), Some(Overrun::Wall)),
            ((11, 21), Some(Overrun::Cpu)),
        ];
        for ((cpu_ns, wall_ns), want) in cases {
            assert_eq!(
                Usage { cpu_ns, wall_ns }.overrun(budget),
                want,
                "{cpu_ns} ns of CPU, {wall_ns} ns of wall clock"
            );
        }
    }

    #[test]
    fn a_budget_of_for_ever_does_not_overflow() {
        let limits = Limits { cpu: Duration::MAX, wall: Duration::MAX, ..Limits::default() };
        assert_eq!(Usage { cpu_ns: 1, wall_ns: 1 }.overrun(Usage::budget(&limits)), None);
    }
}
