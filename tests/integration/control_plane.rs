//! From a draft to what gateways serve, and back.

use moongate_tests::{Control, Server};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::management::{api, route};

/// A gateway with its own control plane, without a folder.
pub(crate) fn server() -> (TempDir, Server, Control) {
    let folder = moongate_tests::project::folder();
    let server = Server::start(folder.path(), ["--admin-listen", "127.0.0.1:0"]);
    let control = server.control();
    (folder, server, control)
}

/// Writes a draft and deploys it; the revision.
#[track_caller]
pub(crate) fn publish(control: &Control, id: &str, stage: &str, text: &str) -> u64 {
    control.send("PUT", &format!("/apis/{id}"), &api(id, text));
    let deployed = control.send("POST", &format!("/apis/{id}/deployments"), &json!({"stage": stage, "message": text}));
    deployed["revision"].as_u64().expect("a revision")
}

#[test]
fn a_change_is_drafted_deployed_and_undone() {
    let (_folder, server, control) = server();
    assert!(!server.is_ready(), "nothing is published yet");
    assert_eq!(publish(&control, "shop", "dev", "one"), 1);
    server.wait_for_body("/shop/v", "one");
    server.wait_until_ready();

    control.send("PUT", "/apis/shop", &api("shop", "two"));
    let shown = control.get("/apis/shop");
    assert_eq!(shown["stages"][0]["is_current"], json!(false), "{shown:#}");
    let diff = control.get("/apis/shop/diff?stage=dev")["changes"].clone();
    assert_eq!(diff.as_array().map(Vec::len), Some(1), "{diff:#}");
    assert!(
        diff[0]["text"].as_str().is_some_and(|text| text.starts_with("GET /v: ") && text.ends_with("one -> two")),
        "{diff:#}"
    );
    assert_eq!(server.client().get("/shop/v").text(), "one", "a draft is not served");

    let dry = control.send("POST", "/apis/shop/deployments?dry_run=true", &json!({"stage": "dev"}));
    assert_eq!((&dry["revision"], &dry["changed"]), (&json!(1), &json!(true)));
    assert_eq!(control.get("/revisions")["items"].as_array().map(Vec::len), Some(1));

    assert_eq!(publish(&control, "shop", "dev", "two"), 2);
    server.wait_for_body("/shop/v", "two");
    let back = control.act("POST", "/apis/shop/stages/dev/rollback");
    assert_eq!(back["revision"], 3);
    server.wait_for_body("/shop/v", "one");
    let revisions = control.get("/revisions");
    let causes: Vec<&str> =
        revisions["items"].as_array().expect("a list").iter().filter_map(|item| item["cause"].as_str()).collect();
    assert_eq!(causes, ["roll back shop on dev to revision 1", "two", "one"]);
    control.act("POST", "/revisions/2/restore");
    server.wait_for_body("/shop/v", "two");
}

#[test]
fn what_does_not_compile_is_refused_with_all_its_issues_and_changes_nothing() {
    let (_folder, server, control) = server();
    publish(&control, "shop", "dev", "one");
    server.wait_for_body("/shop/v", "one");
    let lua = |code: &str| json!({"match": "GET /v", "integration": {"type": "lua", "function": {"lua": code}}});
    let broken = json!({"match": "GET /w", "integration": {"type": "http", "uri": "ftp://x"}});
    let body = json!({"document": {"api": "shop", "routes": [lua("return function( end"), broken]}});
    let drafted = control.call("PUT", "/apis/shop", &[], Some(&body));
    if drafted.status == 422 {
        // What needs no compiling is refused at once.
        assert!(drafted.body.to_string().contains("ftp"), "{:#}", drafted.body);
        control.send(
            "PUT",
            "/apis/shop",
            &json!({"document": {"api": "shop", "routes": [lua("return function( end")]}}),
        );
    }
    let checked = control.get("/apis/shop/check");
    assert_eq!(checked["valid"], json!(false), "{checked:#}");
    let refused = control.call("POST", "/apis/shop/deployments", &[], Some(&json!({"stage": "dev"}))).expect(422);
    assert_eq!(refused.body["errors"][0]["code"], "L001", "{:#}", refused.body);
    assert_eq!(control.get("/revisions")["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(server.client().get("/shop/v").text(), "one");
}

#[test]
fn stages_have_variables_overrides_and_deployments_of_their_own() {
    let (_folder, server, control) = server();
    let document = json!({"api": "shop", "routes": [
        {"match": "GET /v", "integration": {"type": "lua", "function": {"file": "lua/v.lua"}}},
        {"match": "GET /w", "integration": {"type": "mock", "responses": [{"status_code": 200}]}},
    ]});
    let script =
        "return function(event) return { statusCode = 200, body = (event.stageVariables or {}).colour or 'none' } end";
    control.send("PUT", "/apis/shop", &json!({"document": document, "files": {"lua/v.lua": script}}));
    let first = control.send("POST", "/apis/shop/deployments", &json!({"stage": "dev"}));
    let digest = first["deployment"].as_str().expect("a digest");
    let prod = json!({
        "settings": {
            "name": "prod",
            "variables": {"colour": "green"},
            "routes": {"GET /w": {"integration": {"responses": [{"status_code": 418}]}}},
        },
        "deployment": digest,
        "is_default": true,
    });
    control.send("PUT", "/apis/shop/stages/prod", &prod);
    let on = |stage: &str, path: &str| {
        let host = [("host", "shop.execute-api.localhost")];
        let response = server.client().request("GET", &format!("/{stage}{path}"), &host, b"");
        (response.status, response.text())
    };
    server.wait_for_body("/shop/v", "green");
    assert_eq!(on("dev", "/v").1, "none");
    assert_eq!((on("dev", "/w").0, on("prod", "/w").0), (200, 418));
    control.send("PATCH", "/apis/shop/stages/dev", &json!({"settings": {"variables": {"colour": "blue"}}}));
    moongate_tests::wait::wait_until("the variable", moongate_tests::wait::SOON, || on("dev", "/v").1 == "blue");
    let wrong = json!({"settings": {"routes": {"GET /w": {"match": "GET /x"}}}});
    control.call("PATCH", "/apis/shop/stages/prod", &[], Some(&wrong)).expect(422);
    let unknown = json!({"settings": {"routes": {"GET /nowhere": {}}}});
    control.call("PATCH", "/apis/shop/stages/prod", &[], Some(&unknown)).expect(422);
}

#[test]
fn domains_lead_to_stages_and_keep_them_from_being_removed() {
    let (_folder, server, control) = server();
    publish(&control, "shop", "dev", "one");
    control.send(
        "PUT",
        "/domains/api.example.com",
        &json!({"mappings": [{"base_path": "/s", "api": "shop", "stage": "dev"}]}),
    );
    moongate_tests::wait::wait_until("the domain", moongate_tests::wait::SOON, || {
        server.client().request("GET", "/s/v", &[("host", "api.example.com")], b"").text() == "one"
    });
    control.call("DELETE", "/apis/shop/stages/dev", &[], None).expect(422);
    control.call("DELETE", "/apis/shop", &[], None).expect(422);
    control.act("DELETE", "/domains/api.example.com");
    control.act("DELETE", "/apis/shop");
    moongate_tests::wait::wait_until("the API to be gone", moongate_tests::wait::SOON, || {
        server.client().get("/shop/v").status == 404
    });
}

#[test]
fn two_hundred_deployments_under_load_fail_no_request() {
    let (_folder, server, control) = server();
    publish(&control, "shop", "dev", "0-0");
    server.wait_for_body("/shop/v", "0-0");
    // Both halves come from one revision, or the answer is of none.
    let load = moongate_tests::load::Load::start(server.client(), "/shop/v", 4, |response| {
        let text = response.text();
        let is_whole = response.status == 200 && text.split_once('-').is_some_and(|(a, b)| a == b);
        (!is_whole).then(|| format!("{} {text}", response.status))
    });
    for round in 1..=200 {
        publish(&control, "shop", "dev", &format!("{round}-{round}"));
    }
    let took = server.wait_for_body("/shop/v", "200-200");
    assert!(took.as_secs_f64() < 1.0, "live after {took:?}");
    let report = load.stop();
    assert!(report.failures.is_empty(), "{:?}", &report.failures[..report.failures.len().min(5)]);
    assert!(report.completed > 500, "{} requests", report.completed);
}

#[test]
fn an_openapi_document_is_imported_and_exported() {
    let (_folder, server, control) = server();
    let document = json!({
        "openapi": "3.1.0",
        "info": {"title": "Pet store", "version": "2"},
        "paths": {"/pets/{id}": {"get": {
            "operationId": "get-pet",
            "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
            "responses": {"200": {"description": "a pet"}},
            "x-moongate-integration": {"type": "mock", "responses": [{"status_code": 200}]},
        }}},
    });
    let dry = control.send("POST", "/import?dry_run=true", &json!({"text": document.to_string()}));
    assert_eq!(dry["id"], "pet-store");
    control.call("GET", "/apis/pet-store", &[], None).expect(404);
    control.send("POST", "/import", &json!({"text": document.to_string(), "api": "pets"}));
    control.send("POST", "/apis/pets/deployments", &json!({"stage": "dev"}));
    moongate_tests::wait::wait_until("the import to be served", moongate_tests::wait::SOON, || {
        server.client().get("/pets/pets/7").status == 200
    });
    let exported = control.get("/apis/pets/export?stage=dev");
    assert_eq!(exported["paths"]["/pets/{id}"]["get"]["operationId"], "get-pet");
    let broken = control.call("POST", "/import", &[], Some(&json!({"text": "openapi: 3.1.0\npaths: [\n"}))).expect(422);
    assert!(broken.body["errors"][0]["line"].is_u64(), "{:#}", broken.body);
}

#[test]
fn a_saved_draft_is_deployed_where_the_stage_wants_it() {
    let (_folder, server, control) = server();
    publish(&control, "shop", "dev", "one");
    control.send("PATCH", "/apis/shop/stages/dev", &json!({"settings": {"auto_deploy": true}}));
    control.send("PUT", "/apis/shop/routes/get-v", &route("GET /v", "two"));
    server.wait_for_body("/shop/v", "two");
}

#[test]
fn history_says_what_was_live_when() {
    let (_folder, _server, control) = server();
    publish(&control, "shop", "dev", "one");
    let first = control.get("/revisions")["items"][0]["created_at"].as_str().expect("a time").to_owned();
    publish(&control, "shop", "dev", "two");
    let found = control.get(&format!("/revisions?at={first}"));
    assert_eq!(found["items"][0]["revision"], 1);
    assert_eq!(control.get("/revisions?at=-1h")["items"], json!([]));
    let pages = control.get("/revisions?limit=1");
    assert_eq!((&pages["items"][0]["revision"], &pages["next"]), (&json!(2), &json!("2")));
    assert_eq!(control.get("/revisions?limit=1&before=2")["items"][0]["revision"], 1);
    let manifest: Value = control.get("/revisions/1");
    assert_eq!(manifest["apis"]["shop"]["stages"][0]["settings"]["name"], "dev");
    let diff = control.get("/revisions/2/diff?from=0");
    assert_eq!(diff["changes"][0]["text"], "+ stage dev");
}
