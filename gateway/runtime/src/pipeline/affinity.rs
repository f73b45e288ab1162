//! What requests that belong together have in common, as a number: the same on every node and in every process, so that all
//! gateways send the same key to the same target.

use http::header::COOKIE;
use http::{HeaderName, HeaderValue};
use moongate_config::upstream::HashKey;
use moongate_exchange::{Exchange, Request};

/// The number, or `None` when the request has no such field.
pub(super) fn hash(key: &HashKey, request: &Request, exchange: &Exchange) -> Option<u64> {
    match key {
        HashKey::ClientIp => Some(number(exchange.connection.peer_ip().as_bytes())),
        HashKey::Path => Some(number(exchange.request.target.path().as_bytes())),
        HashKey::Header(name) => field(name, request, exchange).map(|value| number(value.as_bytes())),
        HashKey::Cookie(name) => cookie(field(&COOKIE, request, exchange)?.as_bytes(), name.as_bytes()).map(number),
    }
}

/// The client's field; the method request's headers may have moved to the integration request.
fn field<'a>(name: &HeaderName, request: &'a Request, exchange: &'a Exchange) -> Option<&'a HeaderValue> {
    exchange.request.headers.get(name).or_else(|| request.headers.get(name))
}

/// A cookie's value (RFC 6265 section 4.2.1).
fn cookie<'a>(field: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    field.split(|byte| *byte == b';').find_map(|pair| pair.trim_ascii().strip_prefix(name)?.strip_prefix(b"="))
}

/// FNV-1a (Fowler, Noll, Vo), with MurmurHash3's finalizer behind it (Appleby): FNV alone leaves similar keys close together.
fn number(bytes: &[u8]) -> u64 {
    let fnv = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mixed = (fnv ^ (fnv >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        let cases: [(&str, Option<&str>); 4] =
            [("session=a; other=b", Some("a")), ("xsession=a;session=b", Some("b")), ("sessions=a", None), ("", None)];
        for (field, want) in cases {
            assert_eq!(cookie(field.as_bytes(), b"session"), want.map(str::as_bytes), "{field}");
        }
    }

    #[test]
    fn numbers_never_change() {
        // Nodes of different versions must agree.
        assert_eq!(number(b""), 0xefd0_1f60_ba99_2926);
        assert_ne!(number(b"user-1"), number(b"user-2"));
    }
}
