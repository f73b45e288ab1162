//! One request: from hyper to the pipeline and back.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::header::{ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use hyper::body::{Body as _, Incoming};
use hyper::upgrade::OnUpgrade;
use moongate_exchange::target::TargetError;
use moongate_exchange::{Body, Connection, Exchange, Headers, Kind, Rejection, Request, Response, Target, Upgrade};
use moongate_runtime::pipeline;

use crate::downstream::body::{Answer, ClientBody, Upload};
use crate::downstream::framing::Length;
use crate::downstream::state::{ConnectionState, UnderWay};
use crate::downstream::streams::StreamState;
use crate::downstream::unread;
use crate::downstream::{Engine, forwarded, tunnel};
use crate::fields;

/// What counts as payload of a request that has no body, in bytes: about what its fields take.
const HEAD_PAYLOAD_BYTES: u64 = 1024;

/// The methods that routes can have: what the gateway says about itself (RFC 9110 section 9.3.7).
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// A request while it is under way. Dropping it, for whatever reason, ends the exchange: it is logged once.
pub(super) struct Run {
    pub(super) exchange: Box<Exchange>,
    engine: Arc<Engine>,
    pub(super) state: Arc<ConnectionState>,
    /// The HTTP/2 stream.
    pub(super) stream: Option<Arc<StreamState>>,
    /// The request's body, where there is one.
    upload: Option<Arc<Upload>>,
    /// Whether the client waits for 100 (Continue) before it sends the body.
    expects_continue: bool,
    _under_way: UnderWay,
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.stream.is_some() && self.exchange.outcome.status.is_none() {
            self.state.request_cancelled();
        }
        self.engine.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        pipeline::finish(&mut self.exchange, &*self.engine.shared.listener);
    }
}

/// A request that the codec has just handed on.
pub(super) struct Arrival {
    pub(super) engine: Arc<Engine>,
    pub(super) connection: Arc<Connection>,
    pub(super) state: Arc<ConnectionState>,
    pub(super) request: hyper::Request<Incoming>,
    under_way: UnderWay,
}

impl Arrival {
    /// Takes note of a request. Not to be put off: the stream reads on by what is noted here.
    pub(super) fn new(
        engine: &Arc<Engine>,
        connection: &Arc<Connection>,
        state: &Arc<ConnectionState>,
        request: hyper::Request<Incoming>,
    ) -> Self {
        let body = request.body();
        let length = match body.size_hint().exact() {
            Some(bytes) => Length::Bytes(bytes),
            None => Length::Chunked,
        };
        let under_way = state.request_begins(length);
        Self {
            engine: Arc::clone(engine),
            connection: Arc::clone(connection),
            state: Arc::clone(state),
            request,
            under_way,
        }
    }

    /// Answers the request. Never fails: what goes wrong is an answer too.
    pub(super) async fn answer(self) -> hyper::Response<Answer> {
        let Self { engine, connection, state, mut request, under_way } = self;
        let version = request.version();
        // The codec notes something only on requests that would change the protocol.
        let mut switch = (!request.extensions().is_empty()).then(|| Switch::of(&mut request)).flatten();
        let is_grpc = version == Version::HTTP_2 && is_grpc(&request);
        let stream = if version == Version::HTTP_2 { StreamState::current() } else { None };
        let (parts, body) = request.into_parts();
        let is_head = parts.method == Method::HEAD;
        let mut received_path = None;
        let received = receive(version, &state, parts, &mut received_path);
        let upload =
            (!body.is_end_stream() && matches!(received, Received::Request { .. })).then(Arc::<Upload>::default);
        let (request, expects_continue, answer) = match received {
            Received::Request { method, target, headers, expects_continue } => {
                let body = match &upload {
                    None => Body::Empty,
                    Some(upload) => {
                        let stall = engine.shared.limits.stall;
                        Body::stream(ClientBody::new(body, Arc::clone(&state), Arc::clone(upload), stall))
                    }
                };
                (Request { method, target, headers, body }, expects_continue, None)
            }
            Received::Answered { method, answer } => {
                if !body.is_end_stream() {
                    state.must_close();
                }
                let target = Target::root();
                (Request { method, target, headers: Headers::new(), body: Body::Empty }, false, Some(answer))
            }
        };
        if stream.is_some() {
            state.add_payload(HEAD_PAYLOAD_BYTES);
        }
        let mut exchange = Box::new(Exchange::new(connection, version, request));
        exchange.received_path = received_path;
        if exchange.connection.is_trusted_proxy
            && let Some(trusted) = &engine.shared.trusted_proxies
        {
            let client = forwarded::client(&exchange.request.headers, &exchange.connection, trusted);
            exchange.forwarded = Some(Box::new(client));
        }
        engine.shared.in_flight.fetch_add(1, Ordering::Relaxed);
        let mut run = Run { exchange, engine, state, stream, upload, expects_continue, _under_way: under_way };
        run.exchange.is_grpc = is_grpc;
        run.exchange.upgrade = switch.as_mut().and_then(|switch| switch.wanted.take());
        let engine = Arc::clone(&run.engine);
        let behaviour = engine.shared.behaviour;
        let response = match answer {
            None => {
                let snapshot = engine.shared.published.load();
                pipeline::handle(&snapshot, behaviour, &engine.pool, &mut run.exchange).await
            }
            Some(Itself::Refusal(refusal)) => {
                // What follows such a head cannot be trusted to be a request.
                run.state.must_close();
                pipeline::refuse(behaviour, &mut run.exchange, *refusal)
            }
            Some(Itself::Methods) => methods(&mut run.exchange),
        };
        send(version, is_head, response, run, switch)
    }
}

/// A client that would go over to another protocol.
struct Switch {
    client: OnUpgrade,
    /// What it would speak, if it said so in one way and sends no body.
    wanted: Option<Box<Upgrade>>,
}

impl Switch {
    fn of(request: &mut hyper::Request<Incoming>) -> Option<Self> {
        if request.version() != Version::HTTP_11 {
            return None;
        }
        let client = hyper::upgrade::on(&mut *request);
        let headers = request.headers();
        let mut protocols = headers.get_all(UPGRADE).iter();
        let protocol = protocols.next().filter(|_| protocols.next().is_none() && request.body().is_end_stream());
        let is_named = fields::connection_names(headers, "upgrade");
        let wanted = protocol.filter(|_| is_named).map(|protocol| {
            let protocol = protocol.clone();
            Box::new(Upgrade { protocol, allowed: None })
        });
        Some(Self { client, wanted })
    }
}

/// Whether a request is a gRPC call (source: gRPC over HTTP/2, "Requests"; gRPC-Web is another thing).
fn is_grpc(request: &hyper::Request<Incoming>) -> bool {
    let Some(media_type) = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes) else { return false };
    let rest = media_type.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// A request's head, checked.
enum Received {
    /// For the pipeline.
    Request { method: Method, target: Target, headers: Headers, expects_continue: bool },
    /// Not for any API.
    Answered { method: Method, answer: Itself },
}

/// What the gateway answers itself, before any API is looked for.
enum Itself {
    /// The head cannot be read in one way.
    Refusal(Box<Rejection>),
    /// What the gateway can do: `OPTIONS *`, or `OPTIONS` that may be forwarded no further.
    Methods,
}

impl From<Rejection> for Itself {
    fn from(refusal: Rejection) -> Self {
        Self::Refusal(Box::new(refusal))
    }
}

/// Checks a request's head and takes it apart, or says what is answered before any API is looked for. `received_path` is told a path
/// that was not in its normal form.
fn receive(
    version: Version,
    state: &ConnectionState,
    parts: http::request::Parts,
    received_path: &mut Option<Box<str>>,
) -> Received {
    let http::request::Parts { method, uri, mut headers, .. } = parts;
    let target = || -> Result<(Target, bool), Itself> {
        let expects_continue = check_head(version, state, &method, &uri, &mut headers)?;
        let path = uri.into_parts().path_and_query.ok_or_else(|| refused("the request's target has no path", 400))?;
        if path.as_str() == "*" && method == Method::OPTIONS {
            return Err(Itself::Methods);
        }
        let before = path.clone();
        let target = Target::normalize(path)
            .map_err(|error| refused(error, if error == TargetError::TooLong { 414 } else { 400 }))?;
        if before.path() != target.path() {
            *received_path = Some(before.path().into());
        }
        Ok((target, expects_continue))
    };
    match target() {
        Ok((target, expects_continue)) => {
            Received::Request { method, target, headers: headers.into(), expects_continue }
        }
        Err(answer) => Received::Answered { method, answer },
    }
}

/// Checks what does not depend on any API, and removes what belongs to the connection. Whether the client waits for 100 (Continue).
fn check_head(
    version: Version,
    state: &ConnectionState,
    method: &Method,
    uri: &http::Uri,
    headers: &mut HeaderMap,
) -> Result<bool, Itself> {
    if *method == Method::CONNECT {
        return Err(refused("CONNECT is not offered", 501).into());
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        if state.head_has_content_length() {
            return Err(refused(fields::HeadError::TwoLengths, 400).into());
        }
        fields::check_codings(headers).map_err(|error| refused(error, error.status()))?;
    }
    if uri
        .scheme_str()
        .is_some_and(|scheme| !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https"))
    {
        return Err(refused("the request's target is no http or https URL", 400).into());
    }
    if version == Version::HTTP_2 {
        fields::check_names(headers).map_err(|error| refused(error, 400))?;
        fields::join_cookies(headers);
    }
    fields::settle_host(version, uri, headers).map_err(|error| refused(error, 400))?;
    fields::strip_connection(headers).map_err(|error| refused(error, 400))?;
    if matches!(*method, Method::OPTIONS | Method::TRACE) && fields::is_forwarded_far_enough(headers) {
        let is_options = *method == Method::OPTIONS;
        return Err(if is_options { Itself::Methods } else { refused("TRACE is not offered", 501).into() });
    }
    if !headers.contains_key(EXPECT) {
        return Ok(false);
    }
    let expects_continue = fields::take_expectation(headers).map_err(|error| refused(error, error.status()))?;
    // HTTP/1.0 knows no interim answers (RFC 9110 section 10.1.1).
    Ok(expects_continue && version != Version::HTTP_10)
}

fn refused(reason: impl ToString, status: u16) -> Rejection {
    let reason = reason.to_string();
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    Rejection::new(Kind::BadRequestParameters, reason.clone()).public(reason).status(status)
}

/// What the gateway can do (RFC 9110 section 9.3.7).
fn methods(exchange: &mut Exchange) -> Response {
    let mut response = Response::new(StatusCode::OK);
    response.headers.set(ALLOW, METHODS);
    response.headers.set(pipeline::REQUEST_ID, exchange.id.header_value());
    exchange.outcome.status = Some(response.status);
    response
}

/// Hands the answer to hyper, which frames it.
fn send(
    version: Version,
    is_head: bool,
    response: Response,
    mut run: Run,
    switch: Option<Switch>,
) -> hyper::Response<Answer> {
    let Response { status, headers, mut body } = response;
    let mut fields = HeaderMap::from(headers);
    if let Some(Switch { client, .. }) = switch {
        let allowed = run.exchange.upgrade.as_ref().and_then(|upgrade| upgrade.allowed);
        match (std::mem::take(&mut body), allowed) {
            (Body::Duplex(upstream), Some(limits)) => {
                fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
                if let Some(wanted) = &run.exchange.upgrade {
                    // The upstream's own field is of its connection; it can only have taken what it was asked for.
                    fields.entry(UPGRADE).or_insert_with(|| wanted.protocol.clone());
                }
                let state = Arc::clone(&run.state);
                state.switch(Box::pin(tunnel::run(run, client, upstream, limits)));
                let mut answer = hyper::Response::new(Answer::interim());
                *answer.status_mut() = status;
                *answer.headers_mut() = fields;
                return answer;
            }
            (other, _) => {
                body = other;
                tokio::spawn(tunnel::decline(client));
            }
        }
    }
    // Only a final answer can be sent from here on; whoever made this one meant another.
    let status = if status.is_informational() { StatusCode::BAD_GATEWAY } else { status };
    // hyper frames the body by what it is; a length that was received only stands where there is no body to be measured.
    let has_no_body = is_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if !has_no_body {
        fields.remove(CONTENT_LENGTH);
    } else if is_head && let Body::Full(bytes) = &body {
        fields.insert(CONTENT_LENGTH, bytes.len().into());
    }
    let mut says_version = if version == Version::HTTP_2 { version } else { Version::HTTP_11 };
    if version != Version::HTTP_2 {
        let has_unknown_length = version == Version::HTTP_10 && !has_no_body && body.len().is_none();
        if has_unknown_length || closes(&mut run) {
            fields.insert(CONNECTION, HeaderValue::from_static("close"));
            // hyper tells an HTTP/1.0 client that asked for it that the connection is kept, unless the answer is HTTP/1.0 too.
            says_version = version;
        }
    }
    if let Some(upload) = &run.upload {
        upload.answer_begins();
    }
    let mut answer = hyper::Response::new(Answer::new(if has_no_body { Body::Empty } else { body }, run));
    *answer.status_mut() = status;
    *answer.version_mut() = says_version;
    *answer.headers_mut() = fields;
    answer
}

/// Whether an HTTP/1 connection ends with this answer: the request's body was not read, and is not worth reading.
fn closes(run: &mut Run) -> bool {
    if run.upload.is_none() {
        return run.state.closes();
    }
    let body = std::mem::take(&mut run.exchange.request.body);
    let is_unread = matches!(body, Body::Stream(_));
    if is_unread && !run.expects_continue && unread::is_worth_reading(&body) {
        tokio::spawn(unread::read(body));
        return run.state.closes();
    }
    // A body that is dropped before its end says so.
    drop(body);
    run.state.closes()
}
