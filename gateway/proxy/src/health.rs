//! `/healthz`, `/readyz` and `/metrics`, on a listener and a thread of their own, which go on while the process drains: whoever asks
//! then hears 503 instead of nothing.
//!
//! `/healthz` answers 200 as long as the process can answer at all. `/readyz` answers 200 when a configuration is compiled on every
//! worker and the process is not draining, else 503 with the reason: a load balancer sends traffic by it.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::downstream::Shared;

/// Longest a head may take here; also how long a connection may idle.
const HEAD: Duration = Duration::from_secs(10);

/// Most connections at a time: this listener is for a few probes and scrapers.
const CONNECTIONS_MAX: usize = 256;

/// How long accepting pauses when the system has no descriptor to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers questions about the process.
pub(crate) struct Health {
    pub(crate) shared: Arc<Shared>,
}

/// Serves on a thread of its own until the process ends.
///
/// # Errors
///
/// When the thread or its runtime cannot be started.
pub(crate) fn start(health: Health, listener: std::net::TcpListener) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    listener.set_nonblocking(true)?;
    let health = Arc::new(health);
    std::thread::Builder::new().name("health".to_owned()).spawn(move || {
        if let Err(error) = runtime.block_on(serve(&health, listener)) {
            tracing::error!(%error, "health and metrics are not served");
        }
    })?;
    Ok(())
}

async fn serve(health: &Arc<Health>, listener: std::net::TcpListener) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return Ok(()) };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "health connection not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let health = Arc::clone(health);
        tokio::spawn(async move {
            health.connection(stream).await;
            drop(place);
        });
    }
}

impl Health {
    async fn connection(&self, stream: TcpStream) {
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let answer = self.answer(&request);
            async move { Ok::<_, Infallible>(answer) }
        });
        let served = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .serve_connection(TokioIo::new(stream), service)
            .await;
        if let Err(error) = served {
            tracing::debug!(%error, "health connection ended");
        }
    }

    fn answer(&self, request: &hyper::Request<Incoming>) -> hyper::Response<Full<Bytes>> {
        let (status, text) = match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/healthz") => (StatusCode::OK, "ok\n".to_owned()),
            (&Method::GET | &Method::HEAD, "/readyz") => match self.not_ready() {
                None => (StatusCode::OK, "ready\n".to_owned()),
                Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
            },
            (&Method::GET | &Method::HEAD, "/metrics") => (StatusCode::OK, self.metrics()),
            (_, "/healthz" | "/readyz" | "/metrics") => {
                (StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n".to_owned())
            }
            _ => (StatusCode::NOT_FOUND, "here are /healthz, /readyz and /metrics\n".to_owned()),
        };
        let mut answer = hyper::Response::new(Full::new(Bytes::from(text)));
        *answer.status_mut() = status;
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
        answer
    }

    fn not_ready(&self) -> Option<&'static str> {
        if *self.shared.draining.borrow() {
            return Some("draining");
        }
        (self.shared.published.load().revision == 0).then_some("no configuration is compiled yet")
    }

    /// Gauges of the process in Prometheus' text format, version 0.0.4.
    fn metrics(&self) -> String {
        let shared = &self.shared;
        let gauges = [
            ("gateway_connections", "Open client connections.", shared.connections() as u64),
            ("gateway_requests_in_flight", "Requests under way.", shared.in_flight.load(Ordering::Relaxed) as u64),
            ("gateway_revision", "Number of the revision that is served.", shared.published.load().revision),
        ];
        let mut text = String::new();
        for (name, help, value) in gauges {
            writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}")
                .expect("writing to a String does not fail");
        }
        shared.fleet.write_metrics(&mut text);
        text
    }
}
