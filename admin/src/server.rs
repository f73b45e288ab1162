//! The admin listener: the management API over HTTP, and over TLS where there is a certificate.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, FromRequestParts as _, RawPathParams, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use axum::serve::IncomingStream;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use moongate_exchange::RequestId;
use tokio::net::TcpListener;

use crate::auth::authenticate;
use crate::call::Call;
use crate::control::Control;
use crate::openapi;
use crate::problem::Problem;
use crate::router::{API, OPERATIONS, Operation};

mod tls;

pub use tls::TlsError;

/// Largest body: a project's folder.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Where a request comes from, on listeners of both kinds.
#[derive(Clone, Copy)]
struct Peer(SocketAddr);

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// Serves until the process ends. `certificate` and its key are PEM files.
///
/// # Errors
///
/// When the certificate cannot be used or the listener fails.
pub async fn serve(
    control: Control,
    listener: TcpListener,
    certificate: Option<(&Path, &Path)>,
) -> Result<(), TlsError> {
    let service = router(control).into_make_service_with_connect_info::<Peer>();
    match certificate {
        None => axum::serve(listener, service).await?,
        Some((certificate, key)) => {
            let listener = tls::Listener::new(listener, certificate, key)?;
            axum::serve(listener, service).await?;
        }
    }
    Ok(())
}

/// The whole site.
pub fn router(control: Control) -> Router {
    let mut paths: BTreeMap<&'static str, MethodRouter<Control>> = BTreeMap::new();
    for operation in OPERATIONS {
        let route = on(filter(operation.method), move |State(control): State<Control>, request: Request| {
            answer(operation, control, request)
        });
        let known = paths.remove(operation.path).unwrap_or_default();
        paths.insert(operation.path, known.merge(route));
    }
    let document = Arc::new(openapi::document().to_string());
    let mut router = Router::new();
    for (path, methods) in paths {
        router = router.route(&format!("{API}{path}"), methods.fallback(wrong_method));
    }
    let describe = move || async move {
        let headers = [(CONTENT_TYPE, "application/json")];
        (headers, Body::from(document.as_str().to_owned())).into_response()
    };
    router
        .route(&format!("{API}/openapi.json"), on(MethodFilter::GET, describe).fallback(wrong_method))
        .fallback(nowhere)
        .with_state(control)
}

fn filter(method: &str) -> MethodFilter {
    match method {
        "GET" => MethodFilter::GET,
        "PUT" => MethodFilter::PUT,
        "POST" => MethodFilter::POST,
        "PATCH" => MethodFilter::PATCH,
        _ => MethodFilter::DELETE,
    }
}

async fn nowhere(request: Request) -> Response {
    let path = request.uri().path();
    Problem::new(StatusCode::NOT_FOUND, "not_found", format!("there is nothing at `{path}`")).into_response()
}

async fn wrong_method(method: Method) -> Response {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", format!("`{method}` is not possible here"))
        .into_response()
}

async fn answer(operation: &'static Operation, control: Control, request: Request) -> Response {
    let id = RequestId::new(std::time::SystemTime::now());
    let mut response = match call(operation, control, request, id).await {
        Ok(call) => match (operation.handler)(call).await {
            Ok(reply) => reply.into_response(),
            Err(problem) => problem.into_response(),
        },
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.header_value());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Reads a request as far as all operations have in common.
async fn call(operation: &Operation, control: Control, request: Request, id: RequestId) -> Result<Call, Problem> {
    let (mut parts, body) = request.into_parts();
    let mut access = authenticate(control.store(), bearer(&parts.headers)?).await?;
    let peer = parts.extensions.get::<ConnectInfo<Peer>>();
    access.actor.address = peer.map(|ConnectInfo(Peer(address))| address.ip().to_string());
    access.actor.request_id = Some(id.to_string());
    let path = RawPathParams::from_request_parts(&mut parts, &())
        .await
        .map_err(|_| Problem::malformed("the path is not UTF-8 text"))?;
    let path: BTreeMap<String, String> = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    if path.values().any(|value| value.contains('\0')) {
        return Err(Problem::missing("resource", "with U+0000 in its name"));
    }
    let query = query(operation, parts.uri.query().unwrap_or_default())?;
    let body = match tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            let detail = format!("a body has at most {BODY_BYTES_MAX} bytes");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail));
        }
        Err(_) => return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "the body did not arrive in time")),
    };
    if operation.request.is_some() && !body.is_empty() {
        check_media_type(parts.headers.get(CONTENT_TYPE))?;
    }
    let body = String::from_utf8(body.into()).map_err(|_| Problem::malformed("the body is not UTF-8 text"))?;
    Ok(Call { control, access, path, query, headers: parts.headers, body })
}

fn bearer(headers: &http::HeaderMap) -> Result<&str, Problem> {
    let none = || Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "send `Authorization: Bearer TOKEN`");
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(none)?;
    let (scheme, token) = value.split_once(' ').ok_or_else(none)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(none()) }
}

fn check_media_type(value: Option<&HeaderValue>) -> Result<(), Problem> {
    let name = value.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = name.split(';').next().unwrap_or_default().trim();
    if ["application/json", "application/merge-patch+json"].iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "the body is sent as `application/json`",
    ))
}

/// The query, which must hold nothing but what the operation knows: a misspelled `dry_run` must not write.
fn query(operation: &Operation, text: &str) -> Result<BTreeMap<String, String>, Problem> {
    let mut found = BTreeMap::new();
    for (name, value) in moongate_exchange::query::parameters(text) {
        if !operation.query.iter().any(|(known, _, _)| *known == name) {
            return Err(Problem::field(&format!("?{name}"), format!("there is no query parameter `{name}` here")));
        }
        if value.contains('\0') {
            return Err(Problem::field(&format!("?{name}"), "the character U+0000 cannot be searched for"));
        }
        if found.insert(name.to_string(), value.to_string()).is_some() {
            return Err(Problem::field(&format!("?{name}"), format!("the query parameter `{name}` stands twice")));
        }
    }
    Ok(found)
}
