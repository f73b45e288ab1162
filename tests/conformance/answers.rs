//! What the gateway answers itself: errors of every type, validation, cross-origin questions.

use serde_json::{Value, json};

use moongate_tests::{Answer, Response};

use crate::world::{
    Case, Prepared, STAGE, Served, Setup, Verdict, World, bytes, default_status, document, equal, expect_error,
    extension, native, object, pairs,
};

/// `validators`.
pub(crate) fn validator(case: &Case) -> Prepared {
    if case.text("/kind") == "http" {
        return known_setup(case, None);
    }
    let mut models = serde_json::Map::new();
    for (name, model) in object(case.at("/input/models")) {
        let schema = model["schema"].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or(json!({}));
        models.insert(name, json!({ "schema": schema }));
    }
    let mut validators = serde_json::Map::new();
    for (name, declared) in object(case.at("/input/validators")) {
        let flag = |name: &str| declared[name].as_bool().unwrap_or_default();
        validators.insert(
            name,
            json!({ "validate_request_body": flag("validateRequestBody"), "validate_request_parameters": flag("validateRequestParameters") }),
        );
    }
    let request = case.at("/input/request").clone();
    let parameters = pairs(&request["path_parameters"]);
    let path: String = parameters.iter().map(|(name, _)| format!("/{{{name}}}")).collect();
    let mut route = json!({ "match": format!("POST /x{path}"), "integration": ok() });
    for (theirs, ours) in [("requestParameters", "request_parameters"), ("requestModels", "request_models")] {
        let declared = case.at("/input/method").get(theirs).filter(|value| !value.is_null());
        route[ours] = declared.cloned().unwrap_or_else(|| json!({}));
    }
    if let Some(name) = case.at("/input/method/requestValidatorId").as_str() {
        route["request_validator"] = name.into();
    }
    let mut document = native(case, STAGE, json!([route]));
    document["models"] = models.into();
    document["request_validators"] = validators.into();
    let (expected, error) = (case.at("/expected").clone(), case.at("/expected_error").clone());
    let check = Box::new(move |served: &Served<'_>| {
        let path: String = parameters.iter().map(|(_, value)| format!("/{value}")).collect();
        let query: Vec<String> =
            pairs(&request["query_string_parameters"]).iter().map(|(n, v)| format!("{n}={v}")).collect();
        let target = format!("/{STAGE}/x{path}?{}", query.join("&"));
        let headers = pairs(&request["headers"]);
        let response = served.request("POST", &target, &crate::world::borrowed(&headers), &bytes(&request["body"]));
        if expected == "valid" {
            return equal("status", &response.status, &200);
        }
        let mut error = error.clone();
        error["status"] =
            default_status(error["gateway_response_type"].as_str().unwrap_or_default()).to_string().into();
        expect_error(&response, &error)
    });
    Ok(Setup { document: Some(document), check: Some(check), ..Setup::default() })
}

/// A mock that answers 200.
fn ok() -> Value {
    json!({ "type": "mock", "responses": [{ "status_code": 200 }] })
}

/// `gateway_responses`.
pub(crate) fn gateway_response(case: &Case, world: &World) -> Prepared {
    match case.text("/kind") {
        "default_definition" => {
            let definition = case.at("/definition").clone();
            let kind = definition["responseType"].as_str().unwrap_or_default().to_owned();
            provoked(case, world, &kind.clone(), move |response| {
                let status = definition["statusCode"].as_str().unwrap_or_default();
                equal("status", &response.status.to_string().as_str(), &status)?;
                equal("content-type", &response.header("content-type"), &Some("application/json"))?;
                let names: Vec<String> = object(&response.json()).keys().cloned().collect();
                let name = if kind == "ACCESS_DENIED" { "Message" } else { "message" };
                equal("members", &names, &vec![name.to_owned()])
            })
        }
        "error_type_header" => {
            let wanted = case.text("/x-amzn-ErrorType").to_owned();
            let kind = match (case.text("/type"), wanted.as_str()) {
                ("", "BadRequestException") => "BAD_REQUEST_BODY",
                ("", _) => "API_CONFIGURATION_ERROR",
                (kind, _) => kind,
            };
            provoked(case, world, kind, move |response| {
                equal("x-amzn-ErrorType", &response.header("x-amzn-errortype"), &Some(wanted.as_str()))
            })
        }
        "http_error" => known_setup(case, Some(world)),
        kind if kind.starts_with("inheritance") => inheritance(case),
        other => Err(format!("cases of kind `{other}` are not known")),
    }
}

/// An API that answers its first request with a type of gateway response.
fn provoked(case: &Case, world: &World, kind: &str, look: impl Fn(&Response) -> Verdict + 'static) -> Prepared {
    let mut route = json!({ "match": "POST /x", "integration": ok() });
    let mut extra = json!({});
    let authorizer = |script: &str| json!({ "a": { "type": "lua", "script": { "lua": script }, "identity_source": ["$request.header.x-who"] } });
    let mut headers = vec![("x-who", "me")];
    let mut path = "x";
    match kind {
        "BAD_REQUEST_BODY" => {
            extra = json!({ "models": { "m": { "schema": { "type": "object", "required": ["a"] } } },
                "request_validators": { "v": { "validate_request_body": true } } });
            route["request_models"] = json!({ "application/json": "m" });
            route["request_validator"] = "v".into();
        }
        "BAD_REQUEST_PARAMETERS" => {
            extra = json!({ "request_validators": { "v": { "validate_request_parameters": true } } });
            route["request_parameters"] = json!({ "method.request.querystring.q": true });
            route["request_validator"] = "v".into();
        }
        "UNAUTHORIZED" | "ACCESS_DENIED" | "AUTHORIZER_FAILURE" | "AUTHORIZER_CONFIGURATION_ERROR" => {
            extra = json!({ "authorizers": authorizer(match kind {
                "ACCESS_DENIED" => "return function() return false end",
                "AUTHORIZER_FAILURE" => "return function() error('out of order') end",
                _ => "return function() return 'maybe' end",
            }) });
            route["authorizer"] = "a".into();
            if kind == "UNAUTHORIZED" {
                headers.clear();
            }
        }
        "INVALID_API_KEY" => route["api_key_required"] = true.into(),
        "MISSING_AUTHENTICATION_TOKEN" => path = "nowhere",
        "UNSUPPORTED_MEDIA_TYPE" => route["integration"]["passthrough_behavior"] = "never".into(),
        "REQUEST_TOO_LARGE" => extra = json!({ "limits": { "request_body_bytes_max": 1 } }),
        "API_CONFIGURATION_ERROR" => route["integration"]["responses"][0]["selection_pattern"] = "999".into(),
        "INTEGRATION_FAILURE" => route["integration"] = json!({ "type": "http_proxy", "uri": "http://127.0.0.1:1/" }),
        "INTEGRATION_TIMEOUT" => {
            route["integration"] = json!({ "type": "http_proxy", "uri": world.silent(), "timeout_ms": 60 });
        }
        other => return Err(format!("no stage gives `{other}` yet")),
    }
    let mut document = native(case, STAGE, json!([route]));
    for (name, value) in object(&extra) {
        document[name] = value;
    }
    let check = Box::new(move |served: &Served<'_>| {
        look(&served.request("POST", &format!("/{STAGE}/{path}"), &headers, b"{}"))
    });
    Ok(Setup { document: Some(document), check: Some(check), ..Setup::default() })
}

/// What `DEFAULT_5XX` changes shows in every type of the class without an entry of its own, and in no other.
fn inheritance(case: &Case) -> Prepared {
    let declared = |name: &str| {
        let put = case.at("/recorded").get(name).cloned().unwrap_or_default();
        (put["responseType"].as_str().unwrap_or_default().to_owned(), put)
    };
    let puts = [
        declared("put-gateway-response-default-5xx"),
        declared("put-gateway-response-default-ignored"),
        declared("put-gateway-response-response-templates-only"),
    ];
    let mut responses = serde_json::Map::new();
    for (kind, put) in &puts {
        let mut response = json!({});
        // A status and a template that were not put are the type's own, told back by the recording.
        let is_own = |field: &str, value: &str| put[field].as_str() == Some(value);
        if kind.starts_with("DEFAULT") {
            response["status_code"] = put["statusCode"].as_str().and_then(|text| text.parse::<u16>().ok()).into();
        }
        response["response_parameters"] = put["responseParameters"].clone();
        if !is_own("responseTemplates", "") && put["responseTemplates"]["application/json"] != DEFAULT_TEMPLATE {
            response["response_templates"] = put["responseTemplates"].clone();
        }
        responses.insert(kind.clone(), response);
    }
    let fails = json!({ "type": "mock", "responses": [{ "status_code": 200, "selection_pattern": "999" }] });
    let mut document = native(
        case,
        STAGE,
        json!([
            { "match": "GET /config/{petId}", "integration": fails },
            { "match": "GET /failing", "integration": ok(), "authorizer": "a" },
        ]),
    );
    document["authorizers"] =
        json!({ "a": { "type": "lua", "script": { "lua": "return function() error('x') end" } } });
    document["gateway_responses"] = responses.into();
    document["stages"] = json!([{ "name": STAGE, "variables": { "a": "b" } }]);
    let header =
        |put: &Value, name: &str| put["responseParameters"].get(format!("gatewayresponse.header.{name}")).is_some();
    let has_header = header(&puts[0].1, "x-request-header");
    let check = Box::new(move |served: &Served<'_>| {
        let get = |path: &str| served.request("GET", &format!("/{STAGE}{path}"), &[("Accept", "text/x")], b"");
        let inherited = get("/config/1");
        equal("inherited status", &inherited.status, &599)?;
        equal("inherited header", &inherited.header("x-request-header"), &has_header.then_some("text/x"))?;
        let body = inherited.json();
        equal("inherited body", &body["type"], &"API_CONFIGURATION_ERROR")?;
        equal("stage variable", &body["stageVariables.a"], &"b")?;
        equal("resource path", &body["resourcePath"], &"/config/{petId}")?;
        let own = get("/failing");
        equal("own status", &own.status, &500)?;
        equal("own header", &own.header("foo"), &Some("bar"))?;
        equal("own body", &own.text().as_str(), &r#"{"message":null}"#)?;
        let other = get("/nowhere");
        equal("4xx status", &other.status, &403)?;
        equal("4xx body", &other.json()["type"], &"MISSING_AUTHENTICATION_TOKEN")
    });
    Ok(Setup { document: Some(document), check: Some(check), ..Setup::default() })
}

const DEFAULT_TEMPLATE: &str = "{\"message\":$context.error.messageString}";

/// Cases that give only a request and an error: the API is the one of the test they come from, rebuilt by what its name says.
fn known_setup(case: &Case, world: Option<&World>) -> Prepared {
    let source = case.text("/source");
    let test = source.split("::").last().unwrap_or_default();
    let method = case.text("/request/method").to_owned();
    let target = case.text("/request/target").to_owned();
    let (stage, path) = target.trim_start_matches('/').split_once('/').unwrap_or((&target, ""));
    let (stage, path) = (stage.to_owned(), format!("/{path}"));
    let is_binary_stage = stage == "test2" || stage == "test3";
    let mut headers: Vec<(String, String)> = pairs(case.at("/request/headers"));
    let mut body = bytes(case.at("/request/body"));
    let mut answer = None;
    let upstream = world.map(World::upstream).unwrap_or_default();
    let png = json!(["image/png"]);
    let mut document = if test.contains("s3_binary_support") {
        let mut integration = json!({ "type": "http", "httpMethod": "POST", "uri": format!("{upstream}/x") });
        let mut response = json!({ "statusCode": "200" });
        // Neither bytes nor this text are Base64.
        let raw = if path.ends_with("text") {
            b"plain text".to_vec()
        } else {
            vec![0x1f, 0x8b, 8, 0, b'K', b'L', b'Q', 0xff, b'u']
        };
        let raw = if path.ends_with("raw") { [raw, b"a".to_vec()].concat() } else { raw };
        let has_template = test.contains("with_request_template");
        let encoded = if path.ends_with("encoded") { b"YWJj".to_vec() } else { raw };
        if test.contains("request_convert_to_binary") && !test.contains("response_convert") {
            integration["contentHandling"] = "CONVERT_TO_BINARY".into();
            if has_template {
                integration["requestTemplates"] = json!({ "application/json": "$input.body" });
            }
            body = encoded;
        } else {
            answer = Some(Answer::bytes(encoded).header("Content-Type", "text/plain"));
            if test.contains("convert_to_binary") {
                response["contentHandling"] = "CONVERT_TO_BINARY".into();
            } else {
                headers.push(("Accept".to_owned(), "image/png".to_owned()));
            }
            if has_template {
                response["responseTemplates"] = json!({ "application/json": "$input.body" });
            }
        }
        integration["integrationResponses"] = json!({ "200": response });
        let operation = json!({ "x-amazon-apigateway-integration": extension(case, &integration) });
        let mut document =
            document(case, &stage, &Value::Null, json!({ &path: { method.to_ascii_lowercase(): operation } }));
        if is_binary_stage {
            document["x-amazon-apigateway-binary-media-types"] = png.clone();
        }
        document
    } else if test.contains("circular_models") || test.contains("ref_models") || test.contains("ref_one_ofmodels") {
        let route = json!({
            "match": format!("{method} {path}"), "integration": ok(), "request_validator": "all",
            "request_models": { "application/json": "Person" },
        });
        let mut document = native(case, &stage, json!([route]));
        document["request_validators"] = json!({ "all": { "validate_request_body": true } });
        let aws = |name: &str| format!("https://apigateway.amazonaws.com/restapis/{}/models/{name}", case.api());
        document["models"] = json!({
            "Person": { "schema": { "type": "object", "required": ["name"], "properties": { "house": { "$ref": aws("House") } } } },
            "House": { "schema": { "type": "object", "properties": { "contains": { "type": "array", "items": { "$ref": aws("Person") } } } } },
        });
        document
    } else if test.contains("non_post_method") {
        let function = json!({ "lua": "return function() return { statusCode = 200 } end" });
        let integration = json!({ "type": "aws_proxy", "method": "GET", "function": function });
        native(case, &stage, json!([{ "match": format!("{method} {path}"), "integration": integration }]))
    } else if test.contains("aws_proxy_binary_response") {
        let script = "return function() return { statusCode = 200, body = 'no Base64!', isBase64Encoded = true } end";
        let integration = json!({ "type": "aws_proxy", "function": { "lua": script } });
        headers.push(("Accept".to_owned(), "image/png".to_owned()));
        let mut document =
            native(case, &stage, json!([{ "match": format!("{method} {path}"), "integration": integration }]));
        document["binary_media_types"] = png;
        document
    } else if test.contains("stage_variables") {
        let integration = json!({ "type": "http_proxy", "uri": "http://${stageVariables.url}/", "httpMethod": "GET" });
        let operation = json!({ "x-amazon-apigateway-integration": integration });
        document(case, &stage, &Value::Null, json!({ &path: { method.to_ascii_lowercase(): operation } }))
    } else if test.contains("header_remapping") {
        let field = path.trim_start_matches('/').to_owned();
        let kind = if test.contains("AWS_PROXY") {
            "aws_proxy"
        } else if test.contains("AWS") {
            "aws"
        } else if test.contains("HTTP_PROXY") {
            "http_proxy"
        } else {
            "http"
        };
        let mut integration = json!({
            "type": kind, "request_parameters": { format!("integration.request.header.{field}"): "'x'" },
        });
        if kind.starts_with("aws") {
            integration["function"] = json!({ "lua": "return function() return { statusCode = 200 } end" });
        } else {
            integration["uri"] = upstream.clone().into();
        }
        if !kind.ends_with("_proxy") {
            integration["responses"] = json!([{ "status_code": 200 }]);
        }
        native(case, &stage, json!([{ "match": format!("{method} {path}"), "integration": integration }]))
    } else {
        return Err(format!("what the API of `{test}` looks like is not known"));
    };
    document["x-moongate-api"] = document.get("api").is_none().then(|| case.api()).into();
    if document["x-moongate-api"].is_null() {
        document.as_object_mut().expect("an object").remove("x-moongate-api");
    }
    let expected = case.at("/expected").clone();
    let check = Box::new(move |served: &Served<'_>| {
        let response = served.request(&method, &target, &crate::world::borrowed(&headers), &body);
        equal("status", &u64::from(response.status), &expected["status"].as_u64().unwrap_or_default())?;
        let error_type = expected["x-amzn-ErrorType"].as_str();
        equal("x-amzn-ErrorType", &response.header("x-amzn-errortype"), &error_type)?;
        let want: Value =
            expected["body"].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        equal("body", &response.json(), &want)
    });
    Ok(Setup { document: Some(document), answer, check: Some(check), ..Setup::default() })
}

/// `cors`.
pub(crate) fn cors(case: &Case) -> Prepared {
    if case.text("/kind") == "http" {
        return cors_exchange(case);
    }
    let rules = case.at("/input/cors").clone();
    let origin = case.at("/input/request_origin").as_str().map(str::to_owned);
    let text = |name: &str| rules[name].as_str().map(str::to_owned);
    let list = |name: &str| -> Vec<String> {
        let items = text(name).unwrap_or_default();
        items.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
    };
    let is_http = case.text("/input/api") == "HttpApi";
    let document = if is_http {
        let route = json!({ "match": "GET /x", "integration": { "type": "lua", "function": { "lua": "return function() return {} end" } } });
        let mut document = json!({ "api": case.api(), "protocol": "http", "compat": "aws", "routes": [route] });
        let mut cors = json!({ "allow_origins": list("allow_origin") });
        for (theirs, ours) in [("allow_methods", "allow_methods"), ("allow_headers", "allow_headers")] {
            if rules[theirs].is_string() {
                cors[ours] = list(theirs).into();
            }
        }
        if let Some(seconds) = rules["max_age"].as_i64() {
            cors["max_age_seconds"] = seconds.into();
        }
        if rules["allow_credentials"].as_bool() == Some(true) {
            cors["allow_credentials"] = true.into();
        }
        document["cors"] = cors;
        document
    } else {
        // A REST API has no rules of its own: a mock answers, with fixed fields.
        let mut parameters = serde_json::Map::new();
        let fields = [("allow_origin", "Origin"), ("allow_methods", "Methods"), ("allow_headers", "Headers")];
        for (name, field) in fields {
            if let Some(value) = text(name) {
                parameters.insert(
                    format!("method.response.header.Access-Control-Allow-{field}"),
                    format!("'{value}'").into(),
                );
            }
        }
        if let Some(seconds) = rules["max_age"].as_i64() {
            parameters
                .insert("method.response.header.Access-Control-Max-Age".to_owned(), format!("'{seconds}'").into());
        }
        if rules["allow_credentials"].as_bool() == Some(true) {
            parameters.insert("method.response.header.Access-Control-Allow-Credentials".to_owned(), "'true'".into());
        }
        let mock = json!({ "type": "mock", "responses": [{ "status_code": 200, "response_parameters": parameters }] });
        native(case, STAGE, json!([{ "match": "OPTIONS /x", "integration": mock }]))
    };
    let expected = object(case.at("/expected"));
    let check = Box::new(move |served: &Served<'_>| {
        let mut headers = vec![("Access-Control-Request-Method", "GET")];
        headers.extend(origin.as_deref().map(|origin| ("Origin", origin)));
        let path = if is_http { "/x".to_owned() } else { format!("/{STAGE}/x") };
        let response = served.request("OPTIONS", &path, &headers, b"");
        for name in ["Origin", "Methods", "Headers", "Credentials"] {
            let name = format!("Access-Control-Allow-{name}");
            // Space around a field's value is not part of it (RFC 9110 section 5.5).
            let want = expected
                .get(&name)
                .map(|value| value.as_str().map_or_else(|| value.to_string(), |text| text.trim().to_owned()));
            equal(&name, &response.header(&name).map(str::to_owned), &want)?;
        }
        let age = expected.get("Access-Control-Max-Age").map(Value::to_string);
        equal("max age", &response.header("access-control-max-age").map(str::to_owned), &age)
    });
    Ok(Setup { document: Some(document), check: Some(check), ..Setup::default() })
}

/// A whole exchange with an HTTP API whose rules are what the answer shows of them.
fn cors_exchange(case: &Case) -> Prepared {
    let expected = object(case.at("/expected"));
    let field = |name: &str| expected.get(&format!("header:access-control-{name}")).and_then(Value::as_str);
    let list = |name: &str| -> Vec<String> {
        field(name).unwrap_or_default().split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect()
    };
    let mut cors = json!({
        "allow_origins": list("allow-origin"), "allow_methods": list("allow-methods"),
        "allow_headers": list("allow-headers"), "expose_headers": list("expose-headers"),
        "allow_credentials": field("allow-credentials") == Some("true"),
    });
    if let Some(seconds) = field("max-age").and_then(|text| text.parse::<i32>().ok()) {
        cors["max_age_seconds"] = seconds.into();
    }
    let url = case.text("/request/url").to_owned();
    let route = json!({ "match": format!("GET {url}"), "integration": { "type": "lua", "function": { "lua": "return function() return {} end" } } });
    let document = json!({ "api": case.api(), "protocol": "http", "compat": "aws", "cors": cors, "routes": [route] });
    let headers = pairs(case.at("/request/headers"));
    let method = case.text("/request/method").to_owned();
    let check = Box::new(move |served: &Served<'_>| {
        let response = served.request(&method, &url, &crate::world::borrowed(&headers), b"");
        for (name, want) in &expected {
            match name.strip_prefix("header:") {
                Some(name) => equal(name, &response.header(name), &want.as_str())?,
                None if name == "status" => {
                    equal("status", &u64::from(response.status), &want.as_u64().unwrap_or_default())?;
                }
                None => {}
            }
        }
        Ok(())
    });
    Ok(Setup { document: Some(document), check: Some(check), ..Setup::default() })
}
