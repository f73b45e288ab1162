//! What functions write to their standard output and error: kept for a while, and passed on to the gateway's log.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// Most lines kept per function.
const LINES_MAX: usize = 1_000;
/// Most bytes kept per function.
const BYTES_MAX: usize = 512 * 1024;
/// Longest line, in bytes; the rest of it is dropped.
const LINE_BYTES_MAX: usize = 8 * 1024;
/// What an invocation's answer may carry of its log, in bytes (source: Lambda Invoke API, `X-Amz-Log-Result`).
const TAIL_BYTES_MAX: usize = 4 * 1024;
/// Lines that one event may pass on to the gateway's log; a function that writes more is kept here, and said so once.
const PASSED_ON_MAX: u32 = 1_000;

/// A line that a function wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When.
    pub at: SystemTime,
    /// The event it was working on; empty between events.
    pub request_id: Box<str>,
    /// The line, without its end. What is not UTF-8 is replaced.
    pub text: Box<str>,
}

/// The last lines of a function.
#[derive(Default)]
pub(super) struct Output(RefCell<Kept>);

#[derive(Default)]
struct Kept {
    lines: VecDeque<LogLine>,
    bytes: usize,
}

/// What one process writes, and for whom.
#[derive(Default)]
pub(super) struct Writer {
    /// The event it is working on.
    pub(super) request_id: RefCell<Box<str>>,
    tail: RefCell<VecDeque<u8>>,
    passed_on: std::cell::Cell<u32>,
}

impl Output {
    /// The last lines, oldest first.
    pub(super) fn last(&self, lines_max: usize) -> Vec<LogLine> {
        let kept = self.0.borrow();
        let skipped = kept.lines.len().saturating_sub(lines_max);
        kept.lines.iter().skip(skipped).cloned().collect()
    }

    fn push(&self, line: LogLine) {
        let mut kept = self.0.borrow_mut();
        kept.bytes += line.text.len();
        kept.lines.push_back(line);
        while kept.lines.len() > LINES_MAX || kept.bytes > BYTES_MAX {
            let Some(oldest) = kept.lines.pop_front() else { break };
            kept.bytes -= oldest.text.len();
        }
    }

    /// Reads a process's output to its end.
    pub(super) async fn read(&self, function: &Arc<str>, writer: &Writer, stream: impl AsyncRead + Unpin) {
        let mut stream = BufReader::with_capacity(LINE_BYTES_MAX, stream);
        let mut line = Vec::new();
        loop {
            let Ok(read) = stream.fill_buf().await else { return };
            if read.is_empty() {
                if !line.is_empty() {
                    self.line(function, writer, &line);
                }
                return;
            }
            let end = memchr::memchr(b'\n', read);
            let piece = &read[..end.unwrap_or(read.len())];
            let room = LINE_BYTES_MAX.saturating_sub(line.len());
            line.extend_from_slice(&piece[..piece.len().min(room)]);
            let used = piece.len() + usize::from(end.is_some());
            stream.consume(used);
            if end.is_some() {
                self.line(function, writer, &line);
                line.clear();
            }
        }
    }

    fn line(&self, function: &Arc<str>, writer: &Writer, line: &[u8]) {
        let text: Box<str> = String::from_utf8_lossy(line).into();
        writer.note(&text);
        let request_id = writer.request_id.borrow().clone();
        match writer.passed_on.get() {
            count if count < PASSED_ON_MAX => {
                tracing::info!(function.name = %function, request.id = %request_id, "{text}");
            }
            PASSED_ON_MAX => {
                tracing::warn!(function.name = %function, request.id = %request_id, "the function writes more than is logged here");
            }
            _ => {}
        }
        writer.passed_on.set(writer.passed_on.get().saturating_add(1));
        self.push(LogLine { at: SystemTime::now(), request_id, text });
    }
}

impl Writer {
    /// An event begins.
    pub(super) fn begin(&self, request_id: &str) {
        *self.request_id.borrow_mut() = request_id.into();
        self.tail.borrow_mut().clear();
        self.passed_on.set(0);
    }

    /// The end of what was written for the event.
    pub(super) fn tail(&self) -> Vec<u8> {
        self.tail.borrow().iter().copied().collect()
    }

    fn note(&self, text: &str) {
        let mut tail = self.tail.borrow_mut();
        tail.extend(text.as_bytes());
        tail.push_back(b'\n');
        let excess = tail.len().saturating_sub(TAIL_BYTES_MAX);
        tail.drain(..excess);
    }
}
