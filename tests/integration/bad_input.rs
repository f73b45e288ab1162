//! Clients that send nonsense or attacks: each gets a clear 4xx or a closed connection, and the gateway goes on serving.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use moongate_tests::{Gateway, Upstream};

/// Longest that a refusal may take: nothing here is worth waiting for.
const QUICK: Duration = Duration::from_secs(3);

fn gateway(upstream: &Upstream) -> Gateway {
    Gateway::with_api(&format!("api: p\nroutes:\n  - match: $default\n    upstream: {}\n", upstream.url()))
}

fn assert_well(gateway: &Gateway, context: &str) {
    assert_eq!(gateway.get("/p/well").status, 200, "the gateway does not serve any more after {context:?}");
}

/// Sends each as it stands; the answer's status must be one of the wanted, and the upstream must see nothing of it.
fn assert_refused(cases: &[(&str, &[u16])]) {
    let upstream = Upstream::text("ok");
    let gateway = gateway(&upstream);
    for (bytes, want) in cases {
        let shown = &bytes[..bytes.len().min(120)];
        upstream.forget();
        let start = Instant::now();
        let response = gateway.client().send_raw(bytes).unwrap_or_else(|error| panic!("{shown:?}: {error}"));
        assert!(want.contains(&response.status), "{shown:?}: {} {}", response.status, response.text());
        assert!(start.elapsed() < QUICK, "{shown:?} took {:?}", start.elapsed());
        assert_eq!(upstream.requests().len(), 0, "{shown:?} reached the upstream");
        assert_well(&gateway, shown);
    }
}

#[test]
fn lengths_that_contradict_each_other_are_refused() {
    let post = |fields: &str, body: &str| format!("POST /p/ HTTP/1.1\r\nHost: h\r\n{fields}\r\n{body}");
    let cases = [
        post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
        post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!"),
        post("Content-Length: 5, 6\r\n", "hello!"),
        post("Content-Length: +5\r\n", "hello"),
        post("Content-Length: -1\r\n", ""),
        post("Content-Length: 0x5\r\n", "hello"),
        post("Content-Length: 5 5\r\n", "hello"),
        post("Content-Length: 99999999999999999999999\r\n", ""),
        post("Content-Length: \r\n", ""),
        post("Transfer-Encoding: identity\r\n", "hello"),
        post("Transfer-Encoding: gzip\r\n", "hello"),
        post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        post("Content-Length : 5\r\n", "hello"),
        post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"),
    ];
    let wanted: &[u16] = &[400, 411, 413, 501];
    assert_refused(&cases.iter().map(|text| (text.as_str(), wanted)).collect::<Vec<_>>());
}

#[test]
fn what_follows_a_refused_head_is_not_taken_for_a_request() {
    let upstream = Upstream::text("ok");
    let gateway = gateway(&upstream);
    let hidden = "GET /p/hidden HTTP/1.1\r\nHost: h\r\n\r\n";
    let cases = [
        format!(
            "POST /p/ HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
        ),
        format!("POST /p/ HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd{hidden}"),
        format!("GET /p/ HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n{hidden}"),
        format!("GET /p/%zz HTTP/1.1\r\nHost: h\r\n\r\n{hidden}"),
    ];
    for bytes in cases {
        let mut connection = gateway.client().connect();
        connection.send(&bytes).expect("sent");
        assert_eq!(connection.response_to("POST").expect("a refusal").status, 400, "{bytes:?}");
        assert!(connection.is_closed_by_peer(), "the connection goes on after {bytes:?}");
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[test]
fn hosts_are_required_once_and_well_formed() {
    assert_refused(&[
        ("GET /p/ HTTP/1.1\r\n\r\n", &[400]),
        ("GET /p/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", &[400]),
        ("GET /p/ HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", &[400]),
        ("GET /p/ HTTP/1.1\r\nHost: a/b\r\n\r\n", &[400]),
        ("GET /p/ HTTP/1.1\r\nHost: a b\r\n\r\n", &[400]),
        ("GET /p/ HTTP/1.1\r\nHost:\r\n\r\n", &[400]),
        ("GET http://a/p/ HTTP/1.1\r\nHost: b\r\n\r\n", &[400]),
        ("GET http://u:p@a/p/ HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
    ]);
}

#[test]
fn malformed_heads_are_refused() {
    assert_refused(&[
        ("NONSENSE\r\n\r\n", &[400]),
        ("GET\r\n\r\n", &[400]),
        ("GET /p/\r\n\r\n", &[400]),
        ("GET /p/ HTTP/2.0\r\nHost: h\r\n\r\n", &[400, 505]),
        ("GET /p/ HTTP/9.9\r\nHost: h\r\n\r\n", &[400, 505]),
        ("GET /p/ FTP/1.1\r\nHost: h\r\n\r\n", &[400]),
        ("GET  /p/  HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
        ("G\u{e9}T /p/ HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
        ("GET /p/ HTTP/1.1\r\nHost: h\r\nNo colon\r\n\r\n", &[400]),
        ("GET /p/ HTTP/1.1\r\nHost: h\r\n: no name\r\n\r\n", &[400]),
        ("GET /p/ HTTP/1.1\r\nHost: h\r\nSpace d: 1\r\n\r\n", &[400]),
        ("GET /p/ HTTP/1.1\r\nHost: h\r\nX: 1\r\n folded\r\n\r\n", &[400]),
        ("GET /p/ HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n", &[400]),
        ("GET /p/ HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", &[400]),
        ("GET /p/ HTTP/1.1\r\nHost: h\r\nConnection: host\r\n\r\n", &[400]),
        ("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", &[400, 405, 501]),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}\r\n\r\n", &[400]),
    ]);
}

#[test]
fn paths_that_could_be_read_two_ways_are_refused() {
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
    let targets = [
        "/p/%",
        "/p/%2",
        "/p/%zz",
        "/p/%00",
        "/p/%0d%0aX:1",
        "/p/../../x",
        "/..",
        "/p/..%2fx",
        "/p/%2e%2e%5cx",
        "p/x",
        "*",
        "/p/\u{7f}",
    ];
    let cases: Vec<String> = targets.iter().map(|target| get(target)).collect();
    assert_refused(&cases.iter().map(|text| (text.as_str(), &[400, 404, 405][..])).collect::<Vec<_>>());
}

#[test]
fn bytes_that_are_no_utf8_are_refused_in_paths_and_passed_in_fields() {
    let upstream = Upstream::text("ok");
    let gateway = gateway(&upstream);
    let head = b"GET /p/ HTTP/1.1\r\nHost: h\r\nX-Latin: caf\xe9\r\n\r\n";
    assert_eq!(gateway.client().send_raw(head).expect("an answer").status, 200);
    let request = upstream.only_request();
    assert!(request.head.windows(4).any(|bytes| bytes == b"caf\xe9"), "{:?}", request.head.escape_ascii().to_string());
    for target in [&b"/p/\xff"[..], b"/p/\xc3\x28", b"/p/?q=\xff"] {
        let bytes = [b"GET ", target, b" HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
        match gateway.client().send_raw(bytes) {
            // RFC 3986 wants them encoded: that, or a refusal.
            Ok(response) if response.status == 200 => {
                let target = upstream.last_request().target;
                assert!(target.is_ascii(), "{target}");
            }
            Ok(response) => assert_eq!(response.status, 400, "{target:?}"),
            Err(error) => panic!("{target:?}: {error}"),
        }
        assert_well(&gateway, "a path of bytes");
    }
}

#[test]
fn heads_that_are_too_large_are_refused() {
    let upstream = Upstream::text("ok");
    let gateway = gateway(&upstream);
    let huge = "x".repeat(2 * 1024 * 1024);
    let many: String = (0..20_000).map(|number| format!("X-{number}: 1\r\n")).collect();
    let cases = [
        ("target", format!("GET /p/{huge} HTTP/1.1\r\nHost: h\r\n\r\n")),
        ("method", format!("{huge} /p/ HTTP/1.1\r\nHost: h\r\n\r\n")),
        ("field", format!("GET /p/ HTTP/1.1\r\nHost: h\r\nX-Huge: {huge}\r\n\r\n")),
        ("fields", format!("GET /p/ HTTP/1.1\r\nHost: h\r\n{many}\r\n")),
    ];
    for (name, bytes) in cases {
        match gateway.client().send_raw(bytes) {
            Ok(response) => assert!(matches!(response.status, 400 | 414 | 431), "{name}: {response:?}"),
            // Whoever sends that much and does not read may not get to see the answer.
            Err(error) => assert!(
                matches!(
                    error.kind(),
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted
                ),
                "{name}: {error}"
            ),
        }
        assert_well(&gateway, name);
    }
    assert!(upstream.requests().iter().all(|request| request.target == "/well"));
}

#[test]
fn heads_of_a_usual_size_pass() {
    let upstream = Upstream::text("ok");
    let gateway = gateway(&upstream);
    let token = "x".repeat(8 * 1024);
    let headers = [("Authorization", token.as_str()), ("Cookie", token.as_str())];
    gateway.request("GET", "/p/", &headers, b"").expect_status(200);
    assert_eq!(upstream.only_request().header("cookie"), Some(token.as_str()));
    gateway.get(&format!("/p/{}", "y".repeat(8 * 1024))).expect_status(200);
}

#[test]
fn bad_chunks_end_the_request() {
    let upstream = Upstream::text("ok");
    let gateway = gateway(&upstream);
    let cases = [
        "zz\r\nhello\r\n0\r\n\r\n",
        "-1\r\nx\r\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "FFFFFFFFFFFFFFFFF\r\nx\r\n0\r\n\r\n",
    ];
    for chunks in cases {
        upstream.forget();
        let bytes = format!("POST /p/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        match gateway.client().send_raw(bytes) {
            Ok(response) => assert_eq!(response.status, 400, "{chunks:?}: {}", response.text()),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{chunks:?}"),
        }
        let complete = upstream.requests().iter().filter(|request| request.is_complete).count();
        assert_eq!(complete, 0, "{chunks:?} looked whole to the upstream");
        assert_well(&gateway, chunks);
    }
}

#[test]
fn a_body_that_breaks_off_is_not_taken_for_a_whole_one() {
    for fields in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
        let upstream = Upstream::text("ok");
        let gateway = gateway(&upstream);
        let mut connection = gateway.client().connect();
        connection.send(format!("POST /p/ HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n5\r\nhel")).expect("sent");
        drop(connection);
        let request = upstream.wait_for_requests(1).remove(0);
        assert!(!request.is_complete, "{fields}: {request:?}");
    }
}

#[test]
fn a_head_that_never_ends_is_cut_at_its_deadline() {
    let upstream = Upstream::text("ok");
    let gateway = gateway(&upstream);
    let mut slow = gateway.client().timeout(Duration::from_secs(60)).connect();
    let mut writer = slow.socket().expect("a socket");
    let start = Instant::now();
    let dribble = std::thread::spawn(move || {
        // A byte now and then, so that no pause is long: only a deadline for the whole head ends this.
        let head = format!("GET /p/ HTTP/1.1\r\nHost: h\r\nX-Slow: {}", "x".repeat(1_000));
        for byte in head.bytes() {
            if std::io::Write::write_all(&mut writer, &[byte]).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let response = slow.response_to("GET");
    let took = start.elapsed();
    assert!(response.as_ref().is_ok_and(|response| response.status == 408), "{response:?} after {took:?}");
    assert!(took < Duration::from_secs(30), "it was cut after {took:?}");
    assert!(slow.is_closed_by_peer());
    drop(slow);
    dribble.join().expect("the dribble ends with the connection");
    assert_eq!(upstream.requests().len(), 0);
}

#[test]
fn silent_connections_do_not_keep_others_from_being_served() {
    let upstream = Upstream::text("ok");
    let gateway = gateway(&upstream);
    let mut silent = Vec::new();
    for number in 0..300 {
        let mut connection = gateway.client().connect();
        if number % 2 == 0 {
            connection.send("GET /p/ HTTP/1.1\r\nHo").expect("sent");
        }
        silent.push(connection);
    }
    let start = Instant::now();
    for _ in 0..20 {
        gateway.get("/p/").expect_status(200);
    }
    assert!(start.elapsed() < QUICK, "20 requests took {:?}", start.elapsed());
}

#[test]
fn http2_nonsense_ends_its_connection_only() {
    let upstream = Upstream::text("ok");
    let gateway = gateway(&upstream);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let frames: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\n\r\n",
        // A SETTINGS frame that claims 16 MiB.
        &[0xff, 0xff, 0xff, 4, 0, 0, 0, 0, 0],
        // HEADERS on stream 1 whose block is no HPACK.
        &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 2, 1, 5, 0, 0, 0, 1, 0xff, 0xff],
        // DATA on a stream that was never opened.
        &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 9, b'x'],
    ];
    for bytes in frames {
        let mut connection = gateway.client().connect();
        connection.send([preface, bytes].concat()).expect("sent");
        let ended = connection.rest();
        assert!(ended.is_ok() || ended.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset), "{bytes:?}");
        assert_well(&gateway, "HTTP/2 nonsense");
    }
}
