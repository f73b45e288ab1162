//! The binary under test as a process: its lines as they come, its memory, its end.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::binary;
use crate::wait::{SOON, wait_for};

/// A running `moongate`. It is killed when the value is dropped.
pub struct Process {
    child: Child,
    output: Arc<Output>,
}

/// What a process that has ended said.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

#[derive(Default)]
struct Output {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Default)]
struct Lines {
    stdout: Vec<String>,
    stderr: Vec<String>,
    open_streams: usize,
}

impl Process {
    /// Starts the binary with arguments in a folder. Variables named `MOONGATE_*` and `RUST_LOG` of the tests' own
    /// environment are not passed on.
    pub fn start(
        folder: &Path,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
        environment: &[(String, String)],
    ) -> Self {
        let mut command = Command::new(binary::moongate());
        command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MOONGATE_") || name == "RUST_LOG") {
            command.env_remove(name);
        }
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let output = Arc::new(Output::default());
        output.lines.lock().expect("fresh").open_streams = 2;
        follow(child.stdout.take().expect("piped"), &output, |lines| &mut lines.stdout);
        follow(child.stderr.take().expect("piped"), &output, |lines| &mut lines.stderr);
        Self { child, output }
    }

    /// Runs the binary to its end.
    ///
    /// # Panics
    ///
    /// When it has not ended after `deadline`.
    #[track_caller]
    pub fn run(folder: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>, deadline: Duration) -> Ended {
        Self::start(folder, arguments, &[]).wait_for_end(deadline)
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for an event (a line of JSON on standard output) that nothing else was waited for since `mark` lines.
    ///
    /// # Panics
    ///
    /// When it has not come after `deadline`, or the process has ended; the message holds everything it said.
    #[track_caller]
    pub fn wait_for_event_since(
        &self,
        mark: usize,
        what: &str,
        deadline: Duration,
        matches: impl Fn(&Value) -> bool,
    ) -> Value {
        let until = Instant::now() + deadline;
        let mut lines = self.output.lines.lock().expect("readers do not panic");
        let mut seen = mark;
        loop {
            for line in &lines.stdout[seen.min(lines.stdout.len())..] {
                if let Ok(event) = serde_json::from_str::<Value>(line)
                    && matches(&event)
                {
                    return event;
                }
            }
            seen = lines.stdout.len();
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || lines.open_streams == 0 {
                let why = if left.is_zero() { "it took too long" } else { "the process has ended" };
                let said = said(&lines);
                // A panic with the lock held would hide this message behind others.
                drop(lines);
                panic!("no event `{what}`: {why}\n{said}");
            }
            lines = self.output.more.wait_timeout(lines, left).expect("readers do not panic").0;
        }
    }

    /// All events so far.
    pub fn events(&self) -> Vec<Value> {
        let lines = self.output.lines.lock().expect("readers do not panic");
        lines.stdout.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// How many lines came on standard output so far: a mark to wait from.
    pub fn mark(&self) -> usize {
        self.output.lines.lock().expect("readers do not panic").stdout.len()
    }

    /// Everything it said so far, for messages.
    pub fn said(&self) -> String {
        said(&self.output.lines.lock().expect("readers do not panic"))
    }

    /// Sends a signal by name: `TERM`, `INT`, `HUP`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "cannot send {name} to process {}", self.pid());
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// When it has not ended after `deadline`.
    #[track_caller]
    pub fn wait_for_end(mut self, deadline: Duration) -> Ended {
        let until = Instant::now() + deadline;
        let status = loop {
            if let Some(status) = self.has_ended() {
                break status;
            }
            assert!(Instant::now() < until, "the process did not end in {deadline:?}\n{}", self.said());
            thread::sleep(Duration::from_millis(2));
        };
        let lines = wait_for("the end of the process's output", SOON, || {
            Some(self.output.lines.lock().expect("readers do not panic")).filter(|lines| lines.open_streams == 0)
        });
        Ended { code: status.code(), stdout: lines.stdout.join("\n"), stderr: lines.stderr.join("\n") }
    }

    /// Its exit status, if it has ended.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of ours")
    }

    /// Resident memory now, in KiB.
    pub fn rss_kib(&self) -> u64 {
        self.status_kib("VmRSS:")
    }

    /// Most resident memory since the start or the last [`Process::reset_rss_peak`], in KiB.
    pub fn rss_peak_kib(&self) -> u64 {
        self.status_kib("VmHWM:")
    }

    /// Processor time of all its threads since the start (source: kernel documentation, `sched-stats`).
    pub fn cpu_time(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("the process is running");
        let nanoseconds = tasks.filter_map(|task| {
            // A thread may end while it is looked at.
            let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    /// Starts a new measurement of the most resident memory (source: proc(5), `clear_refs`).
    pub fn reset_rss_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").expect("a process of ours");
    }

    fn status_kib(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the process is running");
        let value = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux states it");
        value.trim().trim_end_matches(" kB").parse().expect("a number of kB")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn follow(stream: impl Read + Send + 'static, output: &Arc<Output>, side: fn(&mut Lines) -> &mut Vec<String>) {
    let output = Arc::clone(output);
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
            let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
            line.clear();
            side(&mut output.lines.lock().expect("readers do not panic")).push(text);
            output.more.notify_all();
        }
        output.lines.lock().expect("readers do not panic").open_streams -= 1;
        output.more.notify_all();
    });
}

fn said(lines: &Lines) -> String {
    // The end is what matters, and a load test's request lines would fill the screen.
    let last = |lines: &[String]| lines[lines.len().saturating_sub(60)..].join("\n");
    format!(
        "--- standard output (end) ---\n{}\n--- standard error (end) ---\n{}",
        last(&lines.stdout),
        last(&lines.stderr)
    )
}
