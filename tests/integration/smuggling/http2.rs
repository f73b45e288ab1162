//! HTTP/2 to HTTP/1.1: what one can say in binary frames and must not come out as text that says something else (RFC 9113 sections
//! 8.1.1, 8.2, 8.3 and 10.3).

use std::time::{Duration, Instant};

use moongate_tests::frames::{FrameConnection, Heard, code, flag, hpack, kind};
use moongate_tests::frames::{continuation, data, headers};
use moongate_tests::strict::shown;

use crate::smuggling::{HIDDEN, REFUSALS, Stage};

/// How long an answer, a reset or the end of the connection may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// The gateway's word for a target, a Host and so on that are none.
const REFUSED: Option<&str> = None;

/// A request in frames, and the body that the upstream gets, or that it gets none.
struct Case {
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    body: Option<Vec<u8>>,
    trailers: Vec<(Vec<u8>, Vec<u8>)>,
    want: Option<Vec<u8>>,
    may_pass: bool,
}

type Text<'a> = (&'a str, &'a str);

fn owned(fields: &[Text]) -> Vec<(Vec<u8>, Vec<u8>)> {
    fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

/// A POST with more fields and a body.
fn post(more: &[Text], body: &str, want: Option<&str>) -> Case {
    let pseudo = [(":method", "POST"), (":scheme", "http"), (":path", "/s/case000"), (":authority", "h")];
    Case {
        fields: owned(&[&pseudo[..], more].concat()),
        body: Some(body.as_bytes().to_vec()),
        trailers: Vec::new(),
        want: want.map(|body| body.as_bytes().to_vec()),
        may_pass: false,
    }
}

/// A request without a body, whose pseudo-header fields are the case's too.
fn bare(fields: &[Text], want: Option<&str>) -> Case {
    Case { body: None, fields: owned(fields), ..post(&[], "", want) }
}

/// May be refused, too.
fn or_refused(case: Case) -> Case {
    Case { may_pass: true, ..case }
}

impl Stage {
    #[track_caller]
    fn run_http2(&self, cases: &[Case]) {
        let mut failures = Vec::new();
        for (number, case) in cases.iter().enumerate() {
            if let Err(reason) = self.run_http2_case(case, number) {
                let fields: Vec<String> =
                    case.fields.iter().map(|(name, value)| format!("{}: {}", shown(name), shown(value))).collect();
                failures.push(format!("{} {:?}: {reason}", fields.join(", "), case.body.as_deref().map(shown)));
            }
        }
        let violations = self.upstream.violations();
        assert!(
            failures.is_empty() && violations.is_empty(),
            "{} cases went wrong:\n{}\nwhat the upstream could not read: {violations:#?}",
            failures.len(),
            failures.join("\n")
        );
    }

    fn run_http2_case(&self, case: &Case, number: usize) -> Result<(), String> {
        let block = |fields: &[(Vec<u8>, Vec<u8>)]| -> Vec<u8> {
            let numbered = |text: &[u8]| super::numbered(text, number);
            fields.iter().flat_map(|(name, value)| hpack::literal(&numbered(name), &numbered(value))).collect()
        };
        let mut connection = FrameConnection::open(self.gateway.address());
        let block_bytes = block(&case.fields);
        let mut pieces = block_bytes.chunks(16_000);
        let first = pieces.next().unwrap_or_default();
        let is_last = |pieces: &std::slice::Chunks<u8>| if pieces.len() == 0 { flag::END_HEADERS } else { 0 };
        let end = if case.body.is_none() { flag::END_STREAM } else { 0 };
        let mut bytes = headers(1, end | is_last(&pieces), first);
        while let Some(piece) = pieces.next() {
            bytes.extend(continuation(1, is_last(&pieces), piece));
        }
        if let Some(body) = &case.body {
            let end = if case.trailers.is_empty() { flag::END_STREAM } else { 0 };
            bytes.extend(data(1, end, &super::numbered(body, number)));
            if !case.trailers.is_empty() {
                bytes.extend(headers(1, flag::END, &block(&case.trailers)));
            }
        }
        // The gateway may have ended the connection before it has all.
        drop(connection.send(bytes));
        drop(connection.send(headers(3, flag::END, &hpack::request("GET", &format!("/s/canary{number:03}"), "h"))));
        let canary = connection.response(3, PATIENCE);
        let is_ended = canary.is_none();
        if is_ended && !connection.is_closed() && !connection.frames().iter().any(|frame| frame.kind == kind::GOAWAY) {
            return Err("the canary got no answer, and the connection goes on".to_owned());
        }
        if let Some(canary) = canary
            && (canary.status, canary.text()) != (200, format!("GET /canary{number:03}"))
        {
            return Err(format!("the canary was answered {canary:?}"));
        }
        let until = Instant::now() + if is_ended { Duration::ZERO } else { PATIENCE };
        let is_reset = |connection: &FrameConnection| {
            connection.frames().iter().any(|frame| frame.kind == kind::RST_STREAM && frame.stream == 1)
        };
        let is_whole =
            |connection: &FrameConnection| connection.response_so_far(1).is_some_and(|(_, is_whole)| is_whole);
        while !is_reset(&connection) && !is_whole(&connection) && matches!(connection.hear(until), Heard::Frame(_)) {}
        let is_reset = is_reset(&connection);
        let status =
            connection.response_so_far(1).filter(|(_, is_whole)| *is_whole).map(|(response, _)| response.status);
        let is_refused = is_ended || is_reset || status.is_some_and(|status| REFUSALS.contains(&status));
        let reached = self.upstream.seen(&format!("case{number:03}"));
        if !self.upstream.seen(&format!("hidden{number:03}")).is_empty() {
            return Err("the hidden request reached the upstream".to_owned());
        }
        match (&case.want, &reached[..]) {
            (None, []) if is_refused => Ok(()),
            (Some(_), []) if is_refused && case.may_pass => Ok(()),
            (Some(body), [seen]) if status == Some(200) || (case.may_pass && is_refused) => {
                let wanted = super::numbered(body, number);
                if seen.request.body == wanted {
                    Ok(())
                } else {
                    Err(format!("the upstream got {}", shown(&seen.request.body)))
                }
            }
            _ => Err(format!("answered {status:?}, reset: {is_reset}, ended: {is_ended}, upstream: {reached:?}")),
        }
    }
}

#[test]
fn a_stated_length_is_the_length_of_the_data() {
    let length = HIDDEN.len().to_string();
    Stage::new().run_http2(&[
        post(&[("content-length", "5")], "hello", Some("hello")),
        post(&[], "hello", Some("hello")),
        post(&[], "", Some("")),
        post(&[("content-length", &length)], HIDDEN, Some(HIDDEN)),
        // Complete when its head is there: the upstream may have got it before the data came and was refused.
        or_refused(post(&[("content-length", "0")], HIDDEN, Some(""))),
        post(&[("content-length", "4")], "hello", REFUSED),
        post(&[("content-length", "6")], "hello", REFUSED),
        post(&[("content-length", "5")], "", REFUSED),
        post(&[("content-length", "5"), ("content-length", "6")], "hello!", REFUSED),
        post(&[("content-length", "5"), ("content-length", "0")], "hello", REFUSED),
        post(&[("content-length", "0"), ("content-length", "5")], "hello", REFUSED),
        post(&[("content-length", "+5")], "hello", REFUSED),
        post(&[("content-length", "-5")], "hello", REFUSED),
        post(&[("content-length", "0x5")], "hello", REFUSED),
        post(&[("content-length", "5,5")], "hello", REFUSED),
        post(&[("content-length", "")], "hello", REFUSED),
        post(&[("content-length", "five")], "hello", REFUSED),
        post(&[("content-length", "18446744073709551621")], "hello", REFUSED),
        or_refused(post(&[("content-length", "5"), ("content-length", "5")], "hello", Some("hello"))),
        or_refused(post(&[("content-length", "05")], "hello", Some("hello"))),
        bare(
            &[
                (":method", "GET"),
                (":scheme", "http"),
                (":path", "/s/case000"),
                (":authority", "h"),
                ("content-length", "5"),
            ],
            REFUSED,
        ),
    ]);
}

#[test]
fn fields_of_an_http_1_connection_are_refused() {
    let hidden_behind_chunks = format!("0\r\n\r\n{HIDDEN}");
    let mut cases = Vec::new();
    for field in [
        ("transfer-encoding", "chunked"),
        ("transfer-encoding", "identity"),
        ("transfer-encoding", " chunked"),
        ("connection", "close"),
        ("connection", "transfer-encoding"),
        ("connection", "content-length"),
        ("connection", "x"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("upgrade", "h2c"),
        ("upgrade", "websocket"),
        ("te", "chunked"),
        ("te", "trailers, chunked"),
        ("te", "gzip"),
    ] {
        // Refused, or dropped: in any case the body ends where its stream does.
        cases.push(or_refused(post(&[field], &hidden_behind_chunks, Some(&hidden_behind_chunks))));
    }
    cases.push(post(&[("te", "trailers")], "hello", Some("hello")));
    Stage::new().run_http2(&cases);
}

#[test]
fn names_and_values_do_not_become_lines() {
    let injected = "x\r\nTransfer-Encoding: chunked";
    let request = "x\r\n\r\nGET /s/hidden000 HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut cases = Vec::new();
    for value in [injected, request, "a\nb", "a\rb", "a\0b", "\r\n", "a\r\n", "\na", "a\u{b}b", "a\u{7f}b", "a\u{1}b"] {
        cases.push(post(&[("x-a", value)], "hello", REFUSED));
        cases.push(post(&[("cookie", value)], "hello", REFUSED));
    }
    for name in [
        "x\r\ntransfer-encoding: chunked\r\ny",
        "x: y\r\nz",
        "x:y",
        "x y",
        "x\ny",
        "x\ry",
        "x\0y",
        "",
        " x",
        "x ",
        "X-Upper",
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "x\u{e9}",
        "x(y",
        "x,y",
        "\"x\"",
        "x/y",
        "x\u{7f}",
        "transfer-encoding ",
        "content-length:",
        "content-length: 0\r\nx",
    ] {
        cases.push(post(&[(name, "1")], "hello", REFUSED));
    }
    cases.push(post(&[("x-a", "a\tb"), ("x-b", "caf\u{e9}")], "hello", Some("hello")));
    // Blanks around a value are no part of it (RFC 9113 section 8.2.1); dropping them is as good as refusing.
    for value in [" a", "a ", "\ta"] {
        cases.push(or_refused(post(&[("x-a", value)], "hello", Some("hello"))));
    }
    Stage::new().run_http2(&cases);
}

#[test]
fn pseudo_header_fields_do_not_become_a_request_line() {
    let fields = |method: &str, scheme: &str, path: &str, authority: &str, want: Option<&str>| {
        bare(&[(":method", method), (":scheme", scheme), (":path", path), (":authority", authority)], want)
    };
    let with = |method: &str, path: &str, authority: &str, want| fields(method, "http", path, authority, want);
    let good = "/s/case000";
    let mut cases = vec![
        with("GET", good, "h", Some("")),
        with("GET / HTTP/1.1\r\nX: y", good, "h", REFUSED),
        with("GET /s/hidden000 HTTP/1.1\r\nHost: h\r\n\r\nGET", good, "h", REFUSED),
        with("GET ", good, "h", REFUSED),
        with(" GET", good, "h", REFUSED),
        with("", good, "h", REFUSED),
        with("G\0T", good, "h", REFUSED),
        with("GE:T", good, "h", REFUSED),
        with("GET\n", good, "h", REFUSED),
        with("GET", "/s/case000 HTTP/1.1\r\nX: y", "h", REFUSED),
        with("GET", "/s/case000 HTTP/1.1\r\nHost: h\r\n\r\nGET /s/hidden000", "h", REFUSED),
        with("GET", "/s/case000 HTTP/1.1", "h", REFUSED),
        with("GET", "/s/case000\r\nX: y", "h", REFUSED),
        with("GET", "/s/case000\n", "h", REFUSED),
        with("GET", "/s/case000\0", "h", REFUSED),
        with("GET", "/s/case000\t", "h", REFUSED),
        with("GET", " /s/case000", "h", REFUSED),
        with("GET", "/s/case000 ", "h", REFUSED),
        with("GET", "", "h", REFUSED),
        with("GET", "s/case000", "h", REFUSED),
        with("GET", "?/s/case000", "h", REFUSED),
        with("GET", "*", "h", REFUSED),
        with("GET", "/s/../../case000", "h", REFUSED),
        with("GET", "/s/case000%00", "h", REFUSED),
        with("GET", good, "h\r\nX: y", REFUSED),
        with("GET", good, "h\r\n\r\nGET /s/hidden000 HTTP/1.1\r\nHost: h\r\n\r\n", REFUSED),
        with("GET", good, "h x", REFUSED),
        with("GET", good, "h/x", REFUSED),
        with("GET", good, "h?x", REFUSED),
        with("GET", good, "h#x", REFUSED),
        with("GET", good, "u@h", REFUSED),
        with("GET", good, "u:p@h", REFUSED),
        with("GET", good, "h\0", REFUSED),
        with("GET", good, "", REFUSED),
        with("GET", good, "h:80:80", REFUSED),
        with("GET", good, "h,i", REFUSED),
        or_refused(fields("GET", "", good, "h", Some(""))),
        fields("GET", "http\r\nX: y", good, "h", REFUSED),
        or_refused(fields("GET", "http://x/s/hidden000?", good, "h", Some(""))),
        or_refused(fields("GET", "ftp", good, "h", Some(""))),
        or_refused(fields("GET", "https", good, "h", Some(""))),
        with("CONNECT", good, "h", REFUSED),
        bare(&[(":method", "CONNECT"), (":authority", "h:80")], REFUSED),
        or_refused(bare(&[(":method", "GET"), (":scheme", "http"), (":path", good)], Some(""))),
        bare(&[(":scheme", "http"), (":path", good), (":authority", "h")], REFUSED),
        bare(&[(":method", "GET"), (":path", good), (":authority", "h")], REFUSED),
        bare(&[(":method", "GET"), (":scheme", "http"), (":authority", "h")], REFUSED),
    ];
    let whole = [(":method", "GET"), (":scheme", "http"), (":path", good), (":authority", "h")];
    for second in [
        (":method", "POST"),
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/s/hidden000"),
        (":path", good),
        (":authority", "i"),
        (":authority", "h"),
        (":status", "200"),
        (":unknown", "x"),
        (":protocol", "websocket"),
        (":", "x"),
        (":Path", good),
        (": path", good),
        (":path\r\n", good),
    ] {
        cases.push(bare(&[&whole[..], &[second]].concat(), REFUSED));
        cases.push(bare(&[&[second], &whole[..]].concat(), REFUSED));
    }
    // Behind a field that is none of them.
    cases.push(bare(&[("x", "y"), whole[0], whole[1], whole[2], whole[3]], REFUSED));
    cases.push(bare(&[whole[0], whole[1], whole[2], ("x", "y"), whole[3]], REFUSED));
    Stage::new().run_http2(&cases);
}

#[test]
fn one_host_reaches_the_upstream() {
    let get = |more: &[Text], want| {
        bare(&[&[(":method", "GET"), (":scheme", "http"), (":path", "/s/case000")][..], more].concat(), want)
    };
    Stage::new().run_http2(&[
        get(&[(":authority", "h"), ("host", "h")], Some("")),
        or_refused(get(&[("host", "h")], Some(""))),
        get(&[(":authority", "h"), ("host", "i")], REFUSED),
        get(&[(":authority", "h"), ("host", "h"), ("host", "h")], REFUSED),
        get(&[(":authority", "h"), ("host", "h"), ("host", "i")], REFUSED),
        get(&[(":authority", "h"), ("host", "")], REFUSED),
        get(&[(":authority", "h"), ("host", "h\r\nX: y")], REFUSED),
        get(&[("host", "h"), ("host", "i")], REFUSED),
        get(&[("host", "a b")], REFUSED),
        get(&[("host", "a,b")], REFUSED),
    ]);
}

#[test]
fn trailers_do_not_change_a_request() {
    let mut cases = Vec::new();
    for trailer in [
        ("content-length", "5"),
        ("content-length", "500"),
        ("transfer-encoding", "chunked"),
        ("host", "i"),
        ("connection", "close"),
        ("authorization", "Bearer x"),
        ("te", "trailers"),
        ("trailer", "x"),
        ("cookie", "a=b"),
        ("x-check", "1"),
    ] {
        cases.push(or_refused(Case { trailers: owned(&[trailer]), ..post(&[], "hello", Some("hello")) }));
    }
    // They mean nothing there; a codec that drops them does no harm.
    for trailer in [(":path", "/s/hidden000"), (":method", "GET"), (":status", "200")] {
        cases.push(or_refused(Case { trailers: owned(&[trailer]), ..post(&[], "hello", Some("hello")) }));
    }
    for trailer in
        [("X-Upper", "1"), ("x\r\ny", "1"), ("x", "a\r\nb"), ("x", "a\0b"), ("", "1"), ("x:y", "1"), ("x y", "1")]
    {
        cases.push(Case { trailers: owned(&[trailer]), ..post(&[], "hello", REFUSED) });
    }
    Stage::new().run_http2(&cases);
}

#[test]
fn large_heads_and_many_fields_are_refused() {
    let megabyte = "y".repeat(1024 * 1024);
    let names: Vec<String> = (0..10_000).map(|number| format!("x-{number}")).collect();
    let many: Vec<Text> = names.iter().map(|name| (name.as_str(), "1")).collect();
    Stage::new().run_http2(&[
        post(&[("x-a", &megabyte)], "hello", REFUSED),
        post(&[(&megabyte, "1")], "hello", REFUSED),
        post(&many, "hello", REFUSED),
        post(&[("cookie", "a=b"), ("cookie", "c=d")], "hello", Some("hello")),
    ]);
}

#[test]
fn a_stream_that_is_reset_halfway_is_no_request() {
    let stage = Stage::new();
    for (number, length) in [(0, None), (1, Some("100"))] {
        let mut fields = hpack::request("POST", &format!("/s/case{number:03}"), "h");
        if let Some(length) = length {
            fields.extend(hpack::block(&[("content-length", length)]));
        }
        let mut connection = FrameConnection::open(stage.gateway.address());
        let bytes = [headers(1, flag::END_HEADERS, &fields), data(1, 0, HIDDEN.as_bytes())].concat();
        connection.send(bytes).expect("sent");
        connection.send(moongate_tests::frames::reset(1, code::CANCEL)).expect("sent");
        connection.send(headers(3, flag::END, &hpack::request("GET", "/s/canary", "h"))).expect("sent");
        assert_eq!(connection.response(3, PATIENCE).expect("an answer").text(), "GET /canary");
        assert!(stage.upstream.seen("case").is_empty(), "{:?}", stage.upstream.seen("case"));
    }
    assert!(stage.upstream.violations().is_empty(), "{:?}", stage.upstream.violations());
}
