//! The exchange itself: what HTTP says about heads, bodies and connections, seen by raw clients and by the upstream.

use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use moongate_tests::client::{Connection, Response};
use moongate_tests::wait::{SOON, wait_until};
use moongate_tests::wire::chunk;
use moongate_tests::{Answer, Gateway, Upstream};

/// A gateway whose API `p` passes everything on, with `POST /p/small` limited to 1,000 bytes.
fn proxy(upstream: &Upstream, settings: &str) -> Gateway {
    let url = upstream.url();
    let limited = format!(
        "api: s\nlimits: {{ request_body_bytes_max: 1000 }}\nroutes:\n  - match: $default\n    upstream: {url}\n"
    );
    let echo = "function: { lua: 'return function() return { statusCode = 200, body = \"from Lua\" } end' }";
    let routes = format!(
        "  - match: GET /lua\n    integration: {{ type: lua, {echo} }}\n  - match: $default\n    upstream: {url}\n"
    );
    Gateway::builder()
        .file("moongate.yaml", settings)
        .file("apis/p.yaml", &format!("api: p\nroutes:\n{routes}"))
        .file("apis/s.yaml", &limited)
        .start()
}

fn echoing() -> Upstream {
    Upstream::recording(|request| Answer::text(format!("{} {}", request.line(), request.text())))
}

fn answer(connection: &mut Connection, method: &str) -> Response {
    connection.response_to(method).unwrap_or_else(|error| panic!("no answer to {method}: {error}"))
}

#[test]
fn expectations_are_met_refused_or_answered_early() {
    let upstream = echoing();
    let gateway = proxy(&upstream, "workers: 1\n");
    let head = |target: &str, expect: &str, length: usize| {
        format!("POST {target} HTTP/1.1\r\nHost: h\r\n{expect}\r\nContent-Length: {length}\r\n\r\n")
    };
    // Whatever the final status, no 100 was sent before it, and the connection ends: nobody knows whether the body comes.
    let early = [
        ("/p/x", "Expect: 200-maybe", 4, 417),
        ("/p/x", "Expect: 100-continue\r\nExpect: more", 4, 417),
        ("/nowhere/x", "Expect: 100-continue", 4, 404),
        ("/s/x", "Expect: 100-Continue", 5000, 413),
    ];
    for (target, expect, length, status) in early {
        let mut connection = gateway.client().connect();
        connection.send(head(target, expect, length)).expect("sent");
        let response = answer(&mut connection, "POST").expect_status(status);
        assert_eq!(response.informational, [0; 0], "{expect}");
        assert_eq!(response.header("connection"), Some("close"), "{expect}");
        assert!(connection.is_closed_by_peer(), "{expect}");
    }
    assert!(upstream.requests().is_empty());

    // Met, and the upstream is not asked again.
    let mut connection = gateway.client().connect();
    for _ in 0..2 {
        connection.send(head("/p/x", "Expect: 100-Continue", 4)).expect("sent");
        assert_eq!(connection.interim_status().expect("an interim answer"), 100);
        connection.send("body").expect("sent");
        assert_eq!(answer(&mut connection, "POST").expect_status(200).text(), "POST /x body");
    }
    assert!(!upstream.last_request().headers.contains("expect"));
    // A body that comes unasked needs no invitation, an empty one neither, and HTTP/1.0 has no such thing.
    let (sized, empty) = (head("/p/x", "Expect: 100-continue", 4), head("/p/x", "Expect: 100-continue", 0));
    for bytes in [format!("{sized}body"), empty, sized.replace("HTTP/1.1", "HTTP/1.0") + "body"] {
        let is_sized = bytes.ends_with("body");
        let response = gateway.client().send_raw(&bytes).expect("an answer").expect_status(200);
        assert!(response.text().ends_with("body") == is_sized, "{bytes}");
        assert!(!bytes.contains("HTTP/1.0") || response.informational.is_empty(), "{bytes}");
    }
}

#[test]
fn codings_other_than_chunked_are_not_implemented() {
    let upstream = echoing();
    let gateway = proxy(&upstream, "workers: 1\n");
    let cases = [
        ("1.1", "Transfer-Encoding: gzip, chunked", 501),
        ("1.1", "Transfer-Encoding: unknown, chunked", 501),
        ("1.1", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", 501),
        ("1.1", "Transfer-Encoding: chunked, chunked", 501),
        // Where the body ends cannot be known (RFC 9112 section 6.3).
        ("1.1", "Transfer-Encoding: gzip", 400),
        ("1.1", "Transfer-Encoding: identity", 400),
        ("1.1", "Transfer-Encoding: chunked, gzip", 400),
        ("1.0", "Transfer-Encoding: chunked", 400),
    ];
    for (version, coding, status) in cases {
        let hidden = "GET /p/hidden HTTP/1.1\r\nHost: h\r\n\r\n";
        let mut connection = gateway.client().connect();
        connection
            .send(format!("POST /p/ HTTP/{version}\r\nHost: h\r\n{coding}\r\n\r\n0\r\n\r\n{hidden}"))
            .expect("sent");
        answer(&mut connection, "POST").expect_status(status);
        assert!(connection.is_closed_by_peer(), "{version} {coding}");
    }
    assert!(upstream.requests().is_empty());
}

#[test]
fn every_form_of_a_target_is_understood_or_refused() {
    let upstream = echoing();
    let gateway = proxy(&upstream, "workers: 1\n");
    let mut connection = gateway.client().connect();
    connection.send("GET http://shop.example:80/p/a?b=1 HTTP/1.1\r\nHost: shop.example:80\r\n\r\n").expect("sent");
    answer(&mut connection, "GET").expect_status(200);
    let request = upstream.only_request();
    assert_eq!((request.target.as_str(), request.header("x-forwarded-host")), ("/a?b=1", Some("shop.example:80")));

    // The gateway answers for itself: there is no upstream that `*` could mean.
    for request in
        ["OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS /p/ HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n"]
    {
        connection.send(request).expect("sent");
        let response = answer(&mut connection, "OPTIONS").expect_status(200);
        assert_eq!((response.header("content-length"), response.text().as_str()), (Some("0"), ""), "{request}");
        assert!(response.header("allow").is_some_and(|allow| allow.contains("GET")), "{request}");
        assert!(response.headers.contains("x-request-id"), "{request}");
    }
    connection.send("OPTIONS /p/ HTTP/1.1\r\nHost: h\r\nMax-Forwards: 2\r\n\r\n").expect("sent");
    answer(&mut connection, "OPTIONS").expect_status(200);
    assert_eq!(upstream.last_request().header("max-forwards"), Some("1"));
    assert_eq!(upstream.requests().len(), 2);

    let refused = [
        ("GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("GET ftp://h/p/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("GET http://h/p/ HTTP/1.1\r\nHost: i\r\n\r\n", 400),
        ("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", 501),
        ("TRACE /p/ HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n", 501),
    ];
    for (request, status) in refused {
        gateway.client().send_raw(request).expect("an answer").expect_status(status);
    }
    assert_eq!(upstream.requests().len(), 2);
}

#[test]
fn http10_keeps_connections_only_when_asked_and_when_it_can() {
    let upstream = Upstream::recording(|request| match request.target.as_str() {
        "/chunked" => Answer::chunked(["one", "two"]),
        _ => Answer::text("sized"),
    });
    let gateway = proxy(&upstream, "workers: 1\n");
    let mut plain = gateway.client().connect();
    plain.send("GET /p/sized HTTP/1.0\r\n\r\n").expect("sent");
    let response = answer(&mut plain, "GET").expect_status(200);
    assert_eq!((response.version.as_str(), response.text().as_str()), ("HTTP/1.0", "sized"));
    assert!(plain.is_closed_by_peer());

    let mut kept = gateway.client().connect();
    for _ in 0..2 {
        kept.send("GET /p/sized HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").expect("sent");
        let response = answer(&mut kept, "GET").expect_status(200);
        assert_eq!(response.header("connection"), Some("keep-alive"));
        assert_eq!(response.header("content-length"), Some("5"));
    }
    // Without chunks, only the end of the connection can end an answer of unknown length.
    kept.send("GET /p/chunked HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").expect("sent");
    let response = answer(&mut kept, "GET").expect_status(200);
    assert_eq!((response.header("connection"), response.text().as_str()), (Some("close"), "onetwo"));
    assert!(!response.headers.contains("transfer-encoding") && !response.headers.contains("content-length"));
    assert!(kept.is_closed_by_peer());
}

/// Requests of every framing, one behind the other, with the upstream's view of them.
fn pipeline() -> (String, Vec<(&'static str, &'static str, &'static str)>) {
    let chunks = "3;name=value\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Sum: 7\r\n\r\n";
    let requests = [
        "GET /p/1 HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "POST /p/2 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
        format!("POST /p/3 HTTP/1.1\r\nHost: h\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"),
        "\r\nGET /p/4 HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        format!("PUT /p/5 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"),
        "HEAD /p/6 HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "DELETE /p/7 HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
    ];
    let want = vec![
        ("GET", "/1", ""),
        ("POST", "/2", "hello"),
        ("POST", "/3", "abcdefg"),
        ("GET", "/4", ""),
        ("PUT", "/5", "abcdefg"),
        ("HEAD", "/6", ""),
        ("DELETE", "/7", ""),
    ];
    (requests.concat(), want)
}

#[test]
fn pipelined_requests_of_every_framing_are_served_once_and_in_order() {
    let upstream = echoing();
    let gateway = proxy(&upstream, "workers: 1\n");
    let (bytes, want) = pipeline();
    for piece in [bytes.len(), 100, 7, 1] {
        upstream.forget();
        let mut connection = gateway.client().connect();
        for part in bytes.as_bytes().chunks(piece) {
            connection.send(part).expect("sent");
        }
        for (method, target, body) in &want {
            let text = answer(&mut connection, method).expect_status(200).text();
            let expected = format!("{method} {target} {body}");
            assert_eq!(text, if *method == "HEAD" { "" } else { &expected }, "pieces of {piece}");
        }
        let got: Vec<(String, String, String)> = upstream
            .requests()
            .iter()
            .map(|request| (request.method.clone(), request.target.clone(), request.text()))
            .collect();
        let want: Vec<(String, String, String)> = want
            .iter()
            .map(|(method, target, body)| ((*method).to_owned(), (*target).to_owned(), (*body).to_owned()))
            .collect();
        assert_eq!(got, want, "pieces of {piece}");
        assert_eq!(upstream.requests()[2].trailers.get("x-sum"), Some("7"));
    }
}

#[test]
fn two_lengths_are_seen_in_pipelined_heads_too() {
    let upstream = echoing();
    let gateway = proxy(&upstream, "workers: 1\n");
    let first = "POST /p/first HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    let both = "POST /p/both HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let hidden = "GET /p/hidden HTTP/1.1\r\nHost: h\r\n\r\n";
    for order in [
        both.to_owned(),
        both.replace("Content-Length: 40\r\n", "").replace("ed\r\n\r\n", "ed\r\ncontent-LENGTH:40\r\n\r\n"),
    ] {
        upstream.forget();
        let mut connection = gateway.client().connect();
        connection.send(format!("{first}{order}{hidden}")).expect("sent");
        answer(&mut connection, "POST").expect_status(200);
        answer(&mut connection, "POST").expect_status(400);
        assert!(connection.is_closed_by_peer());
        assert_eq!(upstream.only_request().target, "/first");
    }
}

#[test]
fn a_refused_request_with_a_short_body_leaves_its_connection_usable() {
    let upstream = echoing();
    let gateway = proxy(&upstream, "workers: 1\n");
    let bodies = [
        format!("Content-Length: 5\r\n\r\n{}", "hello"),
        format!("Content-Length: 60000\r\n\r\n{}", "x".repeat(60_000)),
        format!(
            "Transfer-Encoding: chunked\r\n\r\n{}0\r\nX-T: 1\r\n\r\n",
            String::from_utf8_lossy(&chunk(&[b'x'; 20_000]))
        ),
    ];
    let mut connection = gateway.client().connect();
    for body in bodies {
        // At once, and with the body later than the answer.
        for waits in [false, true] {
            let request = format!("POST /nowhere HTTP/1.1\r\nHost: h\r\n{body}");
            let (head, rest) =
                request.split_at(if waits { request.find("\r\n\r\n").unwrap_or(0) + 4 } else { request.len() });
            connection.send(head).expect("sent");
            let response = answer(&mut connection, "POST").expect_status(404);
            assert!(!response.headers.contains("connection"), "{response:?}");
            connection.send(rest).expect("sent");
            assert_eq!(connection.request("GET", "/p/next", &[], b"").expect_status(200).text(), "GET /next ");
        }
    }
    assert!(upstream.requests().iter().all(|request| request.target == "/next"));
}

#[test]
fn a_refused_request_with_a_long_body_ends_its_connection_and_the_answer_arrives() {
    const BYTES: usize = 4 * 1024 * 1024;
    let upstream = echoing();
    let gateway = proxy(&upstream, "workers: 1\n");
    for framing in [format!("Content-Length: {BYTES}"), "Transfer-Encoding: chunked".to_owned()] {
        for target in ["/nowhere", "/s/limited"] {
            let mut connection = gateway.client().connect();
            connection.send(format!("POST {target} HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n")).expect("sent");
            let mut socket = connection.socket().expect("a socket");
            let is_chunked = framing.starts_with('T');
            let upload = std::thread::spawn(move || {
                let piece = vec![b'x'; 16 * 1024];
                let piece = if is_chunked { chunk(&piece) } else { piece };
                // It ends early when the gateway closes.
                while socket.write_all(&piece).is_ok() {}
            });
            let response = answer(&mut connection, "POST");
            assert!(matches!(response.status, 404 | 413), "{target} {framing}: {response:?}");
            assert!(response.json()["error"].is_string(), "{target} {framing}");
            drop(connection.socket().expect("a socket").shutdown(std::net::Shutdown::Write));
            drop(connection);
            upload.join().expect("no panic");
        }
    }
    assert!(upstream.requests().iter().all(|request| !request.is_complete));
}

#[test]
fn a_client_that_closes_its_sending_side_gets_its_answer() {
    let upstream = Upstream::recording(|request| {
        std::thread::sleep(Duration::from_millis(if request.target == "/slow" { 400 } else { 0 }));
        Answer::text(request.text())
    });
    let gateway = proxy(&upstream, "workers: 1\nlimits: { half_close_timeout_ms: 1500 }\n");
    let requests = [
        ("GET /p/slow HTTP/1.1\r\nHost: h\r\n\r\n", ""),
        ("GET /p/ HTTP/1.0\r\n\r\n", ""),
        ("POST /p/slow HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody", "body"),
        ("POST /p/slow HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", "body"),
    ];
    for (request, want) in requests {
        let mut connection = gateway.client().connect();
        connection.send(request).expect("sent");
        connection.finish_sending().expect("half closed");
        let start = Instant::now();
        assert_eq!(answer(&mut connection, "GET").expect_status(200).text(), want, "{request}");
        assert!(connection.is_closed_by_peer(), "{request}");
        assert!(start.elapsed() < Duration::from_millis(1200), "{request}: {:?}", start.elapsed());
    }
    // Behind several requests too.
    let mut connection = gateway.client().connect();
    connection.send("GET /p/slow HTTP/1.1\r\nHost: h\r\n\r\n".repeat(3)).expect("sent");
    connection.finish_sending().expect("half closed");
    for _ in 0..3 {
        answer(&mut connection, "GET").expect_status(200);
    }
    assert!(connection.is_closed_by_peer());
    // In the middle of a body it is an abort, and known as one at once.
    upstream.forget();
    for framing in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
        let mut connection = gateway.client().connect();
        connection.send(format!("POST /p/ HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n5\r\nhel")).expect("sent");
        connection.finish_sending().expect("half closed");
        let start = Instant::now();
        assert!(connection.rest().is_ok(), "{framing}");
        assert!(start.elapsed() < Duration::from_millis(1000), "{framing}: {:?}", start.elapsed());
    }
    assert!(upstream.wait_for_requests(2).iter().all(|request| !request.is_complete));
}

#[test]
fn a_client_that_has_gone_is_noticed_soon_after_it_closed() {
    let upstream = Upstream::faulty(moongate_tests::Fault::NeverAnswer);
    let gateway = proxy(&upstream, "workers: 1\nlimits: { half_close_timeout_ms: 300 }\n");
    let mut connection = gateway.client().connect();
    connection.send("GET /p/ HTTP/1.1\r\nHost: h\r\n\r\n").expect("sent");
    upstream.wait_for_requests(1);
    let start = Instant::now();
    drop(connection);
    upstream.wait_for_closed(1);
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
}

#[test]
fn answers_that_cannot_have_a_body_have_none_whoever_made_them() {
    let upstream = Upstream::text("ok");
    let function = |text: &str| {
        format!("integration: {{ type: lua, function: {{ lua: 'return function() return {text} end' }} }}")
    };
    let gateway = Gateway::with_api(&format!(
        "api: p\nroutes:\n  - match: GET /text\n    {}\n  - match: GET /204\n    {}\n  - match: GET /304\n    {}\n  - match: $default\n    upstream: {}\n",
        function("{ statusCode = 200, body = \"from Lua\" }"),
        function("{ statusCode = 204, body = \"never sent\" }"),
        function("{ statusCode = 304, body = \"never sent\" }"),
        upstream.url()
    ));
    let mut connection = gateway.client().connect();
    let mut http2 = gateway.http2();
    for _ in 0..2 {
        let head = connection.request("HEAD", "/p/text", &[], b"").expect_status(200);
        assert_eq!(head.header("content-length"), Some("8"));
        for status in [204, 304] {
            let response = connection.request("GET", &format!("/p/{status}"), &[], b"").expect_status(status);
            assert!(!response.headers.contains("transfer-encoding"), "{response:?}");
            assert!(
                response.header("content-length").is_none_or(|length| status == 304 && length != "0"),
                "{response:?}"
            );
            let response = http2.request("GET", &format!("/p/{status}"), &[], b"").expect_status(status);
            assert_eq!(response.body, b"", "{status} over HTTP/2");
        }
        assert_eq!(connection.request("GET", "/p/text", &[], b"").text(), "from Lua");
        assert_eq!(http2.request("HEAD", "/p/text", &[], b"").expect_status(200).body, b"");
    }
}

#[test]
fn a_body_must_make_progress_until_it_is_answered() {
    let upstream = Upstream::echo();
    let reading = echoing();
    let gateway = Gateway::builder()
        .file("moongate.yaml", "workers: 1\nlimits: { stall_timeout_ms: 600 }\n")
        .file("apis/e.yaml", &format!("api: e\nroutes:\n  - match: $default\n    upstream: {}\n", upstream.url()))
        .file("apis/r.yaml", &format!("api: r\nroutes:\n  - match: $default\n    upstream: {}\n", reading.url()))
        .start();
    // A byte now and then is no progress, and is cut off though no pause is long.
    for framing in ["Content-Length: 3000", "Transfer-Encoding: chunked"] {
        let mut connection = gateway.client().connect();
        connection.send(format!("POST /r/ HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n")).expect("sent");
        let mut socket = connection.socket().expect("a socket");
        let dribble = std::thread::spawn(move || {
            while socket.write_all(if framing.starts_with('C') { b"x" } else { b"1\r\nx\r\n" }).is_ok() {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let start = Instant::now();
        answer(&mut connection, "POST").expect_status(408);
        assert!((500..2500).contains(&start.elapsed().as_millis()), "{framing}: {:?}", start.elapsed());
        drop(connection);
        dribble.join().expect("no panic");
    }
    assert!(reading.wait_for_requests(2).iter().all(|request| !request.is_complete));
    // A slow line is not: it takes its time, four times the deadline.
    let mut connection = gateway.client().connect();
    connection.send("POST /r/ HTTP/1.1\r\nHost: h\r\nContent-Length: 12000\r\n\r\n").expect("sent");
    for _ in 0..24 {
        connection.send([b'x'; 500]).expect("sent");
        std::thread::sleep(Duration::from_millis(100));
    }
    answer(&mut connection, "POST").expect_status(200);
    // Once the answer has begun, both directions may be silent.
    let mut connection = gateway.client().connect();
    connection.send("POST /e/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").expect("sent");
    let (_, mut body) = connection.response_head_to("POST").expect("a head");
    for word in ["one", "two"] {
        std::thread::sleep(Duration::from_millis(900));
        connection.send(chunk(word.as_bytes())).expect("sent");
        assert_eq!(connection.piece(&mut body).expect("the echo"), Some(word.as_bytes()));
    }
}

#[test]
fn telling_the_protocol_takes_no_longer_than_a_head_may() {
    let upstream = echoing();
    let gateway = proxy(&upstream, "workers: 1\nlimits: { head_timeout_ms: 700 }\n");
    // Every byte is still HTTP/2's preface, and no pause is long.
    let mut connection = gateway.client().connect();
    let mut socket = connection.socket().expect("a socket");
    let dribble = std::thread::spawn(move || {
        for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" {
            if socket.write_all(&[*byte]).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let start = Instant::now();
    match connection.rest() {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
    dribble.join().expect("no panic");
    // What differs from it late has only the rest of that time for its head.
    let mut connection = gateway.client().connect();
    connection.send("PR").expect("sent");
    std::thread::sleep(Duration::from_millis(400));
    connection.send("OPFIND /p/ HTTP/1.1\r\nHost: h\r\n").expect("sent");
    let start = Instant::now();
    answer(&mut connection, "GET").expect_status(408);
    assert!(start.elapsed() < Duration::from_millis(600), "{:?}", start.elapsed());
    wait_until("no connection", SOON, || gateway.metric("gateway_connections", &[]) == 0.0);
}
