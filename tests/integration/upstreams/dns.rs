//! Names of upstreams: asked for without blocking, kept as long as they hold, believed only when the answer is to our question.

use std::time::{Duration, Instant};

use moongate_tests::dns::{DnsServer, Manner, Name};
use moongate_tests::wait::{SOON, wait_until};
use moongate_tests::{Gateway, Upstream};

use super::twins;

/// A gateway whose API `n` goes to `http://NAME:PORT`, and that asks a name server. `settings` are the resolver's.
fn gateway(dns: &DnsServer, name: &str, port: u16, settings: &str) -> Gateway {
    Gateway::builder()
        .file("moongate.yaml", &format!("resolver: {{ servers: [\"{}\"], {settings} }}\n", dns.address()))
        .file("apis/n.yaml", &format!("api: n\nroutes:\n  - match: $default\n    upstream: http://{name}:{port}\n"))
        .start()
}

#[test]
fn a_name_that_moves_is_followed_when_its_time_is_up() {
    let (dns, (first, second)) = (DnsServer::default(), twins());
    dns.set("orders.test", Name::v4(1, ["127.0.0.1"]));
    let gateway = gateway(&dns, "orders.test", first.address().port(), "");
    let mut connection = gateway.client().connect();
    assert_eq!(connection.request("GET", "/n/", &[], b"").expect_status(200).text(), "first");
    let moved = Instant::now();
    dns.set("orders.test", Name::v4(1, ["127.0.0.2"]));
    wait_until("the name to be followed", SOON, || {
        // Never without an answer, whichever of the two gives it.
        connection.request("GET", "/n/", &[], b"").expect_status(200).text() == "second"
    });
    assert!(moved.elapsed() < Duration::from_secs(5), "{:?}", moved.elapsed());
    // The kept connection to the old address is let go.
    first.wait_for_closed(1);
    drop(first);
    assert_eq!(connection.request("GET", "/n/", &[], b"").expect_status(200).text(), "second");
    drop(second);
}

#[test]
fn times_to_live_have_a_floor_and_a_ceiling() {
    let (dns, (first, _second)) = (DnsServer::default(), twins());
    dns.set("floor.test", Name::v4(0, ["127.0.0.1"]));
    let floored = gateway(&dns, "floor.test", first.address().port(), "ttl_min_ms: 60000");
    for _ in 0..20 {
        floored.get("/n/").expect_status(200);
    }
    assert_eq!((dns.asked("floor.test", "A"), dns.asked("floor.test", "AAAA")), (1, 1));
    dns.set("ceiling.test", Name::v4(86_400, ["127.0.0.1"]));
    let limited = gateway(&dns, "ceiling.test", first.address().port(), "ttl_min_ms: 1, ttl_max_ms: 100");
    assert_eq!(limited.get("/n/").text(), "first");
    dns.set("ceiling.test", Name::v4(86_400, ["127.0.0.2"]));
    wait_until("the name to be followed", SOON, || limited.get("/n/").expect_status(200).text() == "second");
}

#[test]
fn a_name_that_does_not_exist_is_a_502_and_is_not_asked_for_each_time() {
    let (dns, upstream) = (DnsServer::default(), Upstream::text("there"));
    let gateway = gateway(&dns, "late.test", upstream.address().port(), "ttl_min_ms: 1, negative_ttl_max_ms: 200");
    let start = Instant::now();
    for _ in 0..20 {
        gateway.get("/n/").expect_status(502);
    }
    assert!(dns.asked("late.test", "A") as u128 <= 2 + start.elapsed().as_millis() / 200, "{:?}", dns.questions());
    // And as soon as it exists, it is found.
    dns.set("late.test", Name::v4(60, ["127.0.0.1"]));
    wait_until("the name to be found", SOON, || gateway.get("/n/").status == 200);
}

#[test]
fn old_addresses_serve_while_no_name_server_answers() {
    for manner in [Manner::Silent, Manner::Failing, Manner::Garbage] {
        let (dns, upstream) = (DnsServer::default(), Upstream::text("still here"));
        dns.set("stale.test", Name::v4(1, ["127.0.0.1"]));
        let settings = "ttl_min_ms: 1, ttl_max_ms: 50, timeout_ms: 3000, attempts: 1";
        let gateway = gateway(&dns, "stale.test", upstream.address().port(), settings);
        gateway.get("/n/").expect_status(200);
        dns.set("stale.test", Name::v4(1, ["127.0.0.2"]).manner(manner));
        let asked = dns.asked("stale.test", "A");
        wait_until("the name server to be asked in vain", SOON, || {
            let start = Instant::now();
            assert_eq!(gateway.get("/n/").expect_status(200).text(), "still here", "{manner:?}");
            // Nobody waits for the name server, only for the address.
            assert!(start.elapsed() < Duration::from_secs(1), "{manner:?}: {:?}", start.elapsed());
            dns.asked("stale.test", "A") > asked
        });
    }
}

#[test]
fn a_name_server_that_says_nothing_is_a_502_in_time() {
    let (dns, upstream) = (DnsServer::default(), Upstream::text("never"));
    dns.set("silent.test", Name::v4(60, ["127.0.0.1"]).manner(Manner::Silent));
    let gateway = gateway(&dns, "silent.test", upstream.address().port(), "timeout_ms: 100, attempts: 2");
    let start = Instant::now();
    let response = gateway.get("/n/").expect_status(502);
    assert_eq!(response.json()["error"], "upstream_failure");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[test]
fn a_truncated_answer_is_asked_for_again_over_tcp() {
    let (dns, upstream) = (DnsServer::default(), Upstream::text("whole"));
    dns.set("large.test", Name::v4(60, ["127.0.0.1"]).manner(Manner::Truncated));
    let gateway = gateway(&dns, "large.test", upstream.address().port(), "");
    assert_eq!(gateway.get("/n/").expect_status(200).text(), "whole");
    assert!(dns.questions().iter().any(|question| question.is_tcp && question.kind == "A"), "{:?}", dns.questions());
}

#[test]
fn answers_that_were_not_asked_for_are_passed_over() {
    let (dns, upstream) = (DnsServer::default(), Upstream::text("the right one"));
    dns.set("spoofed.test", Name::v4(60, ["127.0.0.1"]).manner(Manner::Spoofed));
    let gateway = gateway(&dns, "spoofed.test", upstream.address().port(), "");
    for _ in 0..5 {
        assert_eq!(gateway.get("/n/").expect_status(200).text(), "the right one");
    }
}

#[test]
fn a_hundred_requests_at_once_ask_for_a_name_once() {
    let (dns, upstream) = (DnsServer::default(), Upstream::text("found"));
    dns.set("popular.test", Name::v4(60, ["127.0.0.1"]));
    let gateway = gateway(&dns, "popular.test", upstream.address().port(), "");
    let threads: Vec<_> = (0..100)
        .map(|_| {
            let client = gateway.client();
            std::thread::spawn(move || client.get("/n/").status)
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().expect("an answer") == 200));
    assert_eq!((dns.asked("popular.test", "A"), dns.asked("popular.test", "AAAA")), (1, 1));
}

#[test]
fn an_address_nobody_listens_on_costs_no_request() {
    let (dns, upstream) = (DnsServer::default(), Upstream::text("over IPv4"));
    // The IPv6 address is tried first, and refuses.
    dns.set("both.test", Name::v4(60, ["127.0.0.1", "127.0.0.3"]).and_v6(["::1"]));
    let gateway = gateway(&dns, "both.test", upstream.address().port(), "");
    for _ in 0..20 {
        assert_eq!(gateway.get("/n/").expect_status(200).text(), "over IPv4");
        gateway.request("POST", "/n/", &[], b"nothing was sent before").expect_status(200);
    }
}

#[test]
fn another_name_server_is_asked_when_one_fails() {
    let (broken, dns, upstream) = (DnsServer::default(), DnsServer::default(), Upstream::text("found"));
    broken.set("a.test", Name::v4(60, ["127.0.0.9"]).manner(Manner::Failing));
    dns.set("a.test", Name::v4(60, ["127.0.0.1"]));
    let servers = format!("resolver: {{ servers: [\"{}\", \"{}\"] }}\n", broken.address(), dns.address());
    let api =
        format!("api: n\nroutes:\n  - match: $default\n    upstream: http://a.test:{}\n", upstream.address().port());
    let gateway = Gateway::builder().file("moongate.yaml", &servers).file("apis/n.yaml", &api).start();
    assert_eq!(gateway.get("/n/").expect_status(200).text(), "found");
    assert!(broken.asked("a.test", "A") > 0);
}

#[test]
fn service_records_say_host_port_and_priority() {
    let dns = DnsServer::default();
    let (preferred, spare) = (Upstream::text("preferred"), Upstream::text("spare"));
    let (port, spare_port) = (preferred.address().port(), spare.address().port());
    let servers = [(10, 5, port, "one.test"), (20, 5, spare_port, "one.test")];
    dns.set("_http._tcp.orders.test", Name::service(60, servers));
    dns.set("one.test", Name::v4(60, ["127.0.0.1"]));
    let gateway = super::builder("targets: [{ url: srv+http://_http._tcp.orders.test }]\n")
        .file("moongate.yaml", &format!("resolver: {{ servers: [\"{}\"] }}\n", dns.address()))
        .start();
    for _ in 0..5 {
        assert_eq!(gateway.get("/u/x").expect_status(200).text(), "preferred");
    }
    // The host it was asked for, without the service's prefix being anybody's host: what the records are for.
    assert_eq!(preferred.last_request().target, "/x");
    assert!(spare.requests().is_empty());
}

#[test]
fn the_hosts_file_needs_no_server() {
    let (dns, upstream) = (DnsServer::default(), Upstream::text("local"));
    let api = format!(
        "api: n\nroutes:\n  - match: $default\n    upstream: http://Local.test:{}\n",
        upstream.address().port()
    );
    let gateway = Gateway::builder()
        .file("hosts.md", "127.0.0.1 other local.test\n")
        .file("moongate.yaml", &format!("resolver: {{ servers: [\"{}\"], hosts_file: hosts.md }}\n", dns.address()))
        .file("apis/n.yaml", &api)
        .start();
    assert_eq!(gateway.get("/n/").expect_status(200).text(), "local");
    assert!(dns.questions().is_empty(), "{:?}", dns.questions());
}
