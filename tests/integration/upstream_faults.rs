//! Upstreams that misbehave: the client gets a clear answer or a visible end, and the gateway goes on serving.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use moongate_tests::{Fault, Gateway, Response, Upstream};

/// A gateway with `/f` passed on to a faulty upstream, with a short deadline, and `/f/well` to a good one.
fn gateway(fault: Fault) -> (Gateway, Upstream, Upstream) {
    let faulty = Upstream::faulty(fault);
    let good = Upstream::text("well");
    let gateway = Gateway::with_api(&format!(
        "api: f
routes:
  - match: ANY /faulty
    integration: {{ type: http_proxy, uri: \"{}/\", timeout_ms: 1000 }}
  - match: GET /well
    integration: {{ type: http_proxy, uri: \"{}/\" }}
",
        faulty.url(),
        good.url()
    ));
    (gateway, faulty, good)
}

fn ask(gateway: &Gateway) -> Result<Response, ErrorKind> {
    let request = "GET /f/faulty HTTP/1.1\r\nHost: h\r\n\r\n";
    gateway.client().send_raw(request).map_err(|error| error.kind())
}

fn assert_well(gateway: &Gateway, context: &str) {
    assert_eq!(gateway.get("/f/well").expect_status(200).text(), "well", "{context}");
}

#[test]
fn no_answer_becomes_a_502_or_a_504() {
    let cases = [
        (Fault::CloseBeforeResponse, 502),
        (Fault::CloseMidHead, 502),
        (Fault::Garbage, 502),
        (Fault::ResetAfterAccept, 502),
        (Fault::DuplicateContentLength, 502),
        (Fault::HugeHeader(10 * 1024 * 1024), 502),
        (Fault::ManyHeaders(100_000), 502),
        (Fault::NeverAnswer, 504),
        (Fault::AcceptNever, 504),
    ];
    for (fault, status) in cases {
        let (gateway, _faulty, _good) = gateway(fault);
        for _ in 0..2 {
            let start = Instant::now();
            let response = ask(&gateway).unwrap_or_else(|error| panic!("{fault:?}: {error}")).expect_status(status);
            assert!(start.elapsed() < Duration::from_secs(5), "{fault:?} took {:?}", start.elapsed());
            let error = if status == 504 { "upstream_timeout" } else { "upstream_failure" };
            assert_eq!(response.json()["error"], error, "{fault:?}");
            assert_well(&gateway, &format!("{fault:?}"));
        }
    }
}

#[test]
fn a_port_where_nobody_listens_is_a_502() {
    let free =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let gateway = Gateway::with_api(&format!("api: f\nroutes:\n  - match: $default\n    upstream: http://{free}\n"));
    gateway.get("/f/").expect_status(502);
}

#[test]
fn a_body_that_breaks_off_breaks_off_for_the_client_too() {
    let faults =
        [Fault::CloseMidBody, Fault::CloseMidChunk, Fault::CloseBeforeLastChunk, Fault::ResetMidBody, Fault::BadChunk];
    for fault in faults {
        let (gateway, _faulty, _good) = gateway(fault);
        match ask(&gateway) {
            Err(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted) => {}
            // Nothing was sent yet when it broke: that may still be said.
            Ok(response) => assert_eq!(response.status, 502, "{fault:?}: {response:?}"),
            Err(other) => panic!("{fault:?}: {other}"),
        }
        assert_well(&gateway, &format!("{fault:?}"));
    }
}

#[test]
fn what_is_unusual_but_right_is_understood() {
    let text = "from the faulty upstream";
    let cases = [
        (Fault::NoLength, text),
        (Fault::Http10, text),
        (Fault::HalfClose, text),
        (Fault::InformationalFlood(10), text),
        (Fault::SlowHead(Duration::from_millis(100)), text),
        (Fault::SlowBody { chunk: 2, pause: Duration::from_millis(150) }, "xxxxxxxxxxxxxxxxxxxx"),
    ];
    for (fault, want) in cases {
        let (gateway, faulty, _good) = gateway(fault);
        for _ in 0..2 {
            let response = ask(&gateway).unwrap_or_else(|error| panic!("{fault:?}: {error}")).expect_status(200);
            assert_eq!(response.text(), want, "{fault:?}");
        }
        assert_eq!(faulty.requests().len(), 2, "{fault:?}");
    }
}

#[test]
fn a_length_beside_chunks_is_refused_or_ignored() {
    let (gateway, _faulty, _good) = gateway(Fault::LengthAndChunked);
    match ask(&gateway).expect("an answer") {
        response if response.status == 200 => {
            assert_eq!(response.text(), "abcde", "the chunks count (RFC 9112 section 6.3)");
        }
        response => assert_eq!(response.status, 502),
    }
}

#[test]
fn a_flood_of_informational_responses_ends() {
    let (gateway, _faulty, _good) = gateway(Fault::InformationalFlood(100_000));
    let start = Instant::now();
    let response = ask(&gateway).expect("an answer");
    assert!(matches!(response.status, 200 | 502 | 504), "{response:?}");
    assert!(start.elapsed() < Duration::from_secs(10), "it took {:?}", start.elapsed());
    assert_well(&gateway, "after the flood");
}

#[test]
fn a_connection_that_went_stale_costs_no_request() {
    let (gateway, faulty, _good) = gateway(Fault::StaleKeepAlive(Duration::from_millis(1)));
    let mut connection = gateway.client().connect();
    for number in 0..50 {
        let response = connection.request("GET", "/f/faulty", &[], b"");
        assert_eq!(response.status, 200, "request {number}: {}", response.text());
        // Closed by the upstream, at whatever moment of the next request.
        faulty.wait_for_closed(number);
    }
}

#[test]
fn a_request_that_may_have_been_acted_on_is_not_sent_twice() {
    let (gateway, faulty, _good) = gateway(Fault::CloseBeforeResponse);
    gateway.request("POST", "/f/faulty", &[], b"buy").expect_status(502);
    assert_eq!(faulty.requests().len(), 1);
}

#[test]
fn an_endless_answer_ends_when_the_client_leaves() {
    let (gateway, faulty, _good) = gateway(Fault::EndlessBody);
    let mut connection = gateway.client().connect();
    connection.send_request("GET", "/f/faulty", &[], b"").expect("sent");
    let (_, mut body) = connection.response_head_to("GET").expect("a head");
    for _ in 0..100 {
        connection.piece(&mut body).expect("more").expect("no end");
    }
    drop(connection);
    faulty.wait_for_closed(1);
    assert_well(&gateway, "after the endless answer");
}
