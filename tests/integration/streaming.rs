//! Bodies of any size in constant memory, and events as they happen.

use std::io::Write;
use std::thread;
use std::time::Duration;

use moongate_tests::client::Connection;
use moongate_tests::upstream::streaming::Pattern;
use moongate_tests::wire::{Framing, chunk};
use moongate_tests::{Gateway, Upstream};

/// A body that no gateway should hold in memory.
const GIBIBYTE: u64 = 1024 * 1024 * 1024;
/// How much resident memory may grow while it passes, in KiB.
const RSS_GROWTH_KIB_MAX: u64 = 32 * 1024;

/// Clients that do not read, at the same time.
const STALLED: usize = 20;
/// What each of them may cost: the buffers of two sockets' worth of HTTP, in KiB.
const STALLED_KIB_MAX: u64 = 3 * 1024;

fn proxy(upstream: &Upstream) -> Gateway {
    Gateway::with_api(&format!("api: p\nroutes:\n  - match: $default\n    upstream: {}\n", upstream.url()))
}

/// Runs something that moves much data through a gateway and fails when the gateway keeps more of it than it may.
fn in_constant_memory(gateway: &Gateway, growth_kib_max: u64, run: impl FnOnce()) {
    // Buffers that are made once and stay are not growth.
    gateway.get("/p/warm-up");
    let before = gateway.rss_kib();
    gateway.process().reset_rss_peak();
    run();
    let grown = gateway.process().rss_peak_kib().saturating_sub(before);
    assert!(grown < growth_kib_max, "resident memory grew by {grown} KiB");
}

fn read_pattern(connection: &mut Connection, bytes: u64) {
    let pattern = Pattern::default();
    let (response, mut body) = connection.response_head_to("GET").expect("a head");
    assert_eq!(response.status, 200);
    let mut position = 0;
    while let Some(piece) = connection.piece(&mut body).expect("more of the body") {
        assert!(pattern.matches(position, piece), "other bytes near {position}");
        position += piece.len() as u64;
    }
    assert_eq!(position, bytes);
}

#[test]
fn a_gibibyte_comes_down_in_constant_memory() {
    for framing in [Framing::Length(GIBIBYTE), Framing::Chunked] {
        let upstream = Upstream::download(GIBIBYTE, framing);
        let gateway = Gateway::with_api(&format!(
            "api: p\nroutes:\n  - match: GET /large\n    upstream: {}\n  - match: GET /warm-up\n    upstream: http://127.0.0.1:1\n",
            upstream.url()
        ));
        in_constant_memory(&gateway, RSS_GROWTH_KIB_MAX, || {
            let mut connection = gateway.client().connect();
            connection.send_request("GET", "/p/large", &[], b"").expect("sent");
            read_pattern(&mut connection, GIBIBYTE);
        });
    }
}

#[test]
fn a_gibibyte_goes_up_in_constant_memory() {
    let upstream = Upstream::upload_sink();
    let gateway = proxy(&upstream);
    let piece = vec![b'x'; 64 * 1024];
    in_constant_memory(&gateway, RSS_GROWTH_KIB_MAX, || {
        let mut connection = gateway.client().connect();
        connection.send(format!("POST /p/up HTTP/1.1\r\nHost: h\r\nContent-Length: {GIBIBYTE}\r\n\r\n")).expect("sent");
        for _ in 0..GIBIBYTE / piece.len() as u64 {
            connection.send(&piece).expect("sent");
        }
        assert_eq!(connection.response_to("POST").expect("an answer").text(), GIBIBYTE.to_string());
    });
    assert_eq!(upstream.body_bytes(), GIBIBYTE);
}

#[test]
fn a_client_that_does_not_read_fills_no_memory() {
    let upstream = Upstream::download(GIBIBYTE, Framing::Length(GIBIBYTE));
    let gateway = Gateway::with_api(&format!(
        "api: p\nroutes:\n  - match: GET /large\n    upstream: {}\n  - match: GET /warm-up\n    upstream: http://127.0.0.1:1\n",
        upstream.url()
    ));
    in_constant_memory(&gateway, STALLED as u64 * STALLED_KIB_MAX, || {
        let stalled: Vec<Connection> = (0..STALLED)
            .map(|_| {
                let mut connection = gateway.client().connect();
                connection.send_request("GET", "/p/large", &[], b"").expect("sent");
                connection.response_head_to("GET").expect("a head");
                connection
            })
            .collect();
        // While those do not read, a hundred megabytes pass beside them.
        for _ in 0..10 {
            let mut connection = gateway.client().connect();
            connection.send_request("GET", "/p/large", &[], b"").expect("sent");
            let (_, mut body) = connection.response_head_to("GET").expect("a head");
            let mut bytes = 0;
            while bytes < 10_000_000 {
                bytes += connection.piece(&mut body).expect("more of the body").expect("not the end yet").len();
            }
        }
        drop(stalled);
    });
}

#[test]
fn events_reach_the_client_one_by_one() {
    let (upstream, events) = Upstream::sse_on_demand();
    let gateway = proxy(&upstream);
    let mut connection = gateway.client().connect();
    connection.send_request("GET", "/p/events", &[("Accept", "text/event-stream")], b"").expect("sent");
    let (response, mut body) = connection.response_head_to("GET").expect("a head before the first event");
    assert_eq!(response.header("content-type"), Some("text/event-stream"));
    for number in 0..20 {
        events.send(number.to_string()).expect("the upstream is there");
        let want = format!("data: {number}\n\n");
        let mut got = Vec::new();
        while got.len() < want.len() {
            got.extend_from_slice(
                connection.piece(&mut body).expect("the event without the next one").expect("no end yet"),
            );
        }
        assert_eq!(got, want.as_bytes());
    }
    drop(events);
    assert!(connection.piece(&mut body).expect("a proper end").is_none());
}

#[test]
fn events_reach_an_http2_client_one_by_one() {
    let (upstream, events) = Upstream::sse_on_demand();
    let gateway = proxy(&upstream);
    let mut client = gateway.http2();
    let mut exchange = client.start("GET", "/p/events", &[]);
    exchange.finish();
    assert_eq!(exchange.status().expect("a head before the first event"), 200);
    for number in 0..5 {
        events.send(number.to_string()).expect("the upstream is there");
        let piece = exchange.piece().expect("the event without the next one").expect("no end yet");
        assert_eq!(piece, format!("data: {number}\n\n"));
    }
    drop(events);
    assert!(exchange.piece().expect("a proper end").is_none());
}

#[test]
fn both_directions_run_at_the_same_time() {
    let upstream = Upstream::echo();
    let gateway = proxy(&upstream);
    let mut connection = gateway.client().connect();
    connection.send("POST /p/echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").expect("sent");
    let (_, mut body) = connection.response_head_to("POST").expect("a head before the end of the request");
    for word in ["ping", "pong", "ping"] {
        connection.send(chunk(word.as_bytes())).expect("sent");
        let mut got = Vec::new();
        while got.len() < word.len() {
            got.extend_from_slice(connection.piece(&mut body).expect("the echo").expect("no end yet"));
        }
        assert_eq!(got, word.as_bytes());
    }

    // More than all buffers on the way hold, so that each direction must go on while the other waits.
    const BYTES: usize = 20 * 1024 * 1024;
    let mut writer = connection.socket().expect("a socket");
    let sender = thread::spawn(move || -> std::io::Result<()> {
        let piece = chunk(&vec![b'x'; 64 * 1024]);
        for _ in 0..BYTES / (64 * 1024) {
            writer.write_all(&piece)?;
        }
        writer.write_all(b"0\r\n\r\n")
    });
    let mut bytes = 0;
    while let Some(piece) = connection.piece(&mut body).expect("the echo") {
        bytes += piece.len();
    }
    assert_eq!(bytes, BYTES);
    sender.join().expect("the sender ends").expect("everything was sent");
}

#[test]
fn a_slow_body_is_not_cut_by_the_integration_s_timeout() {
    let upstream = Upstream::sse(["one", "two", "three"], Duration::from_millis(200));
    let gateway = Gateway::with_api(&format!(
        "api: p\nroutes:\n  - match: $default\n    integration: {{ type: http_proxy, uri: \"{}/\", timeout_ms: 300 }}\n",
        upstream.url()
    ));
    let response = gateway.get("/p/").expect_status(200);
    assert_eq!(response.text(), "data: one\n\ndata: two\n\ndata: three\n\n");
}
