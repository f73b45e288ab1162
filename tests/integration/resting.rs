//! Keep-alive connections that idle long enough to rest (`gateway/proxy/src/downstream/rest.rs`): what is asked of them later is answered
//! as ever, and they end when they should.

use std::thread;
use std::time::{Duration, Instant};

use moongate_tests::client::Connection;
use moongate_tests::wait::SOON;
use moongate_tests::{Gateway, Upstream};

/// Longer than it takes a connection to rest.
const RESTED: Duration = Duration::from_millis(1_500);

/// How long a piece of a request is waited with.
const PAUSE: Duration = Duration::from_millis(100);

const GET: &str = "GET /r/a HTTP/1.1\r\nHost: h\r\n\r\n";

fn gateway(upstream: &Upstream, settings: &str) -> Gateway {
    let api = format!("api: r\nroutes:\n  - {{ match: 'ANY /{{rest+}}', upstream: '{}' }}\n", upstream.url());
    Gateway::builder().file("moongate.yaml", settings).file("apis/r.yaml", &api).start()
}

/// A connection that has had an answer.
fn answered(gateway: &Gateway) -> Connection {
    let mut connection = gateway.client().connect();
    connection.send(GET).expect("sent");
    assert_eq!(connection.response_to("GET").expect("an answer").text(), "hello");
    connection
}

#[test]
fn connections_that_rested_are_answered_as_before() {
    let upstream = Upstream::text("hello");
    let gateway = gateway(&upstream, "");
    let chunked = "POST /r/b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let cases: [(&str, Vec<String>, &[&str]); 6] = [
        ("whole", vec![GET.to_owned()], &["GET"]),
        ("a byte first", vec!["G".to_owned(), GET[1..].to_owned()], &["GET"]),
        ("pipelined", vec![GET.repeat(3)], &["GET", "GET", "GET"]),
        ("an empty line first", vec![format!("\r\n{GET}")], &["GET"]),
        (
            "a body later",
            vec![
                "POST /r/b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n".to_owned(),
                "he".to_owned(),
                "llo".to_owned(),
            ],
            &["POST"],
        ),
        ("chunks", vec![format!("{chunked}5\r\nhello\r\n0\r\n\r\n{GET}")], &["POST", "GET"]),
    ];
    let mut connections: Vec<Connection> = cases.iter().map(|_| answered(&gateway)).collect();
    // Twice: a connection that rested once rests again.
    for _ in 0..2 {
        thread::sleep(RESTED);
        for (connection, (name, pieces, methods)) in connections.iter_mut().zip(&cases) {
            for (index, piece) in pieces.iter().enumerate() {
                if index > 0 {
                    thread::sleep(PAUSE);
                }
                connection.send(piece).expect(name);
            }
            for method in *methods {
                let response = connection.response_to(method).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!((response.status, response.text().as_str()), (200, "hello"), "{name}");
            }
        }
    }
}

#[test]
fn a_late_head_behind_a_rest_is_answered_408() {
    let upstream = Upstream::text("hello");
    let gateway = gateway(&upstream, "limits: { head_timeout_ms: 500 }\n");
    let mut connection = answered(&gateway);
    thread::sleep(RESTED);
    connection.send("GET /r/a HTTP/1.1\r\n").expect("sent");
    assert_eq!(connection.response_to("GET").expect("an answer").status, 408);
    assert!(connection.is_closed_by_peer());
}

#[test]
fn the_idle_deadline_counts_the_rest() {
    let upstream = Upstream::text("hello");
    let gateway = gateway(&upstream, "limits: { idle_timeout_ms: 2000 }\n");
    let mut connection = answered(&gateway);
    let start = Instant::now();
    assert!(connection.is_closed_by_peer());
    let took = start.elapsed();
    assert!((1_500..4_000).contains(&took.as_millis()), "closed after {took:?}");
}

#[test]
fn connections_that_rest_do_not_hold_up_the_end() {
    let upstream = Upstream::text("hello");
    let gateway = gateway(&upstream, "drain_seconds: 30\n");
    let mut connection = answered(&gateway);
    thread::sleep(RESTED);
    let start = Instant::now();
    assert_eq!(gateway.stop("TERM").code, Some(0));
    assert!(start.elapsed() < SOON, "ended after {:?}", start.elapsed());
    assert!(connection.is_closed_by_peer());
}

#[test]
fn a_client_that_leaves_while_its_connection_rests_is_noticed() {
    let upstream = Upstream::text("hello");
    let gateway = gateway(&upstream, "");
    let mut connection = answered(&gateway);
    thread::sleep(RESTED);
    connection.finish_sending().expect("closed");
    assert!(connection.is_closed_by_peer());
}
