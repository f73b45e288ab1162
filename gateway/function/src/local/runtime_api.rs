//! The Lambda Runtime API, for one process.
//!
//! Source: AWS, "Using the Lambda runtime API for custom runtimes", version 2018-06-01, and its clients.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::local::invocation::{FunctionError, ResultBody};
use crate::local::pool::Pool;
use crate::local::process::Process;
use crate::local::stream::{PieceSender, Pieces};
use crate::result::RESULT_BYTES_MAX;

/// Largest error document, in bytes.
const ERROR_BYTES_MAX: usize = 256 * 1024;
/// Largest description of a streamed response, in bytes.
const PRELUDE_BYTES_MAX: usize = 64 * 1024;
/// What stands between the description and the body of a streamed response.
const PRELUDE_END: [u8; 8] = [0; 8];
/// Pieces of a streamed result that wait for their reader: a function that is faster waits.
const PIECES_MAX: usize = 8;
/// Pause after a connection could not be accepted: there are no descriptors left, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

const ERROR_TYPE: HeaderName = HeaderName::from_static("lambda-runtime-function-error-type");
const RESPONSE_MODE: HeaderName = HeaderName::from_static("lambda-runtime-function-response-mode");
const HTTP_INTEGRATION: &[u8] = b"application/vnd.awslambda.http-integration-response";

/// Serves a process until it ends.
pub(super) async fn serve(listener: TcpListener, pool: Rc<Pool>, process: Rc<Process>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // An answer is one small write: waiting for more would only make it late.
        let _ = stream.set_nodelay(true);
        let (pool, process) = (Rc::clone(&pool), Rc::clone(&process));
        connections.spawn_local(async move {
            let service = service_fn(move |request| {
                let (pool, process) = (Rc::clone(&pool), Rc::clone(&process));
                async move { Ok::<_, Infallible>(answer(&pool, &process, request).await) }
            });
            // A connection that breaks is the process's matter; its end is noticed elsewhere.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(pool: &Rc<Pool>, process: &Rc<Process>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    let Some(call) = path.strip_prefix("/2018-06-01/runtime/") else { return unknown() };
    match (request.method(), call.split('/').collect::<Vec<_>>().as_slice()) {
        (&Method::GET, ["invocation", "next"]) => next(pool, process).await,
        (&Method::POST, ["invocation", id, "response"]) => response(pool, process, id, request).await,
        (&Method::POST, ["invocation", id, "error"]) => error(pool, process, id, request).await,
        (&Method::POST, ["init", "error"]) => {
            let error_type = error_type(&request);
            match collect(request, ERROR_BYTES_MAX).await {
                Some(document) => process.fail_init(FunctionError::Failed { error_type }, document),
                None => return too_large(),
            }
            accepted()
        }
        _ => unknown(),
    }
}

async fn next(pool: &Rc<Pool>, process: &Rc<Process>) -> Response<Full<Bytes>> {
    if process.is_busy() {
        return refused(StatusCode::FORBIDDEN, "InvalidStateTransition", "the event before has no response yet");
    }
    let (invocation, timeout) = process.next(pool, pool.spec.timeout).await;
    let deadline = SystemTime::now().checked_add(timeout).and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let deadline_ms = deadline.map_or(0, |at| at.as_millis());
    let arn = format!("arn:aws:lambda:us-east-1:000000000000:function:{}", pool.spec.name);
    let mut response = Response::new(Full::new(invocation.event));
    let fields = [
        ("lambda-runtime-aws-request-id", Some(&*invocation.request_id)),
        ("lambda-runtime-deadline-ms", Some(&*deadline_ms.to_string())),
        ("lambda-runtime-invoked-function-arn", Some(&*arn)),
        ("lambda-runtime-trace-id", invocation.trace_id.as_deref()),
        ("lambda-runtime-client-context", invocation.client_context.as_deref()),
        ("content-type", Some("application/json")),
    ];
    for (name, value) in fields {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

async fn response(pool: &Pool, process: &Process, id: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if !process.works_on(id) {
        return invalid_id(request).await;
    }
    if request.headers().get(RESPONSE_MODE).is_some_and(|mode| mode.as_bytes().eq_ignore_ascii_case(b"streaming")) {
        return stream(pool, process, request).await;
    }
    match collect(request, RESULT_BYTES_MAX).await {
        // The process may have been given up while its result was on the way.
        Some(_) if !process.works_on(id) => unknown_id(),
        Some(result) => {
            process.finish(pool, ResultBody::Whole(result), None);
            accepted()
        }
        None => {
            let error = FunctionError::TooLarge { bytes_max: RESULT_BYTES_MAX };
            process.finish(pool, ResultBody::Whole(error.document(id)), Some(error));
            too_large()
        }
    }
}

/// Passes a result on piece by piece. An empty piece is its end: without one it broke off.
async fn stream(pool: &Pool, process: &Process, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let describes = request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == HTTP_INTEGRATION);
    let mut body = request.into_body();
    let mut first = Bytes::new();
    let prelude = if describes {
        let Some((prelude, rest)) = prelude(&mut body).await else {
            let error = FunctionError::Failed { error_type: "Runtime.InvalidStreamPrelude".into() };
            process.finish(pool, ResultBody::Whole(error.document("")), Some(error));
            return refused(StatusCode::BAD_REQUEST, "InvalidStreamPrelude", "the response's description has no end");
        };
        first = rest;
        Some(prelude)
    } else {
        None
    };
    let (sender, pieces) = Pieces::channel(PIECES_MAX);
    let Some(streaming) = process.begin_stream(prelude, pieces) else { return unknown_id() };
    let outcome = pump(&sender, first, body).await;
    tracing::debug!(function.name = %pool.spec.name, duration_ms = streaming.elapsed().as_millis() as u64, "a streamed result ended");
    let error = outcome.err();
    // Whoever read may be gone.
    let _ = sender.send(error.clone().map_or(Ok(Bytes::new()), Err)).await;
    process.finish(pool, ResultBody::Whole(Bytes::new()), error);
    accepted()
}

async fn pump(sender: &PieceSender, first: Bytes, mut body: Incoming) -> Result<(), FunctionError> {
    if !first.is_empty() {
        let _ = sender.send(Ok(first)).await;
    }
    while let Some(frame) = body.frame().await {
        let failed = |error_type: &str| FunctionError::Failed { error_type: error_type.into() };
        let frame = frame.map_err(|_| failed("Runtime.TruncatedResponse"))?;
        match frame.into_data() {
            Ok(data) if data.is_empty() => {}
            Ok(data) => {
                let _ = sender.send(Ok(data)).await;
            }
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                if let Some(error_type) = trailers.get(ERROR_TYPE) {
                    return Err(failed(&String::from_utf8_lossy(error_type.as_bytes())));
                }
            }
        }
    }
    Ok(())
}

/// The description in front of a streamed response, and what came behind it.
async fn prelude(body: &mut Incoming) -> Option<(Bytes, Bytes)> {
    let mut received = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        received.extend_from_slice(&data);
        if let Some(at) = received.windows(PRELUDE_END.len()).position(|window| window == PRELUDE_END) {
            let prelude = received.split_to(at).freeze();
            let rest = received.split_off(PRELUDE_END.len()).freeze();
            return Some((prelude, rest));
        }
        if received.len() > PRELUDE_BYTES_MAX {
            return None;
        }
    }
    None
}

async fn error(pool: &Pool, process: &Process, id: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if !process.works_on(id) {
        return invalid_id(request).await;
    }
    let error_type = error_type(&request);
    let Some(document) = collect(request, ERROR_BYTES_MAX).await else { return too_large() };
    process.finish(pool, ResultBody::Whole(document), Some(FunctionError::Failed { error_type }));
    accepted()
}

fn error_type(request: &Request<Incoming>) -> Box<str> {
    let text = request.headers().get(ERROR_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    text.map_or_else(|| "Unhandled".into(), |text| text.chars().take(200).collect())
}

/// A body of at most so many bytes; `None` for a larger one, or one that broke off.
async fn collect(request: Request<Incoming>, bytes_max: usize) -> Option<Bytes> {
    http_body_util::Limited::new(request.into_body(), bytes_max).collect().await.ok().map(|body| body.to_bytes())
}

fn accepted() -> Response<Full<Bytes>> {
    json(StatusCode::ACCEPTED, r#"{"status":"OK"}"#.to_owned())
}

/// Refuses a result that nobody waits for, once it was read: the connection stays usable.
async fn invalid_id(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let _ = collect(request, RESULT_BYTES_MAX).await;
    unknown_id()
}

fn unknown_id() -> Response<Full<Bytes>> {
    refused(StatusCode::BAD_REQUEST, "InvalidRequestID", "no event of this id is in work")
}

fn too_large() -> Response<Full<Bytes>> {
    refused(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", "the body is larger than it may be")
}

fn unknown() -> Response<Full<Bytes>> {
    refused(StatusCode::NOT_FOUND, "UnknownOperation", "the Runtime API has no such call")
}

fn refused(status: StatusCode, error_type: &str, message: &str) -> Response<Full<Bytes>> {
    json(status, serde_json::json!({ "errorMessage": message, "errorType": error_type }).to_string())
}

fn json(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
