//! Runs that may wait, as far as Rust's side goes: legs in the machine, and waits between them.
//!
//! A run that waits holds no lock and no machine: its coroutine stays in the machine of its worker, and all that the request's
//! future holds is where. Each *leg*, from one wait to the next, is a run of its own for the watchdog, with what is left of the CPU
//! budget; the waits together have a budget of their own. When the future is dropped, the coroutine goes.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Instant;

use moongate_exchange::Response;

use crate::bank::Bank;
use crate::budget::{Overrun, Usage};
use crate::call::{Failure, Outcome, Subject, error_text};
use crate::coroutine::{Left, Thread};
use crate::error::{ErrorKind, ScriptError};
use crate::machine::{Argument, Ended, Reference};
use crate::operation::{Operation, Outside, Reply};
use crate::run::{Run, Spent};
use crate::script::ScriptId;
use crate::stack::Value;
use crate::vm::Vm;

/// Most runs that wait in one machine. A machine has a few kilobytes for each.
pub(crate) const WAITING_MAX: usize = 2000;

/// A function to run and its arguments.
pub(crate) type Target = (Reference, Vec<Argument>);

/// What a run gave, and the answer that `response.exit` gave.
type Finished<R> = (R, Option<Box<Response>>);

/// A reply on its way, and the coroutine that waits for it.
type Flight<'f> = (usize, Pin<Box<dyn Future<Output = Reply> + Send + 'f>>);

/// How a leg ended.
enum Stop<R> {
    /// The script returned.
    Finished(R),
    /// A function of `gate.parallel` returned; its result is on its stack.
    Returned,
    /// A function of `gate.parallel` raised this.
    Broke(Vec<u8>),
    Waits(Operation),
}

/// A run that may wait, between its legs.
struct Task<'bank> {
    bank: &'bank Bank,
    slot: usize,
    script: ScriptId,
    root: Option<Thread>,
    children: Vec<Thread>,
    /// How many of the children have not ended.
    open: usize,
    /// What the first of them raised that did.
    failure: Option<Vec<u8>>,
    spent: Spent,
    cpu_ns: u64,
    exit: Option<Box<Response>>,
    deadline: Instant,
    budget: Usage,
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        let mut vm = self.bank.slot(self.slot);
        for thread in self.children.drain(..).chain(self.root.take()) {
            vm.machine().release(thread.reference);
        }
        vm.stops_waiting();
    }
}

impl Bank {
    /// Runs a function of a script that may wait.
    pub(crate) async fn drive<R, O: Outside>(
        &self,
        script: ScriptId,
        target: impl FnOnce(&Vm) -> Result<Target, ScriptError>,
        mut subject: Subject<'_>,
        outside: &O,
        read: impl Fn(&mut Run<'_>, Value<'_>) -> Result<R, String> + Copy,
    ) -> Result<Finished<R>, ScriptError> {
        let mut task = self.begin(script, target, subject.reborrow())?;
        let mut flights: Vec<Flight<'_>> = Vec::new();
        let mut ready: Vec<(usize, Option<Reply>)> = vec![(0, None)];
        loop {
            while let Some((thread, reply)) = ready.pop() {
                match task.leg(thread, reply, subject.reborrow(), read)? {
                    Stop::Finished(result) => return Ok((result, task.exit.take())),
                    Stop::Waits(Operation::Parallel) => {
                        ready.extend((1..=task.children.len()).map(|child| (child, None)));
                    }
                    Stop::Waits(Operation::Http(call)) => {
                        let deadline = task.deadline.min(Instant::now() + call.timeout);
                        flights.push((thread, Box::pin(async move { outside.fetch(*call, deadline).await.into() })));
                    }
                    Stop::Waits(Operation::Store(wait)) => {
                        flights.push((thread, Box::pin(async { wait.await.into() })));
                    }
                    Stop::Returned => task.open -= 1,
                    Stop::Broke(why) => {
                        task.open -= 1;
                        task.failure.get_or_insert(why);
                    }
                }
                if !task.children.is_empty() && task.open == 0 {
                    ready.push((0, Some(task.joined())));
                }
            }
            let (thread, reply) = next(&mut flights).await;
            if let Reply::Http { body, .. } = &reply {
                task.spent.bytes += body.len() as u64;
            }
            ready.push((thread, Some(reply)));
        }
    }

    fn begin(
        &self,
        script: ScriptId,
        target: impl FnOnce(&Vm) -> Result<Target, ScriptError>,
        subject: Subject<'_>,
    ) -> Result<Task<'_>, ScriptError> {
        let slot = self.own_slot();
        let mut vm = self.slot(slot);
        let (function, arguments) = target(&vm)?;
        if !vm.starts_waiting() {
            let message = format!("{WAITING_MAX} runs of the API's scripts wait already");
            return Err(ScriptError::new(ErrorKind::Busy, vm.name(script), message));
        }
        let limits = vm.limits_of(&subject);
        let deadline = Instant::now() + limits.wait;
        let begun = vm.begin(script, function, &arguments, subject);
        // From here on the task ends what was begun.
        drop(vm);
        let mut task = Task {
            bank: self,
            slot,
            script,
            root: None,
            children: Vec::new(),
            open: 0,
            failure: None,
            spent: Spent::default(),
            cpu_ns: 0,
            exit: None,
            deadline,
            budget: Usage::budget(&limits),
        };
        task.root = Some(begun?);
        Ok(task)
    }
}

impl Task<'_> {
    /// Resumes a coroutine: 0 is the script itself, the others are those of `gate.parallel`.
    fn leg<R>(
        &mut self,
        thread: usize,
        reply: Option<Reply>,
        subject: Subject<'_>,
        read: impl Fn(&mut Run<'_>, Value<'_>) -> Result<R, String>,
    ) -> Result<Stop<R>, ScriptError> {
        let at = match thread {
            0 => self.root.as_mut(),
            child => self.children.get_mut(child - 1),
        };
        let Some(at) = at else { return Err(ScriptError::new(ErrorKind::Internal, "", "a coroutine is gone")) };
        let resumed = *at;
        at.arguments = 0;
        let mut vm = self.bank.slot(self.slot);
        let is_root = thread == 0;
        // Those that the script now hears of, or has heard of before.
        let joined = if is_root { std::mem::take(&mut self.children) } else { Vec::new() };
        let budget = Usage { cpu_ns: self.budget.cpu_ns.saturating_sub(self.cpu_ns), ..self.budget };
        let leg = Leg { thread: resumed, reply, budget, spent: &mut self.spent };
        let (outcome, left) = vm.leg(leg, subject, |run, left| match left {
            Left::Ended(Ended::Returned(value)) if is_root => {
                read(run, value).map(Stop::Finished).map_err(Failure::BadResult)
            }
            Left::Ended(Ended::Returned(_)) => Ok(Stop::Returned),
            Left::Ended(Ended::Raised(error, false)) if !is_root => Ok(Stop::Broke(error_text(error))),
            Left::Ended(Ended::Raised(error, is_out_of_memory)) => {
                Err(Failure::Raised { text: error_text(error), is_out_of_memory, is_body_faulty: run.is_body_faulty })
            }
            Left::Waits(operation) => Ok(Stop::Waits(operation)),
            Left::Yielded => Err(Failure::BadResult("the script yielded outside of a coroutine".to_owned())),
        });
        self.cpu_ns += left.cpu_ns;
        if !left.children.is_empty() {
            let children = left.children.iter();
            self.children =
                children.map(|reference| Thread { reference: *reference, arguments: 0, result: 2 }).collect();
            self.open = self.children.len();
        }
        let Outcome { result, exit, line, overrun } = outcome;
        if let Some(exit) = exit {
            self.exit = Some(exit);
        }
        for child in joined {
            vm.machine().release(child.reference);
        }
        // A leg may be over before the watchdog sees it: what all of them have used counts when the script would go on.
        let goes_on = !matches!(result, Ok(Stop::Finished(_)));
        let overrun = overrun.or((goes_on && self.cpu_ns >= self.budget.cpu_ns).then_some(Overrun::Cpu));
        match (overrun, result) {
            (None, Ok(stop)) => {
                vm.tidy();
                Ok(stop)
            }
            (overrun, result) => {
                let name = vm.name(self.script).to_owned();
                Err(vm.fail(&name, Outcome { result, exit: None, line, overrun }))
            }
        }
    }

    /// What the script is told when all of `gate.parallel` has ended. The children are let go after the leg that hears it.
    fn joined(&mut self) -> Reply {
        match self.failure.take() {
            Some(why) => Reply::Raised(why),
            None => Reply::Joined(self.children.iter().map(|child| child.reference).collect()),
        }
    }
}

/// The first reply that comes.
async fn next(flights: &mut Vec<Flight<'_>>) -> (usize, Reply) {
    poll_fn(|cx| {
        for place in 0..flights.len() {
            if let Poll::Ready(reply) = flights[place].1.as_mut().poll(cx) {
                let (thread, _) = flights.swap_remove(place);
                return Poll::Ready((thread, reply));
            }
        }
        Poll::Pending
    })
    .await
}

/// A leg: what is resumed, and with what.
pub(crate) struct Leg<'leg> {
    pub(crate) thread: Thread,
    pub(crate) reply: Option<Reply>,
    /// What earlier legs have left.
    pub(crate) budget: Usage,
    pub(crate) spent: &'leg mut Spent,
}

/// What a leg leaves behind beside its outcome.
pub(crate) struct LeftBehind {
    pub(crate) cpu_ns: u64,
    /// The coroutines that `gate.parallel` made.
    pub(crate) children: Vec<Reference>,
}

impl Vm {
    /// Makes the coroutine of a run.
    fn begin(
        &mut self,
        script: ScriptId,
        function: Reference,
        arguments: &[Argument],
        subject: Subject<'_>,
    ) -> Result<Thread, ScriptError> {
        let budget = self.budget_of(&subject);
        let (result, overrun) = self.within(subject, budget, |machine, run| {
            machine.spawn(function, arguments, run, |run, ended| match ended {
                Ended::Raised(error, is_out_of_memory) => {
                    Failure::Raised { text: error_text(error), is_out_of_memory, is_body_faulty: run.is_body_faulty }
                }
                Ended::Returned(_) => Failure::BadResult("no coroutine was made".to_owned()),
            })
        });
        match (overrun, result) {
            (None, Ok(thread)) => Ok(thread),
            (overrun, result) => {
                let name = self.name(script).to_owned();
                Err(self.fail(&name, Outcome { result, exit: None, line: None, overrun }))
            }
        }
    }

    /// Resumes a coroutine under what is left of the budgets.
    fn leg<R>(
        &mut self,
        leg: Leg<'_>,
        subject: Subject<'_>,
        read: impl FnOnce(&mut Run<'_>, Left<'_>) -> Result<Stop<R>, Failure>,
    ) -> (Outcome<Stop<R>>, LeftBehind) {
        let Leg { thread, reply, budget, spent } = leg;
        let ((result, exit, line, behind), overrun) = self.within(subject, budget, |machine, run| {
            run.reply = reply;
            run.is_child = thread.result > 1;
            run.spent = *spent;
            let before = run.ticket.cpu_ns();
            let result = machine.resume(thread, run, read);
            *spent = run.spent;
            let cpu_ns = run.ticket.cpu_ns().saturating_sub(before);
            let behind = LeftBehind { cpu_ns, children: std::mem::take(&mut run.children) };
            (result, run.exit.take(), run.fault_line, behind)
        });
        (Outcome { result, exit, line, overrun }, behind)
    }
}
