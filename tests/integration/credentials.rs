//! API keys that the control plane gives out: known everywhere at once, and nothing is compiled for them.

use std::time::{Duration, Instant};

use moongate_tests::wait::{SOON, wait_until};
use serde_json::{Value, json};

use crate::control_plane::server;
use crate::management::api;

#[test]
fn a_key_works_within_a_second_until_it_is_disabled_or_revoked() {
    let (_folder, server, control) = server();
    let mut document = api("shop", "one");
    document["document"]["routes"][0]["api_key_required"] = json!(true);
    control.send("PUT", "/apis/shop", &document);
    control.send("POST", "/apis/shop/deployments", &json!({"stage": "dev"}));
    wait_until("the API", SOON, || server.client().get("/shop/v").status == 403);

    let made = control.send("POST", "/keys", &json!({"name": "ci", "expires": "90d"}));
    let began = Instant::now();
    let (id, secret) = (made["id"].as_str().expect("an id"), made["key"].as_str().expect("a key"));
    let status = || server.client().request("GET", "/shop/v", &[("x-api-key", secret)], b"").status;
    wait_until("the key", SOON, || status() == 200);
    assert!(began.elapsed() < Duration::from_secs(1), "the key works after {:?}", began.elapsed());
    assert!(secret.starts_with(made["prefix"].as_str().expect("a prefix")));
    let shown = control.get(&format!("/keys/{id}"));
    assert!(shown["key"].is_null() && !shown.to_string().contains(secret), "{shown:#}");

    let path = format!("/keys/{id}");
    control.send("PATCH", &path, &json!({"enabled": false}));
    wait_until("the key to be refused", SOON, || status() == 403);
    control.send("PATCH", &path, &json!({"enabled": true, "expires": null}));
    wait_until("the key to work again", SOON, || status() == 200);
    control.act("DELETE", &path);
    let began = Instant::now();
    wait_until("the revoked key to be refused", SOON, || status() == 403);
    assert!(began.elapsed() < Duration::from_secs(1), "refused after {:?}", began.elapsed());
    assert_eq!(control.get("/revisions")["items"].as_array().map(Vec::len), Some(1), "keys make no revision");
}

#[test]
fn a_usage_plan_opens_its_stages_only() {
    let (_folder, server, control) = server();
    let mut document = api("shop", "one");
    document["document"]["routes"][0]["api_key_required"] = json!(true);
    control.send("PUT", "/apis/shop", &document);
    for stage in ["dev", "prod"] {
        control.send("POST", "/apis/shop/deployments", &json!({"stage": stage}));
    }
    let plan =
        json!({"name": "Free", "stages": [{"api": "shop", "stage": "dev"}], "throttle": {"rate": 10, "burst": 20}});
    control.send("PUT", "/usage-plans/free", &plan);
    let made = control.send("POST", "/keys", &json!({"name": "ci", "plans": ["free"]}));
    let secret = made["key"].as_str().expect("a key");
    let status = |stage: &str| {
        let fields = [("host", "shop.execute-api.localhost"), ("x-api-key", secret)];
        server.client().request("GET", &format!("/{stage}/v"), &fields, b"").status
    };
    wait_until("the key on its stage only", SOON, || (status("dev"), status("prod")) == (200, 403));
    control.send("PATCH", "/usage-plans/free", &json!({"stages": [{"api": "shop", "stage": "prod"}]}));
    wait_until("the plan", SOON, || (status("dev"), status("prod")) == (403, 200));
    let refused = control.call("DELETE", "/usage-plans/free", &[], None).expect(409);
    assert!(refused.body["detail"].as_str().is_some_and(|detail| detail.starts_with("1 keys")), "{:#}", refused.body);
    let cases: [(Value, &str); 3] = [
        (json!({"throttle": {"rate": 0, "burst": 1}}), "/throttle/rate"),
        (json!({"quota": {"limit": 0, "period": "day"}}), "/quota/limit"),
        (json!({"quota": {"limit": 5, "period": "year"}}), "/quota/period"),
    ];
    for (patch, pointer) in cases {
        let reply = control.call("PATCH", "/usage-plans/free", &[], Some(&patch)).expect(422);
        assert_eq!(reply.body["errors"][0]["pointer"], pointer, "{:#}", reply.body);
    }
}
