//! Either side leaves, at every point of an exchange: what the other side sees, what is logged, and that nothing stays behind.

use std::io::ErrorKind;
use std::time::Duration;

use moongate_tests::client::Connection;
use moongate_tests::wait::{SOON, wait_until};
use moongate_tests::wire::chunk;
use moongate_tests::{Answer, Fault, Gateway, Upstream};
use socket2::SockRef;

const SETTINGS: &str = "workers: 2\nlimits: { half_close_timeout_ms: 100 }\n";

/// The lines about a path in the access log.
fn logged(gateway: &Gateway, path: &str) -> Vec<serde_json::Value> {
    gateway
        .process()
        .events()
        .into_iter()
        .filter(|event| event["event"] == "request" && event["path"] == path)
        .collect()
}

/// Waits until nothing is under way and nobody is connected.
fn wait_for_quiet(gateway: &Gateway, context: &str) {
    wait_until(&format!("no request in flight after {context}"), SOON, || {
        gateway.metric("gateway_requests_in_flight", &[]) == 0.0
    });
    wait_until(&format!("no connection after {context}"), SOON, || gateway.metric("gateway_connections", &[]) == 0.0);
}

/// Waits until the access log has that many lines about a path, and sees that it has no more.
fn wait_for_lines(gateway: &Gateway, path: &str, count: usize) -> Vec<serde_json::Value> {
    wait_until(&format!("{count} lines about {path}"), SOON, || logged(gateway, path).len() >= count);
    let lines = logged(gateway, path);
    assert_eq!(lines.len(), count, "{path}: {lines:?}");
    lines
}

/// How a client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    /// By closing.
    Close,
    /// By a reset.
    Reset,
}

impl Leaving {
    fn leave(self, connection: Connection) {
        if self == Self::Reset {
            let socket = connection.socket().expect("a socket");
            SockRef::from(&socket).set_linger(Some(Duration::ZERO)).expect("a socket of ours");
        }
        drop(connection);
    }
}

#[test]
fn a_client_may_leave_at_any_point() {
    let recording = Upstream::recording(|_| Answer::text("ok"));
    let silent = Upstream::faulty(Fault::NeverAnswer);
    let endless = Upstream::faulty(Fault::EndlessBody);
    let route = |name: &str, upstream: &Upstream| {
        format!("  - match: ANY /{name}/{{case}}\n    upstream: {}\n", upstream.url())
    };
    let routes = [route("r", &recording), route("n", &silent), route("e", &endless)].concat();
    let gateway = Gateway::builder()
        .file("moongate.yaml", SETTINGS)
        .file("apis/p.yaml", &format!("api: p\nroutes:\n{routes}"))
        .start();
    let head = |path: &str, fields: &str| format!("POST /p{path} HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n");
    // What was sent before the client left, and whether it was a request, and one that the upstream has seen.
    let points: [(&str, &Upstream, String, bool, bool); 7] = [
        ("/r/mid-head", &recording, "GET /p/r/mid-head HTTP/1.1\r\nHos".to_owned(), false, false),
        ("/r/before-body", &recording, head("/r/before-body", "Content-Length: 10"), true, true),
        ("/r/mid-body", &recording, head("/r/mid-body", "Content-Length: 10") + "hello", true, true),
        ("/r/mid-chunk", &recording, head("/r/mid-chunk", "Transfer-Encoding: chunked") + "5\r\nhel", true, true),
        (
            "/r/before-last-chunk",
            &recording,
            head("/r/before-last-chunk", "Transfer-Encoding: chunked") + "2\r\nhi\r\n",
            true,
            true,
        ),
        ("/n/waiting", &silent, head("/n/waiting", "Content-Length: 2") + "hi", true, true),
        ("/e/mid-answer", &endless, head("/e/mid-answer", "Content-Length: 2") + "hi", true, true),
    ];
    for leaving in [Leaving::Close, Leaving::Reset] {
        for (path, upstream, bytes, is_request, is_seen) in &points {
            let context = format!("{path} by {leaving:?}");
            let lines_before = logged(&gateway, &format!("/p{path}")).len();
            let connections_before = upstream.connections();
            upstream.forget();
            let mut connection = gateway.client().connect();
            connection.send(bytes).expect("sent");
            if *is_request {
                wait_until(&format!("the request of {context}"), SOON, || {
                    gateway.metric("gateway_requests_in_flight", &[]) >= 1.0
                        && upstream.connections() > connections_before
                });
            }
            if path.ends_with("mid-answer") {
                let (response, mut body) = connection.response_head_to("POST").expect("a head");
                assert_eq!(response.status, 200);
                assert!(connection.piece(&mut body).expect("a piece").is_some());
            } else if path.ends_with("waiting") {
                upstream.wait_for_requests(1);
            }
            leaving.leave(connection);
            wait_for_quiet(&gateway, &context);
            upstream.wait_for_closed(upstream.connections());
            if path.starts_with("/r/") {
                let seen = upstream.requests();
                assert!(seen.iter().all(|request| !request.is_complete), "{context}: {seen:?}");
                assert!(*is_seen || seen.is_empty(), "{context}: {seen:?}");
            }
            let lines = usize::from(*is_request);
            wait_for_lines(&gateway, &format!("/p{path}"), lines_before + lines);
        }
    }
    // A line says that nobody got the answer: without a status, or as cut off; and nobody has written another one since.
    for (path, .., is_request, _) in &points {
        for line in wait_for_lines(&gateway, &format!("/p{path}"), if *is_request { 2 } else { 0 }) {
            let is_cut = line["aborted"] == true || line["status"].is_null() || line["error"].is_string();
            assert!(is_cut, "{line}");
        }
    }
    assert_eq!(gateway.request("POST", "/p/r/still-well", &[], b"x").expect_status(200).text(), "ok");
}

#[test]
fn an_http2_client_may_leave_at_any_point() {
    let recording = Upstream::recording(|_| Answer::text("ok"));
    let silent = Upstream::faulty(Fault::NeverAnswer);
    let endless = Upstream::faulty(Fault::EndlessBody);
    let routes: String = [("r", &recording), ("n", &silent), ("e", &endless)]
        .iter()
        .map(|(name, upstream)| format!("  - match: ANY /{name}\n    upstream: {}\n", upstream.url()))
        .collect();
    let gateway = Gateway::builder()
        .file("moongate.yaml", SETTINGS)
        .file("apis/p.yaml", &format!("api: p\nroutes:\n{routes}"))
        .start();
    for (path, upstream) in [("/p/r", &recording), ("/p/n", &silent), ("/p/e", &endless)] {
        let mut client = gateway.http2();
        let mut exchange = client.start("POST", path, &[]);
        exchange.send(b"a piece of the body");
        if path == "/p/e" {
            exchange.finish();
            assert_eq!(exchange.status().expect("a head"), 200);
            assert!(exchange.piece().expect("a piece").is_some());
        } else {
            if path == "/p/n" {
                exchange.finish();
            }
            // The client's connection goes on only while something waits for it.
            wait_until("the request", SOON, || {
                exchange.go_on(Duration::from_millis(10));
                gateway.metric("gateway_requests_in_flight", &[]) >= 1.0 && upstream.connections() >= 1
            });
        }
        drop(exchange);
        drop(client);
        wait_for_quiet(&gateway, path);
        upstream.wait_for_closed(upstream.connections());
        wait_for_lines(&gateway, path, 1);
    }
    assert!(recording.requests().iter().all(|request| !request.is_complete));
}

#[test]
fn an_upstream_may_leave_at_any_point() {
    // What the client sees: a 502, or an answer that is cut off and known to be.
    let points = [
        ("reset-at-once", Fault::ResetAfterAccept, true),
        ("before-head", Fault::CloseBeforeResponse, true),
        ("mid-head", Fault::CloseMidHead, true),
        ("mid-body", Fault::CloseMidBody, false),
        ("reset-mid-body", Fault::ResetMidBody, false),
        ("mid-chunk", Fault::CloseMidChunk, false),
        ("before-last-chunk", Fault::CloseBeforeLastChunk, false),
        ("bad-chunk", Fault::BadChunk, false),
    ];
    let upstreams: Vec<(&str, Upstream)> =
        points.iter().map(|(name, fault, _)| (*name, Upstream::faulty(*fault))).collect();
    let routes: String = upstreams
        .iter()
        .map(|(name, upstream)| format!("  - match: ANY /{name}\n    upstream: {}\n", upstream.url()))
        .collect();
    let gateway = Gateway::builder()
        .file("moongate.yaml", SETTINGS)
        .file("apis/p.yaml", &format!("api: p\nroutes:\n{routes}"))
        .start();
    for (name, _, is_answered) in points {
        let path = format!("/p/{name}");
        let mut connection = gateway.client().connect();
        connection.send_request("GET", &path, &[], b"").expect("sent");
        let response = connection.response_to("GET");
        match &response {
            Ok(response) => assert!(is_answered && response.status == 502, "{name}: {response:?}"),
            Err(error) => {
                let is_cut = matches!(
                    error.kind(),
                    ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
                );
                assert!(!is_answered && is_cut, "{name}: {error}");
            }
        }
        if response.is_ok() {
            // The failure was the upstream's: the client keeps its connection.
            assert_eq!(connection.request("GET", "/p/nowhere", &[], b"").status, 404, "{name}");
        }
        drop(connection);
        let mut client = gateway.http2();
        let mut exchange = client.start("GET", &path, &[]);
        exchange.finish();
        match exchange.try_response() {
            Ok(response) => assert!(is_answered && response.status == 502, "{name} over HTTP/2: {response:?}"),
            Err(error) => assert!(!is_answered, "{name} over HTTP/2: {error:?}"),
        }
        // Only that stream is lost.
        assert_eq!(client.request("GET", "/p/nowhere", &[], b"").status, 404, "{name} over HTTP/2");
        drop(client);
        wait_for_quiet(&gateway, name);
        for line in wait_for_lines(&gateway, &path, 2) {
            if is_answered {
                assert_eq!(
                    (line["status"].as_u64(), line["error"].as_str()),
                    (Some(502), Some("upstream_failure")),
                    "{line}"
                );
            } else {
                assert_eq!((line["status"].as_u64(), line["aborted"].as_bool()), (Some(200), Some(true)), "{line}");
            }
        }
    }
}

#[test]
fn an_upload_that_is_answered_early_ends_well_for_everybody() {
    const PIECES: usize = 64;
    let upstream = Upstream::early_answer(Answer::text("enough").status(403));
    let gateway = Gateway::builder()
        .file("moongate.yaml", SETTINGS)
        .file("apis/p.yaml", &format!("api: p\nroutes:\n  - match: $default\n    upstream: {}\n", upstream.url()))
        .start();
    // The upload goes on behind the answer, and the connection is used again: nothing of it was lost.
    let mut connection = gateway.client().connect();
    connection.send("POST /p/h1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").expect("sent");
    connection.send(chunk(b"first")).expect("sent");
    assert_eq!(connection.response_to("POST").expect("an answer").expect_status(403).text(), "enough");
    for _ in 0..PIECES {
        connection.send(chunk(&[b'x'; 1024])).expect("sent");
    }
    connection.send("0\r\n\r\n").expect("sent");
    wait_until("the upload", SOON, || upstream.body_bytes() == 5 + 1024 * PIECES as u64);
    connection.request("POST", "/p/h1-next", &[], b"x").expect_status(403);
    drop(connection);
    // On HTTP/2 the stream's other half goes on, or is ended without an error (RFC 9113 section 8.1).
    let mut client = gateway.http2();
    let mut exchange = client.start("POST", "/p/h2", &[]);
    exchange.send(b"first");
    assert_eq!(exchange.status().expect("a head"), 403);
    exchange.send(b"second");
    let response = exchange.try_response().expect("a whole answer");
    assert_eq!(response.text(), "enough");
    client.request("POST", "/p/h2-next", &[], b"x").expect_status(403);
    drop(client);
    wait_for_quiet(&gateway, "early answers");
    for path in ["/p/h1", "/p/h1-next", "/p/h2", "/p/h2-next"] {
        let lines = wait_for_lines(&gateway, path, 1);
        assert!(lines[0]["aborted"].is_null(), "{}", lines[0]);
    }
}
