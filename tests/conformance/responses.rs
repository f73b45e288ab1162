//! Answers of integrations on their way to the client: selection, mapping, conversion.

use serde_json::{Value, json};

use moongate_tests::Answer;

use crate::mapping::{answer, named};
use crate::world::{
    Case, Prepared, STAGE, Served, Setup, World, borrowed, bytes, default_status, document, equal, expect_error,
    extension, native, object, pairs,
};

/// `integration_response`.
pub(crate) fn integration(case: &Case, world: &World) -> Prepared {
    match case.text("/kind") {
        "select_integration_response" => select(case),
        "method_response_headers" => method_headers(case, world),
        _ => map(case, world),
    }
}

/// Which integration response takes a status, or the error of a function.
fn select(case: &Case) -> Prepared {
    let selector = case.text("/input/selection_value");
    let declared: Vec<Value> = object(case.at("/input/integration_responses"))
        .values()
        .map(|response| {
            let mut native =
                json!({ "status_code": response["statusCode"].as_str().and_then(|s| s.parse::<u16>().ok()) });
            if let Some(pattern) = response["selectionPattern"].as_str().filter(|pattern| !pattern.is_empty()) {
                native["selection_pattern"] = pattern.into();
            }
            native
        })
        .collect();
    let is_status = !selector.is_empty() && selector.bytes().all(|byte| byte.is_ascii_digit());
    let integration = if is_status {
        json!({ "type": "mock", "request_templates": { "application/json": { "text": format!("{{\"statusCode\": {selector}}}") } } })
    } else if selector.is_empty() {
        json!({ "type": "aws", "function": { "lua": "return function() return {} end" } })
    } else {
        let script = format!("return function() error({}, 0) end", Value::from(selector));
        json!({ "type": "aws", "function": { "lua": script } })
    };
    let mut integration = integration;
    integration["responses"] = declared.into();
    let document = native(case, STAGE, json!([{ "match": "GET /x", "integration": integration }]));
    let (expected, error) = (case.text("/expected/statusCode").to_owned(), case.at("/expected_error").clone());
    let check = Box::new(move |served: &Served<'_>| {
        let response = served.request("GET", &format!("/{STAGE}/x"), &[], b"");
        if error.is_null() {
            return equal("status", &response.status.to_string(), &expected);
        }
        let mut error = error.clone();
        // Written down as a code's name, which is not a status.
        error["status"] =
            default_status(error["gateway_response_type"].as_str().unwrap_or_default()).to_string().into();
        expect_error(&response, &error)
    });
    Ok(Setup { document: Some(document), check: Some(check), ..Setup::default() })
}

/// Status, headers and body that the client gets.
fn map(case: &Case, world: &World) -> Prepared {
    let mut integration = case.at("/input/integration").clone();
    integration["uri"] = format!("{}/x", world.upstream()).into();
    integration["httpMethod"] = "GET".into();
    let paths = json!({ "/x": { "get": { "x-amazon-apigateway-integration": extension(case, &integration) } } });
    let accept: Vec<(String, String)> = case
        .at("/input/request_accept")
        .as_str()
        .map(|value| ("Accept".to_owned(), value.to_owned()))
        .into_iter()
        .collect();
    let (expected, error) = (case.at("/expected").clone(), case.at("/expected_error").clone());
    let sent = pairs(case.at("/input/endpoint_response/headers"));
    let is_proxy = case.text("/input/integration/type").ends_with("_PROXY");
    let check = Box::new(move |served: &Served<'_>| {
        let mut headers = accept.clone();
        headers.push(named(served.case));
        let response = served.request("GET", &format!("/{STAGE}/x"), &borrowed(&headers), b"");
        if !error.is_null() {
            return expect_error(&response, &error);
        }
        equal("status", &u64::from(response.status), &expected["status_code"].as_u64().unwrap_or_default())?;
        equal("body", &response.text(), &String::from_utf8_lossy(&bytes(&expected["body"])).into_owned())?;
        let wanted = pairs(&expected["headers"]);
        for (name, value) in &wanted {
            equal(&format!("header {name}"), &response.header(name), &Some(value.as_str()))?;
        }
        for (name, _) in sent.iter().filter(|(name, _)| !is_proxy && !name.eq_ignore_ascii_case("content-type")) {
            if !wanted.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                equal(&format!("header {name}"), &response.header(name), &None::<&str>)?;
            }
        }
        Ok(())
    });
    let answer = Some(answer(case.at("/input/endpoint_response")));
    let document = Some(document(case, STAGE, &Value::Null, paths));
    Ok(Setup { document, answer, check: Some(check), ..Setup::default() })
}

/// The fields of a finished answer: defaults, renamed and dropped ones.
fn method_headers(case: &Case, world: &World) -> Prepared {
    let kind = case.text("/input/integration_type").to_owned();
    let given = pairs(case.at("/input/headers"));
    let status = case.at("/input/status").as_u64().unwrap_or(200);
    let mut answer = Answer::bytes(bytes(case.at("/input/body"))).status(status as u16);
    let mut integration = json!({ "type": kind, "httpMethod": "GET", "uri": format!("{}/x", world.upstream()) });
    if kind.ends_with("_PROXY") {
        // A codec writes these itself; an upstream cannot be made to send them with a meaning of their own.
        let is_framing = |name: &str| ["transfer-encoding", "content-length", "connection"].contains(&name);
        for (name, value) in given.iter().filter(|(name, _)| !is_framing(&name.to_ascii_lowercase())) {
            answer = answer.header(name, value);
        }
    } else {
        let parameters: serde_json::Map<String, Value> = given
            .iter()
            .map(|(name, value)| (format!("method.response.header.{name}"), format!("'{value}'").into()))
            .collect();
        integration["integrationResponses"] =
            json!({ "200": { "statusCode": status.to_string(), "responseParameters": parameters } });
    }
    let paths = json!({ "/x": { "get": { "x-amazon-apigateway-integration": extension(case, &integration) } } });
    let expected = case.at("/expected").clone();
    let check = Box::new(move |served: &Served<'_>| {
        let response = served.request("GET", &format!("/{STAGE}/x"), &borrowed(&[named(served.case)]), b"");
        equal("status", &u64::from(response.status), &expected["status"].as_u64().unwrap_or_default())?;
        let wanted = pairs(&expected["headers"]);
        for (name, value) in wanted.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("connection")) {
            equal(&format!("header {name}"), &response.header(name), &Some(value.as_str()))?;
        }
        for (name, _) in &given {
            if !wanted.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                equal(&format!("header {name}"), &response.header(name), &None::<&str>)?;
            }
        }
        Ok(())
    });
    let document = Some(document(case, STAGE, &Value::Null, paths));
    Ok(Setup { document, answer: Some(answer), check: Some(check), ..Setup::default() })
}

/// `content_handling`: what becomes of a body's bytes.
pub(crate) fn content(case: &Case, world: &World) -> Prepared {
    let is_request = case.text("/kind").contains("request");
    let text = |names: &[&str]| {
        let value = names.iter().find_map(|name| case.at(&format!("/input/{name}")).as_str());
        value.filter(|value| *value != "None").map(str::to_owned)
    };
    let handling = case.at("/input/contentHandling");
    let body = bytes(case.at("/input/body"));
    let mut integration = json!({ "type": "http", "httpMethod": "POST", "uri": format!("{}/x", world.upstream()) });
    let mut response = json!({ "statusCode": "200" });
    let mut answer = Answer::text("ok");
    let mut headers = Vec::new();
    if is_request {
        integration["contentHandling"] = handling.clone();
        let media_type = text(&["client_content_type", "request_content_type", "content_type"]);
        headers.extend(media_type.map(|media_type| ("Content-Type".to_owned(), media_type)));
    } else {
        response["contentHandling"] = handling.clone();
        answer = Answer::bytes(body.clone());
        if let Some(media_type) = text(&["endpoint_content_type"]) {
            answer = answer.header("Content-Type", &media_type);
        }
        headers.extend(text(&["client_accept"]).map(|accept| ("Accept".to_owned(), accept)));
    }
    integration["integrationResponses"] = json!({ "200": response });
    let paths = json!({ "/x": { "post": { "x-amazon-apigateway-integration": extension(case, &integration) } } });
    let mut document = document(case, STAGE, &Value::Null, paths);
    if !case.at("/input/binaryMediaTypes").is_null() {
        document["x-amazon-apigateway-binary-media-types"] = case.at("/input/binaryMediaTypes").clone();
    }
    let (expected, error) = (bytes(case.at("/expected")), case.at("/expected_error").clone());
    let check = Box::new(move |served: &Served<'_>| {
        let sent = if is_request { body.clone() } else { Vec::new() };
        let response = served.request("POST", &format!("/{STAGE}/x"), &borrowed(&headers), &sent);
        if !error.is_null() {
            return expect_error(&response, &error);
        }
        equal("status", &response.status, &200)?;
        let got = if is_request { served.sent()?.body } else { response.body };
        equal("body", &got.escape_ascii().to_string(), &expected.escape_ascii().to_string())
    });
    Ok(Setup { document: Some(document), answer: Some(answer), check: Some(check), ..Setup::default() })
}
