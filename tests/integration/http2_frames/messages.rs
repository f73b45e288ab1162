//! HTTP in HTTP/2: requests as they should be, and malformed ones (sections 8.1 to 8.4).

use moongate_tests::frames::{Frame, FrameConnection, code, flag, hpack, kind};
use moongate_tests::frames::{data, headers};

use crate::http2_frames::{PATIENCE, Want, case, get, join, post, run};

/// HEADERS of a whole request with these fields.
fn with(fields: &[(&str, &str)]) -> Vec<u8> {
    headers(1, flag::END, &hpack::block(fields))
}

/// A whole GET with these fields more.
fn get_with(fields: &[(&str, &str)]) -> Vec<u8> {
    headers(1, flag::END, &[get(), hpack::block(fields)].concat())
}

/// A POST with these fields more, and frames behind it.
fn post_with(fields: &[(&str, &str)], frames: &[Vec<u8>]) -> Vec<u8> {
    join(&[headers(1, flag::END_HEADERS, &[post(), hpack::block(fields)].concat()), join(frames)])
}

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "http");
const PATH: (&str, &str) = (":path", "/f/get");
const AUTHORITY: (&str, &str) = (":authority", "h");

#[test]
fn section_8_1_exchanges() {
    let trailers = |flags: u8| headers(1, flags, &hpack::block(&[("x-check", "1")]));
    run(vec![
        case("8.1", "GET", get_with(&[]), Want::Answer(1, 200)),
        case(
            "8.1",
            "HEAD",
            with(&[(":method", "HEAD"), SCHEME, PATH, AUTHORITY]),
            Want::Check(|connection: &mut FrameConnection| match connection.response(1, PATIENCE) {
                Some(response) if response.status == 200 && response.body.is_empty() => Ok(()),
                other => Err(format!("{other:?}")),
            }),
        ),
        case("8.1", "POST", post_with(&[], &[data(1, flag::END_STREAM, b"hello")]), Want::Answer(1, 200)),
        case(
            "8.1",
            "POST with trailers",
            post_with(&[], &[data(1, 0, b"hello"), trailers(flag::END)]),
            Want::Answer(1, 200),
        ),
        case("8.1", "trailers without a body", post_with(&[], &[trailers(flag::END)]), Want::Answer(1, 200)),
        case(
            "8.1",
            "trailers that do not end the stream",
            post_with(&[], &[data(1, 0, b"hello"), trailers(flag::END_HEADERS)]),
            Want::Stream(1, &[code::PROTOCOL_ERROR]),
        ),
        case(
            "8.1",
            "two trailer sections",
            post_with(&[], &[data(1, 0, b"hello"), trailers(flag::END), trailers(flag::END)]),
            Want::Stream(1, &[code::PROTOCOL_ERROR, code::STREAM_CLOSED]),
        ),
        case(
            "8.1",
            "the answer's fields are well-formed",
            get_with(&[]),
            Want::Check(|connection: &mut FrameConnection| {
                let response = connection.response(1, PATIENCE).ok_or("no answer")?;
                let is_wrong = |name: &str| {
                    name.chars().any(|letter| letter.is_ascii_uppercase())
                        || ["connection", "keep-alive", "transfer-encoding", "upgrade"].contains(&name)
                };
                match response.headers.iter().find(|(name, _)| is_wrong(name)) {
                    None => Ok(()),
                    Some(field) => Err(format!("{field:?}")),
                }
            }),
        ),
    ]);
}

#[test]
fn section_8_2_fields() {
    let refused = |name: &'static str, field: (&str, &str)| case("8.2", name, get_with(&[field]), Want::Malformed(1));
    let raw = |name: &'static str, field: &[u8], value: &[u8]| {
        case("8.2.1", name, headers(1, flag::END, &[get(), hpack::literal(field, value)].concat()), Want::Malformed(1))
    };
    run(vec![
        refused("an upper-case name", ("X-TEST", "ok")),
        refused("a name with one upper-case letter", ("x-Test", "ok")),
        refused("connection", ("connection", "keep-alive")),
        refused("keep-alive", ("keep-alive", "timeout=5")),
        refused("proxy-connection", ("proxy-connection", "keep-alive")),
        refused("transfer-encoding", ("transfer-encoding", "chunked")),
        refused("upgrade", ("upgrade", "websocket")),
        refused("te other than trailers", ("te", "trailers, deflate;q=0.5")),
        case("8.2.2", "te: trailers", get_with(&[("te", "trailers")]), Want::Answer(1, 200)),
        raw("an empty name", b"", b"x"),
        raw("a blank in a name", b"x y", b"z"),
        raw("a colon in a name", b"x:y", b"z"),
        raw("a control character in a name", b"x\x01", b"z"),
        raw("a NUL in a value", b"x", b"a\0b"),
        raw("a CR in a value", b"x", b"a\rb"),
        raw("an LF in a value", b"x", b"a\nb"),
        case("8.2.3", "cookies may be split", get_with(&[("cookie", "a=b"), ("cookie", "c=d")]), Want::Answer(1, 200)),
    ]);
}

#[test]
fn section_8_3_pseudo_header_fields() {
    let malformed = |name: &'static str, fields: &[(&str, &str)]| case("8.3", name, with(fields), Want::Malformed(1));
    run(vec![
        malformed("an unknown one", &[METHOD, SCHEME, PATH, AUTHORITY, (":test", "ok")]),
        malformed("one of answers", &[METHOD, SCHEME, PATH, AUTHORITY, (":status", "200")]),
        malformed("behind a field", &[METHOD, SCHEME, ("x-test", "ok"), PATH, AUTHORITY]),
        malformed("an empty :path", &[METHOD, SCHEME, (":path", ""), AUTHORITY]),
        malformed("no :method", &[SCHEME, PATH, AUTHORITY]),
        malformed("no :scheme", &[METHOD, PATH, AUTHORITY]),
        malformed("no :path", &[METHOD, SCHEME, AUTHORITY]),
        malformed("two :method", &[METHOD, METHOD, SCHEME, PATH, AUTHORITY]),
        malformed("two :scheme", &[METHOD, SCHEME, SCHEME, PATH, AUTHORITY]),
        malformed("two :path", &[METHOD, SCHEME, PATH, PATH, AUTHORITY]),
        malformed("two :authority", &[METHOD, SCHEME, PATH, AUTHORITY, AUTHORITY]),
        malformed("an empty :method", &[(":method", ""), SCHEME, PATH, AUTHORITY]),
        malformed("user information in :authority", &[METHOD, SCHEME, PATH, (":authority", "u@h")]),
        malformed("a :path that is none", &[METHOD, SCHEME, (":path", "f/get"), AUTHORITY]),
        malformed("none at all", &[("x-test", "ok")]),
        malformed("no field at all", &[]),
        case("8.5", "CONNECT", with(&[(":method", "CONNECT"), (":authority", "h:80")]), Want::Refused(1)),
        case("8.5", "CONNECT with :path", with(&[(":method", "CONNECT"), SCHEME, PATH, AUTHORITY]), Want::Refused(1)),
    ]);
}

#[test]
fn section_8_1_1_content_length() {
    let end = flag::END_STREAM;
    let stated = |bytes: &'static str, frames: &[Vec<u8>]| post_with(&[("content-length", bytes)], frames);
    run(vec![
        case("8.1.1", "equal to the data", stated("5", &[data(1, end, b"hello")]), Want::Answer(1, 200)),
        case(
            "8.1.1",
            "equal to the data of several frames",
            stated("5", &[data(1, 0, b"he"), data(1, 0, b"ll"), data(1, end, b"o")]),
            Want::Answer(1, 200),
        ),
        case(
            "8.1.1",
            "padding does not count",
            stated("2", &[data(1, end | flag::PADDED, b"\x03hi\0\0\0")]),
            Want::Answer(1, 200),
        ),
        case("8.1.1", "more than the data", stated("6", &[data(1, end, b"hello")]), Want::Malformed(1)),
        case("8.1.1", "less than the data", stated("4", &[data(1, end, b"hello")]), Want::Malformed(1)),
        case(
            "8.1.1",
            "more than the data of several frames",
            stated("6", &[data(1, 0, b"he"), data(1, end, b"llo")]),
            Want::Malformed(1),
        ),
        case(
            "8.1.1",
            "less than the data of several frames",
            stated("3", &[data(1, 0, b"he"), data(1, end, b"llo")]),
            Want::Malformed(1),
        ),
        case("8.1.1", "without data", get_with(&[("content-length", "5")]), Want::Malformed(1)),
        case("8.1.1", "that is no number", stated("five", &[data(1, end, b"hello")]), Want::Malformed(1)),
        case(
            "8.1.1",
            "before trailers, too large",
            stated("6", &[data(1, 0, b"hello"), headers(1, flag::END, &hpack::block(&[("x", "y")]))]),
            Want::Malformed(1),
        ),
    ]);
}

#[test]
fn section_8_4_push() {
    let promise = |stream: u32| {
        Frame::new(kind::PUSH_PROMISE, flag::END_HEADERS, stream, [&[0, 0, 0, 2][..], &get()].concat()).bytes()
    };
    run(vec![
        case("8.4", "a client does not push", promise(1), Want::Connection(&[code::PROTOCOL_ERROR])),
        case(
            "8.4",
            "not on an open stream either",
            post_with(&[], &[promise(1)]),
            Want::Connection(&[code::PROTOCOL_ERROR]),
        ),
        case("8.4", "nor on stream 0", promise(0), Want::Connection(&[code::PROTOCOL_ERROR])),
    ]);
}
