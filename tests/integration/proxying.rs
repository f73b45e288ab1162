//! What passes between client and upstream, and what does not.

use std::thread;

use moongate_tests::certificates::Authority;
use moongate_tests::wire::chunk;
use moongate_tests::{Answer, Fault, Fields, Gateway, Upstream};

/// A gateway whose API `p` passes everything on to an upstream.
fn proxy(upstream: &Upstream) -> Gateway {
    Gateway::with_api(&format!("api: p\nroutes:\n  - match: $default\n    upstream: {}\n", upstream.url()))
}

#[test]
fn method_path_query_fields_and_body_arrive_as_they_were_sent() {
    let upstream = Upstream::text("ok");
    let gateway = proxy(&upstream);
    let cases = [
        ("GET", "/", ""),
        ("GET", "/a/b;c=1/%20d?x=1&x=2&y=%26+z&empty=&flag", ""),
        ("GET", "/caf%C3%A9/%2F", ""),
        ("POST", "/form", "a=1&b=2"),
        ("PUT", "/json", "{\"a\": [1, 2]}"),
        ("PATCH", "/x", "\0\u{1}\u{ff}"),
        ("DELETE", "/x?force", ""),
        ("DELETE", "/x", "with a body"),
        ("OPTIONS", "/x", ""),
        ("QUERY", "/x", "of any method"),
    ];
    for (method, target, body) in cases {
        upstream.forget();
        let headers =
            [("X-One", "1"), ("x-two", "a, b"), ("X-Two", "c"), ("Cookie", "k=v"), ("Authorization", "Bearer t")];
        gateway.request(method, &format!("/p{target}"), &headers, body.as_bytes()).expect_status(200);
        let request = upstream.only_request();
        assert_eq!(request.line(), format!("{method} {target}"));
        assert_eq!(request.body, body.as_bytes(), "{method} {target}");
        assert_eq!(request.headers.all("x-two"), ["a, b", "c"], "{method} {target}");
        for (name, value) in [("x-one", "1"), ("cookie", "k=v"), ("authorization", "Bearer t")] {
            assert_eq!(request.header(name), Some(value), "{method} {target}");
        }
        let has_length = request.headers.contains("content-length") || request.headers.contains("transfer-encoding");
        assert_eq!(
            has_length,
            !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH"),
            "{method} {target}: {request:?}"
        );
    }
}

#[test]
fn a_base_path_of_the_upstream_is_put_in_front() {
    let upstream = Upstream::text("ok");
    let gateway = Gateway::with_api(&format!(
        "api: p\nroutes:\n  - match: ANY /pets/{{rest+}}\n    upstream: {}/v2\n",
        upstream.url()
    ));
    gateway.get("/p/pets/7/toys?x=1").expect_status(200);
    assert_eq!(upstream.only_request().target, "/v2/pets/7/toys?x=1");
}

#[test]
fn fields_of_the_connection_end_at_the_gateway_and_the_client_is_named() {
    let upstream = Upstream::recording(|_| {
        let fields = [("Connection", "X-Secret"), ("X-Secret", "1"), ("Keep-Alive", "timeout=5"), ("X-Open", "2")];
        fields.iter().fold(Answer::text("ok"), |answer, (name, value)| answer.header(name, value))
    });
    let gateway = proxy(&upstream);
    let headers = [
        ("Host", "shop.example"),
        ("Connection", "keep-alive, X-Private"),
        ("X-Private", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Authorization", "Basic eDp5"),
        ("TE", "gzip"),
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Port", "1"),
        ("Forwarded", "for=203.0.113.9"),
    ];
    let response = gateway.request("GET", "/p/", &headers, b"").expect_status(200);
    let request = upstream.only_request();
    for name in [
        "x-forwarded-port",
        "forwarded",
        "x-private",
        "keep-alive",
        "proxy-authorization",
        "te",
        "proxy-connection",
        "transfer-encoding",
    ] {
        assert!(!request.headers.contains(name), "{name} was passed on: {request:?}");
    }
    assert_eq!(request.header("host").map(str::to_owned), Some(upstream.address().to_string()));
    assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.header("x-forwarded-proto"), Some("http"));
    assert_eq!(request.header("x-forwarded-host"), Some("shop.example"));
    assert_eq!(response.header("x-open"), Some("2"));
    assert!(!response.headers.contains("x-secret") && !response.headers.contains("keep-alive"), "{response:?}");
}

#[test]
fn responses_arrive_as_they_were_sent() {
    let upstream = Upstream::recording(|request| match request.target.as_str() {
        "/404" => Answer::text("not here").status(404).header("X-Why", "gone"),
        "/500" => Answer::text("broken").status(500),
        "/299" => Answer::text("unusual").status(299),
        "/301" => Answer::empty(301).header("Location", "/elsewhere").header("Content-Length", "0"),
        "/cookies" => Answer::text("two").header("Set-Cookie", "a=1; Path=/").header("Set-Cookie", "b=2"),
        "/binary" => Answer::bytes((0..=255).collect::<Vec<u8>>()),
        "/empty" => Answer::bytes([]),
        "/until-close" => Answer::until_close("to the end"),
        _ => Answer::chunked(["one, ", "two, ", "three"]),
    });
    let gateway = proxy(&upstream);
    let mut connection = gateway.client().connect();
    let cases: [(&str, u16, &[u8]); 9] = [
        ("/404", 404, b"not here"),
        ("/500", 500, b"broken"),
        ("/299", 299, b"unusual"),
        ("/301", 301, b""),
        ("/cookies", 200, b"two"),
        ("/empty", 200, b""),
        ("/until-close", 200, b"to the end"),
        ("/chunked", 200, b"one, two, three"),
        ("/binary", 200, &(0..=255).collect::<Vec<u8>>()),
    ];
    for (target, status, body) in cases {
        let response = connection.request("GET", &format!("/p{target}"), &[], b"").expect_status(status);
        assert_eq!(response.body, body, "{target}");
        match target {
            "/404" => assert_eq!(response.header("x-why"), Some("gone")),
            "/301" => assert_eq!(response.header("location"), Some("/elsewhere")),
            "/cookies" => assert_eq!(response.headers.all("set-cookie"), ["a=1; Path=/", "b=2"]),
            _ => {}
        }
    }
}

#[test]
fn answers_without_a_body_have_none() {
    let upstream = Upstream::recording(|request| match request.target.as_str() {
        "/204" => Answer::empty(204),
        "/304" => Answer::empty(304).header("ETag", "\"1\""),
        _ => Answer::text("hello").header("X-Head", request.method.as_str()),
    });
    let gateway = proxy(&upstream);
    let mut connection = gateway.client().connect();
    let head = connection.request("HEAD", "/p/x", &[], b"").expect_status(200);
    assert_eq!((head.header("content-length"), head.header("x-head")), (Some("5"), Some("HEAD")));
    let none = connection.request("GET", "/p/204", &[], b"").expect_status(204);
    assert!(!none.headers.contains("content-length") && !none.headers.contains("transfer-encoding"), "{none:?}");
    let same = connection.request("GET", "/p/304", &[("If-None-Match", "\"1\"")], b"").expect_status(304);
    assert_eq!(same.header("etag"), Some("\"1\""));
    // Were there a byte too many, this answer would not be understood.
    assert_eq!(connection.request("GET", "/p/x", &[], b"").text(), "hello");
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn connections_are_kept_on_both_sides() {
    let upstream = Upstream::text("ok");
    let gateway = proxy(&upstream);
    let mut connection = gateway.client().connect();
    for number in 0..50 {
        let body = "x".repeat(number);
        connection.request("POST", &format!("/p/{number}"), &[], body.as_bytes()).expect_status(200);
    }
    assert_eq!(upstream.requests().len(), 50);
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::recording(|request| Answer::text(request.target.clone()));
    let gateway = proxy(&upstream);
    let mut connection = gateway.client().connect();
    let requests: String = (0..10).map(|number| format!("GET /p/{number} HTTP/1.1\r\nHost: h\r\n\r\n")).collect();
    connection.send(requests).expect("sent");
    for number in 0..10 {
        assert_eq!(connection.response_to("GET").expect("an answer").text(), format!("/{number}"));
    }
}

#[test]
fn chunked_bodies_pass_both_ways() {
    let upstream = Upstream::recording(|request| Answer::text(request.text().to_uppercase()));
    let gateway = proxy(&upstream);
    let mut connection = gateway.client().connect();
    connection.send("POST /p/up HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").expect("sent");
    for word in ["in ", "three ", "pieces"] {
        connection.send(chunk(word.as_bytes())).expect("sent");
    }
    connection.send("0\r\n\r\n").expect("sent");
    assert_eq!(connection.response_to("POST").expect("an answer").text(), "IN THREE PIECES");
    let request = upstream.only_request();
    assert!(request.is_complete);
    assert_eq!(request.header("transfer-encoding"), Some("chunked"));
    assert!(!request.headers.contains("content-length"));
}

#[test]
fn trailers_pass_from_http2_to_http2() {
    let upstream = Upstream::h2c(|request| Answer::text(request.text()).trailer("grpc-status", "0"));
    let gateway = Gateway::with_api(&format!(
        "api: p\nroutes:\n  - match: $default\n    integration: {{ type: http_proxy, uri: \"{}/rpc\", http_version: \"2\" }}\n",
        upstream.url()
    ));
    let mut client = gateway.http2();
    let mut exchange = client.start("POST", "/p/rpc", &[("te", "trailers"), ("content-type", "application/grpc")]);
    exchange.send(b"message");
    exchange.send_trailers(&[("x-sum", "7")]);
    let response = exchange.response().expect_status(200);
    assert_eq!((response.text().as_str(), response.trailers.get("grpc-status")), ("message", Some("0")));
    let request = upstream.only_request();
    assert_eq!(request.trailers, Fields::from([("x-sum", "7")]));
    assert_eq!(request.header("te"), Some("trailers"));
}

#[test]
fn trailers_of_a_chunked_answer_reach_a_client_that_takes_them() {
    let upstream = Upstream::recording(|_| Answer::chunked(["body"]).header("Trailer", "X-Sum").trailer("X-Sum", "4"));
    let gateway = proxy(&upstream);
    let mut client = gateway.http2();
    let response = client.request("GET", "/p/", &[("te", "trailers")], b"").expect_status(200);
    assert_eq!((response.text().as_str(), response.trailers.get("x-sum")), ("body", Some("4")));
}

#[test]
fn http2_clients_reach_http1_upstreams_and_the_other_way_round() {
    let upstream = Upstream::recording(|request| Answer::text(format!("{} {}", request.version, request.text())));
    let gateway = proxy(&upstream);
    let mut client = gateway.http2();
    let response = client.request("POST", "/p/x?y=1", &[("x-in", "1"), ("cookie", "a=1"), ("cookie", "b=2")], b"down");
    assert_eq!(
        (response.status, response.text().as_str(), response.version.as_str()),
        (200, "HTTP/1.1 down", "HTTP/2.0")
    );
    let request = upstream.only_request();
    assert_eq!((request.line().as_str(), request.header("x-in")), ("POST /x?y=1", Some("1")));
    // RFC 9113 section 8.2.3: pieces of a cookie are joined for HTTP/1.
    assert_eq!(request.header("cookie"), Some("a=1; b=2"));
    assert_eq!(request.header("host").map(str::to_owned), Some(upstream.address().to_string()));

    let upstream = Upstream::h2c(|request| Answer::text(format!("{} {}", request.version, request.text())));
    let gateway = Gateway::with_api(&format!(
        "api: p\nroutes:\n  - match: $default\n    integration: {{ type: http_proxy, uri: \"{}/up\", http_version: \"2\" }}\n",
        upstream.url()
    ));
    let response = gateway.request("POST", "/p/x?y=1", &[("Connection", "keep-alive")], b"up").expect_status(200);
    assert_eq!((response.text().as_str(), response.version.as_str()), ("HTTP/2.0 up", "HTTP/1.1"));
    assert_eq!(upstream.only_request().line(), "POST /up?y=1");
}

#[test]
fn many_http2_streams_share_a_connection() {
    let upstream = Upstream::recording(|request| Answer::text(request.target.clone()));
    let gateway = proxy(&upstream);
    let mut client = gateway.http2();
    for number in 0..300 {
        let target = format!("/{number}");
        assert_eq!(client.request("GET", &format!("/p{target}"), &[], b"").text(), target);
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn tls_upstreams_are_verified() {
    let authority = Authority::default();
    let certificate = authority.certificate(&["localhost"]);
    let http1 = Upstream::tls(&certificate, |request| Answer::text(request.version.clone()));
    let http2 = Upstream::h2(&certificate, |request| Answer::text(request.version.clone()));
    let integration = |upstream: &Upstream, rest: &str| {
        format!("    integration: {{ type: http_proxy, uri: \"{}/\", {rest} }}\n", upstream.url())
    };
    let trust = "tls: { ca_file: certificates/ca.pem }";
    let routes = [
        ("GET /http1", integration(&http1, trust)),
        ("GET /http2", integration(&http2, trust)),
        ("GET /old", integration(&http2, "http_version: \"1.1\", tls: { ca_file: certificates/ca.pem }")),
        ("GET /unknown", integration(&http1, "timeout_ms: 5000")),
        ("GET /other-name", integration(&http1, "tls: { ca_file: certificates/ca.pem, server_name: other.localhost }")),
        ("GET /insecure", integration(&http1, "tls: { insecure_skip_verification: true }")),
    ];
    let routes: String = routes.iter().map(|(key, rest)| format!("  - match: {key}\n{rest}")).collect();
    let gateway = Gateway::builder()
        .file("apis/p.yaml", &format!("api: p\nroutes:\n{routes}"))
        .file("certificates/ca.pem", &authority.pem())
        .start();
    let cases = [
        ("/http1", 200, "HTTP/1.1"),
        ("/http2", 200, "HTTP/2.0"),
        ("/old", 502, ""),
        ("/unknown", 502, ""),
        ("/other-name", 502, ""),
        ("/insecure", 200, "HTTP/1.1"),
    ];
    for (target, status, text) in cases {
        let response = gateway.get(&format!("/p{target}")).expect_status(status);
        if status == 200 {
            assert_eq!(response.text(), text, "{target}");
        }
    }
    assert_eq!(http1.requests().len(), 2, "an upstream that is not trusted gets no request");
}

#[test]
fn an_answer_during_the_upload_reaches_the_client() {
    let upstream = Upstream::early_answer(Answer::text("too much").status(413));
    let gateway = proxy(&upstream);
    let mut connection = gateway.client().connect();
    connection.send("POST /p/up HTTP/1.1\r\nHost: h\r\nContent-Length: 50000000\r\n\r\n").expect("sent");
    let mut socket = connection.socket().expect("a socket");
    let upload = thread::spawn(move || {
        let piece = vec![b'x'; 64 * 1024];
        // It may be cut off after the answer, which is what a client must expect.
        for _ in 0..50_000_000 / piece.len() {
            if std::io::Write::write_all(&mut socket, &piece).is_err() {
                break;
            }
        }
    });
    let response = connection.response_to("POST").expect("an answer").expect_status(413);
    assert_eq!(response.text(), "too much");
    drop(connection);
    upload.join().expect("the upload ends");
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn expect_continue_is_answered_by_the_gateway() {
    let upstream = Upstream::text("ok");
    let gateway = proxy(&upstream);
    let mut connection = gateway.client().connect();
    connection.send("POST /p/ HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n").expect("sent");
    assert_eq!(connection.interim_status().expect("an interim response"), 100);
    connection.send("body").expect("sent");
    assert_eq!(connection.response_to("POST").expect("an answer").status, 200);
    assert_eq!(upstream.only_request().text(), "body");
}

#[test]
fn http10_clients_get_answers_they_understand() {
    let upstream = Upstream::recording(|_| Answer::chunked(["one", "two"]));
    let gateway = proxy(&upstream);
    let response = gateway.client().send_raw("GET /p/ HTTP/1.0\r\n\r\n").expect("an answer").expect_status(200);
    assert_eq!(response.text(), "onetwo");
    assert!(!response.headers.contains("transfer-encoding"), "HTTP/1.0 knows no chunks: {response:?}");
}

#[test]
fn a_client_that_leaves_is_noticed_by_the_upstream() {
    for fault in [Fault::NeverAnswer, Fault::EndlessBody] {
        let upstream = Upstream::faulty(fault);
        let gateway = proxy(&upstream);
        let mut connection = gateway.client().connect();
        connection.send_request("GET", "/p/", &[], b"").expect("sent");
        upstream.wait_for_requests(1);
        drop(connection);
        upstream.wait_for_closed(1);
    }
}
