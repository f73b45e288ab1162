//! Each step of a request to an upstream has a deadline of its own.

use std::time::{Duration, Instant};

use moongate_tests::{Answer, Fault, Gateway, Upstream};

use super::{gateway, targets};

/// How late an answer may be that a deadline of a fraction of a second gives.
const SOON_ENOUGH: Duration = Duration::from_secs(5);

#[test]
fn connecting_and_the_first_byte_have_deadlines() {
    let cases = [
        (Fault::AcceptNever, "timeouts: { connect_ms: 200 }\nretry: { retries_max: 0 }\n", 502),
        (Fault::NeverAnswer, "timeouts: { first_byte_ms: 200 }\n", 504),
        (Fault::SlowHead(Duration::from_secs(10)), "timeouts: { first_byte_ms: 200 }\n", 504),
    ];
    for (fault, settings, status) in cases {
        let upstream = Upstream::faulty(fault);
        let gateway = gateway(&format!("{}{settings}", targets(&[&upstream])));
        let start = Instant::now();
        gateway.get("/u/").expect_status(status);
        assert!(start.elapsed() < SOON_ENOUGH, "{fault:?}: {:?}", start.elapsed());
    }
}

#[test]
fn a_route_s_deadlines_come_before_the_document_s() {
    let upstream = Upstream::faulty(Fault::NeverAnswer);
    let api = "api: u
routes:
  - match: GET /quick
    integration: { type: http_proxy, uri: upstream://servers/, timeouts: { first_byte_ms: 100 } }
  - match: GET /total
    integration: { type: http_proxy, uri: upstream://servers/, timeout_ms: 150 }
";
    let gateway = Gateway::builder()
        .file("apis/u.yaml", api)
        .file(
            "apis/s.yaml",
            &format!("upstream: servers\n{}timeouts: {{ first_byte_ms: 20000 }}\n", targets(&[&upstream])),
        )
        .start();
    for target in ["/u/quick", "/u/total"] {
        let start = Instant::now();
        gateway.get(target).expect_status(504);
        assert!(start.elapsed() < SOON_ENOUGH, "{target}: {:?}", start.elapsed());
    }
}

#[test]
fn a_pause_in_the_answer_s_body_ends_it() {
    let upstream = Upstream::faulty(Fault::SlowBody { chunk: 5, pause: Duration::from_millis(600) });
    let fast = gateway(&format!("{}timeouts: {{ read_ms: 100 }}\n", targets(&[&upstream])));
    let mut connection = fast.client().connect();
    connection.send_request("GET", "/u/", &[], b"").expect("sent");
    assert!(connection.response_to("GET").is_err(), "the answer must not look whole");
    // And the pause that is allowed does not.
    let patient = gateway(&format!("{}timeouts: {{ read_ms: 20000 }}\n", targets(&[&upstream])));
    assert_eq!(patient.get("/u/").expect_status(200).body.len(), 50);
}

#[test]
fn an_upstream_that_takes_nothing_of_an_upload_is_late_and_a_slow_client_is_not() {
    let upstream = Upstream::recording(|request| Answer::text(request.body.len().to_string()));
    let gateway = gateway(&format!("{}timeouts: {{ write_ms: 100, first_byte_ms: 5000 }}\n", targets(&[&upstream])));
    let mut connection = gateway.client().connect();
    connection.send("POST /u/ HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n").expect("sent");
    for piece in ["a", "b", "c"] {
        // Longer than the upstream may take: here it is the client who is slow.
        std::thread::sleep(Duration::from_millis(300));
        connection.send(piece).expect("sent");
    }
    assert_eq!(connection.response_to("POST").expect("an answer").expect_status(200).text(), "3");
}
