//! The upstream's side: answers that lie about where they end. What one client's answer left behind never reaches another client.

use std::io::ErrorKind;
use std::time::Duration;

use moongate_tests::client::Connection;
use moongate_tests::strict::shown;
use moongate_tests::{Answer, Gateway, Upstream};

/// An answer that nobody asked for. Where its body is seen, an answer was taken for another request's.
const POISON: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON";

/// How long after an answer the upstream sends what nobody asked for.
const LATE: Duration = Duration::from_millis(10);

/// Requests that follow each lie, on the client's own connection and on others.
const CANARIES: usize = 3;

/// What the client may see of a lie.
#[derive(Clone, Copy, Debug)]
enum Want {
    /// 502, or an answer that visibly breaks off.
    Broken,
    /// This body, complete.
    Body(&'static str),
    /// One of both.
    Either(&'static str),
    /// No body, whatever the upstream sent.
    Nothing,
}

struct Lie {
    method: &'static str,
    bytes: Vec<u8>,
    want: Want,
}

fn get(bytes: impl Into<Vec<u8>>, want: Want) -> Lie {
    Lie { method: "GET", bytes: bytes.into(), want }
}

fn head(bytes: impl Into<Vec<u8>>) -> Lie {
    Lie { method: "HEAD", bytes: bytes.into(), want: Want::Nothing }
}

fn ok(fields: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}")
}

/// Runs lies, each followed by canaries on the same pool of connections; `is_late`: the poison comes when the connection is idle.
#[track_caller]
fn run(lies: Vec<Lie>) {
    let answers: Vec<Vec<u8>> = lies.iter().map(|lie| lie.bytes.clone()).collect();
    let upstream = Upstream::recording(move |request| {
        let number = request.target.strip_prefix("/lie").and_then(|rest| rest.split('-').next()?.parse::<usize>().ok());
        match number.and_then(|number| answers.get(number)) {
            Some(bytes) if request.target.ends_with("-late") => Answer::raw(bytes.clone()).then(LATE, POISON),
            Some(bytes) => Answer::raw(bytes.clone()),
            None => Answer::text(format!("{} {}", request.method, request.target)),
        }
    });
    let api = format!(
        "api: u
routes:
  - match: ANY /{{rest+}}
    integration:
      type: http_proxy
      uri: {}/{{rest}}
      timeout_ms: 5000
      request_parameters: {{ integration.request.path.rest: method.request.path.rest }}
",
        upstream.url()
    );
    // One worker has one pool: whatever a lie leaves behind is within reach of the next request.
    let settings = "workers: 1\naccess_log: none\nlimits: { stall_timeout_ms: 5000 }\n";
    let gateway = Gateway::builder().file("moongate.yaml", settings).file("apis/u.yaml", &api).start();
    let mut failures = Vec::new();
    for (number, lie) in lies.iter().enumerate() {
        for way in ["now", "late"] {
            if let Err(reason) = tell(&gateway, &upstream, lie, number, way) {
                failures.push(format!("{} {way}: {reason}", shown(&lie.bytes)));
            }
        }
    }
    assert!(failures.is_empty(), "{} lies were believed:\n{}", failures.len(), failures.join("\n"));
}

fn tell(gateway: &Gateway, upstream: &Upstream, lie: &Lie, number: usize, way: &str) -> Result<(), String> {
    let mut connection = gateway.client().timeout(Duration::from_secs(10)).connect();
    connection
        .send_request(lie.method, &format!("/u/lie{number}-{way}"), &[], b"")
        .map_err(|error| error.to_string())?;
    let seen = connection.response_to(lie.method);
    let is_broken = match &seen {
        Ok(response) => response.status == 502 || response.status == 504,
        Err(error) => {
            matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted)
        }
    };
    let body = seen.as_ref().ok().filter(|_| !is_broken).map(|response| response.text());
    let is_right = match (lie.want, &body) {
        (Want::Broken | Want::Either(_), None) => is_broken,
        (Want::Body(want) | Want::Either(want), Some(got)) => want == got,
        (Want::Nothing, got) => is_broken || got.as_deref() == Some(""),
        _ => false,
    };
    if !is_right {
        return Err(format!("{:?}, but the client saw {seen:?} {body:?}", lie.want));
    }
    if way == "late" {
        // The poison must lie in wait: an upstream that sends an answer before the request cannot be told from a quick one.
        upstream.wait_for_late(number + 1);
    }
    for canary in 0..CANARIES {
        let target = format!("/canary-{number}-{way}-{canary}");
        let wanted = format!("GET {target}");
        if canary == 0 && seen.is_ok() {
            // On the same connection, if that goes on.
            if let Some(got) = ask(&mut connection, &target)
                && got != wanted
            {
                return Err(format!("the next request on the connection got {got:?}"));
            }
            continue;
        }
        let got = ask(&mut gateway.client().connect(), &target);
        if got.as_deref() != Some(&wanted) {
            return Err(format!("the next client got {got:?}"));
        }
    }
    Ok(())
}

fn ask(connection: &mut Connection, target: &str) -> Option<String> {
    connection.send_request("GET", &format!("/u{target}"), &[], b"").ok()?;
    connection.response_to("GET").ok().map(|response| response.text())
}

#[test]
fn lengths_that_lie_are_not_believed() {
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    run(vec![
        get(ok("Content-Length: 5\r\n", "hello"), Want::Body("hello")),
        get(ok("Content-Length: 5\r\n", &format!("hello{POISON}")), Want::Either("hello")),
        get(ok("Content-Length: 0\r\n", POISON), Want::Either("")),
        get(ok("Content-Length: 5\r\n", &format!("hello\r\n\r\n{POISON}")), Want::Either("hello")),
        get(ok("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!"), Want::Broken),
        get(ok("Content-Length: 6\r\nContent-Length: 5\r\n", "hello!"), Want::Broken),
        get(ok("Content-Length: 5, 6\r\n", "hello!"), Want::Broken),
        get(ok("Content-Length: +5\r\n", "hello"), Want::Broken),
        get(ok("Content-Length: -5\r\n", "hello"), Want::Broken),
        get(ok("Content-Length: 0x5\r\n", "hello"), Want::Broken),
        get(ok("Content-Length: 5 5\r\n", "hello"), Want::Broken),
        get(ok("Content-Length: \r\n", "hello"), Want::Broken),
        get(ok("Content-Length: 99999999999999999999\r\n", "hello"), Want::Broken),
        get(ok("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), Want::Either("hello")),
        get(
            ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", &format!("{chunks}{POISON}")),
            Want::Either("hello"),
        ),
        get(
            ok("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", &format!("{chunks}{POISON}")),
            Want::Either("hello"),
        ),
        get(ok("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", &format!("0\r\n\r\n{POISON}")), Want::Either("")),
        get(ok("Content-Length: 15\r\nTransfer-Encoding: chunked\r\n", chunks), Want::Either("hello")),
        get(ok("Content-Length : 5\r\n", "hello"), Want::Broken),
        get(ok("Transfer-Encoding : chunked\r\n", chunks), Want::Broken),
        get(ok("Content-Length:\r\n 5\r\n", "hello"), Want::Either("hello")),
        get(ok("Transfer-Encoding:\r\n chunked\r\n", chunks), Want::Either("hello")),
    ]);
}

#[test]
fn chunks_that_lie_are_not_believed() {
    let chunked = |body: &str| ok("Transfer-Encoding: chunked\r\n", body);
    run(vec![
        get(chunked("5\r\nhello\r\n0\r\n\r\n"), Want::Body("hello")),
        get(chunked(&format!("5\r\nhello\r\n0\r\n\r\n{POISON}")), Want::Either("hello")),
        get(chunked(&format!("0\r\n\r\n{POISON}")), Want::Either("")),
        get(chunked("zz\r\nhello\r\n0\r\n\r\n"), Want::Broken),
        get(chunked("-5\r\nhello\r\n0\r\n\r\n"), Want::Broken),
        get(chunked("+5\r\nhello\r\n0\r\n\r\n"), Want::Broken),
        get(chunked("0x5\r\nhello\r\n0\r\n\r\n"), Want::Broken),
        get(chunked("5\nhello\r\n0\r\n\r\n"), Want::Broken),
        get(chunked("5\r\nhello0\r\n\r\n"), Want::Broken),
        get(chunked("5\r\nhelloXX0\r\n\r\n"), Want::Broken),
        get(chunked("5\r\nhello\n0\r\n\r\n"), Want::Broken),
        get(chunked("5;a\nb\r\nhello\r\n0\r\n\r\n"), Want::Broken),
        get(chunked("10000000000000005\r\nhello\r\n0\r\n\r\n"), Want::Broken),
        get(chunked(&format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(100_000))), Want::Broken),
        get(chunked(&format!("5\r\nhello\r\n0\r\nX: {}\r\n\r\n", "x".repeat(300_000))), Want::Either("hello")),
        get(chunked("5\r\nhello\r\n0\r\nContent-Length: 500\r\n\r\n"), Want::Either("hello")),
        get(chunked("5\r\nhello\r\n0\r\nNo colon\r\n\r\n"), Want::Either("hello")),
        get(ok("Transfer-Encoding: chunked, chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"), Want::Either("hello")),
    ]);
}

#[test]
fn bodies_where_none_may_be_are_not_the_next_answer() {
    let without = |status: &str, fields: &str| format!("HTTP/1.1 {status}\r\n{fields}\r\n{POISON}");
    run(vec![
        get("HTTP/1.1 204 No Content\r\n\r\n", Want::Body("")),
        get(without("204 No Content", ""), Want::Either("")),
        get(without("204 No Content", &format!("Content-Length: {}\r\n", POISON.len())), Want::Either("")),
        get(without("204 No Content", "Transfer-Encoding: chunked\r\n"), Want::Either("")),
        get(without("304 Not Modified", ""), Want::Either("")),
        get(without("304 Not Modified", &format!("Content-Length: {}\r\n", POISON.len())), Want::Either("")),
        get(without("205 Reset Content", "Content-Length: 0\r\n"), Want::Either("")),
        head(ok("Content-Length: 5\r\n", "")),
        head(ok("Content-Length: 5\r\n", "hello")),
        head(ok("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n")),
        head(ok("Content-Length: 0\r\n", POISON)),
        head(ok(&format!("Content-Length: {}\r\n", POISON.len()), POISON)),
        head(format!("HTTP/1.1 404 Not Found\r\nContent-Length: {}\r\n\r\n{POISON}", POISON.len())),
    ]);
}

#[test]
fn informational_answers_are_not_the_answer() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let hello = ok("Content-Length: 5\r\n", "hello");
    run(vec![
        get(format!("{hints}{hello}"), Want::Either("hello")),
        get(format!("HTTP/1.1 100 Continue\r\n\r\n{hello}"), Want::Either("hello")),
        get(format!("HTTP/1.1 102 Processing\r\n\r\n{hello}"), Want::Either("hello")),
        get(format!("HTTP/1.1 199 Whatever\r\n\r\n{hello}"), Want::Either("hello")),
        get(format!("{}{hello}", hints.repeat(500)), Want::Either("hello")),
        get(format!("HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n{hello}"), Want::Either("hello")),
        get(format!("{hello}{hints}{POISON}"), Want::Either("hello")),
        get(format!("{hello}HTTP/1.1 100 Continue\r\n\r\n"), Want::Either("hello")),
        // Nobody asked for another protocol.
        get(
            format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n{POISON}"),
            Want::Broken,
        ),
        get(format!("HTTP/1.1 101 Switching Protocols\r\n\r\n{hello}"), Want::Broken),
    ]);
}

#[test]
fn heads_that_are_none_are_not_passed_on() {
    let text = |head: &str| format!("{head}\r\n\r\n");
    let mut lies = vec![
        get(ok("Content-Length: 5\r\nX: a\rSet-Cookie: b\r\n", "hello"), Want::Broken),
        get(ok("Content-Length: 5\r\nX: a\0b\r\n", "hello"), Want::Broken),
        get(ok("Content-Length: 5\r\nX(: y\r\n", "hello"), Want::Broken),
        get(ok("Content-Length: 5\r\n: y\r\n", "hello"), Want::Broken),
        get(ok("Content-Length: 5\r\nNo colon\r\n", "hello"), Want::Broken),
        get(ok("Content-Length: 5\r\nX: a\r\n folded\r\n", "hello"), Want::Either("hello")),
        get(ok("Content-Length: 5\r\nConnection: content-length\r\n", "hello"), Want::Either("hello")),
        get(ok("Content-Length: 5\r\nConnection: close, x-a\r\nX-A: b\r\n", "hello"), Want::Either("hello")),
        get(ok("Content-Length: 5\nX: y\n", "hello"), Want::Either("hello")),
        get(ok(&format!("Content-Length: 5\r\nX: {}\r\n", "y".repeat(1024 * 1024)), "hello"), Want::Broken),
        get(ok(&format!("{}Content-Length: 5\r\n", "X: y\r\n".repeat(20_000)), "hello"), Want::Broken),
    ];
    for status_line in [
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1 abc",
        "HTTP/1.1 20",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 000 OK",
        "HTTP/1.1 -200 OK",
        "HTTP/2.0 200 OK",
        "HTTP/0.9 200 OK",
        "http/1.1 200 OK",
        "ICY 200 OK",
        "200 OK",
        "GET / HTTP/1.1",
        "HTTP/1.1  200 OK",
        "\0",
        "HTTP/1.1 200 O\0K",
        "HTTP/1.1 200 O\rK",
    ] {
        lies.push(get(text(status_line), Want::Broken));
    }
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\r\n\r\n",
    ] {
        lies.push(get(bytes, Want::Broken));
    }
    run(lies);
}
