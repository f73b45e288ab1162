//! What the upstream is told about the client: `X-Forwarded-For`, `-Proto`, `-Host`, and the request's id.
//!
//! Whoever connects to the gateway can write these fields, so they are replaced by what the gateway itself knows. Only where the
//! peer is a proxy that the operator trusts (`trusted_proxies`), the fields it sent are kept, and its own address is added behind
//! them. `Forwarded` (RFC 7239) is kept and added to under the same condition, and is never begun.

use http::header::{FORWARDED, HOST};
use http::{HeaderName, HeaderValue};
use moongate_exchange::{Exchange, Headers};

use crate::pipeline::REQUEST_ID;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");

/// Says on an integration request where it came from, and addresses it to the upstream. Without an authority the request has no
/// Host: it depends on the target, which is chosen when it is sent.
pub(super) fn address(headers: &mut Headers, exchange: &Exchange, authority: Option<&HeaderValue>) {
    let peer = exchange.connection.peer_ip();
    if exchange.connection.is_trusted_proxy {
        append(headers, FORWARDED_FOR, peer.as_bytes(), peer);
        if headers.contains(FORWARDED) {
            let element = element(exchange);
            append(headers, FORWARDED, element.as_bytes(), peer);
        }
    } else {
        headers.set(FORWARDED_FOR, peer.clone());
        headers.remove(FORWARDED);
        headers.remove(FORWARDED_PORT);
        headers.remove(FORWARDED_HOST);
    }
    headers.set(FORWARDED_PROTO, HeaderValue::from_static(if exchange.is_https() { "https" } else { "http" }));
    if let Some(host) = headers.get(HOST).cloned() {
        headers.set_if_absent(FORWARDED_HOST, host);
    }
    match authority {
        Some(authority) => headers.set(HOST, authority.clone()),
        None => drop(headers.remove(HOST)),
    }
    headers.set(REQUEST_ID, exchange.id.header_value());
}

/// Adds an element to a field that is a list. A list that cannot be joined (it came in bytes that no field may have) becomes `alone`.
fn append(headers: &mut Headers, name: HeaderName, element: &[u8], alone: &HeaderValue) {
    let list: Vec<&[u8]> = headers.get_all(&name).iter().map(HeaderValue::as_bytes).chain([element]).collect();
    let value = HeaderValue::from_bytes(&list.join(&b", "[..])).unwrap_or_else(|_| alone.clone());
    headers.set(name, value);
}

/// The peer in `Forwarded`'s form: `for=192.0.2.1`, `for="[2001:db8::1]"` (RFC 7239 section 6).
fn element(exchange: &Exchange) -> String {
    match exchange.connection.peer.ip().to_canonical() {
        std::net::IpAddr::V4(v4) => format!("for={v4}"),
        std::net::IpAddr::V6(v6) => format!("for=\"[{v6}]\""),
    }
}
