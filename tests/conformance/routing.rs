//! Which route takes a request, and how queries are read.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use moongate_tests::Response;

use crate::mapping::encode;
use crate::world::{Case, Prepared, STAGE, Served, Setup, equal, native, object};

/// A function that answers with its event: format 1.0 in `aws_proxy`, 2.0 in `lua`.
const ECHO: &str = "return function(event) return { statusCode = 200, body = json.encode(event) } end";

/// A route that answers with its event in format 1.0.
fn echo(key: &str) -> Value {
    json!({ "match": key, "integration": { "type": "aws_proxy", "function": { "lua": ECHO } } })
}

/// `routing`.
pub(crate) fn route(case: &Case) -> Prepared {
    match case.text("/kind") {
        "path_params" => parameters(case),
        "rest_path_precedence" => {
            let routes = object(case.at("/resources"));
            let routes = routes.iter().flat_map(|(path, methods)| keys(path, methods)).collect();
            let expected = case.at("/expected_resource").clone();
            rest(case, routes, case.text("/method"), format!("/{STAGE}{}", case.text("/path")), STAGE, move |event| {
                equal("resource", &event["resource"], &expected)
            })
        }
        "rest_route" => {
            let resources = case.at("/resources").as_array().cloned().unwrap_or_default();
            let routes = resources.iter();
            let routes =
                routes.flat_map(|resource| keys(resource["path"].as_str().unwrap_or_default(), &resource["methods"]));
            let stage = case.text("/request/stage");
            let path = case.at("/request/raw_path").as_str().unwrap_or(case.text("/request/path"));
            let expected = case.at("/expected").clone();
            let routes = routes.collect();
            rest(case, routes, case.text("/request/method"), format!("/{stage}{path}"), stage, move |event| {
                if expected["gateway_response"].is_string() {
                    return equal("resource", &event["resource"], &Value::Null);
                }
                equal("resource", &event["resource"], &expected["resource"])?;
                equal("path parameters", &object(&event["pathParameters"]), &object(&expected["pathParameters"]))
            })
        }
        "http_api_route" => http_api(case),
        "rest_path_through_aws_proxy" => through_proxy(case),
        other => Err(format!("cases of kind `{other}` are not known")),
    }
}

fn keys(path: &str, methods: &Value) -> Vec<String> {
    let methods = methods.as_array().into_iter().flatten().filter_map(Value::as_str);
    methods.map(|method| format!("{method} {path}")).collect()
}

/// A REST API with these routes, one request, and a look at the event of the route that took it; `{}` where none did.
fn rest(
    case: &Case,
    routes: Vec<String>,
    method: &str,
    target: String,
    stage: &str,
    look: impl Fn(&Value) -> Result<(), String> + 'static,
) -> Prepared {
    let routes: Vec<Value> = routes.iter().map(|key| echo(key)).collect();
    let document = native(case, stage, routes.into());
    let method = method.to_owned();
    let check = Box::new(move |served: &Served<'_>| {
        let response = served.request(&method, &target, &[], b"");
        look(&event(&response)?)
    });
    Ok(Setup { document: Some(document), check: Some(check), ..Setup::default() })
}

/// The event a route answered with; `{}` for what AWS says where there is no route.
fn event(response: &Response) -> Result<Value, String> {
    match response.status {
        200 => Ok(response.json()),
        403 if response.header("x-amzn-errortype") == Some("MissingAuthenticationTokenException") => {
            equal("message", &response.json()["message"], &Value::from("Missing Authentication Token"))?;
            Ok(json!({}))
        }
        404 => Ok(json!({})),
        other => Err(format!("status {other}: {}", response.text())),
    }
}

fn parameters(case: &Case) -> Prepared {
    let expected = case.at("/expected").clone();
    let key = format!("GET {}", case.text("/resource"));
    rest(case, vec![key], "GET", format!("/{STAGE}{}", case.text("/path")), STAGE, move |event| {
        equal("path parameters", &object(&event["pathParameters"]), &object(&expected))
    })
}

fn http_api(case: &Case) -> Prepared {
    let routes = case.at("/routes").as_array().cloned().unwrap_or_default();
    let routes: Vec<Value> = routes
        .iter()
        .map(|key| json!({ "match": key, "integration": { "type": "lua", "function": { "lua": ECHO } } }))
        .collect();
    let document = json!({ "api": case.api(), "protocol": "http", "compat": "aws", "routes": routes });
    let (method, path) = (case.text("/method").to_owned(), case.text("/path").to_owned());
    let expected = case.at("/expected_route").clone();
    let check = Box::new(move |served: &Served<'_>| {
        let response = served.request(&method, &path, &[], b"");
        equal("route", &event(&response)?["routeKey"], &expected)
    });
    Ok(Setup { document: Some(document), check: Some(check), ..Setup::default() })
}

/// The event of a Lambda function for a path, as recorded.
fn through_proxy(case: &Case) -> Prepared {
    let resources = case.at("/resources").as_array().cloned().unwrap_or_default();
    let routes: BTreeSet<String> = resources
        .iter()
        .filter_map(|text| text.as_str()?.split_once(' '))
        .map(|(path, method)| format!("{method} {path}"))
        .collect();
    let expected = object(case.at("/expected"));
    rest(
        case,
        routes.into_iter().collect(),
        "GET",
        case.text("/request_target").to_owned(),
        case.text("/stage"),
        move |event| {
            for (name, want) in &expected {
                let got = name.split('.').fold(event, |value, name| &value[name]);
                equal(name, got, want)?;
            }
            Ok(())
        },
    )
}

/// `querystring_headers`.
pub(crate) fn query(case: &Case) -> Prepared {
    let kind = case.text("/kind").to_owned();
    let expected = case.at("/expected").clone();
    let is_v2 = kind.contains("PayloadV2") || kind.contains("Raw");
    if kind == "clf_time" {
        return time(case);
    }
    let target = match case.at("/args/0") {
        Value::String(text) => format!("/{}", text.trim_start_matches('/')),
        // The request is not written down: it is the one that the result comes from.
        _ => format!("/foo?{}", spelled(&object(&expected))),
    };
    let integration = if is_v2 { "lua" } else { "aws_proxy" };
    let route = json!({ "match": "GET /foo", "integration": { "type": integration, "function": { "lua": ECHO } } });
    let document = native(case, STAGE, json!([route]));
    let check = Box::new(move |served: &Served<'_>| {
        let response = served.request("GET", &format!("/{STAGE}{target}"), &[], b"");
        let event = event(&response)?;
        let got = match kind.as_str() {
            "getRawQueryParams" => &event["rawQueryString"],
            "parseMultiValueQueryStringParameters" => &event["multiValueQueryStringParameters"],
            "parseQueryStringParameters" | "parseQueryStringParametersForPayloadV2" => &event["queryStringParameters"],
            "parseMultiValueHeaders" => &event["multiValueHeaders"],
            "parseHeaders" => &event["headers"],
            other => return Err(format!("cases of kind `{other}` are not known")),
        };
        equal(&kind, got, &expected)
    });
    Ok(Setup { document: Some(document), check: Some(check), ..Setup::default() })
}

/// A query that reads as these values; commas join several.
fn spelled(values: &Map<String, Value>) -> String {
    let mut pairs = Vec::new();
    for (name, value) in values {
        for value in value.as_str().unwrap_or_default().split(',') {
            pairs.push(format!("{}={}", encode(name), encode(value)));
        }
    }
    pairs.join("&")
}

/// The time of a request as text and as a number are the same, and the case's too.
fn time(case: &Case) -> Prepared {
    let epoch_ms = case.at("/args/0").as_u64().unwrap_or_default();
    equal("the case's own time", &clf(epoch_ms), &case.text("/expected").to_owned())?;
    let document = native(case, STAGE, json!([echo("GET /foo")]));
    let check = Box::new(move |served: &Served<'_>| {
        let event = event(&served.request("GET", &format!("/{STAGE}/foo"), &[], b""))?;
        let context = &event["requestContext"];
        let epoch_ms = context["requestTimeEpoch"].as_u64().unwrap_or_default();
        equal("requestTime", &context["requestTime"].as_str().unwrap_or_default(), &clf(epoch_ms).as_str())
    });
    Ok(Setup { document: Some(document), check: Some(check), ..Setup::default() })
}

/// The Common Log Format's time, counted day by day.
fn clf(epoch_ms: u64) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = epoch_ms / 1000;
    let (mut days, in_day) = (seconds / 86_400, seconds % 86_400);
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 0;
    let length = |month: usize| match month {
        1 => 28 + u64::from(is_leap(year)),
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    };
    while days >= length(month) {
        days -= length(month);
        month += 1;
    }
    let (hour, minute, second) = (in_day / 3600, in_day / 60 % 60, in_day % 60);
    format!("{:02}/{}/{year}:{hour:02}:{minute:02}:{second:02} +0000", days + 1, MONTHS[month])
}
