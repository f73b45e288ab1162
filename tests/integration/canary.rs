//! A deployment on a share of the requests: its measure, its callers, and how it ends.

use moongate_tests::wait::{SOON, wait_until};
use moongate_tests::{Control, Server};
use serde_json::{Value, json};

use crate::control_plane::{publish, server};
use crate::management::api;

/// Puts a draft on a share of `dev`, and waits until it takes requests.
fn start(server: &Server, control: &Control, document: &Value, canary: Value) {
    control.send("PUT", "/apis/shop", document);
    control.send("POST", "/apis/shop/deployments", &json!({"stage": "dev", "canary": canary}));
    wait_until("the canary", SOON, || server.client().get("/shop/v").text() != "stable");
}

#[test]
fn a_tenth_of_the_requests_is_a_tenth() {
    let (_folder, server, control) = server();
    publish(&control, "shop", "dev", "stable");
    server.wait_for_body("/shop/v", "stable");
    start(&server, &control, &api("shop", "canary"), json!({"percent": 10}));
    let mut connection = server.client().connect();
    let on_canary = (0..2000).filter(|_| connection.request("GET", "/shop/v", &[], b"").text() == "canary").count();
    assert!((160..=240).contains(&on_canary), "10 % measured {} %", on_canary as f64 / 20.0);
    wait_until("the counts", SOON, || {
        let verdict = control.get("/apis/shop/stages/dev/canary")["verdict"].clone();
        let count = |arm: &str| verdict[arm]["requests"].as_u64().unwrap_or(0);
        count("stable") + count("canary") >= 2000 && count("canary") >= on_canary as u64
    });
}

#[test]
fn callers_stay_on_their_side_while_the_share_grows() {
    let (_folder, server, control) = server();
    publish(&control, "shop", "dev", "stable");
    server.wait_for_body("/shop/v", "stable");
    control.send("PUT", "/apis/shop", &api("shop", "canary"));
    let canary = json!({"percent": 30, "sticky": {"header": "x-user"}});
    control.send("POST", "/apis/shop/deployments", &json!({"stage": "dev", "canary": canary}));
    let side = |user: usize| server.client().request("GET", "/shop/v", &[("x-user", &user.to_string())], b"").text();
    let sides = || (0..60).map(side).collect::<Vec<_>>();
    wait_until("the canary", SOON, || sides().iter().any(|side| side == "canary"));
    let before = sides();
    assert_eq!(sides(), before, "the same callers on the same side");
    control.send("PATCH", "/apis/shop/stages/dev/canary", &json!({"percent": 80}));
    let count = |sides: &[String]| sides.iter().filter(|side| *side == "canary").count();
    wait_until("the larger share", SOON, || count(&sides()) > count(&before));
    let after = sides();
    assert!(
        before.iter().zip(&after).all(|(before, after)| before != "canary" || after == "canary"),
        "nobody goes back"
    );
    control.act("POST", "/apis/shop/stages/dev/canary/promote");
    wait_until("the promotion", SOON, || count(&sides()) == 60);
    control.call("GET", "/apis/shop/stages/dev/canary", &[], None).expect(404);
    let changes = control.get("/revisions")["items"][0]["cause"].clone();
    assert_eq!(changes, "promote the canary of shop on dev");
}

#[test]
fn a_canary_has_variables_of_its_own_and_ends_without_a_trace() {
    let (_folder, server, control) = server();
    let script = "return function(event) return { statusCode = 200, body = (event.stageVariables or {}).colour or 'stable' } end";
    let document = json!({"document": {"api": "shop", "routes": [
        {"match": "GET /v", "integration": {"type": "lua", "function": {"lua": script}}},
    ]}});
    control.send("PUT", "/apis/shop", &document);
    control.send("POST", "/apis/shop/deployments", &json!({"stage": "dev"}));
    server.wait_for_body("/shop/v", "stable");
    start(&server, &control, &document, json!({"percent": 100, "variables": {"colour": "yellow"}}));
    server.wait_for_body("/shop/v", "yellow");
    let refused = control.call("POST", "/apis/shop/deployments", &[], Some(&json!({"stage": "dev"}))).expect(409);
    assert!(refused.body["detail"].as_str().is_some_and(|detail| detail.contains("on trial")), "{:#}", refused.body);
    control.act("DELETE", "/apis/shop/stages/dev/canary");
    server.wait_for_body("/shop/v", "stable");
}

#[test]
fn an_error_rate_rolls_a_canary_back_by_its_rule() {
    let (_folder, server, control) = server();
    publish(&control, "shop", "dev", "stable");
    server.wait_for_body("/shop/v", "stable");
    let mut broken = api("shop", "broken");
    broken["document"]["routes"][0]["integration"]["responses"][0]["status_code"] = json!(500);
    let rule = json!({"requests_min": 100, "server_errors_points": 2});
    start(&server, &control, &broken, json!({"percent": 20, "rule": rule}));
    let mut connection = server.client().connect();
    wait_until("the rule", SOON, || {
        (0..100).for_each(|_| drop(connection.request("GET", "/shop/v", &[], b"")));
        control.call("GET", "/apis/shop/stages/dev/canary", &[], None).status == 404
    });
    server.wait_for_body("/shop/v", "stable");
    let log = control.get("/audit?user=canary%20rule");
    let entry = &log["items"][0];
    assert_eq!((&entry["action"], &entry["target"]), (&json!("canary.rollback"), &json!("apis/shop/stages/dev")));
    let evidence = entry["summary"].as_str().expect("words");
    assert!(evidence.contains("5xx 0.00 % -> 100.00 %") && evidence.contains("requests"), "{evidence}");
}
