//! Editing a project while it is served.

use moongate_tests::load::Load;
use moongate_tests::upstream::Fault;
use moongate_tests::wait::{SOON, wait_until};
use moongate_tests::{Answer, Gateway, Upstream};

/// Requests that must complete before an edit, and again after it was taken.
const LOAD_REQUESTS: usize = 500;

fn template(version: u32) -> String {
    format!("return {{ version = {version} }}\n")
}

/// A mock whose answer a script makes.
const API: &str = "api: shop
routes:
  - match: GET /version
    integration:
      type: mock
      request_templates: { application/json: { text: '{\"statusCode\": 200}' } }
      responses:
        - status_code: 200
          response_templates: { application/json: { file: lua/version.lua } }
";

fn gateway() -> Gateway {
    Gateway::builder().file("apis/shop.yaml", API).file("lua/version.lua", &template(1)).start()
}

fn version(gateway: &Gateway) -> i64 {
    gateway.get("/shop/version").expect_status(200).json()["version"].as_i64().expect("a number")
}

#[test]
fn a_script_that_is_edited_under_load_loses_no_request() {
    let gateway = gateway();
    let load = Load::start(gateway.client(), "/shop/version", 16, |response| {
        let is_right = response.status == 200 && matches!(response.json()["version"].as_i64(), Some(1..=3));
        (!is_right).then(|| format!("{response:?}"))
    });
    for version in [2, 3] {
        load.wait_for_more(LOAD_REQUESTS);
        let event = gateway.edit_and_wait("lua/version.lua", &template(version));
        assert_eq!(event["event"], "reloaded", "{event}");
        load.wait_for_more(LOAD_REQUESTS);
    }
    let report = load.stop();
    assert!(report.completed >= 1_000, "{}", report.completed);
    assert!(
        report.failures.is_empty(),
        "{} of {} failed, such as {}",
        report.failures.len(),
        report.completed,
        report.failures[0]
    );
    assert_eq!(version(&gateway), 3);
}

#[test]
fn a_bad_edit_changes_nothing_and_says_what_is_wrong() {
    let gateway = gateway();
    let cases = [
        ("lua/version.lua", "return {\n  version = = 2\n}\n", "lua/version.lua"),
        ("apis/shop.yaml", "api: shop\nroutes:\n  - match: GET /version\n    upsteam: http://a\n", "apis/shop.yaml"),
        ("apis/shop.yaml", "api: [unclosed\n", "apis/shop.yaml"),
        ("apis/other.yaml", "api: shop\nroutes: []\n", "apis/"),
    ];
    for (path, text, place) in cases {
        let original = std::fs::read_to_string(gateway.project().join(path)).ok();
        let event = gateway.edit_and_wait(path, text);
        assert_eq!(event["event"], "reload_failed", "{path}: {event}");
        let issues = event["issues"].as_array().expect("a list of issues");
        assert!(
            issues.iter().any(|issue| issue["file"].as_str().is_some_and(|file| file.starts_with(place))),
            "{event}"
        );
        assert_eq!(version(&gateway), 1, "{path}");
        assert_eq!(gateway.health("/readyz").status, 200, "{path}");
        // Back to what it was: taken, or not even noticed as a change.
        match original {
            Some(text) => gateway.edit_file(path, &text),
            None => std::fs::remove_file(gateway.project().join(path)).expect("written just now"),
        }
        assert_eq!(gateway.edit_and_wait("lua/version.lua", &template(1))["event"], "reloaded", "{path}");
    }
}

#[test]
fn a_project_that_is_wrong_from_the_start_is_served_once_it_is_mended() {
    let gateway = Gateway::builder().file("apis/shop.yaml", "api: shop\nroute: []\n").start_unready();
    gateway.wait_for_event("the refusal", |event| event["event"] == "reload_failed");
    assert_eq!(gateway.health("/healthz").status, 200);
    assert_ne!(gateway.health("/readyz").status, 200);
    gateway.edit_file("lua/version.lua", &template(1));
    gateway.edit_file("apis/shop.yaml", API);
    gateway.wait_for_event("the mended project", |event| event["event"] == "reloaded");
    assert_eq!(gateway.health("/readyz").status, 200);
    assert_eq!(version(&gateway), 1);
}

#[test]
fn routes_and_apis_come_and_go() {
    let upstream = Upstream::recording(|request| Answer::text(request.target.clone()));
    let gateway = gateway();
    gateway.get("/shop/new").expect_status(404);
    let more = format!("{API}  - match: GET /new\n    upstream: {}\n", upstream.url());
    assert_eq!(gateway.edit_and_wait("apis/shop.yaml", &more)["event"], "reloaded");
    assert_eq!(gateway.get("/shop/new").expect_status(200).text(), "/new");
    let other = format!("api: other\nroutes:\n  - match: $default\n    upstream: {}\n", upstream.url());
    assert_eq!(gateway.edit_and_wait("apis/other.yaml", &other)["event"], "reloaded");
    assert_eq!(gateway.get("/other/x").expect_status(200).text(), "/x");
    assert_eq!(gateway.edit_and_wait("apis/shop.yaml", API)["event"], "reloaded");
    gateway.get("/shop/new").expect_status(404);
}

#[test]
fn a_request_keeps_the_configuration_it_began_with() {
    let (upstream, events) = Upstream::sse_on_demand();
    let api = format!("{API}  - match: GET /events\n    upstream: {}\n", upstream.url());
    let gateway = Gateway::builder().file("apis/shop.yaml", &api).file("lua/version.lua", &template(1)).start();
    let mut connection = gateway.client().connect();
    connection.send_request("GET", "/shop/events", &[], b"").expect("sent");
    let (_, mut body) = connection.response_head_to("GET").expect("a head");
    // The route disappears under the answer that is being sent.
    assert_eq!(gateway.edit_and_wait("apis/shop.yaml", API)["event"], "reloaded");
    gateway.get("/shop/events").expect_status(404);
    events.send("still here".to_owned()).expect("the upstream is there");
    assert_eq!(connection.piece(&mut body).expect("more of the body"), Some(&b"data: still here\n\n"[..]));
}

#[test]
fn a_gateway_that_is_told_to_stop_finishes_what_it_began() {
    let (upstream, events) = Upstream::sse_on_demand();
    let gateway =
        Gateway::with_api(&format!("api: p\nroutes:\n  - match: $default\n    upstream: {}\n", upstream.url()));
    let mut connection = gateway.client().connect();
    connection.send_request("GET", "/p/", &[], b"").expect("sent");
    let (_, mut body) = connection.response_head_to("GET").expect("a head");
    gateway.process().signal("TERM");
    wait_until("the listeners to close", SOON, || gateway.client().try_connect().is_err());
    assert_eq!(gateway.health("/readyz").status, 503, "load balancers hear of it");
    events.send("last".to_owned()).expect("the upstream is there");
    drop(events);
    assert_eq!(connection.piece(&mut body).expect("more of the body"), Some(&b"data: last\n\n"[..]));
    assert!(connection.piece(&mut body).expect("a proper end").is_none());
    drop(connection);
    let ended = gateway.stop("TERM");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn an_interrupt_ends_it_quickly() {
    let gateway = gateway();
    let mut idle = gateway.client().connect();
    idle.request("GET", "/shop/version", &[], b"").expect_status(200);
    let start = std::time::Instant::now();
    gateway.stop("INT");
    assert!(start.elapsed() < std::time::Duration::from_secs(5), "it took {:?}", start.elapsed());
}

/// Requests that wait for their upstream while the script behind it is edited.
const IN_FLIGHT: usize = 1_000;

#[test]
fn a_thousand_requests_in_flight_over_an_edit_all_end_well() {
    let upstream = Upstream::faulty(Fault::SlowHead(std::time::Duration::from_secs(3)));
    let api = format!(
        "api: shop
routes:
  - match: GET /slow
    integration:
      type: http
      uri: {}/
      responses:
        - status_code: 200
          response_templates: {{ application/json: {{ file: lua/version.lua }} }}
",
        upstream.url()
    );
    let gateway = Gateway::builder().file("apis/shop.yaml", &api).file("lua/version.lua", &template(1)).start();
    let mut waiting: Vec<_> = (0..IN_FLIGHT)
        .map(|_| {
            let mut connection = gateway.client().connect();
            connection.send_request("GET", "/shop/slow", &[], b"").expect("sent");
            connection
        })
        .collect();
    wait_until("a thousand requests in flight", SOON, || {
        gateway.metric("gateway_requests_in_flight", &[]) >= IN_FLIGHT as f64
    });
    assert_eq!(gateway.edit_and_wait("lua/version.lua", &template(2))["event"], "reloaded");
    assert!(gateway.metric("gateway_requests_in_flight", &[]) > 0.0, "the edit came while requests were in flight");
    for connection in &mut waiting {
        let response = connection.response_to("GET").expect("an answer").expect_status(200);
        // A request ends with the configuration it began with.
        assert_eq!(response.json()["version"], 1);
    }
}
