//! What one request carries through the pipeline.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, Version};
use indexmap::IndexMap;
use smallvec::SmallVec;

use crate::caller::Caller;
use crate::client::ForwardedClient;
use crate::connection::Connection;
use crate::counters::Counters;
use crate::exit::Kind;
use crate::id::RequestId;
use crate::message::Request;
use crate::overrides::Overrides;
use crate::upgrade::Upgrade;

/// One request and everything the gateway knows about it so far.
#[derive(Debug)]
pub struct Exchange {
    /// The request's id.
    pub id: RequestId,
    /// When its head was complete, for measuring.
    pub arrived: Instant,
    /// When its head was complete, for telling.
    pub arrived_at: SystemTime,
    /// The client's connection.
    pub connection: Arc<Connection>,
    /// Who the client is, where a trusted proxy said so.
    pub forwarded: Option<Box<ForwardedClient>>,
    /// The HTTP version the client speaks.
    pub version: Version,
    /// Whether it is a gRPC call: then a failure is told in gRPC's terms.
    pub is_grpc: bool,
    /// The other protocol that the client would go over to.
    pub upgrade: Option<Box<Upgrade>>,
    /// The method request. Its body is taken by whichever stage reads or forwards it; its headers are moved to the
    /// integration request where the route's plan says that nobody needs them afterwards.
    pub request: Request,
    /// The path as it was received, where that is not its normal form: `$context.path` tells it to APIs with AWS's habits.
    pub received_path: Option<Box<str>>,
    /// The request's body, where a stage had to read it.
    pub request_body: Option<Bytes>,
    /// What the route stage found.
    pub matched: Option<Matched>,
    /// Who calls, once the authorize stage has decided.
    pub caller: Option<Caller>,
    /// The origin that may read the answer, once the preflight stage has decided.
    pub cors_origin: Option<HeaderValue>,
    /// What templates changed beside bodies.
    pub overrides: Option<Box<Overrides>>,
    /// What scripts logged.
    pub script_log: Vec<String>,
    /// How the integration went.
    pub integration: IntegrationFacts,
    /// What is to be done when the response was sent.
    pub at_end: Option<Arc<dyn AtEnd>>,
    /// How it all ended.
    pub outcome: Outcome,
}

/// Something to do when the response was sent or given up. It must not block.
pub trait AtEnd: Send + Sync + std::fmt::Debug {
    /// Does it.
    fn run(&self, exchange: &mut Exchange);
}

/// The route and stage a request belongs to.
#[derive(Clone, Debug)]
pub struct Matched {
    /// The route.
    pub route: Arc<RouteFacts>,
    /// The stage.
    pub stage: Arc<StageFacts>,
    /// The path parameters' values.
    pub parameters: PathParameters,
    /// How much of the path's start is host-independent prefix (stage, API id or base path) rather than the route's, in bytes.
    pub prefix_bytes: usize,
}

/// What is fixed about a route, for logs and `context`.
#[derive(Debug, Default)]
pub struct RouteFacts {
    /// The API's id.
    pub api_id: Box<str>,
    /// The route key: `GET /pets/{id}`.
    pub key: Box<str>,
    /// The path template: `/pets/{id}`; `$default` for the default route.
    pub resource_path: Box<str>,
    /// The route's short name.
    pub name: Box<str>,
    /// Path parameters' names, in template order.
    pub parameter_names: Box<[Box<str>]>,
}

/// What is fixed about a stage, for logs and `context`.
#[derive(Debug, Default)]
pub struct StageFacts {
    /// The stage's name.
    pub name: Box<str>,
    /// The stage's variables.
    pub variables: IndexMap<Box<str>, Box<str>>,
    /// The deployment that is served.
    pub deployment_id: Box<str>,
    /// What is counted about its requests, while somebody wants to know.
    pub counters: Counters,
}

/// Values of path parameters: places in the request's path, in template order.
///
/// Values are percent-encoded as in the path (source: recorded AWS behaviour).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathParameters(SmallVec<[(u32, u32); 4]>);

/// How the integration went.
#[derive(Clone, Debug, Default)]
pub struct IntegrationFacts {
    /// From the start of the first attempt to the head of the answer.
    pub latency: Option<Duration>,
    /// The integration's own status.
    pub status: Option<StatusCode>,
    /// How often the request was sent.
    pub attempts: u32,
    /// Why it failed, for the log.
    pub error: Option<Box<str>>,
}

/// How an exchange ended.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The status the client was sent; `None` when it left before there was one.
    pub status: Option<StatusCode>,
    /// What kind of rejection, if it was one.
    pub rejection: Option<Kind>,
    /// The rejection's detail, for the log.
    pub detail: Option<Box<str>>,
    /// What the client is told of the rejection (`$context.error.message`).
    pub message: Option<Box<str>>,
    /// What is wrong with the request, place by place (`$context.error.validationErrorString`).
    pub problems: Option<Box<str>>,
    /// Bytes of body the client was sent.
    pub body_bytes: u64,
    /// Whether the response was cut off before its end.
    pub is_aborted: bool,
}

impl Exchange {
    /// A request that has just arrived.
    pub fn new(connection: Arc<Connection>, version: Version, request: Request) -> Self {
        let arrived_at = SystemTime::now();
        Self {
            id: RequestId::new(arrived_at),
            arrived: Instant::now(),
            arrived_at,
            connection,
            forwarded: None,
            version,
            is_grpc: false,
            upgrade: None,
            request,
            received_path: None,
            request_body: None,
            matched: None,
            caller: None,
            cors_origin: None,
            overrides: None,
            script_log: Vec::new(),
            integration: IntegrationFacts::default(),
            at_end: None,
            outcome: Outcome::default(),
        }
    }

    /// The client's address: the connection's peer, or whom a trusted proxy named.
    pub fn client_ip(&self) -> IpAddr {
        self.forwarded.as_ref().map_or_else(|| self.connection.peer.ip(), |client| client.ip())
    }

    /// The client's address as a header's value.
    pub fn client_ip_value(&self) -> &HeaderValue {
        self.forwarded.as_ref().map_or_else(|| self.connection.peer_ip(), |client| client.ip_value())
    }

    /// The client's address as text.
    pub fn client_ip_text(&self) -> &str {
        self.client_ip_value().to_str().unwrap_or_default()
    }

    /// Whether the client speaks TLS, to us or to a trusted proxy.
    pub fn is_https(&self) -> bool {
        self.forwarded.as_ref().and_then(|client| client.is_https()).unwrap_or(self.connection.is_tls)
    }

    /// The value of a path parameter, percent-encoded as it came.
    pub fn path_parameter(&self, name: &str) -> Option<&str> {
        let matched = self.matched.as_ref()?;
        let index = matched.route.parameter_names.iter().position(|known| **known == *name)?;
        matched.parameters.get(index, self.request.target.path())
    }

    /// All path parameters in template order.
    pub fn path_parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        let path = self.request.target.path();
        self.matched.iter().flat_map(move |matched| {
            let names = matched.route.parameter_names.iter().enumerate();
            names.filter_map(move |(index, name)| Some((&**name, matched.parameters.get(index, path)?)))
        })
    }

    /// The part of the path that belongs to the route: without stage, API id or base path. Starts with `/`.
    pub fn route_path(&self) -> &str {
        let path = self.request.target.path();
        let prefix = self.matched.as_ref().map_or(0, |matched| matched.prefix_bytes);
        path.get(prefix..).filter(|rest| !rest.is_empty()).unwrap_or("/")
    }

    /// The overrides, made on first use.
    pub fn overrides_mut(&mut self) -> &mut Overrides {
        self.overrides.get_or_insert_default()
    }

    /// `Root=...;Parent=...;Sampled=...` for the integration: the client's trace where it names one (`X-Amzn-Trace-Id`), else a
    /// new one made of the request's id. The same for every call on one request.
    ///
    /// Source: AWS X-Ray, "Tracing header"; recorded behaviour for `Parent` and `Sampled`.
    pub fn trace_header(&self) -> String {
        let field = self.request.headers.text("x-amzn-trace-id").unwrap_or_default();
        let part = |name: &str| {
            let parts = field.split(';').map(str::trim).filter_map(|part| part.split_once('='));
            parts.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        };
        let digits: String = self.id.as_str().bytes().filter(|byte| *byte != b'-').map(char::from).collect();
        let seconds = self.arrived_epoch_ms() / 1000;
        let root = part("Root").map_or_else(|| format!("1-{seconds:08x}-{}", &digits[8..]), str::to_owned);
        let (parent, sampled) = match part("Parent") {
            Some(parent) => (parent, part("Sampled").unwrap_or("1")),
            None => (&digits[16..], part("Sampled").unwrap_or("0")),
        };
        format!("Root={root};Parent={parent};Sampled={sampled}")
    }

    /// Milliseconds since 1970 at which the request arrived.
    pub fn arrived_epoch_ms(&self) -> u64 {
        self.arrived_at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
    }
}

impl PathParameters {
    /// Adds the next parameter: a range of bytes in the request's path.
    pub fn push(&mut self, start: usize, end: usize) {
        // A path has at most 65,534 bytes (`http::uri`).
        self.0.push((start as u32, end as u32));
    }

    /// Removes the last parameter: matching went back.
    pub fn pop(&mut self) {
        self.0.pop();
    }

    /// The value at a place of the template.
    pub fn get<'path>(&self, index: usize, path: &'path str) -> Option<&'path str> {
        let (start, end) = *self.0.get(index)?;
        path.get(start as usize..end as usize)
    }
}
