//! One process of a function: started, watched, and ended.

use std::cell::{Cell, RefCell};
use std::io;
use std::process::Stdio;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_local};

use crate::local::invocation::{FunctionError, Invocation, Outcome, ResultBody};
use crate::local::limits;
use crate::local::output::Writer;
use crate::local::pool::{Job, Pool};
use crate::local::runtime_api;
use crate::local::spec::Spec;
use crate::local::stream::Pieces;

/// How often memory is measured while a process works.
const MEASURE: Duration = Duration::from_millis(100);
/// Longest wait for the rest of the output of a process that has ended; what it started may hold the pipes open.
const LAST_OUTPUT: Duration = Duration::from_millis(200);

/// One process.
pub(super) struct Process {
    state: RefCell<State>,
    pub(super) writer: Writer,
    /// The state changed: for the watch over it.
    changed: Notify,
    /// An event was given: for the request that asks for one.
    given: Notify,
    is_retired: Cell<bool>,
    is_killed: Cell<bool>,
    /// What it said about why it cannot start.
    init_error: RefCell<Option<(FunctionError, Bytes)>>,
}

enum State {
    /// It has not asked for an event yet.
    Starting,
    /// It asks for an event since then.
    Idle(Instant),
    /// It works on one.
    Busy(Box<Running>),
    /// It has answered, and not asked for the next event yet.
    Between(Instant),
}

/// An event in work.
struct Running {
    job: Job,
    began: Instant,
    is_cold: bool,
    /// Whether the process has been sent the event.
    is_taken: bool,
}

/// A result that is given piece by piece: the outcome is out, the event goes on.
pub(super) struct Streaming {
    began: Instant,
}

impl Process {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self {
            state: RefCell::new(State::Starting),
            writer: Writer::default(),
            changed: Notify::new(),
            given: Notify::new(),
            is_retired: Cell::new(false),
            is_killed: Cell::new(false),
            init_error: RefCell::new(None),
        })
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(*self.state.borrow(), State::Idle(_)) && !self.is_killed.get()
    }

    pub(super) fn is_busy(&self) -> bool {
        matches!(*self.state.borrow(), State::Busy(_))
    }

    /// Gives it an event. It must be idle.
    pub(super) fn give(&self, job: Job, is_cold: bool) {
        self.writer.begin(&job.invocation.request_id);
        *self.state.borrow_mut() =
            State::Busy(Box::new(Running { job, began: Instant::now(), is_cold, is_taken: false }));
        self.given.notify_one();
        self.changed.notify_one();
    }

    /// Ends it after what it is doing.
    pub(super) fn retire(&self) {
        self.is_retired.set(true);
        self.changed.notify_one();
    }

    /// Ends it now.
    pub(super) fn kill(&self) {
        self.is_killed.set(true);
        self.changed.notify_one();
    }

    /// The process asks for an event, and waits for it.
    pub(super) async fn next(self: &Rc<Self>, pool: &Pool, timeout: Duration) -> (Invocation, Duration) {
        let is_first = matches!(self.state.replace(State::Idle(Instant::now())), State::Starting);
        self.changed.notify_one();
        pool.ask(self, is_first);
        loop {
            if let State::Busy(running) = &mut *self.state.borrow_mut()
                && !running.is_taken
            {
                running.is_taken = true;
                return (running.job.invocation.clone(), timeout);
            }
            self.given.notified().await;
        }
    }

    /// Whether an event of this id is in work.
    pub(super) fn works_on(&self, request_id: &str) -> bool {
        matches!(&*self.state.borrow(), State::Busy(running) if &*running.job.invocation.request_id == request_id)
    }

    /// The event is over: tells whoever waits.
    pub(super) fn finish(&self, pool: &Pool, body: ResultBody, error: Option<FunctionError>) {
        let State::Busy(running) = self.state.replace(State::Between(Instant::now())) else { return };
        self.changed.notify_one();
        let duration = running.began.elapsed();
        pool.count(error.as_ref(), duration);
        let log_tail = self.writer.tail();
        // Nobody may be waiting any more.
        let _ = running.job.reply.send(Ok(Outcome { body, error, duration, is_cold: running.is_cold, log_tail }));
    }

    /// The result begins to come; the event goes on until [`Process::finish`].
    pub(super) fn begin_stream(&self, prelude: Option<Bytes>, pieces: Pieces) -> Option<Streaming> {
        let mut state = self.state.borrow_mut();
        let State::Busy(running) = &mut *state else { return None };
        // What is left in its place keeps the id and the clock; nobody waits for it.
        let (silent, _) = tokio::sync::oneshot::channel();
        let reply = std::mem::replace(&mut running.job.reply, silent);
        let (began, is_cold) = (running.began, running.is_cold);
        let body = ResultBody::Stream { prelude, pieces };
        let log_tail = Vec::new();
        let _ = reply.send(Ok(Outcome { body, error: None, duration: began.elapsed(), is_cold, log_tail }));
        Some(Streaming { began })
    }

    /// The process says that it cannot start.
    pub(super) fn fail_init(&self, error: FunctionError, document: Bytes) {
        *self.init_error.borrow_mut() = Some((error, document));
    }

    /// When something must happen next, and what if nothing has happened by then.
    fn deadline(&self, spec: &Spec, started: Instant) -> (Instant, Verdict) {
        match &*self.state.borrow() {
            State::Starting => (started + spec.start_timeout, Verdict::InitTimedOut),
            State::Idle(_) | State::Between(_) if self.is_retired.get() => (Instant::now(), Verdict::Unneeded),
            State::Idle(since) => (*since + spec.idle, Verdict::Unneeded),
            State::Between(since) => (*since + spec.start_timeout, Verdict::Unneeded),
            State::Busy(running) => (running.began + spec.timeout, Verdict::TimedOut),
        }
    }
}

impl Streaming {
    /// How long the event has been worked on.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

/// Why a process is over.
enum Verdict {
    /// It ended by itself.
    Exited(String),
    /// Its event took too long.
    TimedOut,
    /// It never asked for an event.
    InitTimedOut,
    /// It took too much memory.
    OutOfMemory,
    /// It was not used for long, is not needed any more, or the gateway stops.
    Unneeded,
    /// It could not be started at all.
    NotStarted(io::Error),
}

/// Runs a process from its start to its end.
pub(super) async fn run(pool: Rc<Pool>, process: Rc<Process>) {
    let mut memory_bytes = 0;
    let verdict = match start(&pool.spec).await {
        Err(error) => Verdict::NotStarted(error),
        Ok((mut child, listener)) => {
            let id = child.id().unwrap_or_default();
            limits::apply(id);
            let readers = readers(&pool, &process, &mut child);
            let api = spawn_local(runtime_api::serve(listener, Rc::clone(&pool), Rc::clone(&process)));
            let verdict = watch(&pool.spec, &process, &mut child, id, &mut memory_bytes).await;
            limits::kill(id);
            // Reaps it: it is dead by now, or about to be.
            let _ = child.wait().await;
            for reader in readers {
                let abort = reader.abort_handle();
                if tokio::time::timeout(LAST_OUTPUT, reader).await.is_err() {
                    abort.abort();
                }
            }
            api.abort();
            verdict
        }
    };
    conclude(&pool, &process, verdict, memory_bytes);
}

/// Starts the child, and listens for it alone: its port tells processes apart.
async fn start(spec: &Spec) -> io::Result<(Child, TcpListener)> {
    let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let (program, arguments) = spec.command();
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&spec.folder).env_clear();
    let memory_mb = (spec.memory_bytes_max >> 20).to_string();
    let own = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("LANG", "en_US.UTF-8"),
        ("TZ", ":UTC"),
        ("HOME", "/tmp"),
        // Its cache tells versions apart by the second and the size: a quick edit would go unnoticed.
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_LAMBDA_FUNCTION_NAME", &*spec.name),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory_mb),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_FORMAT", "Text"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", &*spec.name),
        ("AWS_LAMBDA_LOG_STREAM_NAME", &*spec.name),
        ("_HANDLER", &*spec.handler),
    ];
    for (name, value) in own {
        command.env(name, value);
    }
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    for (name, value) in &spec.environment {
        command.env(name, value);
    }
    command.env("LAMBDA_TASK_ROOT", &spec.folder).env("AWS_LAMBDA_RUNTIME_API", address.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.process_group(0).kill_on_drop(true).spawn()?;
    Ok((child, listener))
}

/// Reads what the child writes.
fn readers(pool: &Rc<Pool>, process: &Rc<Process>, child: &mut Child) -> Vec<JoinHandle<()>> {
    let mut readers = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let (pool, process) = (Rc::clone(pool), Rc::clone(process));
        readers.push(spawn_local(async move { pool.output.read(&pool.spec.name, &process.writer, stdout).await }));
    }
    if let Some(stderr) = child.stderr.take() {
        let (pool, process) = (Rc::clone(pool), Rc::clone(process));
        readers.push(spawn_local(async move { pool.output.read(&pool.spec.name, &process.writer, stderr).await }));
    }
    readers
}

/// Waits until the process ends, or must be ended.
async fn watch(spec: &Spec, process: &Process, child: &mut Child, id: u32, memory_bytes: &mut u64) -> Verdict {
    let started = Instant::now();
    let mut measure = tokio::time::interval(MEASURE);
    measure.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        if process.is_killed.get() {
            return Verdict::Unneeded;
        }
        let (deadline, verdict) = process.deadline(spec, started);
        tokio::select! {
            biased;
            status = child.wait() => return Verdict::Exited(match status {
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            }),
            () = tokio::time::sleep_until(deadline.into()) => return verdict,
            () = process.changed.notified() => {}
            _ = measure.tick(), if !process.is_idle() => {
                *memory_bytes = (*memory_bytes).max(limits::memory_bytes(id));
                if *memory_bytes > spec.memory_bytes_max {
                    return Verdict::OutOfMemory;
                }
            }
        }
    }
}

/// Tells whoever is concerned that, and why, a process is over.
fn conclude(pool: &Rc<Pool>, process: &Rc<Process>, verdict: Verdict, memory_bytes: u64) {
    let error = match verdict {
        Verdict::Exited(status) => FunctionError::Exited(status.into()),
        Verdict::TimedOut => FunctionError::TimedOut { timeout: pool.spec.timeout },
        Verdict::OutOfMemory => FunctionError::OutOfMemory { bytes_max: pool.spec.memory_bytes_max },
        Verdict::InitTimedOut => FunctionError::NotStarted(
            format!("it asked for no event within {} ms", pool.spec.start_timeout.as_millis()).into(),
        ),
        Verdict::NotStarted(error) => FunctionError::NotStarted(error.to_string().into()),
        Verdict::Unneeded => FunctionError::Exited("it was ended".into()),
    };
    let running = matches!(&*process.state.borrow(), State::Busy(_));
    let is_starting = matches!(&*process.state.borrow(), State::Starting);
    if running {
        let request_id = process.writer.request_id.borrow().clone();
        process.finish(pool, ResultBody::Whole(error.document(&request_id)), Some(error.clone()));
    }
    process.is_killed.set(true);
    let failure = is_starting.then(|| match process.init_error.take() {
        Some((error, document)) => (error, ResultBody::Whole(document)),
        None => (error, ResultBody::Whole(Bytes::new())),
    });
    if let Some((error, _)) = &failure {
        tracing::warn!(function.name = %pool.spec.name, %error, "a function's process did not start");
    }
    pool.end(process, memory_bytes, failure);
}
