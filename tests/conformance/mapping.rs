//! Requests on their way to an integration: parameters, templates, mocks, addresses.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use moongate_tests::{Answer, Recorded};

use crate::world::{
    CASE, Case, Prepared, STAGE, Served, Setup, Verdict, World, borrowed, bytes, document, equal, expect_error,
    extension, object, pairs,
};

/// `mock`: the number a request template chooses.
pub(crate) fn mock(case: &Case) -> Prepared {
    let template = case.text("/input/integration_request_body");
    let expected = case.at("/expected/status_code").clone();
    // The number selects an integration response; a status of its own shows which.
    let mut responses = json!({ "default": { "statusCode": "298" } });
    if let Some(number) = expected.as_i64() {
        responses[number.to_string()] = json!({ "statusCode": "299" });
    }
    let integration = json!({
        "type": "mock", "requestTemplates": { "application/json": template }, "responses": responses,
    });
    let paths = json!({ "/x": { "get": { "x-amazon-apigateway-integration": integration } } });
    let error = case.at("/expected_error").clone();
    let check = Box::new(move |served: &Served<'_>| {
        let response = served.request("GET", &format!("/{STAGE}/x"), &[], b"");
        if error.is_null() { equal("status", &response.status, &299) } else { expect_error(&response, &error) }
    });
    Ok(Setup { document: Some(document(case, STAGE, &Value::Null, paths)), check: Some(check), ..Setup::default() })
}

/// `uri_interpolation`: what a URI names once stage variables and path parameters are filled in.
pub(crate) fn uri(case: &Case) -> Prepared {
    let uri = case.text("/input/uri");
    let kind = if uri.starts_with("arn:") { "aws" } else { "http" };
    let mut parameters = Map::new();
    for (name, value) in object(case.at("/input/path_parameters")) {
        let value = value.as_str().unwrap_or_default().to_owned();
        parameters.insert(format!("integration.request.path.{name}"), format!("'{value}'").into());
    }
    let integration = json!({ "type": kind, "uri": uri, "httpMethod": "GET", "requestParameters": parameters });
    let paths = json!({ "/x": { "get": { "x-amazon-apigateway-integration": integration } } });
    let document = document(case, STAGE, case.at("/input/stage_variables"), paths);
    let expected = case.text("/expected").to_owned();
    let check = Box::new(move |served: &Served<'_>| {
        let invocation = served.dry_run(&document, "GET", "/x")?;
        let lines = invocation["log"].as_array().cloned().unwrap_or_default();
        let uri = lines.iter().find_map(|line| line.as_str()?.strip_prefix("Endpoint request URI: "));
        let decoded = decode(uri.ok_or_else(|| format!("no URI in {invocation}"))?);
        // A URL without a path is asked for `/`.
        let got = if decoded.trim_end_matches('/') == expected { expected.clone() } else { decoded };
        // The case of a host means nothing (RFC 3986 section 3.2.2).
        let lower_host = |uri: &str| match uri.split_once("://").map(|(scheme, rest)| (scheme, rest.split_once('/'))) {
            Some((scheme, Some((host, path)))) => format!("{scheme}://{}/{path}", host.to_ascii_lowercase()),
            _ => uri.to_owned(),
        };
        equal("uri", &lower_host(&got), &lower_host(&expected))
    });
    Ok(Setup { check: Some(check), ..Setup::default() })
}

/// `param_mapping`: what `requestParameters` and `responseParameters` set.
pub(crate) fn parameters(case: &Case, world: &World) -> Prepared {
    if case.text("/input/fn") == "map_integration_response" {
        return response_parameters(case, world);
    }
    let request = Incoming::of(case.at("/input/invocation_request"));
    let parameters = object(case.at("/input/request_parameters"));
    let holes: Vec<&str> =
        parameters.keys().filter_map(|name| name.strip_prefix("integration.request.path.")).collect();
    let path: String = holes.iter().map(|name| format!("/{{{name}}}")).collect();
    let integration = json!({
        "type": "HTTP", "httpMethod": "POST", "uri": format!("{}/mapped{path}", world.upstream()),
        "requestParameters": parameters,
        "integrationResponses": { "200": { "statusCode": "200" } },
    });
    let document = with_key(case, request.document(case, STAGE, &extension(case, &integration)));
    let names: Vec<(String, String)> = parameters
        .keys()
        .filter_map(|name| name.strip_prefix("integration.request.")?.split_once('.'))
        .map(|(place, name)| (place.to_owned(), name.to_owned()))
        .collect();
    let holes: Vec<String> = holes.iter().map(|&name| name.to_owned()).collect();
    let (expected, error) = (settled(case, case.at("/expected")), case.at("/expected_error").clone());
    let context = case.at("/input/context_variables").clone();
    let check = Box::new(move |served: &Served<'_>| {
        let mut headers = request.headers.clone();
        headers.extend(caller(&context));
        let response = served.request(&request.method, &request.target(STAGE), &borrowed(&headers), &request.body);
        if !error.is_null() {
            return expect_error(&response, &error);
        }
        let sent = served.sent()?;
        let query = query(&sent);
        let segments: Vec<String> = path_of(&sent).split('/').skip(2).map(decode).collect();
        for (place, name) in &names {
            let want = values(&expected[place.as_str()][name.as_str()]);
            let got = match place.as_str() {
                "header" => sent.header(name).map(str::to_owned).into_iter().collect(),
                "querystring" => query.get(name).cloned().unwrap_or_default(),
                _ => {
                    let at = holes.iter().position(|hole| hole == name).unwrap_or_default();
                    let value = segments.get(at).cloned().unwrap_or_default();
                    if value == format!("{{{name}}}") { Vec::new() } else { vec![value] }
                }
            };
            equal(&format!("{place} {name}"), &got, &want)?;
        }
        Ok(())
    });
    Ok(Setup { document: Some(document), check: Some(check), ..Setup::default() })
}

fn response_parameters(case: &Case, world: &World) -> Prepared {
    let parameters = case.at("/input/response_parameters").clone();
    let integration = json!({
        "type": "HTTP", "httpMethod": "GET", "uri": format!("{}/x", world.upstream()),
        "integrationResponses": { "200": { "statusCode": "200", "responseParameters": parameters } },
    });
    let paths = json!({ "/x": { "get": { "x-amazon-apigateway-integration": extension(case, &integration) } } });
    let document = with_key(case, document(case, STAGE, case.at("/input/stage_variables"), paths));
    let expected = settled(case, &case.at("/expected")["header"].clone());
    let (error, context) = (case.at("/expected_error").clone(), case.at("/input/context_variables").clone());
    let names: Vec<String> = object(&parameters)
        .keys()
        .filter_map(|name| name.strip_prefix("method.response.header.").map(str::to_owned))
        .collect();
    let check = Box::new(move |served: &Served<'_>| {
        let response = served.request("GET", &format!("/{STAGE}/x"), &borrowed(&caller(&context)), b"");
        if !error.is_null() {
            return expect_error(&response, &error);
        }
        for name in &names {
            equal(&format!("header {name}"), &response.header(name), &expected[name.as_str()].as_str())?;
        }
        Ok(())
    });
    let answer = Some(answer(case.at("/input/integration_response")));
    Ok(Setup { document: Some(document), answer, check: Some(check), ..Setup::default() })
}

/// `integration_request`: the whole request that an integration gets.
pub(crate) fn request(case: &Case, world: &World) -> Prepared {
    let request = Incoming::of(case.at("/input/invocation_request"));
    let mut integration = case.at("/input/integration").clone();
    let uri = integration["uri"].as_str().unwrap_or_default().to_owned();
    let host_end = uri.find("://").map_or(0, |at| at + 3);
    let path_at = uri[host_end..].find('/').map_or(uri.len(), |at| at + host_end);
    integration["uri"] = format!("{}{}", world.upstream(), &uri[path_at..]).into();
    integration["integrationResponses"] = json!({ "200": { "statusCode": "200" } });
    let stage = Some(case.text("/input/context_variables/stage")).filter(|stage| !stage.is_empty()).unwrap_or(STAGE);
    let mut document = request.document_at(
        case,
        stage,
        case.at("/input/stage_variables"),
        case.text("/input/context_variables/resourcePath"),
        &extension(case, &integration),
    );
    let binary = case.at("/input/binaryMediaTypes");
    if !binary.is_null() {
        document["x-amazon-apigateway-binary-media-types"] = binary.clone();
    }
    let (expected, error) = (case.at("/expected").clone(), case.at("/expected_error").clone());
    let api_id = case.text("/input/api_id").to_owned();
    let (path, stage) = (uri[path_at..].to_owned(), stage.to_owned());
    let check = Box::new(move |served: &Served<'_>| {
        let response =
            served.request(&request.method, &request.target(&stage), &borrowed(&request.headers), &request.body);
        if !error.is_null() {
            return expect_error(&response, &error);
        }
        let sent = served.sent()?;
        compare(&sent, &expected, &request, &path, (&api_id, &served.case.api()))
    });
    Ok(Setup { document: Some(document), check: Some(check), ..Setup::default() })
}

fn compare(
    sent: &Recorded,
    expected: &Value,
    request: &Incoming,
    path: &str,
    (their_id, our_id): (&str, &str),
) -> Verdict {
    equal("method", &sent.method.as_str(), &expected["http_method"].as_str().unwrap_or_default())?;
    let uri = expected["uri"].as_str().unwrap_or_default();
    let want = uri.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    if !path.is_empty() || !want.is_empty() {
        equal("path", &decode(path_of(sent)).trim_start_matches('/'), &want.split('?').next().unwrap_or_default())?;
    }
    let mut query = query(sent);
    for (name, value) in object(&expected["query_string_parameters"]) {
        equal(&format!("query {name}"), &query.remove(&name).unwrap_or_default(), &values(&value))?;
    }
    if !query.is_empty() {
        return Err(format!("more query than wanted: {query:?}"));
    }
    let wanted = pairs(&expected["headers"]);
    for (name, value) in &wanted {
        let got = sent.header(name);
        match name.to_ascii_lowercase().as_str() {
            // Connections are the gateway's own business; a trace id differs each time.
            "connection" => {}
            "x-amzn-trace-id" => equal("a trace id", &got.is_some(), &true)?,
            _ => {
                let all: Vec<&str> = wanted
                    .iter()
                    .filter(|(known, _)| known.eq_ignore_ascii_case(name))
                    .map(|(_, v)| v.as_str())
                    .collect();
                let got: Vec<&str> = sent.headers.all(name);
                let all: Vec<String> = all.iter().map(|value| value.replace(their_id, our_id)).collect();
                equal(&format!("header {name} ({value})"), &got, &all)?;
            }
        }
    }
    // What the client sent and AWS does not pass on must not be there.
    for (name, _) in &request.headers {
        if !wanted.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
            && !name.eq_ignore_ascii_case("content-type")
        {
            equal(&format!("header {name}"), &sent.header(name), &None::<&str>)?;
        }
    }
    equal("body", &String::from_utf8_lossy(&sent.body), &String::from_utf8_lossy(&bytes(&expected["body"])))
}

/// A request as cases describe it.
pub(crate) struct Incoming {
    pub(crate) method: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    path: String,
    parameters: Map<String, Value>,
    query: Vec<(String, String)>,
}

impl Incoming {
    pub(crate) fn of(value: &Value) -> Self {
        let mut query = Vec::new();
        for (name, all) in object(&value["multi_value_query_string_parameters"]) {
            query.extend(values(&all).into_iter().map(|value| (name.clone(), value)));
        }
        if query.is_empty() {
            query = pairs(&value["query_string_parameters"]);
        }
        Self {
            method: value["http_method"].as_str().unwrap_or("POST").to_owned(),
            headers: pairs(&value["headers"]),
            body: bytes(&value["body"]),
            path: value["path"].as_str().unwrap_or("/test").to_owned(),
            parameters: object(&value["path_parameters"]),
            query,
        }
    }

    fn document(&self, case: &Case, stage: &str, integration: &Value) -> Value {
        self.document_at(case, stage, case.at("/input/stage_variables"), "", integration)
    }

    /// The API whose route takes this request: at `resource`, or with the path's segments that are parameters' values named.
    fn document_at(&self, case: &Case, stage: &str, variables: &Value, resource: &str, integration: &Value) -> Value {
        let mut path = String::new();
        for segment in self.path.split('/').skip(1) {
            let named = self.parameters.iter().find(|(_, value)| value.as_str() == Some(segment));
            path.push_str(&named.map_or_else(|| format!("/{segment}"), |(name, _)| format!("/{{{name}}}")));
        }
        let path = if resource.is_empty() { path } else { resource.to_owned() };
        let operation = json!({ "x-amazon-apigateway-integration": integration });
        document(case, stage, variables, json!({ path: { self.method.to_ascii_lowercase(): operation } }))
    }

    pub(crate) fn target(&self, stage: &str) -> String {
        let query: Vec<String> =
            self.query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let separator = if query.is_empty() { "" } else { "?" };
        format!("/{stage}{}{separator}{}", self.path, query.join("&"))
    }
}

/// What the context of a case says of its caller, as header fields.
fn caller(context: &Value) -> Vec<(String, String)> {
    let names = [("/identity/userAgent", "User-Agent"), ("/identity/apiKey", "X-API-Key")];
    let text = |pointer| context.pointer(pointer).and_then(Value::as_str);
    names.iter().filter_map(|(pointer, name)| Some(((*name).to_owned(), text(pointer)?.to_owned()))).collect()
}

/// The API wants the key that the context knows.
fn with_key(case: &Case, mut document: Value) -> Value {
    let Some(key) = case.at("/input/context_variables").pointer("/identity/apiKey").and_then(Value::as_str) else {
        return document;
    };
    let digest = openssl::hash::hash(openssl::hash::MessageDigest::sha256(), key.as_bytes()).expect("SHA-256");
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    document["x-moongate-api-keys"] = json!([{ "id": "case", "sha256": digits }]);
    document["components"] =
        json!({ "securitySchemes": { "key": { "type": "apiKey", "name": "x-api-key", "in": "header" } } });
    for item in document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
            operation["security"] = json!([{ "key": [] }]);
        }
    }
    document
}

/// What is expected, with our API's id where the case's context has its own.
fn settled(case: &Case, expected: &Value) -> Value {
    let id = case.text("/input/context_variables/apiId");
    if id.is_empty() {
        return expected.clone();
    }
    let text = expected.to_string().replace(&format!("\"{id}\""), &format!("\"{}\"", case.api()));
    serde_json::from_str(&text).expect("JSON stays JSON")
}

/// What an integration answers, as cases describe it.
pub(crate) fn answer(response: &Value) -> Answer {
    let mut answer =
        Answer::bytes(bytes(&response["body"])).status(response["status_code"].as_u64().unwrap_or(200) as u16);
    for (name, value) in pairs(&response["headers"]) {
        answer = answer.header(&name, &value);
    }
    answer
}

/// One value or several.
fn values(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.iter().flat_map(values).collect(),
        Value::String(text) => vec![text.clone()],
        other => vec![other.to_string()],
    }
}

fn path_of(sent: &Recorded) -> &str {
    sent.target.split('?').next().unwrap_or_default()
}

fn query(sent: &Recorded) -> BTreeMap<String, Vec<String>> {
    let mut query: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pair in sent.target.split_once('?').map_or("", |(_, query)| query).split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        query.entry(decode(name)).or_default().push(decode(value));
    }
    query
}

/// Percent-decodes.
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        let digits = tail.get(..2).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match digits.filter(|_| *byte == b'%') {
            Some(value) => {
                bytes.push(value);
                rest = &tail[2..];
            }
            None => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Percent-encodes everything but unreserved characters.
pub(crate) fn encode(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// A field that every request of a case carries, for routes that pass what clients send.
pub(crate) fn named(case: &Case) -> (String, String) {
    (CASE.to_owned(), case.api())
}
