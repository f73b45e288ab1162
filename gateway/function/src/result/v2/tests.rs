//! Tests of payload format 2.0's results: by hand, and against recorded cases.

use http::HeaderName;
use serde_json::Value;

use super::*;
use crate::vectors;

fn body(response: Response) -> Vec<u8> {
    match response.body {
        Body::Empty => Vec::new(),
        Body::Full(bytes) => bytes.to_vec(),
        Body::Stream(_) | Body::Duplex(_) => panic!("results do not stream"),
    }
}

fn fields(response: &Response) -> Vec<(String, String)> {
    let field = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let mut fields: Vec<_> = response.headers.iter().map(field).collect();
    fields.sort();
    fields
}

#[test]
fn a_result_without_a_status_is_the_body() {
    let cases = [
        (r#"{"message": "hi", "body": 1}"#, r#"{"message": "hi", "body": 1}"#),
        (r#"{"headers": 7, "isBase64Encoded": "x"}"#, r#"{"headers": 7, "isBase64Encoded": "x"}"#),
        ("[200, {}]", "[200, {}]"),
        ("[]", "[]"),
        ("42", "42"),
        ("null", "null"),
        (" true ", " true "),
        (r#""some \"text\"""#, r#"some "text""#),
        (r#""""#, ""),
    ];
    for (result, want) in cases {
        let response = response(result.as_bytes()).expect(result);
        assert_eq!(response.status, 200, "{result}");
        assert_eq!(response.headers.text(CONTENT_TYPE), Some("application/json"), "{result}");
        assert_eq!(String::from_utf8_lossy(&body(response)), want, "{result}");
    }
}

#[test]
fn a_result_with_a_status_describes_the_response() {
    let result = r#"{
        "statusCode": 201,
        "headers": {
            "Content-Type": "text/csv", "X-Count": 3, "x-flag": true, "x-none": null, "X-Many": ["a", 2, false],
            "content-disposition": "attachment; filename=\"café.csv\"",
            "Content-Length": "999", "Transfer-Encoding": "chunked", "Connection": "close", "Keep-Alive": "timeout=5"
        },
        "cookies": ["a=1; Secure", "b=2"],
        "body": "x,y",
        "isBase64Encoded": false,
        "multiValueHeaders": {"ignored": ["in this format"]}
    }"#;
    let response = response(result.as_bytes()).expect("a response");
    assert_eq!(response.status, 201);
    let want = [
        ("content-disposition", "attachment; filename=\"caf\u{e9}.csv\""),
        ("content-type", "text/csv"),
        ("set-cookie", "a=1; Secure"),
        ("set-cookie", "b=2"),
        ("x-count", "3"),
        ("x-flag", "true"),
        ("x-many", "2"),
        ("x-many", "a"),
        ("x-many", "false"),
    ];
    assert_eq!(fields(&response), want.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(body(response), b"x,y");
}

#[test]
fn statuses_are_read_leniently_and_checked_strictly() {
    let good = [("200", 200), ("\"404\"", 404), ("204.0", 204), ("null", 200), ("0", 200), ("599", 599)];
    for (status, want) in good {
        let response = response(format!(r#"{{"statusCode": {status}}}"#).as_bytes()).expect(status);
        assert_eq!(response.status, want, "{status}");
    }
    let bad = [
        "-1",
        "-200",
        "-1.0",
        "1",
        "99",
        "100",
        "101",
        "199",
        "600",
        "200.5",
        "1e300",
        "65736",
        "18446744073709551816",
        "true",
        "[200]",
        "{}",
        "\"\"",
        "\"-1\"",
        "\"2 00\"",
        "\"OK\"",
    ];
    for status in bad {
        let result = response(format!(r#"{{"statusCode": {status}}}"#).as_bytes());
        assert!(matches!(result, Err(ResultError::Status)), "{status}: {result:?}");
    }
}

#[test]
fn binary_bodies_come_out_of_base64() {
    let result = br#"{"statusCode": 200, "headers": {"content-type": "image/png"}, "body": "iVBO/w==", "isBase64Encoded": true}"#;
    let response = response(result).expect("a response");
    assert_eq!(body(response), b"\x89\x50\x4e\xff");
}

#[test]
fn results_that_are_no_response_are_refused() {
    type Is = fn(&ResultError) -> bool;
    let cases: [(&str, Is); 20] = [
        ("", |e| matches!(e, ResultError::NotJson(_))),
        ("some text", |e| matches!(e, ResultError::NotJson(_))),
        ("{\"a\": }", |e| matches!(e, ResultError::NotJson(_))),
        ("{\"a\": 1} x", |e| matches!(e, ResultError::NotJson(_))),
        ("[1,", |e| matches!(e, ResultError::NotJson(_))),
        ("\"half", |e| matches!(e, ResultError::NotJson(_))),
        (r#"{"statusCode": 200, "statusCode": 500}"#, |e| matches!(e, ResultError::NotJson(_))),
        (r#"{"statusCode": 200, "headers": ["a"]}"#, |e| matches!(e, ResultError::Headers)),
        (r#"{"statusCode": 200, "headers": "a: b"}"#, |e| matches!(e, ResultError::Headers)),
        (r#"{"statusCode": 200, "headers": {"": "x"}}"#, |e| matches!(e, ResultError::HeaderName { .. })),
        (r#"{"statusCode": 200, "headers": {"a b": "x"}}"#, |e| matches!(e, ResultError::HeaderName { .. })),
        (r#"{"statusCode": 200, "headers": {"a\r\nb": "x"}}"#, |e| matches!(e, ResultError::HeaderName { .. })),
        (r#"{"statusCode": 200, "headers": {"a": "x\r\nset-cookie: y"}}"#, |e| {
            matches!(e, ResultError::HeaderValue { .. })
        }),
        (r#"{"statusCode": 200, "headers": {"a": {"b": 1}}}"#, |e| matches!(e, ResultError::HeaderValue { .. })),
        (r#"{"statusCode": 200, "headers": {"a": [["b"]]}}"#, |e| matches!(e, ResultError::HeaderValue { .. })),
        (r#"{"statusCode": 200, "cookies": ["a=1\nb"]}"#, |e| matches!(e, ResultError::Cookie)),
        (r#"{"statusCode": 200, "cookies": [1]}"#, |e| matches!(e, ResultError::Cookie)),
        (r#"{"statusCode": 200, "body": {"a": 1}}"#, |e| matches!(e, ResultError::Body)),
        (r#"{"statusCode": 200, "body": "x", "isBase64Encoded": "true"}"#, |e| matches!(e, ResultError::Base64Flag)),
        (r#"{"statusCode": 200, "body": "not base64", "isBase64Encoded": true}"#, |e| {
            matches!(e, ResultError::Base64(_))
        }),
    ];
    for (result, is_wanted) in cases {
        let error = response(result.as_bytes()).expect_err(result);
        assert!(is_wanted(&error), "{result}: {error:?}");
    }
    let invalid_utf_8 = response(b"{\"a\": \"\xff\"}").expect_err("not UTF-8");
    assert!(matches!(invalid_utf_8, ResultError::NotUtf8(_)), "{invalid_utf_8:?}");
}

#[test]
fn results_are_bounded() {
    let large = vec![b'1'; RESULT_BYTES_MAX + 1];
    assert!(matches!(response(&large), Err(ResultError::TooLarge { .. })));

    let values = vec!["\"x\""; crate::result::HEADERS_MAX + 1].join(",");
    let result = format!(r#"{{"statusCode": 200, "headers": {{"a": [{values}]}}}}"#);
    assert!(matches!(response(result.as_bytes()), Err(ResultError::TooManyHeaders)));
    let result = format!(r#"{{"statusCode": 200, "cookies": [{values}]}}"#);
    assert!(matches!(response(result.as_bytes()), Err(ResultError::TooManyHeaders)));

    let deep = "[".repeat(1_000_000);
    let described = format!(r#"{{"statusCode": 200, "headers": {{"a": {deep}"#);
    for result in [deep.as_bytes(), described.as_bytes()] {
        assert!(matches!(response(result), Err(ResultError::NotJson(_))));
    }
}

#[test]
fn recorded_results_give_the_recorded_responses() {
    let mut count = 0;
    for case in vectors::cases("lambda_proxy_response.json") {
        let id = &case["id"];
        if case["kind"] == "fixture" {
            response(case["document"].to_string().as_bytes()).expect("a fixture is a result");
            continue;
        }
        if case["kind"] != "v2_response" {
            continue;
        }
        count += 1;
        let output = case["input"]["lambda_output"].as_str().expect("an output");
        let result = response(output.as_bytes());
        if !case["expected_error"].is_null() {
            assert!(result.is_err(), "{id}: {result:?}");
            continue;
        }
        let (response, want) = (result.expect("a response"), &case["expected"]);
        assert_eq!(Value::from(response.status.as_u16()), want["status"], "{id}");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let field = |field: &Value| (text(&field[0]).to_ascii_lowercase(), text(&field[1]));
        let mut want_fields: Vec<_> = want["headers"].as_array().expect("headers").iter().map(field).collect();
        want_fields.sort();
        assert_eq!(fields(&response), want_fields, "{id}");
        assert_eq!(String::from_utf8_lossy(&body(response)), want["body"].as_str().unwrap_or_default(), "{id}");
    }
    eprintln!("{count} recorded results");
}
