//! What is sent twice, and what never is.

use std::time::{Duration, Instant};

use moongate_tests::wire::chunk;
use moongate_tests::{Answer, Fault, Upstream};

use super::{gateway, targets};

#[test]
fn a_target_that_breaks_connections_costs_no_idempotent_request() {
    let (broken, good) = (Upstream::faulty(Fault::CloseBeforeResponse), Upstream::text("good"));
    let gateway = gateway(&targets(&[&broken, &good]));
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        for _ in 0..2 {
            gateway.request(method, "/u/", &[], b"").expect_status(200);
        }
    }
    assert!(!broken.requests().is_empty());
    // Others are sent once: what they did is not known.
    broken.forget();
    let statuses: Vec<u16> = (0..4).map(|_| gateway.request("POST", "/u/", &[], b"buy").status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 502).count(), broken.requests().len(), "{statuses:?}");
    assert!(statuses.contains(&200) && statuses.contains(&502), "{statuses:?}");
}

#[test]
fn statuses_are_retried_where_that_is_wanted() {
    let (busy, good) =
        (Upstream::recording(|_| Answer::text("busy").status(503)), Upstream::recording(|_| Answer::text("good")));
    let both = targets(&[&busy, &good]);
    let plain = gateway(&both);
    let statuses: Vec<u16> = (0..4).map(|_| plain.get("/u/").status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 503).count(), 2, "{statuses:?}");
    let retrying = gateway(&format!("{both}retry: {{ on: [gateway_error], backoff_ms: 0 }}\n"));
    for _ in 0..6 {
        assert_eq!(retrying.get("/u/").expect_status(200).text(), "good");
    }
    // The last answer is given on when there is no better one.
    let hopeless =
        gateway(&format!("{}retry: {{ retries_max: 2, statuses: [503], backoff_ms: 0 }}\n", targets(&[&busy])));
    busy.forget();
    assert_eq!(hopeless.get("/u/").expect_status(503).text(), "busy");
    assert_eq!(busy.requests().len(), 3);
}

#[test]
fn an_attempt_that_takes_too_long_is_given_up_for_another_target() {
    let (mute, good) = (Upstream::faulty(Fault::NeverAnswer), Upstream::text("good"));
    let gateway =
        gateway(&format!("{}retry: {{ on: [timeout], per_try_timeout_ms: 200 }}\n", targets(&[&mute, &good])));
    let start = Instant::now();
    for _ in 0..4 {
        assert_eq!(gateway.get("/u/").expect_status(200).text(), "good");
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(!mute.requests().is_empty());
}

#[test]
fn retries_never_exceed_their_budget() {
    const REQUESTS: usize = 300;
    let broken = Upstream::faulty(Fault::CloseBeforeResponse);
    let gateway =
        gateway(&format!("{}retry: {{ retries_max: 10, budget_percent: 10, backoff_ms: 0 }}\n", targets(&[&broken])));
    let mut connection = gateway.client().connect();
    for _ in 0..REQUESTS {
        assert_eq!(connection.request("GET", "/u/", &[], b"").status, 502);
    }
    let retries = broken.requests().len() - REQUESTS;
    assert!((10..=10 + REQUESTS / 10).contains(&retries), "{retries} retries of {REQUESTS} requests");
    assert_eq!(gateway.metric("gateway_upstream_retries_total", &["upstream=\"servers\""]) as usize, retries);
}

#[test]
fn a_body_that_was_streamed_is_never_sent_twice() {
    let (first, second) = (Upstream::faulty(Fault::CloseBeforeResponse), Upstream::faulty(Fault::CloseBeforeResponse));
    let gateway = gateway(&format!("{}retry: {{ retries_max: 5 }}\n", targets(&[&first, &second])));
    let mut connection = gateway.client().connect();
    connection.send("PUT /u/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").expect("sent");
    connection.send([chunk(b"some"), b"0\r\n\r\n".to_vec()].concat()).expect("sent");
    connection.response_to("PUT").expect("an answer").expect_status(502);
    assert_eq!(first.requests().len() + second.requests().len(), 1);
}

#[test]
fn a_route_can_forbid_retries() {
    let broken = Upstream::faulty(Fault::CloseBeforeResponse);
    let api = "api: u\nroutes:\n  - match: GET /once\n    integration: { type: http_proxy, uri: upstream://servers/, retry: { retries_max: 0 } }\n";
    let gateway = super::builder(&targets(&[&broken])).file("apis/u.yaml", api).start();
    gateway.get("/u/once").expect_status(502);
    assert_eq!(broken.requests().len(), 1);
}

#[test]
fn a_stale_connection_is_replaced_with_the_whole_request() {
    let upstream = Upstream::faulty(Fault::StaleKeepAlive(Duration::from_millis(1)));
    let gateway = gateway(&format!("{}retry: {{ retries_max: 0 }}\n", targets(&[&upstream])));
    let mut connection = gateway.client().connect();
    let fields = [("X-One", "1"), ("X-Two", "a"), ("X-Two", "b"), ("Cookie", "k=\"v; w\"")];
    for number in 0..30 {
        let target = format!("/u/{number}?q=%20&r");
        connection.request("GET", &target, &fields, b"").expect_status(200);
        let request = upstream.last_request();
        assert_eq!(request.line(), format!("GET /{number}?q=%20&r"));
        assert_eq!(request.headers.all("x-two"), ["a", "b"]);
        assert_eq!(request.header("cookie"), Some("k=\"v; w\""));
        assert_eq!(request.headers.all("host").len(), 1);
    }
}
