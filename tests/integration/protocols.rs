//! Beyond a request and its answer: trailers, gRPC, and protocols that a connection goes over to.

use std::time::{Duration, Instant};

use moongate_tests::client::Connection;
use moongate_tests::wait::{SOON, wait_until};
use moongate_tests::{Answer, Fault, Fields, Gateway, Upstream};

fn proxy(upstream: &Upstream) -> Gateway {
    Gateway::with_api(&format!("api: p\nroutes:\n  - match: $default\n    upstream: {}\n", upstream.url()))
}

#[test]
fn trailers_pass_over_http1_and_take_nothing_along_that_belongs_to_the_head() {
    let upstream = Upstream::recording(|request| {
        let answer = Answer::chunked(["body"]).header("Trailer", "X-Sum, Set-Cookie").trailer("X-Sum", "4");
        if request.target == "/plain" { answer } else { answer.trailer("Set-Cookie", "a=b").trailer("Connection", "x") }
    });
    let gateway = proxy(&upstream);
    let chunks = "4\r\nbody\r\n0\r\nX-Sum: 7\r\nAuthorization: Bearer t\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n";
    let request = |te: &str| {
        format!("POST /p/ HTTP/1.1\r\nHost: h\r\n{te}Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")
    };
    let mut connection = gateway.client().connect();
    connection.send(request("TE: trailers\r\nConnection: TE\r\n")).expect("sent");
    let response = connection.response_to("POST").expect("an answer").expect_status(200);
    assert_eq!((response.text().as_str(), response.trailers), ("body", Fields::from([("x-sum", "4")])));
    assert_eq!(upstream.last_request().trailers, Fields::from([("x-sum", "7")]));
    // A client that does not say that it takes them gets none (RFC 9110 section 6.5.1).
    connection.send(request("")).expect("sent");
    let response = connection.response_to("POST").expect("an answer").expect_status(200);
    assert_eq!((response.text().as_str(), response.trailers.len()), ("body", 0));

    // HTTP/2 to HTTP/1.1 and back.
    let mut client = gateway.http2();
    let mut exchange = client.start("POST", "/p/", &[("te", "trailers")]);
    exchange.send(b"body");
    exchange.send_trailers(&[("x-sum", "9"), ("cookie", "a=b")]);
    let response = exchange.response().expect_status(200);
    assert_eq!(response.trailers, Fields::from([("x-sum", "4")]));
    assert_eq!(upstream.last_request().trailers, Fields::from([("x-sum", "9")]));
}

#[test]
fn trailers_that_frame_the_message_anew_end_the_request() {
    let upstream = Upstream::text("ok");
    let gateway = proxy(&upstream);
    for trailer in ["Content-Length: 5", "Transfer-Encoding: chunked", "Host: other"] {
        upstream.forget();
        let mut connection = gateway.client().connect();
        connection
            .send(format!(
                "POST /p/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n{trailer}\r\n\r\n"
            ))
            .expect("sent");
        connection.response_to("POST").expect("an answer").expect_status(400);
        assert!(connection.is_closed_by_peer(), "{trailer}");
        assert!(upstream.requests().iter().all(|request| !request.is_complete), "{trailer}");
    }
    // As many and as large as a head may be, and no more.
    for trailers in ["X-Many: 1\r\n".repeat(500), format!("X-Large: {}\r\n", "x".repeat(100_000))] {
        upstream.forget();
        let chunks =
            format!("POST /p/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n{trailers}\r\n");
        let refused = gateway.client().send_raw(chunks);
        assert!(refused.is_err() || refused.is_ok_and(|response| response.status == 400));
        assert!(upstream.requests().iter().all(|request| !request.is_complete));
    }
}

const CALL: [(&str, &str); 2] = [("te", "trailers"), ("content-type", "application/grpc+proto")];

#[test]
fn grpc_calls_stream_both_ways_and_end_with_their_status() {
    let upstream = Upstream::grpc_echo();
    let gateway = proxy(&upstream);
    let mut client = gateway.http2();
    // Message by message: each comes back before the next one is sent.
    let mut call = client.start("POST", "/p/demo.Greeter/Chat", &CALL);
    call.send(b"first");
    assert_eq!(call.status().expect("a head"), 200);
    assert_eq!(call.piece().expect("an echo").expect("no end yet"), "first");
    for number in 0..20 {
        let message = format!("message {number}");
        call.send(message.as_bytes());
        assert_eq!(call.piece().expect("an echo").expect("no end yet"), message);
    }
    call.finish();
    let response = call.response();
    assert_eq!(response.header("content-type"), Some("application/grpc"));
    assert_eq!(
        (response.trailers.get("grpc-status"), response.trailers.get("grpc-message")),
        (Some("0"), Some("fine"))
    );
    // Unary, many on one connection.
    for _ in 0..50 {
        let response = client.request("POST", "/p/demo.Greeter/Hello", &CALL, b"hello").expect_status(200);
        assert_eq!((response.text().as_str(), response.trailers.get("grpc-status")), ("hello", Some("0")));
    }
    let request = upstream.last_request();
    assert_eq!((request.target.as_str(), request.header("te")), ("/demo.Greeter/Hello", Some("trailers")));
    assert_eq!(upstream.connections(), 1);
    // A call that the client cancels is cancelled for the upstream too.
    let mut call = client.start("POST", "/p/demo.Greeter/Chat", &CALL);
    call.send(b"cancelled");
    assert_eq!(call.piece().expect("an echo").expect("no end yet"), "cancelled");
    drop(call);
    drop(client);
    let requests = upstream.wait_for_requests(52);
    assert!(requests.iter().any(|request| request.text() == "cancelled" && !request.is_complete));
    wait_until("no request in flight", SOON, || gateway.metric("gateway_requests_in_flight", &[]) == 0.0);
}

#[test]
fn a_grpc_call_that_the_gateway_fails_gets_a_status_of_grpc() {
    let silent = Upstream::faulty(Fault::NeverAnswer);
    let gateway = Gateway::with_api(&format!(
        "api: p
authorizers:
  token:
    type: lua
    script: {{ lua: 'return function(request) return request.header(\"x-token\") == \"good\" end' }}
    identity_source: [$request.header.x-token]
limits: {{ request_body_bytes_max: 100 }}
routes:
  - match: POST /nobody
    upstream: h2c://127.0.0.1:1
  - match: POST /guarded
    authorizer: token
    upstream: h2c://127.0.0.1:1
  - match: POST /late
    integration: {{ type: http_proxy, uri: \"{}/\", timeout_ms: 200 }}
",
        silent.url()
    ));
    let mut client = gateway.http2();
    let large = [b'x'; 200];
    let cases: [(&str, &str, &[u8]); 6] = [
        ("/p/nobody", "14", b""),
        ("/p/guarded", "16", b""),
        ("/p/unknown", "12", b""),
        ("/elsewhere", "12", b""),
        ("/p/late", "8", &large),
        ("/p/late", "4", b""),
    ];
    for (target, status, body) in cases {
        let response = client.request("POST", target, &CALL, body).expect_status(200);
        assert_eq!(response.header("grpc-status"), Some(status), "{target}: {response:?}");
        assert_eq!(response.header("content-type"), Some("application/grpc"), "{target}");
        assert!(response.header("grpc-message").is_some_and(|message| !message.is_empty()), "{target}");
        assert!(response.body.is_empty(), "{target}");
    }
    // Others get what they know.
    for media_type in ["application/json", "application/grpc-web", "application/grpcx"] {
        let response = client.request("POST", "/p/unknown", &[("content-type", media_type)], b"").expect_status(404);
        assert!(!response.headers.contains("grpc-status"), "{media_type}");
    }
}

/// A gateway whose `GET /p/ws` may be upgraded, and nothing else.
fn switching_gateway(upstream: &Upstream, limits: &str) -> Gateway {
    let url = upstream.url();
    Gateway::with_api(&format!(
        "api: p
authorizers:
  token:
    type: lua
    script: {{ lua: 'return function(request) return request.header(\"x-token\") ~= \"bad\" end' }}
    identity_source: []
routes:
  - match: GET /ws
    authorizer: token
    upstream: {url}
    upgrade: {{ protocols: [websocket]{limits} }}
  - match: $default
    authorizer: none
    upstream: {url}
"
    ))
}

const WISH: [(&str, &str); 3] =
    [("Connection", "keep-alive, Upgrade"), ("Upgrade", "WebSocket"), ("Sec-WebSocket-Key", "k")];

/// Reads until something was said.
fn read_until(connection: &mut Connection, end: &str) -> String {
    let mut text = String::new();
    let mut socket = connection.socket().expect("a socket");
    while !text.ends_with(end) {
        let mut buffer = [0; 1024];
        match std::io::Read::read(&mut socket, &mut buffer).expect("bytes") {
            0 => panic!("the connection ended after {text:?}"),
            length => text.push_str(&String::from_utf8_lossy(&buffer[..length])),
        }
    }
    text
}

#[test]
fn a_connection_goes_over_to_another_protocol_where_its_route_allows_it() {
    let upstream = Upstream::switching("hello from behind the 101;");
    let gateway = switching_gateway(&upstream, "");
    let mut connection = gateway.client().connect();
    // What the client says before it has the answer belongs to the other protocol too.
    connection.send_request("GET", "/p/ws?room=1", &WISH, b"").expect("sent");
    connection.send("early;").expect("sent");
    let text = read_until(&mut connection, "EARLY;");
    let (head, rest) = text.split_once("\r\n\r\n").expect("a head");
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    for line in ["connection: upgrade", "upgrade: websocket", "sec-websocket-accept: yes", "x-request-id: "] {
        assert!(head.contains(line), "{line} in {head}");
    }
    assert_eq!(rest, "hello from behind the 101;EARLY;");
    let request = upstream.only_request();
    assert_eq!(request.target, "/ws?room=1");
    let fields =
        ["connection", "upgrade", "sec-websocket-key"].map(|name| request.header(name).unwrap_or("none").to_owned());
    assert_eq!(fields, ["upgrade", "WebSocket", "k"]);
    for word in ["one", "two", "three"] {
        connection.send(word).expect("sent");
        assert_eq!(read_until(&mut connection, &word.to_uppercase()), word.to_uppercase());
    }
    assert!(gateway.metric("gateway_requests_in_flight", &[]) >= 1.0);
    assert_eq!(gateway.metric("gateway_connections", &[]), 1.0);
    // The upstream ends it: the client hears of it, and it is logged, once.
    connection.send("end").expect("sent");
    assert!(connection.is_closed_by_peer());
    drop(connection);
    let logged = gateway.wait_for_event("the request", |event| event["path"] == "/p/ws");
    assert_eq!((logged["status"].as_u64(), logged["bytes"].as_u64()), (Some(101), Some(43)), "{logged}");
    wait_until("no request in flight", SOON, || gateway.metric("gateway_requests_in_flight", &[]) == 0.0);
    wait_until("no connection", SOON, || gateway.metric("gateway_connections", &[]) == 0.0);

    // The client ends it: the upstream hears of it.
    let mut connection = gateway.client().connect();
    connection.send_request("GET", "/p/ws", &WISH, b"").expect("sent");
    read_until(&mut connection, "the 101;");
    drop(connection);
    upstream.wait_for_closed(2);
    wait_until("no request in flight", SOON, || gateway.metric("gateway_requests_in_flight", &[]) == 0.0);
    let count = gateway.process().events().iter().filter(|event| event["path"] == "/p/ws").count();
    assert_eq!(count, 2);
}

#[test]
fn elsewhere_the_wish_is_dropped_and_the_request_answered() {
    let upstream = Upstream::switching("never");
    let gateway = switching_gateway(&upstream, "");
    let other = [("Connection", "Upgrade"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")];
    let unnamed = [("Upgrade", "websocket")];
    let two = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Upgrade", "websocket")];
    type Fields<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, &str, Fields<'_>, &[u8]); 6] = [
        ("GET", "/p/other-route", &WISH, b""),
        ("GET", "/p/ws", &other, b""),
        ("GET", "/p/ws", &unnamed, b""),
        ("GET", "/p/ws", &two, b""),
        ("GET", "/p/ws", &WISH, b"a body"),
        ("POST", "/p/ws", &WISH, b""),
    ];
    let mut connection = gateway.client().connect();
    for (method, target, headers, body) in cases {
        upstream.forget();
        let length = body.len().to_string();
        let mut with_length = headers.to_vec();
        if !body.is_empty() {
            with_length.push(("Content-Length", length.as_str()));
        }
        let response = connection.request(method, target, &with_length, body).expect_status(200);
        assert_eq!(response.text(), "not asked", "{method} {target} {headers:?}");
        let request = upstream.only_request();
        assert!(!request.headers.contains("upgrade") && !request.headers.contains("connection"), "{request:?}");
    }
    // An authorizer decides before anybody is asked.
    upstream.forget();
    let headers = [&WISH[..], &[("X-Token", "bad")]].concat();
    let status = connection.request("GET", "/p/ws", &headers, b"").status;
    assert!(matches!(status, 401 | 403), "{status}");
    assert!(upstream.requests().is_empty());
    // An upstream that declines answers like any other.
    let plain = Upstream::recording(|_| Answer::text("no").status(426).header("Upgrade", "TLS/1.3"));
    let gateway = switching_gateway(&plain, "");
    let mut connection = gateway.client().connect();
    for _ in 0..2 {
        connection.request("GET", "/p/ws", &WISH, b"").expect_status(426);
    }
    assert_eq!(connection.request("GET", "/p/x", &[], b"").status, 426);
}

#[test]
fn a_connection_that_went_over_has_deadlines() {
    let upstream = Upstream::switching("hello");
    let gateway = switching_gateway(&upstream, ", idle_timeout_ms: 500, lifetime_ms: 1600");
    let mut connection = gateway.client().connect();
    connection.send_request("GET", "/p/ws", &WISH, b"").expect("sent");
    read_until(&mut connection, "hello");
    let start = Instant::now();
    assert!(connection.is_closed_by_peer());
    assert!((350..1500).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    // Traffic keeps it open, up to its longest life.
    let mut connection = gateway.client().connect();
    connection.send_request("GET", "/p/ws", &WISH, b"").expect("sent");
    read_until(&mut connection, "hello");
    let start = Instant::now();
    while connection.send("x").is_ok() && start.elapsed() < SOON {
        let mut byte = [0];
        if !matches!(std::io::Read::read(&mut connection.socket().expect("a socket"), &mut byte), Ok(1)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!((1100..3500).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    drop(connection);
    wait_until("both logged", SOON, || {
        let events = gateway.process().events();
        let details: Vec<&str> = events
            .iter()
            .filter(|event| event["path"] == "/p/ws")
            .filter_map(|event| event["detail"].as_str())
            .collect();
        ["nothing passed", "longest life"].iter().all(|why| details.iter().any(|detail| detail.contains(why)))
    });
}

#[test]
fn an_upgrade_that_cannot_work_is_an_error() {
    let cases = [
        ("upstream: h2c://127.0.0.1:1\n    upgrade: { protocols: [websocket] }", "E119"),
        ("integration: { type: mock }\n    upgrade: { protocols: [websocket] }", "E119"),
        ("upstream: http://127.0.0.1:1\n    upgrade: { protocols: [] }", "E119"),
        ("upstream: http://127.0.0.1:1\n    upgrade: { protocols: [\"web socket\"] }", "E119"),
        ("upstream: http://127.0.0.1:1\n    upgrade: { protocol: websocket }", "E014"),
    ];
    for (route, code) in cases {
        let api = format!("api: p\nroutes:\n  - match: GET /\n    {route}\n");
        let gateway = Gateway::builder().file("apis/p.yaml", &api).start_unready();
        let event = gateway.wait_for_event("the refusal", |event| event["event"] == "reload_failed");
        let codes: Vec<&str> =
            event["issues"].as_array().into_iter().flatten().filter_map(|issue| issue["code"].as_str()).collect();
        assert!(codes.contains(&code), "{route}: {event}");
    }
}
