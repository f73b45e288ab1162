//! The processes of one function, and the events that wait for them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use crate::local::invocation::{FunctionError, Invocation, InvokeError, Outcome, ResultBody};
use crate::local::output::Output;
use crate::local::process::{self, Process};
use crate::local::spec::Spec;
use crate::local::status::Status;

/// Most events that wait for a process.
const WAITING_MAX: usize = 1_000;
/// First pause after a process that could not be started; doubles with each that follows.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// Longest such pause.
const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// An event, and who waits for its outcome.
pub(super) struct Job {
    pub(super) invocation: Invocation,
    /// Until when somebody waits.
    pub(super) deadline: Instant,
    pub(super) reply: oneshot::Sender<Result<Outcome, InvokeError>>,
}

/// One version of a function.
pub(super) struct Pool {
    pub(super) spec: Spec,
    pub(super) output: Rc<Output>,
    state: RefCell<State>,
    /// A process ended.
    ended: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    /// Processes that ask for an event; the one used last is taken first, so that the others may be given up.
    idle: Vec<Rc<Process>>,
    processes: Vec<Rc<Process>>,
    /// Processes that have not asked for an event yet.
    starting: usize,
    /// Starts that failed, in a row.
    failures: u32,
    /// No process is started before.
    not_before: Option<Instant>,
    is_retired: bool,
    figures: Status,
}

impl Pool {
    /// A function without processes.
    pub(super) fn new(spec: Spec) -> Rc<Self> {
        let figures = Status { name: spec.name.clone(), ..Status::default() };
        let state = RefCell::new(State { figures, ..State::default() });
        Rc::new(Self { spec, output: Rc::default(), state, ended: Notify::new() })
    }

    /// The next version of a function: what waits for the one before waits for it now.
    pub(super) fn succeed(before: &Pool, spec: Spec) -> Rc<Self> {
        let (waiting, figures) = {
            let mut old = before.state.borrow_mut();
            (std::mem::take(&mut old.waiting), old.figures.clone())
        };
        let state = RefCell::new(State { waiting, figures, ..State::default() });
        let pool = Rc::new(Self { spec, output: Rc::clone(&before.output), state, ended: Notify::new() });
        pool.start_processes();
        pool
    }

    /// Takes an event: a process that waits for one gets it, else it waits itself.
    pub(super) fn take(self: &Rc<Self>, job: Job) {
        let mut state = self.state.borrow_mut();
        if state.is_retired {
            return refuse(job, InvokeError::Stopped);
        }
        while let Some(process) = state.idle.pop() {
            if process.is_idle() {
                state.figures.invocations += 1;
                process.give(job, false);
                return;
            }
        }
        if state.waiting.len() >= WAITING_MAX {
            state.figures.throttles += 1;
            return refuse(job, InvokeError::Overloaded);
        }
        let deadline = job.deadline;
        state.waiting.push_back(job);
        drop(state);
        self.start_processes();
        let pool = Rc::downgrade(self);
        tokio::task::spawn_local(async move {
            tokio::time::sleep_until(deadline.into()).await;
            if let Some(pool) = pool.upgrade() {
                pool.expire();
            }
        });
    }

    /// Refuses what has waited too long.
    fn expire(&self) {
        let now = Instant::now();
        let mut state = self.state.borrow_mut();
        let (late, waiting): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut state.waiting).into_iter().partition(|job| job.deadline <= now);
        state.waiting = waiting;
        state.figures.throttles += late.len() as u64;
        drop(state);
        for job in late {
            refuse(job, InvokeError::Overloaded);
        }
    }

    /// A process asks for an event. It gets one at once, or is told later.
    pub(super) fn ask(&self, process: &Rc<Process>, is_first: bool) {
        let mut state = self.state.borrow_mut();
        if is_first {
            state.starting = state.starting.saturating_sub(1);
            state.failures = 0;
            state.not_before = None;
        }
        let now = Instant::now();
        while let Some(job) = state.waiting.pop_front() {
            if job.reply.is_closed() || job.deadline <= now {
                refuse(job, InvokeError::Overloaded);
                continue;
            }
            state.figures.invocations += 1;
            state.figures.cold_starts += u64::from(is_first);
            process.give(job, is_first);
            return;
        }
        if state.is_retired {
            process.retire();
        } else {
            state.idle.push(Rc::clone(process));
        }
    }

    /// Starts as many processes as events wait for that no process is being started for.
    fn start_processes(self: &Rc<Self>) {
        let mut state = self.state.borrow_mut();
        if let Some(not_before) = state.not_before.filter(|at| *at > Instant::now()) {
            if state.starting == 0 && !state.waiting.is_empty() {
                let pool = Rc::downgrade(self);
                tokio::task::spawn_local(async move {
                    tokio::time::sleep_until(not_before.into()).await;
                    if let Some(pool) = pool.upgrade() {
                        pool.start_processes();
                    }
                });
            }
            return;
        }
        let most = self.spec.concurrency.get() as usize;
        while !state.is_retired && state.starting < state.waiting.len() && state.processes.len() < most {
            let process = Process::new();
            state.starting += 1;
            state.processes.push(Rc::clone(&process));
            tokio::task::spawn_local(process::run(Rc::clone(self), process));
        }
    }

    /// A process has ended; `failure` says why where it never asked for an event.
    pub(super) fn end(
        self: &Rc<Self>,
        process: &Rc<Process>,
        memory_bytes: u64,
        failure: Option<(FunctionError, ResultBody)>,
    ) {
        let mut failed = None;
        {
            let mut state = self.state.borrow_mut();
            state.processes.retain(|other| !Rc::ptr_eq(other, process));
            state.idle.retain(|other| !Rc::ptr_eq(other, process));
            state.figures.memory_bytes_max = state.figures.memory_bytes_max.max(memory_bytes);
            if let Some((error, body)) = failure {
                state.starting = state.starting.saturating_sub(1);
                let pause = BACKOFF_FIRST.saturating_mul(1 << state.failures.min(10)).min(BACKOFF_MAX);
                state.failures += 1;
                state.not_before = Some(Instant::now() + pause);
                failed = state.waiting.pop_front().map(|job| (job, error, body));
                state.figures.errors += u64::from(failed.is_some());
            }
        }
        if let Some((job, error, body)) = failed {
            let body = match body {
                ResultBody::Whole(document) if document.is_empty() => {
                    ResultBody::Whole(error.document(&job.invocation.request_id))
                }
                body => body,
            };
            let (duration, log_tail) = (Duration::ZERO, process.writer.tail());
            // Nobody may be waiting any more.
            let _ = job.reply.send(Ok(Outcome { body, error: Some(error), duration, is_cold: true, log_tail }));
        }
        self.ended.notify_waiters();
        self.start_processes();
    }

    /// Notes how an event ended.
    pub(super) fn count(&self, error: Option<&FunctionError>, duration: Duration) {
        let figures = &mut self.state.borrow_mut().figures;
        figures.errors += u64::from(error.is_some());
        figures.timeouts += u64::from(matches!(error, Some(FunctionError::TimedOut { .. })));
        figures.duration_ms += u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    }

    /// Lets processes end: idle ones now, others after the event they are working on.
    pub(super) fn retire(&self) {
        let mut state = self.state.borrow_mut();
        state.is_retired = true;
        let waiting = std::mem::take(&mut state.waiting);
        for process in &state.processes {
            process.retire();
        }
        drop(state);
        for job in waiting {
            refuse(job, InvokeError::Stopped);
        }
    }

    /// Ends all processes now.
    pub(super) fn kill(&self) {
        for process in &self.state.borrow().processes {
            process.kill();
        }
    }

    /// Waits until no process is left.
    pub(super) async fn ended(&self) {
        loop {
            let ended = self.ended.notified();
            if self.state.borrow().processes.is_empty() {
                return;
            }
            ended.await;
        }
    }

    /// The figures of now.
    pub(super) fn status(&self) -> Status {
        let state = self.state.borrow();
        Status {
            processes: state.processes.len(),
            busy: state.processes.iter().filter(|process| process.is_busy()).count(),
            waiting: state.waiting.len(),
            ..state.figures.clone()
        }
    }
}

/// Tells whoever waits, if anybody still does.
fn refuse(job: Job, error: InvokeError) {
    let _ = job.reply.send(Err(error));
}
