//! Tests of payload format 1.0's results: by hand, and against recorded cases.

use super::*;
use crate::vectors;

/// Status, fields, body.
type Read = (u16, Vec<(String, String)>, Vec<u8>);

fn read(result: &str, dialect: Dialect, is_binary: bool) -> Result<Read, ResultError> {
    let response = response(result.as_bytes(), dialect, |_| is_binary)?;
    let field = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let mut fields: Vec<_> = response.headers.iter().map(field).collect();
    fields.sort();
    let body = match response.body {
        Body::Empty => Vec::new(),
        Body::Full(bytes) => bytes.to_vec(),
        Body::Stream(_) | Body::Duplex(_) => panic!("results do not stream"),
    };
    Ok((response.status.as_u16(), fields, body))
}

#[test]
fn what_is_no_response_is_refused() {
    let cases = [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ("\"text\"", "not a JSON object"),
        ("null", "not a JSON object"),
        (r#"{"statusCode": 200, "extra": 1}"#, "`extra`"),
        (r#"{"statusCode": {}}"#, "`statusCode`"),
        (r#"{"statusCode": 99}"#, "`statusCode`"),
        (r#"{"statusCode": 200, "headers": []}"#, "`headers`"),
        (r#"{"statusCode": 200, "headers": {"a b": "c"}}"#, "field name"),
        (r#"{"statusCode": 200, "headers": {"a": "b\r\nc: d"}}"#, "`a`"),
        (r#"{"statusCode": 200, "multiValueHeaders": {"a": "b"}}"#, "`multiValueHeaders`"),
        (r#"{"statusCode": 200, "body": {}}"#, "`body`"),
        (r#"{"statusCode": 200, "body": "!", "isBase64Encoded": true}"#, "Base64"),
    ];
    for (result, want) in cases {
        let error = read(result, Dialect::Rest, true).expect_err(result).to_string();
        assert!(error.contains(want), "{result}: {error}");
    }
}

#[test]
fn a_body_in_base64_is_decoded_for_binary_media_types() {
    let result =
        r#"{"statusCode": 200, "headers": {"content-type": "image/png"}, "body": "AAE=", "isBase64Encoded": true}"#;
    assert_eq!(read(result, Dialect::Rest, true).expect("a response").2, [0, 1]);
    assert_eq!(read(result, Dialect::Rest, false).expect("a response").2, b"AAE=");
    assert_eq!(read(result, Dialect::Http, false).expect("a response").2, [0, 1]);
}

#[test]
fn recorded_results_mean_what_they_meant() {
    let cases = vectors::cases("lambda_proxy_response.json");
    for case in cases.iter().filter(|case| case["kind"] == "v1_response") {
        let (id, input) = (&case["id"], &case["input"]);
        let dialect = if input["api"] == "Api" { Dialect::Rest } else { Dialect::Http };
        let is_binary = input["binary_types"].as_array().is_some_and(|types| !types.is_empty());
        let got = read(input["lambda_output"].as_str().expect("a text"), dialect, is_binary);
        let expected = &case["expected"];
        if expected.is_null() {
            assert!(got.is_err(), "{id}: {got:?}");
            continue;
        }
        let (status, fields, body) = got.unwrap_or_else(|error| panic!("{id}: {error}"));
        let mut want: Vec<(String, String)> = expected["headers"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|field| {
                let text = |index: usize| field[index].as_str().expect("a text").to_owned();
                (text(0).to_ascii_lowercase(), text(1))
            })
            .collect();
        want.sort();
        let want_body = match &expected["body"] {
            Value::Null => Vec::new(),
            Value::String(text) => text.clone().into_bytes(),
            encoded => STANDARD.decode(encoded["$base64"].as_str().expect("a text")).expect("Base64"),
        };
        assert_eq!(
            (u64::from(status), fields, body),
            (expected["status"].as_u64().expect("a status"), want, want_body),
            "{id}"
        );
    }
}
