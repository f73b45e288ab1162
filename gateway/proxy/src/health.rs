//! `/healthz`, `/readyz` and `/metrics`, on a listener and a thread of their own.
//!
//! `/healthz` answers 200 as long as the process can answer at all. `/readyz` answers 200 when a configuration is compiled on every
//! worker and the process is not draining, else 503 with the reason: a load balancer sends traffic by it.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use pingora_core::apps::ServerApp;
use pingora_core::protocols::Stream;
use pingora_core::server::ShutdownWatch;

use crate::downstream::Shared;

/// Longest a head may take here; also how long a connection may idle.
const HEAD: Duration = Duration::from_secs(10);

/// Answers questions about the process.
pub(crate) struct Health {
    pub(crate) shared: Arc<Shared>,
}

#[async_trait]
impl ServerApp for Health {
    async fn process_new(self: &Arc<Self>, stream: Stream, _shutdown: &ShutdownWatch) -> Option<Stream> {
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
        None
    }
}

impl Health {
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
            ("gateway_connections", "Open client connections.", shared.connections.load(Ordering::Relaxed) as u64),
            ("gateway_requests_in_flight", "Requests under way.", shared.in_flight.load(Ordering::Relaxed) as u64),
            ("gateway_revision", "Number of the revision that is served.", shared.published.load().revision),
        ];
        let mut text = String::new();
        for (name, help, value) in gauges {
            writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}")
                .expect("writing to a String does not fail");
        }
        text
    }
}
