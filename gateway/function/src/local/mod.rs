//! Functions that run as processes on this machine, served the Lambda Runtime API.
//!
//! All of it lives on one thread of its own with a runtime of its own, so that nothing a function does can make a worker wait. A
//! caller hands in an event with [`Functions::invoke`] and waits for the outcome; the thread gives the event to a process that asks
//! for one, starts processes when there are more events than processes (up to the function's concurrency), and ends those that
//! nobody needs, that fail, or that exceed what they may use.
//!
//! Source: AWS, "Using the Lambda runtime API for custom runtimes", version 2018-06-01.

mod invocation;
mod limits;
mod output;
mod pool;
mod process;
mod runtime_api;
mod spec;
mod status;
mod stream;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

pub use invocation::{FunctionError, Invocation, InvokeError, Outcome, ResultBody};
pub use output::LogLine;
pub use spec::{Runtime, Spec, SpecError};
pub use status::Status;
pub use stream::Pieces;

use pool::Pool;

/// Longest wait for processes to end what they are doing when the gateway stops or a function is replaced.
const DRAIN: Duration = Duration::from_secs(10);

/// What telling a caller that its event waited too long may take: who hears nothing by then has an event that runs.
const REFUSAL: Duration = Duration::from_millis(50);

/// Most commands that wait for the thread. It only passes them on; more than this means that it is overwhelmed.
const COMMANDS_MAX: usize = 16_384;

/// The functions of this machine. Clones are the same functions; the last one dropped ends all processes.
#[derive(Clone, Debug)]
pub struct Functions {
    commands: mpsc::Sender<Command>,
}

/// What the thread is told.
enum Command {
    Invoke(Box<pool::Job>, Arc<str>),
    Replace(Vec<Spec>, Done),
    Status(oneshot::Sender<Vec<Status>>),
    Logs(Arc<str>, usize, oneshot::Sender<Option<Vec<LogLine>>>),
    Stop(Done),
}

/// Whom to tell that something is done; nobody may be waiting any more.
enum Done {
    Waiting(oneshot::Sender<()>),
    Blocking(std::sync::mpsc::Sender<()>),
}

impl Done {
    fn tell(self) {
        match self {
            Self::Waiting(done) => drop(done.send(())),
            Self::Blocking(done) => drop(done.send(())),
        }
    }
}

impl Functions {
    /// Starts the thread, without any function.
    ///
    /// # Errors
    ///
    /// When the system gives no thread or no runtime.
    pub fn start() -> std::io::Result<Self> {
        let (commands, received) = mpsc::channel(COMMANDS_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("functions".to_owned()).spawn(move || {
            LocalSet::new().block_on(&runtime, serve(received));
        })?;
        Ok(Self { commands })
    }

    /// Runs a function on an event. Waits for a process to be free and for its result, until `deadline` at most; the function's own
    /// timeout runs from the moment a process takes the event.
    ///
    /// Cancel-safe: a caller that goes away leaves the function running to its end, as AWS does.
    ///
    /// # Errors
    ///
    /// See [`InvokeError`]. A function that fails is no error here but an outcome.
    pub async fn invoke(
        &self,
        function: &Arc<str>,
        invocation: Invocation,
        deadline: Instant,
    ) -> Result<Outcome, InvokeError> {
        let (reply, outcome) = oneshot::channel();
        let job = Box::new(pool::Job { invocation, deadline, reply });
        self.commands.try_send(Command::Invoke(job, Arc::clone(function))).map_err(|_| InvokeError::Overloaded)?;
        // What waits is refused at the deadline; what runs by then goes on without us.
        match tokio::time::timeout_at((deadline + REFUSAL).into(), outcome).await {
            Ok(outcome) => outcome.unwrap_or(Err(InvokeError::Stopped)),
            Err(_) => Err(InvokeError::TimedOut),
        }
    }

    /// Replaces the functions: what is unchanged keeps its processes, others end theirs after what they are doing. Returns when new
    /// events meet the new functions.
    pub async fn replace(&self, specs: Vec<Spec>) {
        let (done, wait) = oneshot::channel();
        if self.commands.send(Command::Replace(specs, Done::Waiting(done))).await.is_ok() {
            // An error means that the thread is gone: there is nothing left to replace.
            let _ = wait.await;
        }
    }

    /// [`Functions::replace`] for threads that may block. Blocks until it is done.
    pub fn replace_blocking(&self, specs: Vec<Spec>) {
        let (done, wait) = std::sync::mpsc::channel();
        self.tell(Command::Replace(specs, Done::Blocking(done)));
        // An error means that the thread is gone: there is nothing left to replace.
        let _ = wait.recv();
    }

    /// [`Functions::stop`] for threads that may block. Blocks until it is done.
    pub fn stop_blocking(&self) {
        let (done, wait) = std::sync::mpsc::channel();
        self.tell(Command::Stop(Done::Blocking(done)));
        let _ = wait.recv();
    }

    /// Passes a command on, however many wait.
    fn tell(&self, mut command: Command) {
        while let Err(mpsc::error::TrySendError::Full(back)) = self.commands.try_send(command) {
            command = back;
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// What each function is doing and has done since the start.
    pub async fn status(&self) -> Vec<Status> {
        let (reply, status) = oneshot::channel();
        match self.commands.send(Command::Status(reply)).await {
            Ok(()) => status.await.unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    /// The last lines that a function wrote, at most `lines_max`; `None` for an unknown function.
    pub async fn logs(&self, function: &Arc<str>, lines_max: usize) -> Option<Vec<LogLine>> {
        let (reply, lines) = oneshot::channel();
        self.commands.send(Command::Logs(Arc::clone(function), lines_max, reply)).await.ok()?;
        lines.await.ok().flatten()
    }

    /// Ends all processes, after what they are doing but within ten seconds.
    pub async fn stop(&self) {
        let (done, wait) = oneshot::channel();
        if self.commands.send(Command::Stop(Done::Waiting(done))).await.is_ok() {
            let _ = wait.await;
        }
    }
}

/// The thread's work.
async fn serve(mut commands: mpsc::Receiver<Command>) {
    let mut pools: HashMap<Arc<str>, Rc<Pool>> = HashMap::new();
    while let Some(command) = commands.recv().await {
        match command {
            Command::Invoke(job, function) => match pools.get(&function) {
                Some(pool) => pool.take(*job),
                // The caller may be gone; nobody else wants to know.
                None => drop(job.reply.send(Err(InvokeError::Unknown))),
            },
            Command::Replace(specs, done) => {
                replace(&mut pools, specs);
                done.tell();
            }
            Command::Status(reply) => {
                let mut status: Vec<Status> = pools.values().map(|pool| pool.status()).collect();
                status.sort_by(|one, other| one.name.cmp(&other.name));
                let _ = reply.send(status);
            }
            Command::Logs(function, lines_max, reply) => {
                let _ = reply.send(pools.get(&function).map(|pool| pool.output.last(lines_max)));
            }
            Command::Stop(done) => {
                for pool in pools.values() {
                    pool.retire();
                }
                let until = tokio::time::Instant::now() + DRAIN;
                for pool in pools.values() {
                    let _ = tokio::time::timeout_at(until, pool.ended()).await;
                    pool.kill();
                }
                done.tell();
                return;
            }
        }
    }
    for pool in pools.values() {
        pool.kill();
    }
}

/// Keeps the pools of functions that are as they were, and retires the others.
fn replace(pools: &mut HashMap<Arc<str>, Rc<Pool>>, specs: Vec<Spec>) {
    let mut before = std::mem::take(pools);
    for spec in specs {
        let name = Arc::clone(&spec.name);
        let pool = match before.remove(&name) {
            Some(pool) if pool.spec == spec => pool,
            Some(pool) => {
                let successor = Pool::succeed(&pool, spec);
                pool.retire();
                successor
            }
            None => Pool::new(spec),
        };
        pools.insert(name, pool);
    }
    for pool in before.into_values() {
        pool.retire();
    }
}
