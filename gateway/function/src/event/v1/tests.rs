//! Tests of payload format 1.0's events, against recorded ones.

use serde_json::Value;

use super::*;
use crate::testing::{exchange, matched};
use crate::vectors;

fn read(exchange: &Exchange, body: &[u8]) -> Value {
    serde_json::from_slice(&event(exchange, &exchange.request.headers, body, false)).expect("an event is JSON")
}

#[test]
fn recorded_events_are_what_a_function_gets() {
    for case in vectors::cases("lambda_events_v1.json").iter().filter(|case| case["kind"] == "recorded_event") {
        let (id, want) = (&case["id"], &case["event"]);
        let target = case["request_target"].as_str().expect("a text");
        let mut exchange = exchange(want["httpMethod"].as_str().expect("a text"), target, &[("host", "a.example")]);
        let resource = want["resource"].as_str().expect("a text");
        let mut found = matched("a", "ANY /x", "stage", "/stage".len());
        let route = std::sync::Arc::get_mut(&mut found.route).expect("nobody else has it");
        route.resource_path = resource.into();
        if resource.contains("proxy") {
            route.parameter_names = Box::new(["proxy".into()]);
            found.parameters.push("/stage/".len(), exchange.request.target.path().len());
        }
        exchange.matched = Some(found);
        let got = read(&exchange, b"");
        let members = [
            "httpMethod",
            "isBase64Encoded",
            "path",
            "pathParameters",
            "queryStringParameters",
            "multiValueQueryStringParameters",
            "resource",
            "stageVariables",
        ];
        for member in members {
            assert_eq!(got[member], want[member], "{id}: {member}");
        }
        let names = |event: &Value, pointer: &str| {
            let object = event.pointer(pointer).and_then(Value::as_object).expect("an object");
            object.keys().filter(|name| !name.starts_with("apiKey")).cloned().collect::<std::collections::BTreeSet<_>>()
        };
        for pointer in ["/requestContext", "/requestContext/identity"] {
            assert_eq!(names(&got, pointer), names(want, pointer), "{id}");
        }
    }
}

#[test]
fn fields_come_in_the_usual_case_with_all_their_values() {
    let exchange = exchange("POST", "/", &[("x-two", "1"), ("x-two", "2"), ("content-type", "text/plain")]);
    let event = read(&exchange, b"\xff");
    assert_eq!(event["headers"], json!({ "X-Two": "2", "Content-Type": "text/plain" }));
    assert_eq!(event["multiValueHeaders"], json!({ "X-Two": ["1", "2"], "Content-Type": ["text/plain"] }));
    assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("/w=="), &json!(true)));
}
