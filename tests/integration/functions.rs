//! Functions as processes, behind routes: what callers get, also from functions that fail.

use std::time::{Duration, Instant};

use moongate_tests::Gateway;
use serde_json::json;

const HTTP: &str = "api: a\nroutes:\n  - match: ANY /{path+}\n    function: f\n";
const REST: &str = "
api: a
protocol: rest
binary_media_types: [image/png]
stages:
  - { name: prod, variables: { fn: f } }
routes:
  - match: ANY /{path+}
    integration:
      type: aws_proxy
      uri: arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:000000000000:function:${stageVariables.fn}:live/invocations
  - match: GET /mapped
    integration:
      type: aws
      uri: arn:aws:lambda:us-east-1:000000000000:function:f
      request_templates:
        application/json: { text: '{\"do\": \"raise\"}' }
      responses:
        - status_code: 200
        - status_code: 418
          selection_pattern: '.*teapot.*'
";

/// Does what the event's path or member `do` says.
const CODE: &str = r#"
import json, os, time
def handler(event, context):
    do = event.get("do") or event.get("rawPath", event.get("path", "")).strip("/")
    if do == "raise": raise ValueError("I am a teapot")
    if do == "hang": time.sleep(1000)
    if do == "exit": os._exit(7)
    if do == "slow": time.sleep(0.3)
    if do == "list": return [1, 2]
    if do == "png": return {"statusCode": 200, "headers": {"content-type": "image/png"}, "body": "AAE=", "isBase64Encoded": True}
    return {"statusCode": 201, "headers": {"x-id": context.aws_request_id, "content-type": "application/json"}, "body": json.dumps(event)}
"#;

/// A gateway with an API, and a function in Python.
fn gateway(api: &str, settings: &str) -> Gateway {
    Gateway::builder()
        .file("apis/api.yaml", api)
        .file("functions/f/function.yaml", &format!("function: f\nruntime: python\n{settings}"))
        .file("functions/f/index.py", CODE)
        .start()
}

#[test]
fn a_function_behind_an_http_api_gets_and_gives_format_2() {
    let gateway = gateway(HTTP, "");
    let answer = gateway.request("POST", "/a/orders?x=1&x=2", &[("Cookie", "c=1"), ("X-Mine", "m")], b"{\"n\": 1}");
    let answer = answer.expect_status(201);
    let event = answer.json();
    assert_eq!(answer.header("x-id"), answer.header("x-request-id"), "the function knows the request by its id");
    assert_eq!(
        json!([
            event["version"],
            event["rawPath"],
            event["rawQueryString"],
            event["cookies"],
            event["headers"]["x-mine"]
        ]),
        json!(["2.0", "/orders", "x=1&x=2", ["c=1"], "m"])
    );
    assert_eq!(event["body"], "{\"n\": 1}");
    // Anything but a description of a response is its body.
    assert_eq!(gateway.get("/a/list").expect_status(200).json(), json!([1, 2]));
}

#[test]
fn a_function_behind_a_rest_api_gets_and_gives_format_1() {
    let gateway = gateway(REST, "");
    let answer =
        gateway.request("PUT", "/a/orders?x=1&x=2", &[("Content-Type", "text/plain")], b"hi").expect_status(201);
    let event = answer.json();
    assert_eq!(
        json!([
            event["httpMethod"],
            event["path"],
            event["multiValueQueryStringParameters"]["x"],
            event["headers"]["Content-Type"]
        ]),
        json!(["PUT", "/orders", ["1", "2"], "text/plain"])
    );
    assert_eq!(event["requestContext"]["stage"], "prod");
    assert_eq!(gateway.get("/a/png").expect_status(200).body, [0, 1]);
    // A list is no response in this format.
    let refused = gateway.get("/a/list").expect_status(502);
    assert!(!refused.text().contains("Traceback"), "{}", refused.text());
    // An error's message selects the mapping.
    assert_eq!(gateway.get("/a/mapped").expect_status(418).json()["errorType"], "ValueError");
}

#[test]
fn a_function_that_fails_is_a_bad_gateway_and_the_next_call_is_served() {
    let gateway = gateway(HTTP, "timeout_ms: 400\n");
    for path in ["/a/raise", "/a/exit", "/a/hang", "/a/raise"] {
        gateway.get(path).expect_status(502);
        gateway.get("/a/fine").expect_status(201);
    }
}

#[test]
fn callers_beyond_the_concurrency_wait_for_their_turn() {
    let gateway = gateway(HTTP, "concurrency: 2\n");
    gateway.get("/a/fine").expect_status(201);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..6).map(|_| scope.spawn(|| gateway.get("/a/slow").status)).collect();
        for call in calls {
            assert_eq!(call.join().expect("a thread"), 201);
        }
    });
    assert!(began.elapsed() >= Duration::from_millis(900), "six calls of 300 ms two at a time: {:?}", began.elapsed());
}

#[test]
fn new_code_answers_as_soon_as_it_is_saved() {
    let gateway = gateway(HTTP, "");
    gateway.get("/a/x").expect_status(201);
    gateway.edit_and_wait("functions/f/index.py", "def handler(event, context):\n    return 'second version'\n");
    assert_eq!(gateway.get("/a/x").expect_status(200).text(), "second version");
}

#[test]
fn the_processes_end_with_the_gateway() {
    let gateway = gateway(HTTP, "");
    gateway.edit_and_wait("functions/f/index.py", "import os\ndef handler(event, context):\n    return os.getpid()\n");
    let process = gateway.get("/a/x").expect_status(200).text();
    assert!(std::path::Path::new(&format!("/proc/{process}")).exists());
    gateway.stop("TERM");
    assert!(!std::path::Path::new(&format!("/proc/{process}")).exists());
}

#[test]
fn a_route_to_no_function_is_refused() {
    let gateway = Gateway::builder().file("apis/api.yaml", HTTP).start_unready();
    let event = gateway.wait_for_event("a refusal", |event| event["event"] == "reload_failed");
    let text = event.to_string();
    assert!(text.contains("E122") && text.contains("there is no function `f`"), "{text}");
}
