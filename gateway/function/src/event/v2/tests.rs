//! Tests of payload format 2.0's events: by hand, and against fixtures that AWS's own libraries are tested with.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use serde_json::{Value, json};

use super::*;
use crate::testing::{exchange, matched};
use crate::vectors;

fn read(exchange: &Exchange, body: &[u8], is_binary: bool) -> Value {
    serde_json::from_slice(&event(exchange, &exchange.request.headers, body, is_binary)).expect("an event is JSON")
}

#[test]
fn an_event_holds_the_whole_request() {
    let headers = [
        ("host", "orders.execute-api.localhost:8080"),
        ("user-agent", "curl/8.0"),
        ("X-Tag", "one"),
        ("cookie", "a=1; b=2"),
        ("x-tag", "two"),
        ("cookie", "c=3;"),
    ];
    let mut exchange = exchange("POST", "/dev/orders/a%2Fb+c?size=1&empty&size=a%20b&size=%26", &headers);
    exchange.arrived_at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_775_738_096_789);
    let mut matched = matched("orders", "POST /orders/{id}", "dev", "/dev".len());
    let path = "/dev/orders/a%2Fb+c";
    matched.parameters.push("/dev/orders/".len(), path.len());
    let route = Arc::get_mut(&mut matched.route).expect("not shared yet");
    route.parameter_names = ["id".into()].into();
    let stage = Arc::get_mut(&mut matched.stage).expect("not shared yet");
    stage.variables.insert("table".into(), "live".into());
    exchange.matched = Some(matched);
    let mut caller = Caller { principal: Some("ann".into()), ..Caller::default() };
    let context = Arc::get_mut(&mut caller.context).expect("not shared yet");
    context.insert("principalId".into(), Scalar::Text("root".into()));
    context.insert("level".into(), Scalar::Number(7.0));
    context.insert("share".into(), Scalar::Number(0.5));
    context.insert("is_admin".into(), Scalar::Bool(false));
    exchange.caller = Some(caller);

    let want = json!({
        "version": "2.0",
        "routeKey": "POST /orders/{id}",
        "rawPath": path,
        "rawQueryString": "size=1&empty&size=a%20b&size=%26",
        "cookies": ["a=1", "b=2", "c=3"],
        "headers": {"host": "orders.execute-api.localhost:8080", "user-agent": "curl/8.0", "x-tag": "one,two"},
        "queryStringParameters": {"size": "1,a b,&", "empty": ""},
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "orders",
            "authorizer": {"lambda": {"principalId": "ann", "level": 7, "share": 0.5, "is_admin": false}},
            "domainName": "orders.execute-api.localhost",
            "domainPrefix": "orders",
            "http": {
                "method": "POST",
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.7",
                "userAgent": "curl/8.0",
            },
            "requestId": exchange.id.as_str(),
            "routeKey": "POST /orders/{id}",
            "stage": "dev",
            "time": "09/Apr/2026:12:34:56 +0000",
            "timeEpoch": 1_775_738_096_789_u64,
        },
        "body": "{\"n\": 1}",
        "pathParameters": {"id": "a/b+c"},
        "isBase64Encoded": false,
        "stageVariables": {"table": "live"},
    });
    assert_eq!(read(&exchange, br#"{"n": 1}"#, false), want);
}

#[test]
fn what_a_request_lacks_is_left_out() {
    let mut exchange = exchange("GET", "/", &[]);
    exchange.matched = Some(matched("orders", "$default", "$default", 0));
    exchange.caller = Some(Caller { api_key_id: Some("mobile".into()), ..Caller::default() });
    let event = read(&exchange, b"", true);
    let keys: Vec<_> = event.as_object().expect("an object").keys().map(String::as_str).collect();
    let want = ["version", "routeKey", "rawPath", "rawQueryString", "headers", "requestContext", "isBase64Encoded"];
    assert_eq!(keys, want);
    assert_eq!(event["requestContext"].get("authorizer"), None);
    assert_eq!(event["requestContext"]["domainName"], "");
    assert_eq!(event["isBase64Encoded"], false);
}

#[test]
fn bodies_that_are_no_text_come_in_base64() {
    let exchange = exchange("POST", "/", &[]);
    let cases: [(&[u8], bool, &str, bool); 4] = [
        (b"caf\xc3\xa9 \"\n", false, "caf\u{e9} \"\n", false),
        (b"caf\xc3\xa9", true, "Y2Fmw6k=", true),
        (b"\xff\x00", false, "/wA=", true),
        (b"\x00", false, "\u{0}", false),
    ];
    for (body, is_binary, want, is_base64) in cases {
        let event = read(&exchange, body, is_binary);
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!(want), &json!(is_base64)), "{body:?}");
    }
}

#[test]
fn header_bytes_that_are_not_utf_8_are_replaced() {
    let mut exchange = exchange("GET", "/", &[]);
    let latin_1 = HeaderValue::from_bytes(b"caf\xe9").expect("obs-text is allowed");
    exchange.request.headers.set(HeaderName::from_static("x-name"), latin_1.clone());
    exchange.request.headers.set(COOKIE, latin_1);
    let event = read(&exchange, b"", false);
    assert_eq!(event["headers"]["x-name"], "caf\u{fffd}");
    assert_eq!(event["cookies"], json!(["caf\u{fffd}"]));
}

#[test]
fn the_path_is_the_one_of_the_apis_own_host() {
    let cases = [
        ("/orders/pets/1", "orders", "/orders".len(), "/pets/1"),
        ("/orders", "orders", "/orders".len(), "/"),
        ("/dev/pets/1", "orders", "/dev".len(), "/dev/pets/1"),
        ("/shop/v2/pets", "orders", "/shop/v2".len(), "/shop/v2/pets"),
        ("/orders/pets", "orders", 0, "/orders/pets"),
    ];
    for (target, api_id, prefix_bytes, want) in cases {
        let mut exchange = exchange("GET", target, &[]);
        exchange.matched = Some(matched(api_id, "$default", "$default", prefix_bytes));
        let event = read(&exchange, b"", false);
        assert_eq!(event["rawPath"], want, "{target}");
        assert_eq!(event["requestContext"]["http"]["path"], want, "{target}");
    }
}

/// Requests made out of the fixtures give the fixtures back, apart from what differs by design: identities and times, and
/// the header names' case, which fixtures have wrong. Fixtures of authorizers' own events lack a body.
#[test]
fn recorded_events_are_reproduced() {
    let cases = vectors::cases("lambda_events_v2.json");
    for case in &cases {
        let (name, document) = (&case["name"], &case["document"]);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let context = &document["requestContext"];
        let mut headers: Vec<(String, String)> = Vec::new();
        for (name, value) in document["headers"].as_object().expect("headers") {
            headers.push((name.to_ascii_lowercase(), text(value)));
        }
        if let Some(cookies) = document["cookies"].as_array().filter(|cookies| !cookies.is_empty()) {
            headers.push(("cookie".to_owned(), cookies.iter().map(text).collect::<Vec<_>>().join("; ")));
        }
        let headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let query = text(&document["rawQueryString"]);
        let target = if query.is_empty() {
            text(&document["rawPath"])
        } else {
            format!("{}?{query}", text(&document["rawPath"]))
        };
        let mut exchange = exchange(&text(&context["http"]["method"]), &target, &headers);
        let mut matched = matched(&text(&context["apiId"]), &text(&document["routeKey"]), &text(&context["stage"]), 0);
        if let Some(variables) = document["stageVariables"].as_object() {
            let stage = Arc::get_mut(&mut matched.stage).expect("not shared yet");
            stage.variables =
                variables.iter().map(|(name, value)| (name.as_str().into(), text(value).into())).collect();
        }
        exchange.matched = Some(matched);
        let mut caller = Caller::default();
        if let Some(lambda) = context["authorizer"]["lambda"].as_object() {
            let values = lambda.iter().map(|(name, value)| (name.as_str().into(), Scalar::Text(text(value).into())));
            caller.context = Arc::new(values.collect());
        }
        exchange.caller = Some(caller);

        let event = read(&exchange, text(&document["body"]).as_bytes(), false);

        let same = [
            "version",
            "routeKey",
            "rawPath",
            "rawQueryString",
            "cookies",
            "queryStringParameters",
            "stageVariables",
            "body",
        ];
        for field in same {
            assert_eq!(or_absent(&event[field]), or_absent(&document[field]), "{name}: {field}");
        }
        for field in ["apiId", "routeKey", "stage"] {
            assert_eq!(event["requestContext"][field], context[field], "{name}: requestContext.{field}");
        }
        for field in ["method", "path", "protocol"] {
            assert_eq!(
                event["requestContext"]["http"][field], context["http"][field],
                "{name}: requestContext.http.{field}"
            );
        }
        assert_eq!(
            event["requestContext"]["authorizer"]["lambda"], context["authorizer"]["lambda"],
            "{name}: authorizer"
        );
        assert_eq!(
            event["isBase64Encoded"],
            document.get("isBase64Encoded").cloned().unwrap_or(json!(false)),
            "{name}"
        );
        for (header, value) in event["headers"].as_object().expect("headers") {
            assert!(headers.contains(&(header, value.as_str().expect("a text"))), "{name}: {header}");
        }
        let known = |object: &Value, field: &str| object.get(field).is_some();
        for field in event.as_object().expect("an object").keys() {
            assert!(known(document, field) || field == "isBase64Encoded", "{name}: AWS has no {field}");
        }
        for field in event["requestContext"].as_object().expect("an object").keys() {
            assert!(known(context, field), "{name}: AWS has no requestContext.{field}");
        }
    }
    eprintln!("{} recorded events", cases.len());
}

/// Emulators write nothing as null, `{}`, `[]` or an empty text where AWS leaves the field out.
fn or_absent(value: &Value) -> Option<&Value> {
    let is_absent = match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    };
    (!is_absent).then_some(value)
}
