//! Header fields that belong to one connection, and what a request must say about its host.
//!
//! Fields named here never reach the pipeline and are never passed on (RFC 9110 section 7.6.1): `Connection` and all it names,
//! `Keep-Alive`, `Proxy-Connection`, `TE`, `Transfer-Encoding`, `Upgrade`, `HTTP2-Settings`; and towards the upstream
//! `Proxy-Authorization`, towards the client `Proxy-Authenticate`. `Trailer` passes: it announces what follows the body, which passes too.

use std::net::Ipv6Addr;

use http::header::{
    AGE, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    COOKIE, DATE, EXPECT, EXPIRES, FORWARDED, HOST, LOCATION, MAX_FORWARDS, PROXY_AUTHORIZATION, RANGE, RETRY_AFTER,
    SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, VARY, WWW_AUTHENTICATE,
};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, Version};
use smallvec::SmallVec;

/// Fields that a client must not get removed by naming them in `Connection`: without them the upstream would be asked for
/// something else, or not know who asks.
static NOT_NAMEABLE: [HeaderName; 6] = [
    HOST,
    CONTENT_LENGTH,
    FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-host"),
];

/// Fields that frame a message: in a request's trailers they are an attempt to be read in two ways.
static FRAMING_FIELDS: [HeaderName; 3] = [CONTENT_LENGTH, TRANSFER_ENCODING, HOST];

/// Fields that mean nothing behind a body, or must be known before it: routing, credentials, controls, what the content is
/// (RFC 9110 section 6.5.1); beside those of the connection.
static NOT_IN_TRAILERS: [HeaderName; 23] = [
    AGE,
    AUTHORIZATION,
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    COOKIE,
    DATE,
    EXPECT,
    EXPIRES,
    FORWARDED,
    HOST,
    LOCATION,
    MAX_FORWARDS,
    PROXY_AUTHORIZATION,
    RANGE,
    RETRY_AFTER,
    SET_COOKIE,
    TE,
    TRAILER,
    VARY,
    WWW_AUTHENTICATE,
];

/// What a host's name may hold beside letters and digits.
const NAME: &[u8] = b"-._~!$&'()*+;=";

/// Why a request's head or trailers are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadError {
    #[error("an HTTP/1.1 request needs exactly one Host field")]
    Host,
    #[error("the Host field is not a host name or address with an optional port")]
    HostSyntax,
    #[error("the request's target and its Host field name different hosts")]
    HostMismatch,
    #[error("a field's name holds a character that names cannot have")]
    FieldName,
    #[error("Connection names a field that must reach the upstream")]
    ConnectionNames,
    #[error("a request cannot have both Content-Length and Transfer-Encoding")]
    TwoLengths,
    #[error("a request's body can be `chunked` and nothing else, once")]
    Coding,
    #[error("the only expectation that can be met is `100-continue`")]
    Expectation,
    #[error("trailers cannot say where a message ends or whom it is for")]
    TrailerFraming,
}

impl HeadError {
    /// The status that says so.
    pub(crate) fn status(self) -> u16 {
        match self {
            // RFC 9112 section 6.1.
            Self::Coding => 501,
            // RFC 9110 section 10.1.1.
            Self::Expectation => 417,
            _ => 400,
        }
    }
}

/// Checks Transfer-Encoding. The codec has seen that `chunked` comes last; that other codings come before it, or `chunked` twice, it
/// does not mind.
///
/// # Errors
///
/// [`HeadError::Coding`] for anything but `chunked`.
pub(crate) fn check_codings(fields: &HeaderMap) -> Result<(), HeadError> {
    let mut values = fields.get_all(TRANSFER_ENCODING).iter();
    match (values.next(), values.next()) {
        (Some(value), None) if value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(HeadError::Coding),
    }
}

/// Takes Expect away: the gateway reads the body, so it is the gateway that asks for it. Whether there was `100-continue`.
///
/// # Errors
///
/// [`HeadError::Expectation`] for any other expectation.
pub(crate) fn take_expectation(fields: &mut HeaderMap) -> Result<bool, HeadError> {
    if fields.get_all(EXPECT).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Err(HeadError::Expectation);
    }
    Ok(fields.remove(EXPECT).is_some())
}

/// Counts Max-Forwards down (RFC 9110 section 7.6.2). True when the request may not be forwarded.
pub(crate) fn is_forwarded_far_enough(fields: &mut HeaderMap) -> bool {
    let Some(value) = fields.get(MAX_FORWARDS).and_then(|value| value.to_str().ok()) else { return false };
    let Ok(left) = value.trim().parse::<u32>() else { return false };
    match left.checked_sub(1) {
        None => true,
        Some(left) => {
            fields.insert(MAX_FORWARDS, left.into());
            false
        }
    }
}

/// Removes from a request's trailers what has no place there.
///
/// # Errors
///
/// [`HeadError::TrailerFraming`] when they try to frame the message anew.
pub(crate) fn check_request_trailers(trailers: &mut HeaderMap) -> Result<(), HeadError> {
    if FRAMING_FIELDS.iter().any(|name| trailers.contains_key(name)) {
        return Err(HeadError::TrailerFraming);
    }
    strip_trailers(trailers);
    Ok(())
}

/// Removes from trailers what has no place there.
pub(crate) fn strip_trailers(trailers: &mut HeaderMap) {
    let found: SmallVec<[HeaderName; 4]> = trailers.keys().filter(|name| !is_trailer(name)).cloned().collect();
    for name in found {
        trailers.remove(name);
    }
}

/// Whether a field belongs to one connection only, whatever `Connection` says. Asked for every field of every message: the text is
/// compared by its length first.
pub(crate) fn is_of_connection(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "transfer-encoding"
            | "upgrade"
            | "keep-alive"
            | "proxy-connection"
            | "http2-settings"
            // Both directions: the client's credentials for a proxy are for us at most, an upstream's challenge is for us too.
            | "proxy-authenticate"
    )
}

/// Whether `Connection` may name a field, which is removed then.
pub(crate) fn is_nameable(name: &HeaderName) -> bool {
    // `TE` is named by whoever sends it and handled on its own.
    !NOT_NAMEABLE.contains(name) && *name != TE
}

/// Whether a field may stand behind a body: none that says how the message is framed, routed or meant to be read (RFC 9110
/// section 6.5.1).
pub(crate) fn is_trailer(name: &HeaderName) -> bool {
    !(is_of_connection(name) || NOT_IN_TRAILERS.contains(name) || name.as_str().starts_with("x-forwarded-"))
}

/// Whether `Connection` names something.
pub(crate) fn connection_names(fields: &HeaderMap, token: &str) -> bool {
    let values = fields.get_all(CONNECTION).iter();
    let mut tokens = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    tokens.any(|known| known.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// Removes what belongs to the connection. `TE: trailers` stays: it says that the recipient understands trailers, which gRPC needs.
///
/// # Errors
///
/// [`HeadError::ConnectionNames`] when `Connection` names a field that is not the client's to remove.
pub(crate) fn strip_connection(fields: &mut HeaderMap) -> Result<(), HeadError> {
    // Most messages have at most `Connection: keep-alive`: look before working.
    if let Some(value) = fields.get(CONNECTION) {
        let names_none =
            value.as_bytes().eq_ignore_ascii_case(b"keep-alive") || value.as_bytes().eq_ignore_ascii_case(b"close");
        if !names_none || fields.get_all(CONNECTION).iter().nth(1).is_some() {
            for name in named(fields) {
                if NOT_NAMEABLE.contains(&name) {
                    return Err(HeadError::ConnectionNames);
                }
                fields.remove(&name);
            }
        }
    }
    // One look at every name instead of one search per field that might be there.
    let found: SmallVec<[HeaderName; 4]> = fields
        .keys()
        .filter(|name| is_of_connection(name) || **name == PROXY_AUTHORIZATION || **name == TE)
        .cloned()
        .collect();
    for name in found {
        if name == TE && takes_trailers(fields) {
            fields.insert(TE, HeaderValue::from_static("trailers"));
        } else {
            fields.remove(name);
        }
    }
    Ok(())
}

/// Whether `TE` says that trailers are understood, whatever else it says (RFC 9110 section 10.1.4).
fn takes_trailers(fields: &HeaderMap) -> bool {
    let tokens = fields.get_all(TE).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    tokens.into_iter().any(|token| token.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

fn named(fields: &HeaderMap) -> Vec<HeaderName> {
    let values = fields.get_all(CONNECTION).iter();
    let tokens = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    // `TE` is named by whoever sends it and handled on its own.
    tokens.filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok()).filter(|name| *name != TE).collect()
}

/// Settles which host a request is for, and writes it into the Host field: the target's authority where there is one (absolute form,
/// `:authority`), else the Host field (RFC 9112 section 3.2, RFC 9113 section 8.3.1).
///
/// # Errors
///
/// No Host field on HTTP/1.1, several, one that is malformed, or one that contradicts the target.
pub(crate) fn settle_host(version: Version, uri: &Uri, fields: &mut HeaderMap) -> Result<(), HeadError> {
    let mut hosts = fields.get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(HeadError::Host);
    }
    match (uri.authority(), host) {
        (None, Some(host)) if is_authority(host.as_bytes()) => Ok(()),
        (None, Some(_)) => Err(HeadError::HostSyntax),
        (None, None) if version == Version::HTTP_11 => Err(HeadError::Host),
        (None, None) => Ok(()),
        (Some(authority), Some(host)) if !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()) => {
            Err(HeadError::HostMismatch)
        }
        (Some(authority), _) => {
            let value = host_value(authority)?;
            fields.insert(HOST, value);
            Ok(())
        }
    }
}

/// Checks the names of a request that came in HTTP/2: the library's names can hold a quotation mark, which HTTP/1.1 knows no name with
/// (RFC 9110 section 5.6.2) and its codec refuses.
///
/// # Errors
///
/// [`HeadError::FieldName`] for such a name.
pub(crate) fn check_names(fields: &HeaderMap) -> Result<(), HeadError> {
    match fields.keys().any(|name| name.as_str().contains('"')) {
        true => Err(HeadError::FieldName),
        false => Ok(()),
    }
}

/// Joins Cookie fields into one: HTTP/2 lets a client split them, HTTP/1.1 has one (RFC 9113 section 8.2.3).
pub(crate) fn join_cookies(fields: &mut HeaderMap) {
    let mut crumbs = fields.get_all(COOKIE).iter();
    if crumbs.next().is_none() || crumbs.next().is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = fields.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        fields.insert(COOKIE, cookie);
    }
}

fn host_value(authority: &Authority) -> Result<HeaderValue, HeadError> {
    // User information is not part of a host (RFC 9110 section 4.2.4).
    if !is_authority(authority.as_str().as_bytes()) {
        return Err(HeadError::HostSyntax);
    }
    HeaderValue::from_str(authority.as_str()).map_err(|_| HeadError::HostSyntax)
}

/// Host and optional port (RFC 3986 section 3.2.2): an address or a name. An empty Host is allowed by RFC 9112 for targets without
/// authority, but leads nowhere here. A name could hold percent-encodings and commas; nobody's does, and they are where readers
/// differ (a list of hosts, a name that decodes to another).
fn is_authority(authority: &[u8]) -> bool {
    let end = match authority.first() {
        Some(b'[') => authority.iter().position(|byte| *byte == b']').map_or(0, |bracket| bracket + 1),
        _ => authority.iter().position(|byte| *byte == b':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end);
    let is_host = match host {
        [b'[', address @ .., b']'] => str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok()),
        name => !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || NAME.contains(byte)),
    };
    let is_port = match port {
        [] | b":" => true,
        [b':', digits @ ..] => {
            digits.iter().all(u8::is_ascii_digit)
                && str::from_utf8(digits).is_ok_and(|digits| digits.parse::<u16>().is_ok())
        }
        _ => false,
    };
    is_host && is_port
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn fields_of_the_connection_go_and_others_stay() {
        let mut head = fields(&[
            ("connection", "x-private, Keep-Alive"),
            ("connection", "close"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "gzip"),
            ("transfer-encoding", "chunked"),
            ("proxy-authorization", "Basic eDp5"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABk"),
            ("accept", "text/plain"),
            ("authorization", "Bearer t"),
        ]);
        strip_connection(&mut head).expect("nothing forbidden is named");
        let mut left: Vec<&str> = head.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "authorization"]);
        let takes: [&[(&str, &str)]; 3] = [
            &[("te", "trailers"), ("connection", "te")],
            &[("te", "trailers"), ("te", "gzip")],
            &[("te", "gzip, Trailers")],
        ];
        for pairs in takes {
            let mut trailers = fields(pairs);
            strip_connection(&mut trailers).expect("TE may be named");
            let left: Vec<&[u8]> = trailers.get_all(TE).iter().map(HeaderValue::as_bytes).collect();
            assert_eq!(left, [b"trailers"], "{pairs:?}");
        }
    }

    #[test]
    fn a_client_cannot_remove_what_the_upstream_needs() {
        for name in ["host", "Content-Length", "x-forwarded-for"] {
            let mut head = HeaderMap::new();
            head.insert(CONNECTION, HeaderValue::try_from(format!("close, {name}")).expect("a value"));
            assert_eq!(strip_connection(&mut head), Err(HeadError::ConnectionNames), "{name}");
        }
    }

    #[test]
    fn trailers_keep_what_belongs_behind_a_body() {
        let mut trailers = fields(&[
            ("grpc-status", "0"),
            ("x-sum", "7"),
            ("digest", "x"),
            ("authorization", "Bearer t"),
            ("keep-alive", "timeout=5"),
            ("connection", "x-sum"),
            ("set-cookie", "a=b"),
            ("x-forwarded-for", "192.0.2.1"),
        ]);
        check_request_trailers(&mut trailers).expect("nothing that frames");
        let mut left: Vec<&str> = trailers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["digest", "grpc-status", "x-sum"]);
        for name in ["content-length", "transfer-encoding", "host"] {
            let mut trailers = fields(&[(name, "1")]);
            assert_eq!(check_request_trailers(&mut trailers), Err(HeadError::TrailerFraming), "{name}");
        }
    }

    #[test]
    fn only_one_coding_and_one_expectation_are_known() {
        let codings: [(&[(&str, &str)], bool); 5] = [
            (&[("transfer-encoding", "Chunked")], true),
            (&[("transfer-encoding", "gzip, chunked")], false),
            (&[("transfer-encoding", "chunked, chunked")], false),
            (&[("transfer-encoding", "gzip"), ("transfer-encoding", "chunked")], false),
            (&[("transfer-encoding", "chunked;q=1")], false),
        ];
        for (pairs, want) in codings {
            let mut head = HeaderMap::new();
            for (name, value) in pairs {
                head.append(*name, HeaderValue::from_str(value).expect("a value"));
            }
            assert_eq!(check_codings(&head).is_ok(), want, "{pairs:?}");
        }
        assert_eq!(take_expectation(&mut fields(&[("expect", "100-Continue")])), Ok(true));
        assert_eq!(take_expectation(&mut fields(&[("expect", "200-ok")])), Err(HeadError::Expectation));
        assert_eq!(take_expectation(&mut HeaderMap::new()), Ok(false));
    }

    #[test]
    fn max_forwards_is_counted_down() {
        for (value, want, left) in [("0", true, "0"), ("3", false, "2"), ("x", false, "x")] {
            let mut head = fields(&[]);
            head.insert(MAX_FORWARDS, HeaderValue::from_static(value));
            assert_eq!(is_forwarded_far_enough(&mut head), want, "{value}");
            assert_eq!(head.get(MAX_FORWARDS).and_then(|value| value.to_str().ok()), Some(left), "{value}");
        }
    }

    #[test]
    fn every_request_has_one_host() {
        type Fields = &'static [(&'static str, &'static str)];
        type Want = Result<Option<&'static str>, HeadError>;
        let cases: [(&str, Fields, Want); 18] = [
            ("/a", &[("host", "api.example.com:8080")], Ok(Some("api.example.com:8080"))),
            ("/a", &[("host", "[::1]:80")], Ok(Some("[::1]:80"))),
            ("/a", &[], Err(HeadError::Host)),
            ("/a", &[("host", "a"), ("host", "a")], Err(HeadError::Host)),
            ("/a", &[("host", "")], Err(HeadError::HostSyntax)),
            ("/a", &[("host", "a/b")], Err(HeadError::HostSyntax)),
            ("/a", &[("host", "a,b")], Err(HeadError::HostSyntax)),
            ("/a", &[("host", "a%2fb")], Err(HeadError::HostSyntax)),
            ("/a", &[("host", "a:80:80")], Err(HeadError::HostSyntax)),
            ("/a", &[("host", "a:65536")], Err(HeadError::HostSyntax)),
            ("/a", &[("host", "a:+80")], Err(HeadError::HostSyntax)),
            ("/a", &[("host", "[::1")], Err(HeadError::HostSyntax)),
            ("/a", &[("host", "[::1]a")], Err(HeadError::HostSyntax)),
            ("/a", &[("host", "[::g]")], Err(HeadError::HostSyntax)),
            ("/a", &[("host", "a:")], Ok(Some("a:"))),
            ("http://a/b", &[("host", "A")], Ok(Some("a"))),
            ("http://a/b", &[("host", "c")], Err(HeadError::HostMismatch)),
            ("http://u@a/b", &[], Err(HeadError::HostSyntax)),
        ];
        for (target, pairs, want) in cases {
            let mut head: HeaderMap = pairs
                .iter()
                .map(|(name, value)| {
                    (
                        HeaderName::from_bytes(name.as_bytes()).expect("a name"),
                        HeaderValue::from_str(value).expect("a value"),
                    )
                })
                .collect();
            let uri: Uri = target.parse().expect("a target");
            let got = settle_host(Version::HTTP_11, &uri, &mut head);
            let got = got.map(|()| head.get(HOST).and_then(|value| value.to_str().ok()));
            assert_eq!(got, want, "{target} {pairs:?}");
        }
    }
}
