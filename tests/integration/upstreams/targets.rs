//! Several targets: shares, keys that stay, health, and what happens when some of them fail.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use moongate_tests::load::Load;
use moongate_tests::wait::{SOON, wait_until};
use moongate_tests::{Answer, Fault, Gateway, Response, Upstream};

use super::{gateway, targets};

fn named(name: &'static str) -> Upstream {
    Upstream::text(name)
}

/// How often each answer came to so many requests, each on a connection of its own.
fn answers(gateway: &Gateway, count: usize) -> HashMap<String, usize> {
    let mut answers = HashMap::new();
    for _ in 0..count {
        *answers.entry(gateway.get("/u/").expect_status(200).text()).or_default() += 1;
    }
    answers
}

#[test]
fn turns_are_taken_by_weight_whichever_worker_asks() {
    let (a, b) = (named("a"), named("b"));
    let gateway = gateway(&format!("targets: [{{ url: {}, weight: 3 }}, {{ url: {} }}]\n", a.url(), b.url()));
    let got = answers(&gateway, 40);
    assert_eq!((got["a"], got["b"]), (30, 10));
}

#[test]
fn the_less_busy_target_gets_the_request() {
    let (slow, quick) = (Upstream::recording(|_| Answer::text("slow").after(Duration::from_secs(2))), named("quick"));
    let gateway = gateway(&format!("{}balance: {{ policy: least_request }}\n", targets(&[&slow, &quick])));
    // One request keeps the slow one busy; with two targets both are always drawn.
    let client = gateway.client();
    let busy = std::thread::spawn(move || while client.get("/u/").text() != "slow" {});
    slow.wait_for_requests(1);
    let before = slow.requests().len();
    for _ in 0..20 {
        assert_eq!(gateway.get("/u/").expect_status(200).text(), "quick");
    }
    assert_eq!(slow.requests().len(), before);
    busy.join().expect("it is answered in the end");
}

#[test]
fn a_key_leads_to_the_same_target_until_that_is_gone() {
    let upstreams = [named("a"), named("b"), named("c"), named("d")];
    let list = targets(&upstreams.iter().collect::<Vec<_>>());
    for (hash_on, field) in [("header:x-user", "X-User"), ("cookie:session", "Cookie")] {
        let gateway = gateway(&format!("{list}balance: {{ policy: hash, hash_on: \"{hash_on}\" }}\n"));
        let ask = |key: usize| {
            let value = if field == "Cookie" { format!("a=b; session={key}") } else { key.to_string() };
            gateway.request("GET", "/u/", &[(field, &value)], b"").expect_status(200).text()
        };
        let first: Vec<String> = (0..30).map(ask).collect();
        assert_eq!((0..30).map(ask).collect::<Vec<_>>(), first, "{hash_on}");
        let used: std::collections::BTreeSet<&String> = first.iter().collect();
        assert_eq!(used.len(), 4, "{hash_on}: {first:?}");
    }
    let by_path = gateway(&format!("{list}balance: {{ policy: hash, hash_on: path }}\n"));
    let ask = |path: usize| by_path.get(&format!("/u/{path}?{}", std::process::id())).expect_status(200).text();
    let first: Vec<String> = (0..30).map(ask).collect();
    let [a, b, c, d] = upstreams;
    drop(b);
    for (path, before) in first.iter().enumerate() {
        let now = ask(path);
        assert!(now == *before || before == "b", "{path}: {before} became {now}");
    }
    drop((a, c, d));
}

#[test]
fn a_target_that_the_check_finds_unwell_gets_nothing_until_it_is_well() {
    let is_well = Arc::new(AtomicBool::new(false));
    let for_upstream = Arc::clone(&is_well);
    let flaky = Upstream::recording(move |request| {
        let is_check = request.target == "/healthz?from=gateway";
        let status = if is_check && !for_upstream.load(Ordering::SeqCst) { 500 } else { 200 };
        Answer::text("flaky").status(status)
    });
    let good = named("good");
    let gateway = gateway(&format!(
        "{}health_check: {{ path: \"/healthz?from=gateway\", interval_ms: 20, statuses: [\"200\", \"204-299\"] }}\n",
        targets(&[&flaky, &good])
    ));
    let check = flaky.wait_for_requests(1).remove(0);
    assert_eq!((check.method.as_str(), check.header("host")), ("GET", Some(flaky.address().to_string().as_str())));
    wait_until("the unwell target to be left alone", SOON, || !answers(&gateway, 10).contains_key("flaky"));
    let targets = |state: &str| gateway.metric("gateway_upstream_targets", &[&format!("state=\"{state}\"")]) as u64;
    assert_eq!((targets("available"), targets("unwell")), (1, 1));
    is_well.store(true, Ordering::SeqCst);
    wait_until("the target to be asked again", SOON, || answers(&gateway, 10).contains_key("flaky"));
    assert!(gateway.process().said().contains("target is unwell"), "{}", gateway.process().said());
}

#[test]
fn a_check_may_be_a_connection_and_an_unwell_upstream_is_better_than_none() {
    let good = named("good");
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    let check = "health_check: { type: tcp, interval_ms: 20 }\n";
    let mixed = gateway(&format!("targets: [{{ url: http://{free} }}, {{ url: {} }}]\n{check}", good.url()));
    assert_eq!(answers(&mixed, 10)["good"], 10);
    // All are unwell, as far as the check can see: they are asked all the same.
    let sick = Upstream::recording(|request| {
        Answer::text("works").status(if request.target == "/healthz" { 500 } else { 200 })
    });
    let gateway = gateway(&format!("{}health_check: {{ path: /healthz, interval_ms: 20 }}\n", targets(&[&sick])));
    sick.wait_for_requests(3);
    assert_eq!(gateway.get("/u/").expect_status(200).text(), "works");
}

#[test]
fn a_target_that_fails_requests_is_set_aside_but_never_too_many() {
    let broken = || Upstream::recording(|_| Answer::text("broken").status(500));
    let (first, second, good) = (broken(), broken(), named("good"));
    let gateway = gateway(&format!(
        "{}outliers: {{ consecutive_failures: 3, ejection_ms: 60000, ejected_percent_max: 40 }}\n",
        targets(&[&first, &second, &good])
    ));
    let statuses: Vec<u16> = (0..60).map(|_| gateway.get("/u/").status).collect();
    let late = &statuses[30..];
    // One of three may be set aside: the other broken one still gets its share.
    let failed = late.iter().filter(|status| **status == 500).count();
    assert!((10..=20).contains(&failed), "{late:?}");
    let quiet = [&first, &second].iter().filter(|upstream| upstream.requests().len() == 3).count();
    assert_eq!(quiet, 1, "{} and {}", first.requests().len(), second.requests().len());
}

#[test]
fn a_circuit_opens_when_too_much_fails_and_closes_again() {
    let is_broken = Arc::new(AtomicBool::new(true));
    let for_upstream = Arc::clone(&is_broken);
    let upstream = Upstream::recording(move |_| {
        Answer::text("answer").status(if for_upstream.load(Ordering::SeqCst) { 500 } else { 200 })
    });
    let gateway = gateway(&format!(
        "{}circuit_breaker: {{ error_percent: 50, requests_min: 5, open_ms: 300 }}\n",
        targets(&[&upstream])
    ));
    let statuses: Vec<u16> = (0..10).map(|_| gateway.get("/u/").status).collect();
    assert_eq!(statuses[..5], [500; 5]);
    assert_eq!(statuses[5..], [503; 5], "the circuit is open");
    assert_eq!(gateway.metric("gateway_upstream_circuit_open", &["upstream=\"servers\""]).to_string(), "1");
    assert_eq!(upstream.requests().len(), 5);
    is_broken.store(false, Ordering::SeqCst);
    wait_until("the circuit to close", SOON, || gateway.get("/u/").status == 200);
    assert!((0..20).all(|_| gateway.get("/u/").status == 200));
}

#[test]
fn too_many_requests_at_once_are_refused() {
    let upstream = Upstream::recording(|_| Answer::text("slow").after(Duration::from_millis(400)));
    let gateway = gateway(&format!("{}circuit_breaker: {{ requests_max: 2 }}\n", targets(&[&upstream])));
    let threads: Vec<_> = (0..6)
        .map(|_| {
            let client = gateway.client();
            std::thread::spawn(move || client.get("/u/").status)
        })
        .collect();
    let mut statuses: Vec<u16> = threads.into_iter().map(|thread| thread.join().expect("an answer")).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 503, 503, 503, 503]);
    // The count goes down again.
    gateway.get("/u/").expect_status(200);
}

#[test]
fn a_share_of_requests_is_mirrored_and_nobody_waits_for_it() {
    let (real, mirror) = (named("real"), Upstream::faulty(Fault::NeverAnswer));
    let gateway = super::builder(&format!("{}mirror: {{ upstream: shadow, percent: 25 }}\n", targets(&[&real])))
        .file("apis/shadow.yaml", &format!("upstream: shadow\n{}", targets(&[&mirror])))
        .start();
    let start = Instant::now();
    for number in 0..20 {
        let response = gateway.request("GET", &format!("/u/{number}?a=b"), &[("X-Mark", "m")], b"").expect_status(200);
        assert_eq!(response.text(), "real");
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let copies = mirror.wait_for_requests(5);
    assert_eq!(real.requests().len(), 20);
    assert_eq!(copies.len(), 5);
    for copy in &copies {
        assert!(copy.target.ends_with("?a=b") && copy.header("x-mark") == Some("m"), "{copy:?}");
        assert_eq!(copy.header("host"), Some(mirror.address().to_string().as_str()));
    }
}

#[test]
fn copies_are_bounded() {
    let (real, mirror) = (named("real"), Upstream::faulty(Fault::NeverAnswer));
    let gateway = super::builder(&format!("{}mirror: {{ upstream: shadow, in_flight_max: 3 }}\n", targets(&[&real])))
        .file("apis/shadow.yaml", &format!("upstream: shadow\n{}", targets(&[&mirror])))
        .start();
    for _ in 0..20 {
        gateway.get("/u/").expect_status(200);
    }
    mirror.wait_for_requests(3);
    assert_eq!((real.requests().len(), mirror.requests().len()), (20, 3));
}

#[test]
fn faults_are_made_for_their_share_of_requests() {
    let upstream = named("real");
    let gateway = gateway(&format!(
        "{}fault: {{ abort_status: 418, abort_percent: 50, delay_ms: 100, delay_percent: 10 }}\n",
        targets(&[&upstream])
    ));
    let mut slow = 0;
    let mut aborted = 0;
    for _ in 0..20 {
        let start = Instant::now();
        aborted += usize::from(gateway.get("/u/").status == 418);
        slow += usize::from(start.elapsed() >= Duration::from_millis(100));
    }
    assert_eq!((aborted, upstream.requests().len()), (10, 10));
    assert!(slow >= 2, "{slow}");
}

/// What is wrong with a response under load, if anything.
fn is_wrong(response: &Response) -> Option<String> {
    (response.status != 200).then(|| format!("{response:?}"))
}

#[test]
fn a_target_killed_under_load_causes_no_failed_request() {
    let (a, b, c) = (named("a"), named("b"), named("c"));
    let gateway = gateway(&format!("{}health_check: {{ type: tcp, interval_ms: 50 }}\n", targets(&[&a, &b, &c])));
    let load = Load::start(gateway.client(), "/u/", 16, is_wrong);
    load.wait_for_more(500);
    drop(b);
    load.wait_for_more(1_000);
    drop(a);
    load.wait_for_more(1_000);
    let report = load.stop();
    assert!(
        report.failures.is_empty(),
        "{} of {} failed, such as {}\n{}",
        report.failures.len(),
        report.completed,
        report.failures[0],
        gateway.process().said()
    );
}

#[test]
fn a_document_that_changes_under_load_loses_no_request() {
    let (a, b) = (named("a"), named("b"));
    let gateway = gateway(&targets(&[&a, &b]));
    let load = Load::start(gateway.client(), "/u/", 8, is_wrong);
    load.wait_for_more(300);
    let event = gateway.edit_and_wait("apis/servers.yaml", &format!("upstream: servers\n{}", targets(&[&b])));
    assert_eq!(event["event"], "reloaded", "{event}");
    load.wait_for_more(300);
    a.forget();
    drop(a);
    load.wait_for_more(300);
    let report = load.stop();
    assert!(report.failures.is_empty(), "{} failed, such as {}", report.failures.len(), report.failures[0]);
}

#[test]
fn a_stage_s_variable_may_choose_the_upstream() {
    let (blue, green) = (named("blue"), named("green"));
    let api = "api: u
routes:
  - match: $default
    upstream: upstream://${stageVariables.color}/v1
stages:
  - { name: one, variables: { color: blue } }
  - { name: two, variables: { color: green } }
";
    let document = |name: &str, upstream: &Upstream| format!("upstream: {name}\n{}", targets(&[upstream]));
    let gateway = Gateway::builder()
        .file("apis/u.yaml", api)
        .file("apis/blue.yaml", &document("blue", &blue))
        .file("apis/green.yaml", &document("green", &green))
        .start();
    let ask = |stage: &str| {
        gateway.request("GET", &format!("/{stage}/x"), &[("Host", "u.execute-api.localhost")], b"").expect_status(200)
    };
    assert_eq!((ask("one").text(), ask("two").text()), ("blue".to_owned(), "green".to_owned()));
    assert_eq!(blue.only_request().target, "/v1/x");
    let event = gateway.edit_and_wait("apis/u.yaml", &api.replace("color: green", "color: red"));
    assert_eq!(event["event"], "reload_failed");
    assert!(event.to_string().contains("E114"), "{event}");
}
