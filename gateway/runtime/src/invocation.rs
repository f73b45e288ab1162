//! One request through the pipeline without a listening socket, followed by a [`Recorder`]: what `moongate routes test` shows and
//! test-invocations of a management API answer with (source of the shape: API Gateway, `TestInvokeMethod`).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderName, HeaderValue, Method, StatusCode, Version};
use http_body_util::BodyExt as _;
use moongate_exchange::{Body, Connection, Exchange, Headers, IntegrationFacts, Request, Response, Target};
use serde::Serialize;

use crate::pipeline::{self, Behaviour};
use crate::plan::{CallPlan, SitePlan};
use crate::recorder::{Recorder, StageTrace};
use crate::snapshot::Snapshot;
use crate::upstream::{UpstreamError, Upstreams};

/// Most of an answer's body that is kept, in bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// A request to try.
#[derive(Clone, Debug)]
pub struct Call {
    /// The API's id.
    pub api: Box<str>,
    /// The stage; `None` is the API's default stage.
    pub stage: Option<Box<str>>,
    /// The method.
    pub method: Method,
    /// The route's part of the path, and the query: `/orders/7?full=1`.
    pub target: String,
    /// Header fields, in order.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: Bytes,
}

/// Why a call could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is no such API.
    #[error("there is no API `{0}`")]
    UnknownApi(Box<str>),
    /// The API has no such stage.
    #[error("API `{api}` has no stage `{stage}`")]
    UnknownStage {
        /// The API.
        api: Box<str>,
        /// The stage.
        stage: Box<str>,
    },
    /// The path could be read in two ways, or is none.
    #[error("`{target}` is not a path that can be asked for: {reason}")]
    Target {
        /// What was given.
        target: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What became of a call.
#[derive(Clone, Debug, Serialize)]
pub struct Invocation {
    /// The status the client would see.
    pub status: u16,
    /// The header fields it would see, in lower case.
    pub headers: Vec<(String, String)>,
    /// The body it would see: as text, or in Base64 where it is none.
    pub body: String,
    /// Whether `body` is in Base64.
    pub is_base64_encoded: bool,
    /// Whether the body was longer than what is kept of it (1 MiB), or broke off.
    pub is_cut: bool,
    /// The route that took the request: `GET /orders/{id}`.
    pub route: Option<String>,
    /// The kind of gateway response, where the gateway itself answered: `BAD_REQUEST_BODY`.
    pub rejection: Option<&'static str>,
    /// What happened, for people who may see details.
    pub detail: Option<String>,
    /// The stages it went through.
    pub stages: Vec<StageTrace>,
    /// What happened, a line each; what scripts logged stands behind it.
    pub log: Vec<String>,
    /// From the first stage to the complete answer, in microseconds.
    pub latency_us: u64,
}

/// Takes a call through the pipeline of its API and stage.
///
/// The calling thread must be a worker ([`crate::enter_worker`]) where the API has scripts.
///
/// # Errors
///
/// See [`CallError`]. What the API makes of the request is never an error here.
pub async fn invoke<U: Upstreams>(snapshot: &Snapshot, upstreams: &U, call: Call) -> Result<Invocation, CallError> {
    let site = find(snapshot, &call)?;
    let mut exchange = exchange(site, call)?;
    let mut recorder = Recorder::default();
    let started = Instant::now();
    let behaviour = Behaviour { shows_details: true };
    let response = pipeline::handle_at(Some((site, 0)), behaviour, upstreams, &mut exchange, &mut recorder).await;
    let Response { status, headers, body } = response;
    let (bytes, is_cut) = read(body).await;
    let latency_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let (body, is_base64_encoded) = match String::from_utf8(bytes) {
        Ok(text) => (text, false),
        Err(error) => (STANDARD.encode(error.as_bytes()), true),
    };
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let outcome = &exchange.outcome;
    let route = exchange.matched.as_ref().map(|matched| matched.route.key.to_string());
    let mut log = recorder.lines().to_vec();
    log.extend(exchange.script_log.iter().map(|line| format!("Script: {line}")));
    Ok(Invocation {
        status: status.as_u16(),
        headers: headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
        body,
        is_base64_encoded,
        is_cut,
        route: route.filter(|key| !key.is_empty()),
        rejection: outcome.rejection.map(|kind| kind.face().name),
        detail: outcome.detail.as_deref().map(str::to_owned),
        stages: recorder.stages(),
        log,
        latency_us,
    })
}

fn find<'snapshot>(snapshot: &'snapshot Snapshot, call: &Call) -> Result<&'snapshot SitePlan, CallError> {
    let sites = snapshot.apis.get(&call.api).ok_or_else(|| CallError::UnknownApi(call.api.clone()))?;
    let found = match &call.stage {
        Some(stage) => sites.stages.iter().find(|(name, _)| name == stage),
        None => sites.stages.get(sites.default_stage),
    };
    let unknown = || CallError::UnknownStage { api: call.api.clone(), stage: call.stage.clone().unwrap_or_default() };
    found.map(|(_, stage)| &*stage.stable).ok_or_else(unknown)
}

fn exchange(site: &SitePlan, call: Call) -> Result<Exchange, CallError> {
    let target = Target::from_text(call.target.clone())
        .map_err(|error| CallError::Target { target: call.target, reason: error.to_string() })?;
    let mut headers: Headers = call.headers.into_iter().collect();
    if !headers.contains(HOST)
        && let Ok(host) = HeaderValue::from_str(&format!("{}.execute-api.localhost", site.api_id))
    {
        headers.set(HOST, host);
    }
    let here = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let connection = Arc::new(Connection::new(here, here, false));
    let request = Request { method: call.method, target, headers, body: call.body.into() };
    Ok(Exchange::new(connection, Version::HTTP_11, request))
}

async fn read(mut body: Body) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return (bytes, true) };
        let Ok(data) = frame.into_data() else { continue };
        let room = BODY_BYTES_MAX - bytes.len();
        bytes.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            return (bytes, true);
        }
    }
    (bytes, false)
}

/// Upstreams that are never asked: for seeing what they would be sent. Every request to one fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unasked;

impl Upstreams for Unasked {
    async fn send(
        &self,
        _call: &CallPlan,
        _request: Request,
        _hash: Option<u64>,
        _deadline: Instant,
        facts: &mut IntegrationFacts,
    ) -> Result<Response, UpstreamError> {
        facts.status = Some(StatusCode::BAD_GATEWAY);
        Err(UpstreamError::Exchange { reason: "nothing was sent: this is a dry run".into() })
    }
}
