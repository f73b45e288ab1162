//! Tests of authorizers' events, against fixtures that AWS's own libraries are tested with.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::testing::{exchange, matched};
use crate::vectors;

fn read(event: &[u8]) -> Value {
    serde_json::from_slice(event).expect("an event is JSON")
}

fn names(event: &Value) -> BTreeSet<&str> {
    event.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn events_have_the_members_that_libraries_read() {
    let mut exchange = exchange("GET", "/prod/orders?a=1", &[("host", "a.example"), ("authorization", "t")]);
    exchange.matched = Some(matched("a", "GET /orders", "prod", "/prod".len()));
    let arn = "arn:aws:execute-api:us-east-1:000000000000:a/prod/GET/orders";
    let headers = &exchange.request.headers;
    for case in vectors::cases("authorizer_events.json") {
        // Those of WebSocket APIs hold what a library keeps beside the event.
        let Some(name) = case["name"].as_str().filter(|name| !name.contains("websocket")) else { continue };
        let want = &case["document"];
        let got = match (want["type"].as_str(), want["version"].as_str()) {
            (Some("TOKEN"), _) => read(&token("t", arn)),
            (_, Some("2.0")) => read(&request_v2(&exchange, headers, arn, &["t".to_owned()])),
            (_, Some(_)) => read(&request_v1(&exchange, headers, arn, Some("t"))),
            (_, None) => read(&request_v1(&exchange, headers, arn, None)),
        };
        // Those are absent where a request has nothing for them.
        let optional = ["cookies", "pathParameters", "stageVariables", "body", "isBase64Encoded"];
        let missing: Vec<&str> =
            names(want).difference(&names(&got)).copied().filter(|name| !optional.contains(name)).collect();
        assert!(missing.is_empty(), "{name}: {missing:?}");
        assert_eq!(got["type"], want["type"], "{name}");
    }
}
