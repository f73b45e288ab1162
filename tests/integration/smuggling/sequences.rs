//! Several requests on a connection: pipelined ones, junk between them, answers given before a body was read.

use std::time::Duration;

use moongate_tests::strict::StrictUpstream;

use crate::smuggling::{Case, HIDDEN, Stage, Want, get, post, refused};

#[test]
fn junk_behind_a_request_is_not_added_to_the_next_one() {
    let junk =
        |body: &str, rest: &str, text: String| Case::new(format!("{text}{rest}"), Want::PassedThenJunk(body.into()));
    let hello = || post("Content-Length: 5\r\n", "hello");
    let chunked = || post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n");
    Stage::new().run(&[
        junk("", "\0", get("")),
        junk("", " ", get("")),
        junk("", "\r", get("")),
        junk("", "0\r\n\r\n", get("")),
        junk("", "5\r\nhello\r\n0\r\n\r\n", get("")),
        junk("", "Content-Length: 5\r\n\r\n", get("")),
        junk("", "GET /s/hidden000\r\n", get("")),
        junk("hello", "\0\0\0\0", hello()),
        junk("hello", "X: ", hello()),
        junk("hello", "hello\r\n", hello()),
        junk("hello", "GET /s/hidden000\r\n", chunked()),
        junk("hello", "0\r\n\r\n", chunked()),
        junk("hello", "5\r\nhello\r\n", chunked()),
        junk("", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", get("")),
    ]);
}

#[test]
fn empty_lines_between_requests_are_skipped_or_end_the_connection() {
    let hello = || post("Content-Length: 5\r\n", "hello");
    let then = |body: &str, text: String| Case::new(text, Want::PassedThenJunk(body.into()));
    Stage::new().run(&[
        then("hello", format!("{}\r\n", hello())),
        then("hello", format!("{}\r\n\r\n", hello())),
        then("hello", format!("{}\n", hello())),
        then("", format!("{}\r\n", get(""))),
    ]);
}

/// A request that the gateway answers by itself, with a request hidden in the body that it did not need to read.
#[test]
fn a_body_that_nobody_read_is_not_the_next_request() {
    let length = HIDDEN.len();
    let to = |target: &str, fields: &str, body: &str| {
        format!("POST {target} HTTP/1.1\r\nHost: h\r\nX: /case000\r\n{fields}\r\n{body}")
    };
    let sized = |target: &str| to(target, &format!("Content-Length: {length}\r\n"), HIDDEN);
    let chunked =
        |target: &str| to(target, "Transfer-Encoding: chunked\r\n", &format!("{length:x}\r\n{HIDDEN}\r\n0\r\n\r\n"));
    let large = |target: &str| {
        let body = HIDDEN.repeat(3_000);
        to(target, &format!("Content-Length: {}\r\n", body.len()), &body)
    };
    let mut cases = Vec::new();
    for (target, status) in
        [("/s/mock", 200), ("/nowhere", 404), ("/only/get", 405), ("/only/nothing", 404), ("/small/body", 413)]
    {
        for bytes in [sized(target), chunked(target), large(target)] {
            cases.push(Case::new(bytes, Want::Answered(status)));
        }
    }
    // Refused by their heads, with bodies behind them.
    for fields in ["Host: i\r\n", "Connection: host\r\n"] {
        cases.push(refused(to("/s/case000", &format!("{fields}Content-Length: {length}\r\n"), HIDDEN)));
    }
    cases.push(Case::new(
        to("/s/mock", &format!("Expect: 100-continue\r\nContent-Length: {length}\r\n"), HIDDEN),
        Want::Answered(200),
    ));
    Stage::new().run(&cases);
}

#[test]
fn pipelined_requests_are_answered_in_order_and_apart() {
    let stage = Stage::new();
    let mut connection = stage.gateway.client().connect();
    let mut bytes = String::new();
    for number in 0..20 {
        bytes.push_str(&match number % 4 {
            0 => format!("GET /s/pipe{number:03} HTTP/1.1\r\nHost: h\r\n\r\n"),
            1 => format!("POST /s/pipe{number:03} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{HIDDEN}", HIDDEN.len()),
            2 => format!("HEAD /s/pipe{number:03} HTTP/1.1\r\nHost: h\r\n\r\n"),
            _ => format!(
                "PUT /s/pipe{number:03} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{HIDDEN}\r\n0\r\n\r\n",
                HIDDEN.len()
            ),
        });
    }
    connection.send(bytes).expect("sent");
    for number in 0..20 {
        let method = ["GET", "POST", "HEAD", "PUT"][number % 4];
        let response = connection.response_to(method).expect("an answer");
        response.clone().expect_status(200);
        if method != "HEAD" {
            assert_eq!(response.text(), format!("{method} /pipe{number:03}"));
        }
        let [seen] = &stage.upstream.seen(&format!("pipe{number:03}"))[..] else {
            panic!("not exactly one request {number}")
        };
        assert_eq!(response.header("x-serial"), Some(seen.serial.to_string().as_str()));
        let body = if number % 2 == 1 { HIDDEN } else { "" };
        assert_eq!(seen.request.body, body.as_bytes());
    }
    assert!(stage.upstream.seen("hidden").is_empty());
    assert!(stage.upstream.violations().is_empty(), "{:?}", stage.upstream.violations());
}

/// An upstream that answers before it has read the body, or never reads it: neither connection may carry the rest of the body as a
/// request.
#[test]
fn an_upstream_that_answers_early_desynchronizes_nobody() {
    let stage = Stage::new();
    let client = stage.gateway.client().timeout(Duration::from_secs(1));
    for target in ["early", "unread"] {
        for framing in ["sized", "chunked"] {
            for (number, is_cut_off) in [(1, false), (2, true)] {
                // More than the sockets hold, where nobody reads: else the request would have been sent, and its connection fine.
                let body = HIDDEN.repeat(if is_cut_off { 10 } else { 200_000 });
                let (fields, bytes) = match framing {
                    "sized" => (format!("Content-Length: {}\r\n", body.len()), body.clone()),
                    _ => (
                        "Transfer-Encoding: chunked\r\n".to_owned(),
                        format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()),
                    ),
                };
                let head = format!("POST /s/{target}{number} HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
                let mut connection = client.connect();
                let sent = if is_cut_off { &bytes[..bytes.len() / 2] } else { &bytes[..] };
                drop(connection.send([head.as_bytes(), sent.as_bytes()].concat()));
                let context = format!("{target}, {framing}, {}", if is_cut_off { "cut off" } else { "whole" });
                if let Ok(response) = connection.response_to("POST") {
                    assert!(matches!(response.status, 200 | 408 | 502), "{context}: {response:?}");
                    if !is_cut_off && response.status == 200 {
                        canary(&stage.upstream, &mut connection, &context);
                    }
                }
                drop(connection);
                canary(&stage.upstream, &mut client.connect(), &context);
            }
        }
    }
    assert!(stage.upstream.seen("hidden").is_empty(), "a body became a request");
    assert!(stage.upstream.violations().is_empty(), "{:?}", stage.upstream.violations());
}

/// A request on the connection, if that is still open, gets its own answer.
fn canary(upstream: &StrictUpstream, connection: &mut moongate_tests::client::Connection, context: &str) {
    let name = format!("canary-{}", upstream.count());
    if connection.send(format!("GET /s/{name} HTTP/1.1\r\nHost: h\r\n\r\n")).is_err() {
        return;
    }
    if let Ok(response) = connection.response_to("GET") {
        assert_eq!(response.text(), format!("GET /{name}"), "{context}");
    }
}
