//! Fuzz target of the header rules; see `tests/fuzz/README.md`.

use http::header::{CONNECTION, COOKIE, HOST, TE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, Version};
use moongate_fuzz::{Fuzz, behaviour};

use crate::fields;

/// A target and field lines, as far as the codec would have taken them.
fn head(bytes: &[u8]) -> Option<(Uri, HeaderMap)> {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let target = Uri::try_from(lines.next()?).ok()?;
    let mut fields = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) =
            (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(line[colon + 1..].trim_ascii()));
        if let (Ok(name), Ok(value)) = (name, value) {
            fields.append(name, value);
        }
    }
    Some((target, fields))
}

/// Whether a host is one that nobody reads differently.
fn is_plain_host(host: &[u8]) -> bool {
    !host.is_empty()
        && host.iter().all(|byte| byte.is_ascii_graphic())
        && !host.iter().any(|byte| b"/\\?#@,%\"<>^`{|}".contains(byte))
}

#[test]
fn fuzz_fields() {
    let tokens = &[
        "host:",
        "Host: h\n",
        "connection:",
        "Connection: close, x-a\n",
        "keep-alive",
        "te",
        "TE: trailers\n",
        "te: trailers, gzip\n",
        "transfer-encoding:",
        "chunked",
        "gzip, chunked",
        "content-length",
        "upgrade: h2c\n",
        "proxy-authorization: x\n",
        "trailer:",
        "cookie: a=b\n",
        "x-forwarded-for",
        "expect: ",
        "100-continue",
        "max-forwards: 0\n",
        "http://h/",
        "http://u@h:80/",
        "/a\n",
        "[::1]",
        ":80",
        ":65536",
        ",",
        "\n",
        ": ",
        "http2-settings:",
        "\"",
    ];
    Fuzz::new("fields").tokens(tokens).run(|bytes| {
        let Some((target, received)) = head(bytes) else { return 0 };
        let mut settled = received.clone();
        let host = fields::settle_host(Version::HTTP_11, &target, &mut settled);
        if host.is_ok() {
            let hosts: Vec<&[u8]> = settled.get_all(HOST).iter().map(HeaderValue::as_bytes).collect();
            assert!(matches!(hosts[..], [host] if is_plain_host(host)), "{hosts:?}");
        }
        let mut stripped = received.clone();
        let connection = fields::strip_connection(&mut stripped);
        if connection.is_ok() {
            for name in [
                "connection",
                "keep-alive",
                "proxy-connection",
                "transfer-encoding",
                "http2-settings",
                "proxy-authorization",
            ] {
                assert!(!stripped.contains_key(name), "{name} passes");
            }
            let tokens =
                received.get_all(CONNECTION).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
            for name in tokens.filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok()) {
                assert!(name == TE || !stripped.contains_key(&name), "{name} passes though Connection names it");
            }
            let is_trailers = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"trailers");
            assert!(stripped.get_all(TE).iter().all(is_trailers), "another TE passes");
            assert_eq!(stripped.get_all(HOST).iter().count(), received.get_all(HOST).iter().count(), "Host is gone");
            let mut again = stripped.clone();
            assert_eq!(fields::strip_connection(&mut again), Ok(()));
            assert_eq!(again, stripped, "stripped twice");
        }
        let codings = fields::check_codings(&received);
        if codings.is_ok() {
            assert_eq!(received.get_all(TRANSFER_ENCODING).iter().count(), 1);
        }
        let mut joined = received.clone();
        fields::join_cookies(&mut joined);
        let crumbs = received.get_all(COOKIE).iter().count();
        assert_eq!(joined.get_all(COOKIE).iter().count(), crumbs.min(1), "cookies are not one field");
        let mut trailers = received.clone();
        let framed = fields::check_request_trailers(&mut trailers);
        if framed.is_ok() {
            for name in ["content-length", "transfer-encoding", "host", "authorization", "cookie", "connection", "te"] {
                assert!(!trailers.contains_key(name), "{name} in trailers");
            }
        }
        behaviour(&(
            format!("{host:?} {connection:?} {codings:?} {}", framed.is_ok()),
            stripped.len().min(4),
            crumbs.min(3),
        ))
    });
}
