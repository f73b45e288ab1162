//! The pet store as AWS's own documentation and tools export it: imported, served, and every operation reaching the upstream.
//!
//! The documents are test vectors outside the repository; without them the test says that it was skipped.

use std::fs;

use serde_json::{Value, json};

use moongate_tests::{Answer, Gateway, Recorded, Upstream, vectors};

/// Host names of AWS's demonstration upstreams in the documents.
const HOSTS: [&str; 2] =
    ["http://petstore-demo-endpoint.execute-api.com", "http://petstore.execute-api.us-west-1.amazonaws.com"];

/// A script that lets everybody pass, for authorizers that live in AWS.
const ANYONE: &str = "return function()\n    return true\nend\n";

fn upstream() -> Upstream {
    Upstream::recording(|request: &Recorded| Answer::json(&json!({ "line": request.line(), "body": request.text() })))
}

/// A vector with its upstream replaced; what AWS alone could check is checked by a script.
fn document(name: &str, upstream: &Upstream) -> Option<Value> {
    let path = vectors::folder("petstore")?.join("openapi_import").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let text = HOSTS.iter().fold(text, |text, host| text.replace(host, &upstream.url()));
    let text =
        text.replace("${uri}", &format!("{}/petstore/pets", upstream.url())).replace("${cognito_pool_arn}", "pool");
    let mut document: Value = serde_json::from_str(&text).expect("a JSON document");
    document["x-moongate-api"] = "petstore".into();
    document["x-moongate-authorizers"] = json!({ "anyone": { "type": "lua", "script": { "file": "lua/anyone.lua" } } });
    for place in ["/securityDefinitions", "/components/securitySchemes"] {
        let schemes = document.pointer_mut(place).and_then(Value::as_object_mut);
        for scheme in schemes.into_iter().flat_map(serde_json::Map::values_mut) {
            scheme["x-moongate-authorizer"] = "anyone".into();
        }
    }
    Some(document)
}

fn gateway(document: &Value) -> Gateway {
    Gateway::builder().file("apis/petstore.json", &document.to_string()).file("lua/anyone.lua", ANYONE).start()
}

#[test]
fn every_operation_of_the_simple_pet_store_reaches_the_upstream() {
    let upstream = upstream();
    let Some(document) = document("0_docs-petstore-openapi2.json", &upstream) else { return };
    let gateway = gateway(&document);
    let cases = [("/petstore/pets", "GET /petstore/pets"), ("/petstore/pets/7", "GET /petstore/pets/7")];
    for (target, want) in cases {
        assert_eq!(gateway.get(target).expect_status(200).json()["line"], want);
    }
    gateway.request("POST", "/petstore/pets", &[], b"{}").expect_status(403);
    assert_eq!(upstream.requests().len(), cases.len());
}

#[test]
fn every_operation_of_the_authorized_pet_store_does_what_it_says() {
    let upstream = upstream();
    let Some(document) = document("petstore-authorizer.swagger.json", &upstream) else { return };
    let gateway = gateway(&document);
    let token = [("Authorization", "x-token")];
    let home = gateway.request("GET", "/petstore/", &token, b"").expect_status(200);
    assert_eq!(home.header("content-type"), Some("text/html"));
    assert!(home.text().contains("Welcome to your Pet Store API"), "{}", home.text());

    let list = gateway.request("GET", "/petstore/pets?type=cat&page=2&other=3", &token, b"").expect_status(200);
    assert_eq!(list.header("access-control-allow-origin"), Some("*"));
    let target = upstream.last_request().target;
    // Only what is mapped is sent on, in whatever order.
    let (path, query) = target.split_once('?').expect("a query");
    let mut query: Vec<&str> = query.split('&').collect();
    query.sort_unstable();
    assert_eq!((path, query), ("/petstore/pets", vec!["page=2", "type=cat"]));

    let pet = br#"{"type": "dog", "price": 249.99}"#;
    let created =
        gateway.request("POST", "/petstore/pets", &[("Content-Type", "application/json")], pet).expect_status(200);
    assert_eq!(created.header("access-control-allow-origin"), Some("*"));
    assert_eq!(
        (upstream.last_request().line().as_str(), upstream.last_request().body),
        ("POST /petstore/pets", pet.to_vec())
    );

    assert_eq!(gateway.get("/petstore/pets/7").expect_status(200).json()["line"], "GET /petstore/pets/7");
    assert_eq!(gateway.get("/petstore/pets/a%2Fb").expect_status(200).json()["line"], "GET /petstore/pets/a%2Fb");

    let before = upstream.requests().len();
    for (target, methods) in [("/petstore/pets", "POST,GET,OPTIONS"), ("/petstore/pets/7", "GET,OPTIONS")] {
        let options = gateway.request("OPTIONS", target, &[], b"").expect_status(200);
        assert_eq!(options.header("access-control-allow-methods"), Some(methods));
        assert_eq!(options.header("access-control-allow-origin"), Some("*"));
    }
    assert_eq!(upstream.requests().len(), before, "a mock has no upstream");
    gateway.get("/petstore/cats").expect_status(403);
}

#[test]
fn every_operation_of_the_pet_store_with_cognito_reaches_the_upstream() {
    let upstream = upstream();
    let Some(document) = document("openapi.cognito-auth.json", &upstream) else { return };
    let gateway = gateway(&document);
    let token = [("TestHeaderAuth", "token")];
    for target in ["/default-no-scope", "/default-scope-override", "/non-default-authorizer", "/pets?type=dog"] {
        let response = gateway.request("GET", &format!("/petstore{target}"), &token, b"").expect_status(200);
        let query = target.split_once('?').map(|(_, query)| format!("?{query}")).unwrap_or_default();
        assert_eq!(response.json()["line"], format!("GET /petstore/pets{query}"), "{target}");
    }
}

#[test]
fn requests_to_the_validating_pet_store_are_checked_first() {
    let upstream = upstream();
    let Some(document) = document("0_docs-request-validation.json", &upstream) else { return };
    let gateway = gateway(&document);
    let good = br#"{"type": "dog", "name": "Rex", "price": 30}"#;
    let json = ("Content-Type", "application/json");
    let bodies: [&[u8]; 4] =
        [br#"{"type": "dog"}"#, br#"{"type": "cow", "name": "Elsie", "price": 30}"#, b"no JSON", b""];
    for body in bodies {
        let response = gateway.request("POST", "/petstore/validation", &[json, ("h1", "x")], body);
        assert_eq!(response.status, 400, "{}: {}", String::from_utf8_lossy(body), response.text());
        assert_eq!(response.json()["message"], "Invalid request body");
    }
    gateway.request("POST", "/petstore/validation", &[json], good).expect_status(400);
    let refused = gateway.get("/petstore/validation").expect_status(400);
    assert_eq!(refused.json()["message"], "Missing required request parameters: [q1]");
    assert!(upstream.requests().is_empty());

    gateway.request("POST", "/petstore/validation", &[json, ("h1", "x")], good).expect_status(200);
    let request = upstream.last_request();
    assert_eq!((request.line().as_str(), request.header("custom_h1")), ("POST /petstore/pets", Some("x")));
    gateway.get("/petstore/validation?q1=cat").expect_status(200);
    assert_eq!(upstream.last_request().line(), "GET /petstore/pets?type=cat");
}
