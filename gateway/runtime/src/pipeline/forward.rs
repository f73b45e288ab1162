//! What the upstream is told about the client: `X-Forwarded-For`, `-Proto`, `-Host`, and the request's id.
//!
//! The client's own `X-Forwarded-For` is kept and the address it connected from is added behind it: the last entry is the only
//! one that the gateway vouches for.

use http::header::HOST;
use http::{HeaderName, HeaderValue};
use moongate_exchange::{Connection, Headers, RequestId};

use crate::pipeline::REQUEST_ID;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Says on an integration request where it came from, and addresses it to the upstream. Without an authority the request has no
/// Host: it depends on the target, which is chosen when it is sent.
pub(super) fn address(headers: &mut Headers, connection: &Connection, id: RequestId, authority: Option<&HeaderValue>) {
    let peer = connection.peer_ip();
    let chain = headers.get_all(FORWARDED_FOR).iter().map(HeaderValue::as_bytes).chain([peer.as_bytes()]);
    let chain = chain.collect::<Vec<_>>();
    let value = match &*chain {
        [_] => peer.clone(),
        several => HeaderValue::from_bytes(&several.join(&b", "[..])).unwrap_or_else(|_| peer.clone()),
    };
    headers.set(FORWARDED_FOR, value);
    headers.set(FORWARDED_PROTO, HeaderValue::from_static(connection.scheme()));
    if let Some(host) = headers.get(HOST) {
        headers.set(FORWARDED_HOST, host.clone());
    }
    match authority {
        Some(authority) => headers.set(HOST, authority.clone()),
        None => drop(headers.remove(HOST)),
    }
    headers.set(REQUEST_ID, id.header_value());
}
