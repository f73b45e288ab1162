//! One line per request on standard output, written by a thread of its own.
//!
//! Workers put finished lines into a bounded queue and never wait: when the reader of standard output is slow, lines are dropped and
//! their number is told.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::time::Duration;

use moongate_exchange::context;
use moongate_runtime::pipeline::AccessRecord;
use serde::Serialize;

use crate::settings::AccessLog;

/// Most lines that wait to be written.
const QUEUE: usize = 16 * 1024;

/// Most lines that are written at once.
const BATCH: usize = 256;

/// Who hears about finished requests.
pub(crate) type Listener = Arc<dyn Fn(&AccessRecord<'_>) + Send + Sync>;

/// A listener that prints lines of that form. It starts the thread that writes them.
///
/// # Errors
///
/// When the thread cannot be started.
pub(crate) fn listener(form: AccessLog) -> anyhow::Result<Listener> {
    let format: fn(&AccessRecord<'_>) -> String = match form {
        AccessLog::None => return Ok(Arc::new(|_| {})),
        AccessLog::Text => text,
        AccessLog::Json => json,
    };
    let (sender, lines) = mpsc::sync_channel(QUEUE);
    let dropped = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&dropped);
    std::thread::Builder::new().name("access log".to_owned()).spawn(move || write(&lines, &seen))?;
    Ok(Arc::new(move |record| send(&sender, &dropped, format(record))))
}

fn send(sender: &SyncSender<String>, dropped: &AtomicU64, line: String) {
    if let Err(TrySendError::Full(_)) = sender.try_send(line) {
        dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// Writes lines as they come, several at once when they come fast. Standard output is locked for a batch only: others print too.
fn write(lines: &Receiver<String>, dropped: &AtomicU64) {
    let mut batch = String::new();
    while let Ok(line) = lines.recv() {
        batch.clear();
        for line in std::iter::once(line).chain(lines.try_iter().take(BATCH - 1)) {
            batch.push_str(&line);
            batch.push('\n');
        }
        let mut out = io::stdout().lock();
        if out.write_all(batch.as_bytes()).and_then(|()| out.flush()).is_err() {
            // Nobody reads any more; requests go on.
            return;
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(lost, "access log lines dropped: standard output is read too slowly");
        }
    }
}

/// `14:07:03 GET  /dev/hello    200   3.1 ms`, and why where something went wrong.
fn text(record: &AccessRecord<'_>) -> String {
    let exchange = record.exchange;
    let time = moongate_exchange::time::rfc3339_ms(exchange.arrived_at);
    let clock = time.get(11..19).unwrap_or_default();
    let status = record.status.map_or_else(|| "---".to_owned(), |status| status.to_string());
    let path = printable(exchange.request.target.path());
    let mut line = format!(
        "{clock} {:<7} {path:<40} {status}  {:>9}",
        exchange.request.method.as_str(),
        milliseconds(record.duration)
    );
    if let Some(kind) = record.rejection {
        line.push_str("  ");
        line.push_str(kind.face().code);
    }
    if let Some(detail) = &exchange.outcome.detail {
        line.push_str(": ");
        line.push_str(&printable(detail));
    }
    for entry in &exchange.script_log {
        line.push_str("\n         lua: ");
        line.push_str(&printable(entry));
    }
    line
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1_000.0)
}

/// Text from outside, so that it cannot steer a terminal.
fn printable(text: &str) -> String {
    moongate_config::issue::render::escape(text)
}

#[derive(Serialize)]
struct Line<'record> {
    event: &'static str,
    time: String,
    request_id: &'record str,
    method: &'record str,
    path: &'record str,
    status: Option<u16>,
    ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    integration_ms: Option<f64>,
    bytes: u64,
    client: &'record str,
    protocol: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    api: &'record str,
    #[serde(skip_serializing_if = "str::is_empty")]
    stage: &'record str,
    #[serde(skip_serializing_if = "str::is_empty")]
    route: &'record str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'record str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    aborted: bool,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    script_log: &'record [String],
}

fn json(record: &AccessRecord<'_>) -> String {
    let exchange = record.exchange;
    let matched = exchange.matched.as_ref();
    let line = Line {
        event: "request",
        time: moongate_exchange::time::rfc3339_ms(exchange.arrived_at),
        request_id: exchange.id.as_str(),
        method: exchange.request.method.as_str(),
        path: exchange.request.target.path(),
        status: record.status,
        ms: rounded(record.duration),
        integration_ms: exchange.integration.latency.map(rounded),
        bytes: exchange.outcome.body_bytes,
        client: exchange.client_ip_text(),
        protocol: context::protocol(exchange.version),
        api: matched.map_or("", |matched| &matched.route.api_id),
        stage: matched.map_or("", |matched| &matched.stage.name),
        route: matched.map_or("", |matched| &matched.route.key),
        error: record.rejection.map(|kind| kind.face().code),
        detail: exchange.outcome.detail.as_deref(),
        aborted: exchange.outcome.is_aborted,
        script_log: &exchange.script_log,
    };
    serde_json::to_string(&line).unwrap_or_default()
}

/// Milliseconds with three decimals.
fn rounded(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}
