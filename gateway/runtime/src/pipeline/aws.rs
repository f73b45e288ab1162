//! AWS API Gateway's habits with header fields, for APIs that keep them (`compat: aws`).
//!
//! Source: recorded behaviour, header by header, of the four kinds of integrations; API Gateway, "Important notes".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_TYPE, DATE, EXPECT, SERVER, TE, TRANSFER_ENCODING, VIA};
use http::{HeaderName, HeaderValue, Version};
use moongate_exchange::{Exchange, Headers};

use crate::plan::{IntegrationPlan, SitePlan};

const API_ID: HeaderName = HeaderName::from_static("x-amzn-apigateway-api-id");
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const GATEWAY_ID: HeaderName = HeaderName::from_static("x-amz-apigw-id");
const HTTP_API_REQUEST_ID: HeaderName = HeaderName::from_static("apigw-requestid");

/// Fields of a client that nothing in the API gets to see.
const UNSEEN: [&str; 12] = [
    "connection",
    "content-length",
    "content-md5",
    "expect",
    "max-forwards",
    "proxy-authenticate",
    "server",
    "te",
    "transfer-encoding",
    "trailer",
    "upgrade",
    "www-authenticate",
];

/// Fields of an answer that get the name `x-amzn-Remapped-NAME`, whatever answers.
const REMAPPED: [&str; 4] = ["connection", "content-length", "date", "server"];

/// Fields that get it too where they were mapped.
const REMAPPED_WHERE_MAPPED: [&str; 10] = [
    "authorization",
    "content-md5",
    "expect",
    "host",
    "max-forwards",
    "proxy-authenticate",
    "trailer",
    "upgrade",
    "user-agent",
    "www-authenticate",
];

/// Takes from a request what AWS keeps from APIs. REST APIs only.
pub(super) fn hide(headers: &mut Headers) {
    for name in UNSEEN {
        headers.remove(name);
    }
}

/// Adds what AWS adds to a request for an HTTP upstream, and takes what it does not send on.
pub(super) fn mark(site: &SitePlan, exchange: &Exchange, headers: &mut Headers) {
    for name in [EXPECT, TE, VIA, HeaderName::from_static("proxy-authenticate")] {
        headers.remove(name);
    }
    if let Ok(id) = HeaderValue::from_str(&site.api_id) {
        headers.set(API_ID, id);
    }
    if let Ok(trace) = HeaderValue::from_str(&exchange.trace_header()) {
        headers.set(TRACE_ID, trace);
    }
}

/// Adds what AWS tells a function about where its request came from.
pub(super) fn introduce(exchange: &Exchange, headers: &mut Headers) {
    let connection = &exchange.connection;
    let port = if connection.is_tls { "443" } else { "80" };
    let peer = connection.peer_ip_text();
    let before = headers.text("x-forwarded-for").map(|chain| format!("{chain}, {peer}"));
    let fields = [
        ("x-forwarded-for", before.unwrap_or_else(|| peer.to_owned())),
        ("x-forwarded-port", port.to_owned()),
        ("x-forwarded-proto", connection.scheme().to_owned()),
        ("x-amzn-trace-id", exchange.trace_header()),
    ];
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.set(HeaderName::from_static(name), value);
        }
    }
}

/// What becomes of a field that a mapping or a template sets on an answer.
pub(super) enum Fate {
    /// It is set.
    Kept(HeaderName),
    /// It is set under another name.
    Renamed(HeaderName),
    /// It is not set.
    Dropped,
}

/// The fate of a mapped field.
pub(super) fn fate(name: HeaderName, version: Version) -> Fate {
    let text = name.as_str();
    if REMAPPED.contains(&text) || REMAPPED_WHERE_MAPPED.contains(&text) {
        return HeaderName::try_from(format!("x-amzn-remapped-{text}")).map_or(Fate::Dropped, Fate::Renamed);
    }
    // HTTP/2 has no `TE` in answers (RFC 9113 section 8.2.2).
    let is_connections = matches!(text, "transfer-encoding" | "keep-alive" | "proxy-connection");
    if is_connections || name == TE && version == Version::HTTP_2 { Fate::Dropped } else { Fate::Kept(name) }
}

/// Renames and drops what AWS does not pass on of a proxied answer, and states a content type.
pub(super) fn pass_answer(headers: &mut Headers) {
    for name in [http::header::CONTENT_LENGTH, DATE, SERVER] {
        let Some(value) = headers.get(&name).cloned() else { continue };
        headers.remove(&name);
        if let Ok(renamed) = HeaderName::try_from(format!("x-amzn-remapped-{name}")) {
            headers.set(renamed, value);
        }
    }
    headers.remove(TRANSFER_ENCODING);
    headers.remove(VIA);
    headers.set_if_absent(CONTENT_TYPE, HeaderValue::from_static("application/json"));
}

/// Puts the fields on an answer that AWS puts on all of them. `integration`: what answered; `None` where the gateway itself did.
pub(super) fn sign(site: &SitePlan, integration: Option<&IntegrationPlan>, exchange: &Exchange, headers: &mut Headers) {
    if !site.is_aws_rest() {
        headers.set(HTTP_API_REQUEST_ID, exchange.id.header_value());
        return;
    }
    headers.set(REQUEST_ID, exchange.id.header_value());
    // Eleven bytes of the id: fifteen characters and a `=`, as AWS's own look.
    let id = exchange.id.as_str().as_bytes();
    if let Ok(value) = HeaderValue::from_str(&STANDARD.encode(&id[id.len() - 11..])) {
        headers.set(GATEWAY_ID, value);
    }
    let is_traced = matches!(integration, Some(IntegrationPlan::Http(_) | IntegrationPlan::Function(_)));
    if is_traced && let Ok(trace) = HeaderValue::from_str(&exchange.trace_header()) {
        headers.set(TRACE_ID, trace);
    }
}
