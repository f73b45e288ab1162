//! OpenAPI documents with AWS's extensions, and what AWS itself made of some of them.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use moongate_tests::process::Process;
use moongate_tests::wait::SOON;
use moongate_tests::{Project, vectors};

use crate::mapping::named;
use crate::world::{Case, Check, Prepared, Served, Setup, Verdict, World, borrowed, command, equal, object, pairs};

/// A case for each document of `openapi_import/`.
pub(crate) fn files(folder: &Path) -> Vec<Case> {
    let place = folder.join("openapi_import");
    let Ok(text) = fs::read_to_string(place.join("index.json")) else { return Vec::new() };
    let index: Value = serde_json::from_str(&text).expect("the index is JSON");
    let files = index.as_array().cloned().unwrap_or_default();
    let cases = files.iter().filter_map(|entry| {
        let name = entry["file"].as_str()?;
        let text = fs::read_to_string(place.join(name)).ok()?;
        Some(Case::new("openapi_import", json!({ "id": name, "oracle": "file", "text": text })))
    });
    cases.collect()
}

/// A document that is imported, served, and whose every operation is found.
pub(crate) fn file(case: &Case) -> Prepared {
    let ending = if case.id.ends_with(".json") { "json" } else { "yaml" };
    let (name, text) = (format!("apis/document.{ending}"), case.text("/text").to_owned());
    let check = Box::new(move |_: &Served<'_>| {
        let project = Project::default();
        project.write(&name, &text);
        let ended = Process::run(&project.path(), ["routes", "list"], SOON);
        let keys: Vec<&str> = ended.stdout.lines().filter_map(|line| Some(line.split_once("  ")?.1)).collect();
        if keys.is_empty() {
            let problem = ended.stderr.lines().find(|line| line.starts_with("error")).unwrap_or(&ended.stderr);
            return Err(problem.to_owned());
        }
        for key in keys {
            let (method, path) = key.split_once(' ').unwrap_or(("GET", "/anything"));
            let method = if method == "ANY" { "PATCH" } else { method };
            let asked: Vec<&str> =
                path.split('/').map(|segment| if segment.starts_with('{') { "value" } else { segment }).collect();
            let arguments = ["routes", "test", method, &asked.join("/"), "--dry-run", "--format", "json"];
            let invocation = command(&project, &arguments)?;
            equal("route", &invocation["route"], &Value::from(key))?;
        }
        Ok(())
    });
    Ok(Setup { check: Some(check), ..Setup::default() })
}

/// What AWS made of a document, compared with what the import makes of it.
pub(crate) fn recorded(case: &Case, world: &World) -> Prepared {
    let test = case.text("/source").split("::").last().unwrap_or_default().to_owned();
    let recorded = object(case.at("/recorded"));
    let folder = vectors::folder("imports").ok_or("no documents")?.join("openapi_import");
    let read =
        move |name: &str| fs::read_to_string(folder.join(name)).map_err(|_| format!("{name} is not among the vectors"));
    if test.contains("stage_variables") {
        return stage_variables(case, world, &read("openapi.spec.stage-variables.json")?);
    }
    let check: Check = if test.contains("bad_file") {
        Box::new(|_: &Served<'_>| bad_files())
    } else if test.contains("test_export") {
        Box::new(move |_: &Served<'_>| exports(&recorded))
    } else if let Some(how) =
        test.strip_suffix(']').and_then(|test| test.rsplit_once("base_path_oas30[")).map(|(_, how)| how)
    {
        let (by_url, how) = (read("openapi-basepath-url.yaml")?, how.to_owned());
        // The same document with its base path in a variable, without the mappings that belong to the other.
        let by_variable = by_url.replace(
            "  - url: https://testdomain.com/base-url/part/",
            "  - url: https://testdomain.com/{basePath}\n    variables: {basePath: {default: /base-var}}",
        );
        let kept =
            by_variable.lines().filter(|line| !line.contains("double-single") && !line.contains("header.nothing"));
        let by_variable = kept.collect::<Vec<_>>().join("\n");
        Box::new(move |_: &Served<'_>| {
            for (name, text) in [("srv-var", &by_variable), ("srv-url", &by_url)] {
                let imported = imported(text, "document.yaml", &["--basepath", &how])?;
                let part: Map<String, Value> = recorded
                    .iter()
                    .filter(|(step, _)| step.contains(name))
                    .map(|(k, v)| (k.clone(), v.clone()))
                    .collect();
                compare(&part, &imported["config"]).map_err(|why| format!("{name}: {why}"))?;
                let warnings = part.values().any(|value| value.get("warnings").is_some());
                let left_out = imported["left_out"].as_array().is_some_and(|left_out| !left_out.is_empty());
                equal("warnings", &left_out, &warnings)?;
            }
            Ok(())
        })
    } else {
        let name = match test.as_str() {
            "test_import_swagger_api" => "petstore-authorizer.swagger.json",
            test if test.starts_with("test_import_with_circular_models") => {
                "openapi.spec.circular-ref-with-request-body.json"
            }
            other => return Err(format!("which document `{other}` is about is not known")),
        };
        // What the recording filled in before it imported the document.
        let text = read(name)?.replace("${uri}", "http://petstore.execute-api.<region>.amazonaws.com/petstore/pets");
        let mut document: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        if !recorded.contains_key("request-validators") {
            // It was recorded with a document that differs in nothing but this.
            without(&mut document, "x-amazon-apigateway-request-validator");
        }
        let text = document.to_string();
        Box::new(move |_: &Served<'_>| compare(&recorded, &imported(&text, "document.json", &[])?["config"]))
    };
    Ok(Setup { check: Some(check), ..Setup::default() })
}

/// Removes every member whose name begins like this.
fn without(value: &mut Value, start: &str) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| !name.starts_with(start));
            members.values_mut().for_each(|value| without(value, start));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| without(item, start)),
        _ => {}
    }
}

/// What `moongate import` says of a document.
fn imported(text: &str, name: &str, more: &[&str]) -> Result<Value, String> {
    let project = Project::default();
    project.write(name, text);
    command(&project, &[&["import", name, "--dry-run", "--format", "json"], more].concat())
}

fn bad_files() -> Verdict {
    for (name, text) in [("a.yaml", "openapi: ["), ("a.json", "{\"openapi\""), ("b.yaml", "x: 1"), ("b.json", "{}")] {
        let project = Project::default();
        project.write(name, text);
        let ended = Process::run(&project.path(), ["import", name], SOON);
        equal(name, &ended.code, &Some(65))?;
        equal("what was written", &project.join("apis").exists(), &false)?;
    }
    Ok(())
}

/// AWS's own exports, imported and exported again, are the same.
fn exports(recorded: &Map<String, Value>) -> Verdict {
    let body = recorded["get-export-with-extensions"]["body"].to_string().replace("<region>", "eu-west-1");
    let project = Project::default();
    project.write("export.json", &body);
    let ended = Process::run(&project.path(), ["import", "export.json"], SOON);
    equal("import", &ended.code, &Some(0)).map_err(|why| format!("{why}: {}{}", ended.stdout, ended.stderr))?;
    for (step, extensions) in [("get-export", "none"), ("get-export-with-extensions", "apigateway")] {
        let want: Value = serde_json::from_str(&recorded[step]["body"].to_string().replace("<region>", "eu-west-1"))
            .map_err(|error| error.to_string())?;
        let got = command(&project, &["export", "--extensions", extensions])?;
        for member in ["openapi", "info", "components", "paths", "x-amazon-apigateway-binary-media-types"] {
            same(&format!("{step} {member}"), &got[member], &want[member])?;
        }
    }
    Ok(())
}

/// Compares trees, and says where they differ. Names of operations are read without case and hyphens.
fn same(place: &str, got: &Value, want: &Value) -> Verdict {
    match (got, want) {
        (Value::Object(got), Value::Object(want)) => {
            for name in got.keys().chain(want.keys()) {
                let (a, b) = (got.get(name).unwrap_or(&Value::Null), want.get(name).unwrap_or(&Value::Null));
                if name == "operationId" {
                    let plain =
                        |value: &Value| value.as_str().unwrap_or_default().replace('-', "").to_ascii_lowercase();
                    equal(place, &plain(a), &plain(b))?;
                } else {
                    same(&format!("{place}/{name}"), a, b)?;
                }
            }
            Ok(())
        }
        _ => equal(place, got, want),
    }
}

/// The document with its variables set leads to the upstream, without them to 500.
fn stage_variables(case: &Case, world: &World, text: &str) -> Prepared {
    let host = world.upstream().replace("http://", "");
    let mut document: Value =
        serde_json::from_str(&text.replace("https://", "http://")).map_err(|error| error.to_string())?;
    document["x-moongate-api"] = case.api().into();
    // The document could be of either family; it was recorded as a REST API.
    document["x-moongate-protocol"] = "rest".into();
    let variables = json!({ "TestHost": host, "testPath": "test-path", "querystring": "qs_key=qs_value" });
    document["x-moongate-stages"] = json!([{ "name": "v1", "variables": variables }, { "name": "v2" }]);
    let recorded = object(case.at("/recorded"));
    let check: Check = Box::new(move |served: &Served<'_>| {
        served.request("GET", "/v1/path1", &borrowed(&[named(served.case)]), b"");
        let (sent, want) = (served.sent()?, &recorded["get-resp-from-http"]);
        equal("method", &Some(sent.method.as_str()), &want["method"].as_str())?;
        let query = want["args"].as_object().map(|args| pairs(&Value::Object(args.clone()))).unwrap_or_default();
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let path = want["path"].as_str().unwrap_or_default();
        equal("target", &sent.target, &format!("{path}?{}", query.join("&")))?;
        let response = served.request("GET", "/v2/path1", &[], b"");
        let error = &recorded["get-error-resp-from-http"];
        equal("status", &response.status, &500)?;
        equal("body", &response.json(), &error["body"])?;
        equal("x-amzn-ErrorType", &response.header("x-amzn-errortype"), &error["errorType"].as_str())
    });
    Ok(Setup { document: Some(document), check: Some(check), ..Setup::default() })
}

/// Compares what AWS told of an API with the native document of ours.
fn compare(recorded: &Map<String, Value>, config: &Value) -> Verdict {
    let routes = config["routes"].as_array().cloned().unwrap_or_default();
    for (step, value) in recorded {
        let items = || value["items"].as_array().cloned().unwrap_or_default();
        let name = step.as_str();
        if name.contains("resources") {
            let mut want = Vec::new();
            for item in items() {
                let path = item["path"].as_str().unwrap_or_default();
                want.extend(object(&item["resourceMethods"]).keys().map(|method| format!("{method} {path}")));
            }
            let mut got: Vec<String> =
                routes.iter().filter_map(|route| route["match"].as_str().map(str::to_owned)).collect();
            want.sort();
            got.sort();
            equal("resources", &got, &want)?;
        } else if name == "get-models" {
            let mut names: Vec<String> = object(&config["models"]).keys().cloned().collect();
            names.sort();
            let want: Vec<String> =
                items().iter().filter_map(|item| item["name"].as_str().map(str::to_owned)).collect();
            equal("models", &names, &want)?;
            for item in items() {
                let name = item["name"].as_str().unwrap_or_default();
                let mut got = plain(&config["models"][name]["schema"]);
                got.as_object_mut().map(|members| members.shift_remove("$schema"));
                same(&format!("model {name}"), &got, &plain(&item["schema"]))?;
            }
        } else if name.contains("authorizers") {
            for item in items() {
                let ours = &config["authorizers"][item["name"].as_str().unwrap_or_default()];
                equal("identity source", &ours["identity_source"][0], &item["identitySource"])?;
                equal("expression", &ours["identity_validation_expression"], &item["identityValidationExpression"])?;
            }
        } else if name.contains("request-validators") {
            for item in items() {
                let ours = &config["request_validators"][item["name"].as_str().unwrap_or_default()];
                equal("body", &ours["validate_request_body"], &item["validateRequestBody"])?;
                equal("parameters", &ours["validate_request_parameters"], &item["validateRequestParameters"])?;
            }
        } else if name.starts_with("import-") {
            for (theirs, ours) in [("name", "name"), ("description", "description"), ("version", "version")] {
                equal(theirs, &config[ours], &value[theirs])?;
            }
        } else if value.get("methodIntegration").is_some() {
            let (_, place) = name.split_once("method-").ok_or_else(|| format!("`{name}` names no method"))?;
            let (path, method) = place.rsplit_once('-').unwrap_or((place, ""));
            let path = if path == "root" { "" } else { path };
            let key = format!("{} /{path}", method.to_ascii_uppercase());
            let route = routes.iter().find(|route| route["match"] == key.as_str());
            method_of(route.ok_or_else(|| format!("there is no route {key}"))?, value)
                .map_err(|why| format!("{key}: {why}"))?;
        }
    }
    Ok(())
}

fn method_of(route: &Value, want: &Value) -> Verdict {
    let is_open = route["authorizer"].as_str().is_none_or(|name| name == "none");
    equal("authorization", &is_open, &(want["authorizationType"] == "NONE"))?;
    equal("api key", &(route["api_key_required"] == true), &(want["apiKeyRequired"] == true))?;
    for (theirs, ours) in [("requestParameters", "request_parameters"), ("requestModels", "request_models")] {
        equal(theirs, &object(&route[ours]), &object(&want[theirs]))?;
    }
    equal("validator", &route["request_validator"].is_string(), &want["requestValidatorId"].is_string())?;
    for (status, theirs) in object(&want["methodResponses"]) {
        let ours = &route["method_responses"][&status];
        equal("response models", &object(&ours["response_models"]), &object(&theirs["responseModels"]))?;
        equal("response fields", &object(&ours["response_parameters"]), &object(&theirs["responseParameters"]))?;
    }
    let (ours, theirs) = (&route["integration"], &want["methodIntegration"]);
    let lower = |value: &Value| value.as_str().unwrap_or_default().to_ascii_lowercase();
    equal("type", &lower(&ours["type"]), &lower(&theirs["type"]))?;
    if theirs["type"] != "MOCK" {
        equal("method", &ours["method"], &theirs["httpMethod"])?;
        equal("uri", &ours["uri"], &theirs["uri"])?;
    }
    equal("passthrough", &lower(&ours["passthrough_behavior"]), &lower(&theirs["passthroughBehavior"]))?;
    equal(
        "timeout",
        &ours["timeout_ms"].as_u64().unwrap_or(29_000),
        &theirs["timeoutInMillis"].as_u64().unwrap_or_default(),
    )?;
    equal("parameters", &object(&ours["request_parameters"]), &object(&theirs["requestParameters"]))?;
    templates(&ours["request_templates"], &theirs["requestTemplates"])?;
    let responses = ours["responses"].as_array().cloned().unwrap_or_default();
    for (status, theirs) in object(&theirs["integrationResponses"]) {
        let ours = responses.iter().find(|response| response["status_code"].as_u64() == status.parse().ok());
        let ours = ours.ok_or_else(|| format!("no integration response {status}"))?;
        equal("pattern", &ours["selection_pattern"], &theirs["selectionPattern"])?;
        equal("parameters", &object(&ours["response_parameters"]), &object(&theirs["responseParameters"]))?;
        templates(&ours["response_templates"], &theirs["responseTemplates"])?;
    }
    Ok(())
}

/// Templates that are texts are the same; those that became Lua are looked at where templates are rendered.
fn templates(ours: &Value, theirs: &Value) -> Verdict {
    equal("template types", &object(ours).keys().collect::<Vec<_>>(), &object(theirs).keys().collect::<Vec<_>>())?;
    for (media_type, want) in object(theirs) {
        let Some(text) = ours[&media_type]["text"].as_str() else { continue };
        // The recording holds templates that are JSON as JSON.
        let got = if want.is_string() { Value::from(text) } else { serde_json::from_str(text).unwrap_or_default() };
        equal("template", &got, &want)?;
    }
    Ok(())
}

/// A schema whose references are bare names and whose lists of names are sorted.
fn plain(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                let value = match (name.as_str(), value) {
                    ("$ref", Value::String(text)) => Value::from(text.rsplit('/').next().unwrap_or_default()),
                    ("required", Value::Array(names)) => {
                        let mut names = names.clone();
                        names.sort_by_key(Value::to_string);
                        Value::Array(names)
                    }
                    _ => plain(value),
                };
                (name.clone(), value)
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}
