//! Connections to upstreams: never shared across trust, bounded, and let go when nobody uses them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use moongate_tests::certificates::Authority;
use moongate_tests::upstream::Refusal;
use moongate_tests::{Answer, Gateway, Upstream};

use super::{gateway, targets};

/// Routes `GET /NAME` with an integration each.
fn routes(routes: &[(&str, String)]) -> String {
    let lines = routes
        .iter()
        .map(|(name, rest)| format!("  - match: GET /{name}\n    integration: {{ type: http_proxy, {rest} }}\n"));
    format!("api: t\nroutes:\n{}", lines.collect::<String>())
}

#[test]
fn upstreams_that_differ_in_trust_never_share_a_connection() {
    let (ours, other) = (Authority::default(), Authority::default());
    let upstream = Upstream::tls(&ours.certificate(&["localhost", "other.localhost"]), |_| Answer::text("secret"));
    let uri = format!("uri: \"{}/\", timeout_ms: 5000", upstream.url());
    let gateway = Gateway::builder()
        .file("ours.pem", &ours.pem())
        .file("other.pem", &other.pem())
        .file(
            "apis/t.yaml",
            &routes(&[
                ("trusted", format!("{uri}, tls: {{ ca_file: ours.pem }}")),
                ("other-authority", format!("{uri}, tls: {{ ca_file: other.pem }}")),
                ("system", uri.clone()),
                ("other-name", format!("{uri}, tls: {{ ca_file: ours.pem, server_name: other.localhost }}")),
                ("wrong-name", format!("{uri}, tls: {{ ca_file: ours.pem, server_name: elsewhere.localhost }}")),
                ("unverified", format!("{uri}, tls: {{ insecure_skip_verification: true }}")),
                ("same", format!("{uri}, tls: {{ ca_file: ours.pem }}")),
            ]),
        )
        .args(["--workers", "1"])
        .start();
    let cases = [
        // Each time there is a kept connection that a careless pool would hand out.
        ("trusted", 200, 1),
        ("unverified", 200, 2),
        ("other-authority", 502, 2),
        ("system", 502, 2),
        ("wrong-name", 502, 2),
        ("other-name", 200, 3),
        ("trusted", 200, 3),
        ("same", 200, 3),
        ("other-authority", 502, 3),
    ];
    for (number, (name, status, connections)) in cases.into_iter().enumerate() {
        gateway.get(&format!("/t/{name}")).expect_status(status);
        let mut used: Vec<usize> = upstream.requests().iter().map(|request| request.connection).collect();
        used.sort_unstable();
        used.dedup();
        assert_eq!(used.len(), connections, "{number}: {name}");
    }
}

#[test]
fn a_client_s_certificate_is_shown_by_whom_it_belongs_to_only() {
    let (servers, clients, strangers) = (Authority::default(), Authority::default(), Authority::default());
    let (ours, strange) = (clients.certificate(&["gateway"]), strangers.certificate(&["gateway"]));
    let upstream = Upstream::mutual_tls(&servers.certificate(&["localhost"]), &clients, |_| Answer::text("known"));
    let uri = format!("uri: \"{}/\", timeout_ms: 5000", upstream.url());
    let trust = |rest: &str| format!("{uri}, tls: {{ ca_file: ca.pem{rest} }}");
    let gateway = Gateway::builder()
        .file("ca.pem", &servers.pem())
        .file("ours.pem", &ours.pem())
        .file("strange.pem", &strange.pem())
        .file("strange.key", &strange.key_pem())
        .file(
            "apis/t.yaml",
            &routes(&[
                ("with", trust(", client_certificate_file: ours.pem, client_key: \"env:CLIENT_KEY\"")),
                ("without", trust("")),
                ("strange", trust(", client_certificate_file: strange.pem, client_key: \"file:strange.key\"")),
                ("mixed", trust(", client_certificate_file: ours.pem, client_key: \"file:strange.key\"")),
            ]),
        )
        .env("CLIENT_KEY", &ours.key_pem())
        .args(["--workers", "1"])
        .start();
    for (name, status) in [("with", 200), ("without", 502), ("strange", 502), ("mixed", 502), ("with", 200)] {
        gateway.get(&format!("/t/{name}")).expect_status(status);
    }
    assert_eq!(upstream.requests().len(), 2);
}

#[test]
fn unused_connections_are_closed_on_both_protocols() {
    let (http1, http2) = (Upstream::text("one"), Upstream::h2c(|_| Answer::text("two")));
    for (upstream, version) in [(&http1, "auto"), (&http2, "2")] {
        let gateway =
            gateway(&format!("{}pool: {{ idle_ms: 100 }}\nhttp_version: \"{version}\"\n", targets(&[upstream])));
        gateway.get("/u/").expect_status(200);
        upstream.wait_for_closed(1);
        gateway.get("/u/").expect_status(200);
        assert_eq!(upstream.connections(), 2, "{version}");
    }
}

#[test]
fn an_http2_connection_of_an_upstream_that_is_gone_is_closed() {
    let (old, new) = (Upstream::h2c(|_| Answer::text("old")), Upstream::h2c(|_| Answer::text("new")));
    let document = |upstream| {
        format!("upstream: servers\n{}pool: {{ idle_ms: 200 }}\nhttp_version: \"2\"\n", targets(&[upstream]))
    };
    let gateway =
        super::builder("targets: [{ url: http://127.0.0.1:1 }]\n").file("apis/servers.yaml", &document(&old)).start();
    assert_eq!(gateway.get("/u/").expect_status(200).text(), "old");
    assert_eq!(gateway.edit_and_wait("apis/servers.yaml", &document(&new))["event"], "reloaded");
    assert_eq!(gateway.get("/u/").expect_status(200).text(), "new");
    old.wait_for_closed(1);
}

/// So many requests at once; their statuses.
fn at_once(gateway: &Gateway, count: usize) -> Vec<u16> {
    let threads: Vec<_> = (0..count)
        .map(|_| {
            let client = gateway.client();
            thread::spawn(move || client.get("/u/").status)
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().expect("an answer")).collect()
}

#[test]
fn requests_wait_for_a_connection_when_there_are_enough() {
    let (busy, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (for_upstream, most_there) = (Arc::clone(&busy), Arc::clone(&most));
    let upstream = Upstream::recording(move |_| {
        most_there.fetch_max(for_upstream.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(50));
        for_upstream.fetch_sub(1, Ordering::SeqCst);
        Answer::text("slow")
    });
    let gateway = gateway(&format!("{}pool: {{ connections_max: 2 }}\n", targets(&[&upstream])));
    assert_eq!(at_once(&gateway, 12), [200; 12]);
    assert_eq!((upstream.requests().len(), most.load(Ordering::SeqCst)), (12, 2));
    // Afterwards nobody waits, and the places are free again.
    assert_eq!(gateway.metric("gateway_upstream_pending", &[]) as u64, 0);
    assert!(gateway.metric("gateway_upstream_connections", &[]) <= 2.0);
}

#[test]
fn a_reload_of_something_else_keeps_connections_and_health() {
    let upstream = Upstream::text("kept");
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    let gateway = super::builder(&format!("targets: [{{ url: {} }}, {{ url: http://{free} }}]\n", upstream.url()))
        .args(["--workers", "1"])
        .start();
    for number in 0..4 {
        gateway.get("/u/").expect_status(200);
        let event =
            gateway.edit_and_wait("apis/other.yaml", &format!("upstream: other-{number}\n{}", targets(&[&upstream])));
        assert_eq!(event["event"], "reloaded", "{event}");
    }
    gateway.get("/u/").expect_status(200);
    assert_eq!((upstream.connections(), upstream.requests().len()), (1, 5));
}

#[test]
fn an_unused_connection_makes_way_for_one_that_is_needed() {
    let (first, second) = (Upstream::text("first"), Upstream::h2c(|_| Answer::text("second")));
    for (upstreams, version) in [([&first, &first], "1.1"), ([&second, &second], "2")] {
        // One upstream on two names, which are two targets: only one of them can have the connection.
        let port = upstreams[0].address().port();
        let document = format!(
            "targets: [{{ url: http://127.0.0.1:{port} }}, {{ url: http://a.localhost:{port} }}]\nhttp_version: \"{version}\"\npool: {{ connections_max: 1 }}\n"
        );
        let gateway = gateway(&document);
        let start = Instant::now();
        for _ in 0..8 {
            gateway.get("/u/").expect_status(200);
        }
        assert!(start.elapsed() < Duration::from_secs(8), "{version}: {:?}", start.elapsed());
    }
}

#[test]
fn requests_that_wait_for_a_connection_which_fails_do_not_queue_up() {
    let upstream = Upstream::faulty(moongate_tests::Fault::AcceptNever);
    let gateway = super::builder(&format!(
        "{}http_version: \"2\"\ntimeouts: {{ connect_ms: 500 }}\nretry: {{ retries_max: 0 }}\n",
        targets(&[&upstream])
    ))
    .args(["--workers", "1"])
    .start();
    let start = Instant::now();
    assert_eq!(at_once(&gateway, 16), [502; 16]);
    // One after the other they would take eight seconds.
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn a_queue_that_is_full_is_a_503() {
    let upstream = Upstream::recording(|_| Answer::text("slow").after(Duration::from_millis(300)));
    let gateway = gateway(&format!("{}pool: {{ connections_max: 1, pending_max: 2 }}\n", targets(&[&upstream])));
    let statuses = at_once(&gateway, 10);
    let count = |status| statuses.iter().filter(|got| **got == status).count();
    assert_eq!((count(200), count(503)), (3, 7), "{statuses:?}");
    assert_eq!(upstream.requests().len(), 3);
}

#[test]
fn further_http2_connections_are_made_when_streams_run_out() {
    let upstream = Upstream::h2c_limited(2, |_| Answer::text("slow").after(Duration::from_millis(200)));
    let gateway =
        super::builder(&format!("{}http_version: \"2\"\n", targets(&[&upstream]))).args(["--workers", "1"]).start();
    gateway.get("/u/").expect_status(200);
    assert_eq!(upstream.connections(), 1);
    assert_eq!(at_once(&gateway, 8), [200; 8]);
    assert!((3..=8).contains(&upstream.connections()), "{}", upstream.connections());
}

#[test]
fn a_burst_shares_one_http2_connection() {
    let upstream = Upstream::h2c(|_| Answer::text("shared").after(Duration::from_millis(50)));
    let gateway =
        super::builder(&format!("{}http_version: \"2\"\n", targets(&[&upstream]))).args(["--workers", "1"]).start();
    assert_eq!(at_once(&gateway, 30), [200; 30]);
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn what_an_http2_upstream_did_not_process_is_sent_again() {
    for (refusal, count, method, status, requests) in [
        (Refusal::Stream, 1, "GET", 200, 2),
        (Refusal::Stream, 2, "POST", 200, 3),
        (Refusal::GoAway, 1, "POST", 200, 2),
        (Refusal::GoAway, 2, "GET", 200, 3),
        // What always refuses is given up.
        (Refusal::Stream, 1_000, "GET", 502, 5),
        // What may have been processed is not sent twice.
        (Refusal::Broken, 1, "POST", 502, 1),
    ] {
        let upstream = Upstream::h2c_refusing(count, refusal);
        let gateway = Gateway::with_api(&routes_for(&upstream));
        let response = gateway.request(method, "/t/x", &[], b"").expect_status(status);
        assert!(status != 200 || response.text() == "ok", "{response:?}");
        let got = upstream.requests().len();
        assert!(got == requests || (count == 1_000 && got <= requests), "{refusal:?} {method}: {got}");
    }
}

fn routes_for(upstream: &Upstream) -> String {
    format!(
        "api: t\nroutes:\n  - match: ANY /x\n    integration: {{ type: http_proxy, uri: \"{}/\", http_version: \"2\" }}\n",
        upstream.url()
    )
}

#[test]
fn host_and_server_name_are_as_the_document_says() {
    let authority = Authority::default();
    let upstream = Upstream::tls(&authority.certificate(&["inner.localhost"]), |_| Answer::text("ok"));
    let gateway = super::builder(&format!(
        "{}host: shop.example:8443\ntls: {{ ca_file: ca.pem, server_name: inner.localhost }}\n",
        targets(&[&upstream])
    ))
    .file("ca.pem", &authority.pem())
    .start();
    gateway.get("/u/x?y=1").expect_status(200);
    let request = upstream.only_request();
    assert_eq!((request.header("host"), request.target.as_str()), (Some("shop.example:8443"), "/x?y=1"));
}
