//! The management API: who may do what, what it says about mistakes, and that nobody overwrites another's work.

use moongate_tests::control::Reply;
use moongate_tests::{Client, Control, Gateway};
use serde_json::{Value, json};

/// A document with one route that answers a text.
pub(crate) fn api(id: &str, text: &str) -> Value {
    json!({"document": {"api": id, "routes": [route("GET /v", text)]}})
}

/// A route that answers a text.
pub(crate) fn route(key: &str, text: &str) -> Value {
    json!({
        "match": key,
        "integration": {
            "type": "mock",
            "responses": [{"status_code": 200, "response_templates": {"application/json": {"text": text}}}],
        },
    })
}

fn control() -> (Gateway, Control) {
    let gateway = Gateway::builder().with_admin().start_unready();
    let control = Control::of(&gateway);
    (gateway, control)
}

#[test]
fn mistakes_are_told_all_at_once_with_their_places() {
    let (_gateway, control) = control();
    let body = json!({"document": {"api": "Shop!", "rutes": [], "routes": [{"match": "FETCH /x"}, {"upstream": 7}]}});
    let reply = control.call("PUT", "/apis/shop", &[], Some(&body)).expect(422);
    let pointers: Vec<&str> =
        reply.body["errors"].as_array().expect("errors").iter().filter_map(|error| error["pointer"].as_str()).collect();
    for pointer in ["/document/api", "/document/rutes", "/document/routes/0/match", "/document/routes/1/upstream"] {
        assert!(pointers.contains(&pointer), "{pointer} in {:#}", reply.body);
    }
    let cases: [(&str, &str, Value, u16, &str); 9] = [
        ("PUT", "/apis/shop", json!([]), 422, ""),
        ("PUT", "/apis/shop", json!({"document": {"api": "other"}}), 422, "/document/api"),
        ("PUT", "/apis/shop?dryrun=true", api("shop", "x"), 422, "?dryrun"),
        ("PUT", "/apis/shop?dry_run=yes", api("shop", "x"), 422, "?dry_run"),
        ("PUT", "/apis/shop", json!({"document": {"api": "shop"}, "files": {"../x": ""}}), 422, "/files/..~1x"),
        ("POST", "/keys", json!({"name": ""}), 422, "/name"),
        ("POST", "/keys", json!({"name": "k", "plans": ["none"]}), 422, "/plans/0"),
        ("POST", "/keys", json!({"name": "k", "expires": "yesterday"}), 422, "/expires"),
        ("PUT", "/domains/a.example", json!({"mappings": [{"api": "none"}]}), 422, "/mappings/0/api"),
    ];
    for (method, path, body, status, pointer) in cases {
        let reply = control.call(method, path, &[], Some(&body)).expect(status);
        assert_eq!(reply.body["errors"][0]["pointer"], pointer, "{method} {path}: {:#}", reply.body);
    }
    assert!(control.get("/apis")["items"].as_array().is_some_and(Vec::is_empty), "nothing was written");
}

/// Method, target, header fields, body, and the status that is wanted.
type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str, u16);

#[test]
fn what_is_not_json_or_not_there_is_a_problem_document() {
    let (_gateway, control) = control();
    let bearer = format!("Bearer {}", control.token());
    let client = Client::new(control.address());
    let cases: [Case<'_>; 8] = [
        ("GET", "/api/v1/apis", &[], "", 401),
        ("GET", "/api/v1/apis", &[("authorization", "Bearer wrong")], "", 401),
        ("GET", "/api/v1/apis", &[("authorization", "Basic YTpi")], "", 401),
        ("GET", "/api/v1/nothing", &[("authorization", &bearer)], "", 404),
        ("TRACE", "/api/v1/apis", &[("authorization", &bearer)], "", 405),
        ("POST", "/api/v1/apis", &[("authorization", &bearer), ("content-type", "application/json")], "{", 400),
        ("POST", "/api/v1/apis", &[("authorization", &bearer), ("content-type", "text/plain")], "{}", 415),
        ("GET", "/api/v1/revisions/7", &[("authorization", &bearer)], "", 404),
    ];
    for (method, target, headers, body, status) in cases {
        let response = client.request(method, target, headers, body.as_bytes()).expect_status(status);
        assert_eq!(response.header("content-type"), Some("application/problem+json"), "{method} {target}");
        assert_eq!(response.json()["status"], status);
    }
}

#[test]
fn the_second_of_two_editors_gets_a_conflict_with_both_versions() {
    let (_gateway, control) = control();
    control.send(
        "POST",
        "/apis",
        &json!({"document": {"api": "shop", "routes": [route("GET /a", "a"), route("GET /b", "b")]}}),
    );
    let tag = |reply: &Reply| reply.etag.clone().expect("an entity tag");
    let a = control.call("GET", "/apis/shop/routes/get-a", &[], None).expect(200);
    let b = control.call("GET", "/apis/shop/routes/get-b", &[], None).expect(200);
    let put = |name: &str, tag: &str, body: &Value| {
        control.call("PUT", &format!("/apis/shop/routes/{name}"), &[("if-match", tag)], Some(body))
    };
    put("get-a", &tag(&a), &route("GET /a", "first")).expect(200);
    let second = put("get-a", &tag(&a), &route("GET /a", "second")).expect(412);
    let theirs = second.body["current"].to_string();
    assert!(theirs.contains("first"), "the other's version is shown: {:#}", second.body);
    put("get-b", &tag(&b), &route("GET /b", "third")).expect(200);

    let whole = control.call("GET", "/apis/shop", &[], None).expect(200);
    control
        .call("PATCH", "/apis/shop", &[("if-match", &tag(&whole))], Some(&json!({"document": {"name": "Shop"}})))
        .expect(200);
    let late = control.call(
        "PATCH",
        "/apis/shop",
        &[("if-match", &tag(&whole))],
        Some(&json!({"document": {"name": "Late"}})),
    );
    assert_eq!(late.expect(412).body["current"]["document"]["name"], "Shop");
    control.call("PUT", "/apis/shop", &[("if-none-match", "*")], Some(&api("shop", "x"))).expect(409);
    control.call("PUT", "/apis/fresh", &[("if-match", "\"1\"")], Some(&api("fresh", "x"))).expect(404);
}

#[test]
fn writing_the_same_again_changes_nothing() {
    let (_gateway, control) = control();
    control.call("PUT", "/apis/shop", &[], Some(&api("shop", "one"))).expect(201);
    let again = control.call("PUT", "/apis/shop", &[], Some(&api("shop", "one"))).expect(200);
    assert_eq!(again.body["version"], 1);
    let deploy = json!({"stage": "dev"});
    assert_eq!(control.send("POST", "/apis/shop/deployments", &deploy)["revision"], 1);
    let twice = control.send("POST", "/apis/shop/deployments", &deploy);
    assert_eq!((&twice["revision"], &twice["changed"]), (&json!(1), &json!(false)));
}

#[test]
fn roles_and_scopes_limit_what_a_token_opens() {
    let (_gateway, admin) = control();
    admin.send("PUT", "/apis/shop", &api("shop", "one"));
    admin.send("PUT", "/apis/other", &api("other", "one"));
    let user = |name: &str, grants: Value| {
        admin.send("PUT", &format!("/users/{name}"), &json!({"grants": grants}));
        let token = admin.send("POST", "/tokens", &json!({"name": name, "user": name, "scope": "admin"}));
        admin.with_token(token["token"].as_str().expect("a token"))
    };
    let editor = user("eve", json!([{"api": "shop", "role": "editor"}]));
    let deployer = user("dan", json!([{"api": "*", "role": "viewer"}, {"api": "shop", "role": "deployer"}]));
    let read = admin.send("POST", "/tokens", &json!({"name": "read", "scope": "read"}));
    let reader = admin.with_token(read["token"].as_str().expect("a token"));
    let node = admin.send("POST", "/tokens", &json!({"name": "node", "scope": "node"}));
    let node = admin.with_token(node["token"].as_str().expect("a token"));

    let deploy = json!({"stage": "dev"});
    let cases: [(&Control, &str, &str, Option<&Value>, u16); 16] = [
        (&editor, "PUT", "/apis/shop", Some(&api("shop", "two")), 200),
        (&editor, "PUT", "/apis/other", Some(&api("other", "two")), 403),
        (&editor, "GET", "/apis/other", None, 403),
        (&editor, "POST", "/apis/shop/deployments", Some(&deploy), 403),
        (&editor, "GET", "/audit", None, 403),
        (&deployer, "POST", "/apis/shop/deployments", Some(&deploy), 200),
        (&deployer, "POST", "/apis/other/deployments", Some(&deploy), 403),
        (&deployer, "GET", "/apis/other", None, 200),
        (&deployer, "GET", "/users", None, 403),
        (&deployer, "POST", "/keys", Some(&json!({"name": "k"})), 403),
        (&reader, "GET", "/apis/shop", None, 200),
        (&reader, "PUT", "/apis/shop", Some(&api("shop", "three")), 403),
        (&reader, "POST", "/tokens", Some(&json!({"name": "more", "scope": "admin"})), 403),
        (&reader, "GET", "/feed/manifest?after=0&wait_ms=0", None, 403),
        (&node, "GET", "/feed/manifest?after=0&wait_ms=0", None, 200),
        (&node, "GET", "/apis", None, 200),
    ];
    for (who, method, path, body, status) in cases {
        let reply = who.call(method, path, &[], body);
        assert_eq!(reply.status, status, "{method} {path}: {:#}", reply.body);
    }
    let seen = editor.get("/apis");
    assert_eq!(seen["items"].as_array().map(Vec::len), Some(1), "others' APIs are not listed: {seen:#}");
    assert_eq!(node.get("/apis")["items"], json!([]), "a gateway's token shows no draft");
    admin.send("PUT", "/users/eve", &json!({"grants": [{"api": "shop", "role": "editor"}], "enabled": false}));
    editor.call("GET", "/apis", &[], None).expect(401);
    let last = admin.call("PUT", "/users/admin", &[], Some(&json!({"grants": []}))).expect(409);
    assert!(last.body["detail"].as_str().is_some_and(|detail| detail.contains("at least one")), "{:#}", last.body);
}

#[test]
fn every_write_is_in_the_audit_log_and_no_secret_is() {
    let (_gateway, control) = control();
    control.send("PUT", "/apis/shop", &api("shop", "one"));
    control.send("PATCH", "/apis/shop", &json!({"document": {"name": "Shop"}}));
    control.send("POST", "/apis/shop/deployments", &json!({"stage": "dev", "message": "first"}));
    let key = control.send("POST", "/keys", &json!({"name": "ci"}));
    control.act("DELETE", &format!("/keys/{}", key["id"].as_str().expect("an id")));
    let log = control.get("/audit");
    let actions: Vec<&str> =
        log["items"].as_array().expect("a list").iter().filter_map(|entry| entry["action"].as_str()).collect();
    assert_eq!(actions, ["key.delete", "key.create", "stage.deploy", "api.update", "api.create", "user.create"]);
    let update = &log["items"][3];
    assert_eq!(update["changes"], json!([{"pointer": "/document/name", "to": "Shop"}]));
    assert_eq!((&update["user"], &update["address"]), (&json!("admin"), &json!("127.0.0.1")));
    assert!(update["request_id"].is_string() && update["token"].is_string());
    let text = log.to_string();
    assert!(!text.contains(key["key"].as_str().expect("a key")) && !text.contains(control.token()));
    let of_shop = control.get("/audit?target=apis/shop");
    assert_eq!(of_shop["items"].as_array().map(Vec::len), Some(3));
    let verified = control.get("/audit/verify");
    assert_eq!((&verified["intact"], &verified["entries"]), (&json!(true), &json!(6)));
}

#[test]
fn the_openapi_document_describes_every_operation() {
    let (_gateway, control) = control();
    let document = Client::new(control.address()).get("/api/v1/openapi.json").expect_status(200).json();
    assert_eq!(document["openapi"], "3.1.0");
    let operation = &document["paths"]["/apis/{api}/stages/{stage}/canary/promote"]["post"];
    assert_eq!(operation["operationId"], "promoteCanary");
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(document["components"]["schemas"][reference].is_object(), "there is no schema `{reference}`");
    }
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let target = path.replace(['{', '}'], "");
            let reply = control.with_token("wrong").call(&method.to_uppercase(), &target, &[], None);
            assert_eq!(reply.status, 401, "{method} {path} is there and closed: {operation:#}");
        }
    }
}

#[test]
fn a_project_s_folder_is_shown_and_not_edited() {
    let gateway = Gateway::builder()
        .file("apis/shop.yaml", "api: shop\nroutes:\n  - match: GET /\n    upstream: http://127.0.0.1:9\n");
    let gateway = gateway.with_admin().start();
    let control = Control::of(&gateway);
    let shown = moongate_tests::wait::wait_for("the folder to be shown", moongate_tests::wait::SOON, || {
        let reply = control.call("GET", "/apis/shop", &[], None);
        (reply.status == 200).then_some(reply.body)
    });
    assert_eq!((&shown["managed_by"], &shown["stages"][0]["name"]), (&json!("folder"), &json!("$default")));
    let refused = control.call("PATCH", "/apis/shop", &[], Some(&json!({"document": {"name": "x"}}))).expect(409);
    assert!(refused.body["detail"].as_str().is_some_and(|detail| detail.contains("folder")), "{:#}", refused.body);
    control.call("DELETE", "/apis/shop", &[], None).expect(409);
    gateway.edit_and_wait(
        "apis/shop.yaml",
        "api: shop\nname: Shop\nroutes:\n  - match: GET /new\n    upstream: http://127.0.0.1:9\n",
    );
    moongate_tests::wait::wait_until("the change to be shown", moongate_tests::wait::SOON, || {
        let text = control.get("/revisions").to_string();
        text.contains("folder") && control.get("/apis/shop")["document"]["name"] == "Shop"
    });
    let newest = control.get("/revisions")["items"][0]["revision"].as_u64().expect("a number");
    let changes = control.get(&format!("/revisions/{newest}/diff"))["changes"].to_string();
    assert!(changes.contains("+ GET /new") && changes.contains("- GET /"), "{changes}");
}
