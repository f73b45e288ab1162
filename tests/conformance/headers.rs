//! Header fields on their way through the four kinds of integrations, as recorded with 27 of them in both directions.

use serde_json::{Map, Value, json};

use moongate_tests::{Answer, Response};

use crate::mapping::named;
use crate::world::{CASE, Case, Prepared, Served, Setup, Verdict, World, borrowed, document, equal, extension, object};

/// The fields that were sent, with their values.
const SENT: [(&str, &str); 21] = [
    ("Accept", "application/json"),
    ("Accept-Charset", "UTF-8"),
    ("Accept-Encoding", "br"),
    ("Age", "request_Age"),
    ("Authorization", "Unauthorized"),
    ("Content-Encoding", "deflate"),
    ("Content-Type", "application/json"),
    ("Content-MD5", "request_Content-MD5"),
    ("Date", "Sun, 22 Nov 2026 00:00:00 GMT"),
    ("Max-Forwards", "2"),
    ("Pragma", "cache"),
    ("Proxy-Authenticate", "request_Proxy-Authenticate"),
    ("Range", "bytes=500-999"),
    ("Referer", "https://example.com/"),
    ("Server", "request_Server"),
    ("TE", "deflate"),
    ("Trailer", "Expires"),
    ("User-Agent", "localStack/0.0"),
    ("Via", "1.1 fred"),
    ("Warn", "299 localStack/0.0"),
    ("WWW-Authenticate", "request_WWW-Authenticate"),
];

/// The fields that are mapped on requests and set on answers, beside those above.
const MORE: [&str; 6] = ["Connection", "Content-Length", "Expect", "Host", "Transfer-Encoding", "Upgrade"];

/// Fields whose mapping makes AWS answer 500; they are mapped alone.
const REFUSED: [&str; 7] =
    ["content-length", "transfer-encoding", "authorization", "connection", "expect", "proxy-authenticate", "te"];

/// `header_remapping`: one matrix of requests and answers.
pub(crate) fn remapping(case: &Case, world: &World) -> Prepared {
    let kind = case.text("/integration").to_owned();
    let is_function = kind.starts_with("AWS");
    let is_proxy = kind.ends_with("_PROXY");
    let mut paths = Map::new();
    paths.insert("/none".to_owned(), operation(case, world, &kind, json!({}), json!({})));
    let recorded = object(case.at("/recorded"));
    let is_refused = |name: &str| recorded.contains_key(&name.to_ascii_lowercase());
    let (mut requests, mut responses) = (Map::new(), Map::new());
    for name in SENT.iter().map(|(name, _)| *name).chain(MORE) {
        if !is_refused(name) && name != "Host" {
            requests
                .insert(format!("integration.request.header.{name}"), format!("method.request.header.{name}").into());
        }
        responses.insert(format!("method.response.header.{name}"), format!("'response_param_{name}'").into());
    }
    paths.insert("/full".to_owned(), operation(case, world, &kind, requests.into(), responses.into()));
    for name in REFUSED.iter().filter(|name| is_refused(name)) {
        let mapping = json!({ format!("integration.request.header.{name}"): "'mapped'" });
        paths.insert(format!("/{name}"), operation(case, world, &kind, mapping, json!({})));
    }
    let document = document(case, "test", &Value::Null, paths.into());
    let answer = Answer::text("{}").header("Content-Type", "application/json").header("Server", "upstream");
    let check = Box::new(move |served: &Served<'_>| {
        let mut sent: Vec<(String, String)> =
            SENT.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        sent.push(named(served.case));
        for (step, want) in &recorded {
            let path = match step.as_str() {
                "no-param-integration" => "none",
                "full-integration" => "full",
                other if REFUSED.contains(&other) => other,
                _ => continue,
            };
            let response = served.request("GET", &format!("/test/{path}"), &borrowed(&sent), b"");
            let compared = if REFUSED.contains(&path) {
                refused(&response)
            } else {
                seen(served, &response, want, is_function, is_proxy, path)
            };
            compared.map_err(|why| format!("{step}: {why}"))?;
        }
        Ok(())
    });
    Ok(Setup { document: Some(document), answer: Some(answer), check: Some(check), ..Setup::default() })
}

fn refused(response: &Response) -> Verdict {
    equal("status", &response.status, &500)?;
    equal("message", &response.json()["message"], &"Internal server error")?;
    equal("x-amzn-ErrorType", &response.header("x-amzn-errortype"), &Some("InternalServerErrorException"))
}

/// The method of a path. A function stands in for Lambda: it answers with its event.
fn operation(case: &Case, world: &World, kind: &str, requests: Value, responses: Value) -> Value {
    if kind.starts_with("AWS") {
        let script = if kind == "AWS" {
            "return function(event) return event end"
        } else {
            "return function(event) return { statusCode = 200, body = json.encode(event) } end"
        };
        let mut integration = json!({
            "type": kind.to_ascii_lowercase(), "function": { "lua": script }, "request_parameters": requests,
        });
        if kind == "AWS" {
            let names: Vec<&str> = SENT.iter().map(|(name, _)| *name).chain(MORE).collect();
            let lines: Vec<String> =
                names.iter().map(|name| format!("['{name}'] = input.params('{name}') or ''")).collect();
            let template = format!("return {{ {} }}", lines.join(", "));
            integration["request_templates"] = json!({ "application/json": { "lua": template } });
            integration["responses"] = json!([{ "status_code": 200, "response_parameters": responses }]);
        }
        return json!({ "get": { "x-moongate-integration": integration } });
    }
    let mut integration = json!({
        "type": kind, "httpMethod": "GET", "uri": format!("{}/x", world.upstream()), "requestParameters": requests,
    });
    if kind == "HTTP" {
        integration["integrationResponses"] =
            json!({ "200": { "statusCode": "200", "responseParameters": responses } });
    }
    json!({ "get": { "x-amazon-apigateway-integration": extension(case, &integration) } })
}

/// Compares what the integration saw and what the client got.
fn seen(
    served: &Served<'_>,
    response: &Response,
    want: &Value,
    is_function: bool,
    is_proxy: bool,
    path: &str,
) -> Verdict {
    equal("status", &response.status, &200)?;
    if is_function && is_proxy {
        let event = response.json();
        let got = lower(&event["headers"]);
        for (name, value) in lower(&want["headers"]) {
            compare_value(&format!("event header {name}"), got.get(&name), &value)?;
        }
        for name in ["content-md5", "max-forwards", "server", "te", "trailer", "www-authenticate"] {
            equal(&format!("event header {name}"), &got.get(name).is_some(), &want["headers"].get(name).is_some())?;
        }
    } else if is_function && path == "full" {
        let got = response.json();
        for (name, value) in object(&want["body"]) {
            compare_value(&format!("template's {name}"), got.get(&name), &value)?;
        }
    } else if !is_function {
        let sent = served.sent()?;
        let wanted = lower(&want["body"]["headers"]);
        for (name, value) in &wanted {
            let got = sent.header(name).map(Value::from);
            compare_value(&format!("upstream's {name}"), got.as_ref(), value)?;
        }
        for (name, _) in SENT.iter().filter(|(name, _)| !wanted.contains_key(&name.to_ascii_lowercase())) {
            if !wanted.is_empty() && *name != CASE {
                equal(&format!("upstream's {name}"), &sent.header(name), &None::<&str>)?;
            }
        }
    }
    for (name, value) in object(&want["response-headers"]) {
        // Length and connection are those of this answer.
        if ["Connection", "Content-Length"].contains(&name.as_str()) {
            continue;
        }
        let got = response.header(&name).map(Value::from);
        compare_value(&format!("answer's {name}"), got.as_ref(), &value)?;
    }
    Ok(())
}

/// `<...>` stands for a value that differs each time.
fn compare_value(what: &str, got: Option<&Value>, want: &Value) -> Verdict {
    if want.as_str().is_some_and(|text| text.starts_with('<')) {
        return equal(what, &got.is_some(), &true);
    }
    equal(what, &got, &Some(want))
}

fn lower(headers: &Value) -> Map<String, Value> {
    object(headers).into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()
}
