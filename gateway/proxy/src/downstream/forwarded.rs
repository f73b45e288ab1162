//! Who the client is, told by a proxy that the operator trusts.
//!
//! Proxies add to `X-Forwarded-For` on the right. So it is read from there, as long as what stands there is a trusted proxy too: the
//! first address that is none is the client's, and what stands left of it could have been written by anybody. `Forwarded`
//! (RFC 7239) is read the same way where there is no `X-Forwarded-For`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header::FORWARDED;
use http::{HeaderName, HeaderValue};
use moongate_exchange::{Connection, ForwardedClient, Headers};

/// Says of an address whether it is a proxy that the operator trusts. Asked per connection and per hop: microseconds.
pub type TrustedProxies = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Most proxies that are gone through; a longer list is read to here.
const HOPS_MAX: usize = 32;

/// The client of a request that came from a trusted proxy.
pub(super) fn client(headers: &Headers, connection: &Connection, trusted: &TrustedProxies) -> ForwardedClient {
    let peer = connection.peer.ip();
    if headers.contains(FORWARDED_FOR) {
        let ip = furthest(peer, elements(headers, &FORWARDED_FOR).map(address), trusted);
        return ForwardedClient::new(ip, headers.text(FORWARDED_PROTO).and_then(is_https));
    }
    let mut proto = None;
    let hops = elements(headers, &FORWARDED).map(|element| {
        proto = parameter(element, "proto").and_then(is_https);
        address(parameter(element, "for")?)
    });
    let ip = furthest(peer, hops, trusted);
    ForwardedClient::new(ip, proto.or_else(|| headers.text(FORWARDED_PROTO).and_then(is_https)))
}

/// The first address that is no trusted proxy, or the last one that can be read.
fn furthest(peer: IpAddr, hops: impl Iterator<Item = Option<IpAddr>>, trusted: &TrustedProxies) -> IpAddr {
    let mut client = peer;
    for hop in hops.take(HOPS_MAX) {
        let Some(hop) = hop else { return client };
        client = hop;
        if !trusted(hop) {
            return client;
        }
    }
    client
}

/// The elements of a list, the last one first.
fn elements<'headers>(headers: &'headers Headers, name: &HeaderName) -> impl Iterator<Item = &'headers str> {
    let values = headers.get_all(name).iter().rev().map(HeaderValue::to_str);
    values.map_while(Result::ok).flat_map(|value| value.rsplit(',')).map(str::trim)
}

/// A parameter of an element of `Forwarded`: `for=192.0.2.1;proto=https`. Quoted values may not hold `,` or `;` here; those that do
/// are no addresses.
fn parameter<'element>(element: &'element str, name: &str) -> Option<&'element str> {
    element.split(';').find_map(|pair| {
        let (known, value) = pair.split_once('=')?;
        known.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// An address with or without port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

fn is_https(text: &str) -> Option<bool> {
    match text.trim() {
        proto if proto.eq_ignore_ascii_case("https") => Some(true),
        proto if proto.eq_ignore_ascii_case("http") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_the_first_address_from_the_right_that_is_no_trusted_proxy() {
        type Fields = &'static [(&'static str, &'static str)];
        let cases: [(Fields, &str, Option<bool>); 13] = [
            (&[], "10.0.0.1", None),
            (&[("x-forwarded-for", "192.0.2.7")], "192.0.2.7", None),
            (&[("x-forwarded-for", "1.2.3.4, 192.0.2.7, 10.9.9.9")], "192.0.2.7", None),
            (&[("x-forwarded-for", "192.0.2.7"), ("x-forwarded-for", "10.9.9.9")], "192.0.2.7", None),
            (&[("x-forwarded-for", "10.1.1.1, 10.2.2.2")], "10.1.1.1", None),
            (&[("x-forwarded-for", "192.0.2.7:4711"), ("x-forwarded-proto", "HTTPS")], "192.0.2.7", Some(true)),
            (&[("x-forwarded-for", "[2001:db8::7]:80")], "2001:db8::7", None),
            (&[("x-forwarded-for", "2001:db8::7"), ("x-forwarded-proto", "ftp")], "2001:db8::7", None),
            (&[("x-forwarded-for", "192.0.2.7, nonsense, 10.2.2.2")], "10.2.2.2", None),
            (&[("x-forwarded-for", "")], "10.0.0.1", None),
            (&[("forwarded", "for=192.0.2.7;proto=https, For=\"10.2.2.2\"")], "192.0.2.7", Some(true)),
            (&[("forwarded", "for=\"[2001:db8::7]:4711\"")], "2001:db8::7", None),
            (&[("forwarded", "for=_hidden, for=10.3.3.3")], "10.3.3.3", None),
        ];
        let trusted: TrustedProxies = Arc::new(|ip| matches!(ip, IpAddr::V4(v4) if v4.octets()[0] == 10));
        let local = SocketAddr::from(([127, 0, 0, 1], 80));
        let connection = Connection::new(SocketAddr::from(([10, 0, 0, 1], 4711)), local, false).with_trust(true);
        for (fields, ip, https) in cases {
            let mut headers = Headers::new();
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_static(value));
            }
            let client = client(&headers, &connection, &trusted);
            assert_eq!((client.ip().to_string().as_str(), client.is_https()), (ip, https), "{fields:?}");
        }
        let mut headers = Headers::new();
        headers.append("x-forwarded-for", HeaderValue::try_from(vec!["10.4.4.4"; 1000].join(",")).expect("a value"));
        assert_eq!(client(&headers, &connection, &trusted).ip().to_string(), "10.4.4.4");
    }
}
