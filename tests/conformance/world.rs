//! What cases are run in: one gateway with an API per case, and one upstream that answers each case as it asks.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};

use moongate_tests::process::Process;
use moongate_tests::wait::SOON;
use moongate_tests::{Answer, Client, Fault, Gateway, Project, Recorded, Response, Upstream};

/// The header field by which the upstream knows whom it answers.
pub(crate) const CASE: &str = "x-case";

/// The stage of APIs whose case names none.
pub(crate) const STAGE: &str = "stage";

/// One case of a file.
pub(crate) struct Case {
    pub(crate) file: &'static str,
    pub(crate) id: String,
    pub(crate) value: Value,
}

/// Whether a case is met, and why not.
pub(crate) type Verdict = Result<(), String>;

/// A check of what was served.
pub(crate) type Check = Box<dyn Fn(&Served<'_>) -> Verdict>;

/// A case ready to run; `Err` says what cannot be set up.
pub(crate) type Prepared = Result<Setup, String>;

/// What a case needs.
#[derive(Default)]
pub(crate) struct Setup {
    /// The API: native, or OpenAPI. Its id is the case's, see [`api_id`].
    pub(crate) document: Option<Value>,
    /// More files of the project.
    pub(crate) files: Vec<(String, String)>,
    /// What the upstream answers to requests of this case.
    pub(crate) answer: Option<Answer>,
    /// The check.
    pub(crate) check: Option<Check>,
}

/// What a check sees.
pub(crate) struct Served<'world> {
    pub(crate) case: &'world Case,
    client: Client,
    upstream: &'world Upstream,
}

/// The upstream, and the gateway when all is known.
pub(crate) struct World {
    upstream: Upstream,
    silent: Upstream,
    answers: Arc<Mutex<HashMap<String, Answer>>>,
}

impl Case {
    pub(crate) fn new(file: &'static str, value: Value) -> Self {
        let id = value["id"].as_str().expect("a case has an id").to_owned();
        Self { file, id, value }
    }

    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn at(&self, pointer: &str) -> &Value {
        self.value.pointer(pointer).unwrap_or(&Value::Null)
    }

    pub(crate) fn oracle(&self) -> &str {
        self.text("/oracle")
    }

    /// The API's id: letters, digits and hyphens.
    pub(crate) fn api(&self) -> String {
        api_id(&self.id)
    }
}

/// The id of the API of a case.
pub(crate) fn api_id(case: &str) -> String {
    let id: String =
        case.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let start = id.len().saturating_sub(50);
    id[start..].trim_matches('-').to_owned()
}

impl World {
    pub(crate) fn start() -> Self {
        let answers: Arc<Mutex<HashMap<String, Answer>>> = Arc::default();
        let known = Arc::clone(&answers);
        let upstream = Upstream::recording(move |request: &Recorded| {
            let case = request.header(CASE).unwrap_or_default().to_owned();
            let answer = known.lock().expect("nobody panics with it").get(&case).cloned();
            answer.unwrap_or_else(|| Answer::json(&json!({ "line": request.line() })))
        });
        Self { upstream, silent: Upstream::faulty(Fault::AcceptNever), answers }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn upstream(&self) -> String {
        self.upstream.url()
    }

    /// An upstream that never answers.
    pub(crate) fn silent(&self) -> String {
        self.silent.url()
    }

    /// Serves all cases and checks them.
    pub(crate) fn run(&self, prepared: Vec<(&Case, Prepared)>) -> Vec<Verdict> {
        let mut builder = Gateway::builder().args(["--access-log", "none", "--workers", "1"]);
        let whole = Project::default();
        for (case, setup) in &prepared {
            let Ok(setup) = setup else { continue };
            if let Some(answer) = &setup.answer {
                self.answers.lock().expect("nobody panics with it").insert(case.api(), answer.clone());
            }
            if let Some(document) = &setup.document {
                whole.write(&format!("apis/{}.json", case.api()), &document.to_string());
            }
            setup.files.iter().for_each(|(path, text)| whole.write(path, text));
        }
        // A project with an error is not served: documents with one are told apart first.
        let broken = problems(&whole);
        let mut documents = 0;
        for (case, setup) in &prepared {
            let Ok(setup) = setup else { continue };
            let path = format!("apis/{}.json", case.api());
            if let Some(document) = setup.document.as_ref().filter(|_| !broken.contains_key(&path)) {
                documents += 1;
                builder = builder.file(&path, &document.to_string());
            }
            for (path, text) in &setup.files {
                builder = builder.file(path, text);
            }
        }
        if documents == 0 {
            builder = builder.file("apis/none.json", r#"{"api": "none"}"#);
        }
        let gateway = builder.start();
        let client = gateway.client();
        let verdicts = prepared.into_iter().map(|(case, setup)| {
            let setup = setup?;
            if let Some(why) = broken.get(&format!("apis/{}.json", case.api())) {
                return Err(format!("the document has errors: {why}"));
            }
            let served = Served { case, client, upstream: &self.upstream };
            setup.check.map_or(Ok(()), |check| check(&served))
        });
        verdicts.collect()
    }
}

/// The first error of each document that has one.
fn problems(project: &Project) -> BTreeMap<String, String> {
    let arguments = ["validate", ".", "--format", "json"];
    let ended = Process::run(project.working_folder(), arguments, SOON);
    let reports: Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {}", ended.stderr));
    let mut broken = BTreeMap::new();
    for report in reports.as_array().into_iter().flatten().filter(|report| report["severity"] == "error") {
        let file = report["file"].as_str().unwrap_or_default().to_owned();
        broken.entry(file).or_insert_with(|| format!("{}: {}", report["code"], report["message"]));
    }
    broken
}

impl Served<'_> {
    /// A request to the case's API; `target` begins with the stage.
    pub(crate) fn request(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let host = format!("{}.execute-api.localhost", self.case.api());
        let mut fields = vec![("Host", host.as_str())];
        fields.extend(headers);
        let response = self.client.request(method, target, &fields, body);
        if std::env::var_os("MOONGATE_CASE").is_some() {
            println!("{method} {target} {headers:?}\n{} {:?}\n{}", response.status, response.headers, response.text());
        }
        response
    }

    /// What reached the upstream for this case, the latest.
    pub(crate) fn sent(&self) -> Result<Recorded, String> {
        let api = self.case.api();
        let mut requests = self.upstream.requests();
        requests.retain(|request| request.header(CASE) == Some(&api));
        let last = requests.pop();
        if std::env::var_os("MOONGATE_CASE").is_some() {
            println!("upstream: {last:#?}");
        }
        last.ok_or_else(|| "nothing reached the upstream".to_owned())
    }

    /// `moongate routes test --dry-run` on a project of this document only.
    pub(crate) fn dry_run(&self, document: &Value, method: &str, path: &str) -> Result<Value, String> {
        let project = Project::default();
        project.write("apis/api.json", &document.to_string());
        command(&project, &["routes", "test", method, path, "--dry-run", "--format", "json"])
    }
}

/// A command of the binary in a project's folder, which prints JSON.
pub(crate) fn command(project: &Project, arguments: &[&str]) -> Result<Value, String> {
    let ended = Process::run(&project.path(), arguments, SOON);
    serde_json::from_str(&ended.stdout).map_err(|error| format!("{error}: {}{}", ended.stdout, ended.stderr))
}

/// An OpenAPI document of a REST API with AWS's habits.
pub(crate) fn document(case: &Case, stage: &str, variables: &Value, paths: Value) -> Value {
    json!({
        "openapi": "3.0.1",
        "info": { "title": case.id, "version": "1" },
        "x-moongate-api": case.api(),
        "x-moongate-protocol": "rest",
        "x-moongate-compat": "aws",
        "x-moongate-stages": [{ "name": stage, "variables": object(variables) }],
        "paths": paths,
    })
}

/// A native document of a REST API with AWS's habits.
pub(crate) fn native(case: &Case, stage: &str, routes: Value) -> Value {
    json!({
        "api": case.api(), "protocol": "rest", "compat": "aws", "stages": [{ "name": stage }], "routes": routes,
    })
}

/// An object, empty for anything else.
pub(crate) fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// An integration as the control plane knows it, as the extension writes it. Requests carry the case's name.
pub(crate) fn extension(case: &Case, integration: &Value) -> Value {
    let mut written = Map::new();
    for (name, value) in object(integration) {
        match name.as_str() {
            "type" => {
                written.insert(name, value.as_str().unwrap_or_default().to_ascii_lowercase().into());
            }
            "integrationResponses" => {
                written.insert("responses".to_owned(), responses(&value));
            }
            _ if value.is_null() => {}
            _ => {
                written.insert(name, value);
            }
        }
    }
    let parameters = written.entry("requestParameters").or_insert_with(|| json!({}));
    parameters[format!("integration.request.header.{CASE}")] = format!("'{}'", case.api()).into();
    Value::Object(written)
}

/// Integration responses by status, as the extension writes them: by pattern.
pub(crate) fn responses(by_status: &Value) -> Value {
    let mut written = Map::new();
    for response in object(by_status).values() {
        let mut members = object(response);
        members.retain(|_, value| !value.is_null());
        let pattern = members.remove("selectionPattern");
        let key = pattern.as_ref().and_then(Value::as_str).filter(|pattern| !pattern.is_empty()).unwrap_or("default");
        written.insert(key.to_owned(), Value::Object(members));
    }
    Value::Object(written)
}

/// Bytes that a case gives as a text, as `{"$text"}` or as `{"$base64"}`.
pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.clone().into_bytes(),
        Value::Object(members) => match (members.get("$text"), members.get("$base64")) {
            (Some(Value::String(text)), _) => text.clone().into_bytes(),
            (_, Some(Value::String(text))) => openssl::base64::decode_block(text).expect("a case's Base64"),
            _ => value.to_string().into_bytes(),
        },
        Value::Null => Vec::new(),
        other => other.to_string().into_bytes(),
    }
}

/// `[[name, value], ...]` or `{name: value}`.
pub(crate) fn pairs(value: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match value {
        Value::Array(items) => items.iter().map(|item| (text(&item[0]), text(&item[1]))).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        _ => Vec::new(),
    }
}

/// Pairs as the client takes them.
pub(crate) fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// Checks an error that the gateway itself answers: status, `message`, `x-amzn-ErrorType`.
pub(crate) fn expect_error(response: &Response, error: &Value) -> Verdict {
    let status = error["status"].as_str().and_then(|text| text.parse().ok());
    let status = status.unwrap_or_else(|| default_status(error["gateway_response_type"].as_str().unwrap_or_default()));
    equal("status", &response.status, &status)?;
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    equal("message", &body["message"], &error["message"])?;
    let error_type = error["x-amzn-ErrorType"].as_str().unwrap_or_default();
    equal("x-amzn-ErrorType", &response.header("x-amzn-errortype").unwrap_or_default(), &error_type)
}

/// The status that a type of gateway response has by default.
pub(crate) fn default_status(kind: &str) -> u16 {
    match kind {
        "BAD_REQUEST_BODY" | "BAD_REQUEST_PARAMETERS" => 400,
        "UNAUTHORIZED" => 401,
        "RESOURCE_NOT_FOUND" => 404,
        "REQUEST_TOO_LARGE" => 413,
        "UNSUPPORTED_MEDIA_TYPE" => 415,
        "THROTTLED" | "QUOTA_EXCEEDED" => 429,
        "INTEGRATION_FAILURE" | "INTEGRATION_TIMEOUT" => 504,
        "API_CONFIGURATION_ERROR" | "AUTHORIZER_CONFIGURATION_ERROR" | "AUTHORIZER_FAILURE" | "DEFAULT_5XX" => 500,
        _ => 403,
    }
}

/// Compares, and says what differs.
pub(crate) fn equal<A: PartialEq<B> + std::fmt::Debug, B: std::fmt::Debug>(what: &str, got: &A, want: &B) -> Verdict {
    if got == want { Ok(()) } else { Err(format!("{what}: got {got:?}, want {want:?}")) }
}
