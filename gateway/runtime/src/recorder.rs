//! Following one request through the pipeline: what each stage took, and the messages before and after.
//!
//! The pipeline tells whoever listens what happens, as [`Event`]s that borrow what is there already. On the request path nobody
//! listens ([`Off`], which compiles to nothing); a [`Recorder`] keeps a trace in words, with secrets left out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use http::{HeaderName, StatusCode};
use moongate_exchange::{Body, Exchange, Headers, Rejection, Request, Response};
use serde::Serialize;

use crate::upstream::Upstream;

/// Most of a body that a trace shows, in bytes.
const BODY_BYTES_SHOWN: usize = 4 * 1024;

/// Most lines of a trace.
const LINES_MAX: usize = 1_000;

/// A stage of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the stages' own names, explained in `pipeline`")]
pub enum Stage {
    Route,
    Guard,
    Preflight,
    Authorize,
    Throttle,
    Validate,
    Cache,
    MapRequest,
    Integrate,
    MapResponse,
}

impl Stage {
    /// The stage's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Guard => "guard",
            Self::Preflight => "preflight",
            Self::Authorize => "authorize",
            Self::Throttle => "throttle",
            Self::Validate => "validate",
            Self::Cache => "cache",
            Self::MapRequest => "map_request",
            Self::Integrate => "integrate",
            Self::MapResponse => "map_response",
        }
    }
}

/// Something that happens to a request.
#[derive(Clone, Copy)]
pub enum Event<'event> {
    /// A stage begins.
    Stage(Stage),
    /// A route was looked for.
    Matched(&'event Exchange),
    /// The request is complete, before anything is mapped.
    MethodRequest(&'event Exchange),
    /// An upstream is to be sent this.
    UpstreamRequest(&'event Arc<Upstream>, &'event Request),
    /// A function is to be given this, which a template made.
    FunctionEvent(&'event [u8]),
    /// A function is to be given the whole request, as so many bytes.
    ProxyEvent(usize),
    /// A mock was told to answer with this number.
    MockStatus(i64),
    /// What is named as the integration, where nothing is asked.
    Uri(&'event str),
    /// The integration answered.
    IntegrationResponse(&'event Response),
    /// The body that the integration answered with, where it was read.
    IntegrationBody(&'event [u8]),
    /// An integration response was selected by this.
    Selected(&'event str, StatusCode),
    /// A stage refused the request.
    Rejected(&'event Rejection),
    /// The client is to be sent this.
    MethodResponse(&'event Response),
}

/// Whoever follows a request.
pub trait Record: Send {
    /// Takes note of something that happens.
    fn note(&mut self, event: Event<'_>);
}

/// Nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Off;

impl Record for Off {
    #[inline(always)]
    fn note(&mut self, _event: Event<'_>) {}
}

/// A stage and how long it took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StageTrace {
    /// The stage.
    pub stage: Stage,
    /// How long it took, in microseconds.
    pub duration_us: u64,
    /// Whether the request ended here.
    pub is_last: bool,
}

/// Keeps what happens, in words.
#[derive(Debug)]
pub struct Recorder {
    begun: Instant,
    stages: Vec<(Stage, Instant)>,
    ended: Option<Instant>,
    lines: Vec<String>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { begun: Instant::now(), stages: Vec::new(), ended: None, lines: Vec::new() }
    }
}

impl Recorder {
    /// The stages the request went through, in order.
    pub fn stages(&self) -> Vec<StageTrace> {
        let ends = self.stages.iter().skip(1).map(|(_, at)| *at).chain(self.ended);
        let count = self.stages.len();
        let ended = self.stages.iter().zip(ends).enumerate();
        let trace = ended.map(|(index, ((stage, at), end))| StageTrace {
            stage: *stage,
            duration_us: u64::try_from((end - *at).as_micros()).unwrap_or(u64::MAX),
            is_last: index + 1 == count,
        });
        trace.collect()
    }

    /// What happened, a line each.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// From the first event to the answer.
    pub fn latency(&self) -> Duration {
        self.ended.map_or(Duration::ZERO, |ended| ended - self.begun)
    }

    fn line(&mut self, text: String) {
        if self.lines.len() < LINES_MAX {
            self.lines.push(text);
        }
    }

    fn headers(&mut self, title: &str, headers: &Headers) {
        let mut text = String::new();
        for (name, value) in headers.iter() {
            let separator = if text.is_empty() { "" } else { ", " };
            let value = if is_secret(name) { "(not shown)".into() } else { String::from_utf8_lossy(value.as_bytes()) };
            text.push_str(&format!("{separator}{name}={value}"));
        }
        self.line(format!("{title}: {{{text}}}"));
    }

    fn body(&mut self, title: &str, body: &[u8]) {
        let shown = &body[..body.len().min(BODY_BYTES_SHOWN)];
        let rest = if shown.len() < body.len() { format!("… ({} bytes)", body.len()) } else { String::new() };
        self.line(format!("{title}: {}{rest}", String::from_utf8_lossy(shown)));
    }

    fn message_body(&mut self, title: &str, body: &Body) {
        match body {
            Body::Empty | Body::Duplex(_) => self.body(title, b""),
            Body::Full(bytes) => self.body(title, bytes),
            Body::Stream(_) => self.line(format!("{title}: (streamed)")),
        }
    }
}

/// Whether a field holds what opens doors.
fn is_secret(name: &HeaderName) -> bool {
    [AUTHORIZATION, COOKIE, SET_COOKIE].contains(name) || name == "x-api-key" || name == "proxy-authorization"
}

impl Record for Recorder {
    fn note(&mut self, event: Event<'_>) {
        match event {
            Event::Stage(stage) => self.stages.push((stage, Instant::now())),
            Event::Matched(exchange) => {
                let Some(matched) = &exchange.matched else { return };
                let parameters: Vec<String> =
                    exchange.path_parameters().map(|(name, value)| format!("{name}={value}")).collect();
                let route = if matched.route.key.is_empty() { "(none)" } else { &*matched.route.key };
                self.line(format!("Route: {route} on stage {}", matched.stage.name));
                self.line(format!("Method request path: {{{}}}", parameters.join(", ")));
                let query = exchange.request.target.query().unwrap_or_default();
                self.line(format!("Method request query string: {{{query}}}"));
                self.headers("Method request headers", &exchange.request.headers);
            }
            Event::MethodRequest(exchange) => match &exchange.request_body {
                Some(body) => self.body("Method request body before transformations", body),
                None => self.message_body("Method request body before transformations", &exchange.request.body),
            },
            Event::UpstreamRequest(upstream, request) => {
                self.line(format!("Endpoint request URI: {upstream}{}", request.target));
                self.line(format!("Endpoint request method: {}", request.method));
                self.headers("Endpoint request headers", &request.headers);
                self.message_body("Endpoint request body after transformations", &request.body);
            }
            Event::FunctionEvent(event) => self.body("Function event", event),
            // It holds the client's credentials.
            Event::ProxyEvent(bytes) => self.line(format!("Function event: the request, {bytes} bytes")),
            Event::MockStatus(number) => self.line(format!("Mock status: {number}")),
            Event::Uri(uri) => self.line(format!("Endpoint request URI: {uri}")),
            Event::IntegrationResponse(response) => {
                self.line(format!("Endpoint response status: {}", response.status.as_u16()));
                self.headers("Endpoint response headers", &response.headers);
            }
            Event::IntegrationBody(body) => self.body("Endpoint response body before transformations", body),
            Event::Selected(selector, status) => {
                self.line(format!("Integration response {} selected by `{selector}`", status.as_u16()));
            }
            Event::Rejected(rejection) => {
                let kind = rejection.kind.face().name;
                self.line(format!("Execution failed with {kind}: {}", rejection.detail));
            }
            Event::MethodResponse(response) => {
                self.ended = Some(Instant::now());
                self.message_body("Method response body after transformations", &response.body);
                self.headers("Method response headers", &response.headers);
                self.line(format!("Method completed with status: {}", response.status.as_u16()));
            }
        }
    }
}
