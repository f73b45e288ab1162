//! One request: from hyper to the pipeline and back.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};
use hyper::body::Incoming;
use moongate_exchange::target::TargetError;
use moongate_exchange::{Body, Connection, Exchange, Headers, Kind, Rejection, Request, Response, Target};
use moongate_runtime::pipeline;

use crate::downstream::Engine;
use crate::downstream::body::{Answer, ClientBody};
use crate::downstream::state::ConnectionState;
use crate::fields::{self, HeadError};

/// A request while it is under way. Dropping it, for whatever reason, ends the exchange: it is logged once.
pub(super) struct Run {
    pub(super) exchange: Box<Exchange>,
    engine: Arc<Engine>,
    pub(super) state: Arc<ConnectionState>,
    /// The request's number on its connection.
    pub(super) number: u32,
}

impl Run {
    fn new(engine: Arc<Engine>, state: Arc<ConnectionState>, number: u32, exchange: Exchange) -> Self {
        engine.shared.in_flight.fetch_add(1, Ordering::Relaxed);
        Self { exchange: Box::new(exchange), engine, state, number }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.state.request_ends();
        self.engine.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        pipeline::finish(&self.exchange, &*self.engine.shared.listener);
    }
}

/// Answers a request. Never fails: what goes wrong is an answer too.
pub(super) async fn answer(
    engine: Arc<Engine>,
    connection: Arc<Connection>,
    state: Arc<ConnectionState>,
    request: hyper::Request<Incoming>,
) -> hyper::Response<Answer> {
    let number = state.request_begins();
    let version = request.version();
    let stall = engine.shared.limits.stall;
    let (parts, body) = request.into_parts();
    let is_head = parts.method == Method::HEAD;
    let (received, refusal) = match receive(version, &state, parts) {
        Ok((method, target, headers)) => {
            let body = if hyper::body::Body::is_end_stream(&body) {
                Body::Empty
            } else {
                Body::stream(ClientBody::new(body, stall))
            };
            (Request { method, target, headers, body }, None)
        }
        Err((method, refusal)) => {
            let target = Target::root();
            (Request { method, target, headers: Headers::new(), body: Body::Empty }, Some(refusal))
        }
    };
    let exchange = Exchange::new(connection, version, received);
    let mut run = Run::new(engine, state, number, exchange);
    let engine = Arc::clone(&run.engine);
    if let Some(refusal) = refusal {
        let mut response = pipeline::refuse(engine.shared.behaviour, &mut run.exchange, refusal);
        // What follows such a head cannot be trusted to be a request.
        response.headers.set(CONNECTION, HeaderValue::from_static("close"));
        return send(version, is_head, response, run);
    }
    let snapshot = engine.shared.published.load();
    let response = pipeline::handle(&snapshot, engine.shared.behaviour, &engine.pool, &mut run.exchange).await;
    send(version, is_head, response, run)
}

/// Checks a request's head and takes it apart, or says why it is refused before any API is looked for.
fn receive(
    version: Version,
    state: &ConnectionState,
    parts: http::request::Parts,
) -> Result<(Method, Target, Headers), (Method, Rejection)> {
    let http::request::Parts { method, uri, mut headers, .. } = parts;
    let checked = check_head(version, state, &method, &uri, &mut headers).and_then(|()| {
        let path = uri.into_parts().path_and_query.ok_or_else(|| refused("the request's target has no path", 400))?;
        Target::normalize(path).map_err(|error| refused(error, if error == TargetError::TooLong { 414 } else { 400 }))
    });
    match checked {
        Ok(target) => Ok((method, target, headers.into())),
        Err(refusal) => Err((method, refusal)),
    }
}

fn check_head(
    version: Version,
    state: &ConnectionState,
    method: &Method,
    uri: &Uri,
    headers: &mut HeaderMap,
) -> Result<(), Rejection> {
    if method == Method::CONNECT {
        return Err(refused("CONNECT is not offered", 405));
    }
    if headers.contains_key(TRANSFER_ENCODING) && state.head_has_content_length() {
        return Err(refused(HeadError::TwoLengths, 400));
    }
    if version == Version::HTTP_2 {
        fields::join_cookies(headers);
    }
    fields::settle_host(version, uri, headers).map_err(|error| refused(error, 400))?;
    fields::strip_connection(headers).map_err(|error| refused(error, 400))
}

fn refused(reason: impl ToString, status: u16) -> Rejection {
    let reason = reason.to_string();
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    Rejection::new(Kind::BadRequestParameters, reason.clone()).public(reason).status(status)
}

/// Hands the answer to hyper, which frames it.
fn send(version: Version, is_head: bool, response: Response, run: Run) -> hyper::Response<Answer> {
    let Response { status, headers, body } = response;
    let mut fields = HeaderMap::from(headers);
    // hyper frames the body by what it is; a length that was received only stands where there is no body to be measured.
    let has_no_body = is_head || status == StatusCode::NOT_MODIFIED;
    if !has_no_body {
        fields.remove(CONTENT_LENGTH);
    }
    let mut answer = hyper::Response::new(Answer::new(if has_no_body { Body::Empty } else { body }, run));
    *answer.status_mut() = status;
    *answer.version_mut() = if version == Version::HTTP_2 { Version::HTTP_2 } else { Version::HTTP_11 };
    *answer.headers_mut() = fields;
    answer
}
