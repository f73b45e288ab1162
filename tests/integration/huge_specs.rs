//! Large OpenAPI documents: GitHub's own, and one with ten thousand operations. Loaded in seconds, in bounded memory, every operation
//! reachable.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use moongate_tests::{Answer, Gateway, Upstream};

/// What loading may take, at most, in a release build; unoptimised code is given more.
const LOAD: Duration = if cfg!(debug_assertions) { Duration::from_secs(60) } else { Duration::from_secs(5) };

/// Resident memory that a gateway with such an API may have, in KiB.
const MEMORY_KIB: u64 = 400 * 1024;

/// GitHub's description of its REST API, as its own package has it.
const PACKAGE: &str = "@octokit/openapi@23.0.2";

/// Serves a document and calls every operation of it once.
fn serve_and_call(document: &Value) {
    let upstream = Upstream::recording(|request| Answer::text(request.line()));
    let mut document = document.clone();
    document["x-moongate-upstream"] = upstream.url().into();
    document["x-moongate-api"] = "huge".into();
    // Nobody has to show who they are: this is about routes.
    document["security"] = json!([]);
    let operations = operations(&document);
    let began = Instant::now();
    let gateway = Gateway::builder()
        .args(["--workers", "1", "--access-log", "none"])
        .file("apis/huge.json", &document.to_string());
    let gateway = gateway.start();
    let took = began.elapsed();
    let memory_kib = gateway.rss_kib();
    println!("{} operations: {took:.1?}, {} MiB", operations.len(), memory_kib / 1024);
    assert!(took < LOAD, "loading took {took:.1?}");
    assert!(memory_kib < MEMORY_KIB, "{memory_kib} KiB are resident");
    let mut connection = gateway.client().connect();
    for (method, path) in &operations {
        let response = connection.request(method, &format!("/huge{path}"), &[], b"");
        let want = if method == "HEAD" { String::new() } else { format!("{method} {path}") };
        assert_eq!((response.status, response.text()), (200, want), "{method} {path}");
    }
}

/// Every operation, parameters filled in.
fn operations(document: &Value) -> Vec<(String, String)> {
    const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let segments = path.split('/').map(|segment| if segment.starts_with('{') { "value" } else { segment });
        let path = segments.collect::<Vec<_>>().join("/");
        for method in METHODS.iter().filter(|method| item.get(**method).is_some()) {
            operations.push((method.to_ascii_uppercase(), path.clone()));
        }
    }
    operations
}

#[test]
fn ten_thousand_operations_are_loaded_and_served() {
    let mut paths = serde_json::Map::new();
    let mut schemas = serde_json::Map::new();
    for index in 0..2_500 {
        let schema = format!("Thing{index}");
        let reference = json!({ "$ref": format!("#/components/schemas/{schema}") });
        let body = json!({ "required": true, "content": { "application/json": { "schema": &reference } } });
        let answer =
            json!({ "200": { "description": "one", "content": { "application/json": { "schema": &reference } } } });
        let id = json!([{ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }]);
        let group = format!("/group{}/things{index}", index / 50);
        paths.insert(
            group.clone(),
            json!({ "get": { "operationId": format!("list{index}"), "responses": &answer },
                    "post": { "operationId": format!("create{index}"), "requestBody": body, "responses": &answer } }),
        );
        paths.insert(
            format!("{group}/{{id}}"),
            json!({ "parameters": id, "get": { "operationId": format!("read{index}"), "responses": &answer },
                    "delete": { "operationId": format!("remove{index}"), "responses": &answer } }),
        );
        let next = format!("#/components/schemas/Thing{}", (index + 1) % 2_500);
        let properties = json!({ "id": { "type": "string" }, "next": { "$ref": next } });
        schemas.insert(schema, json!({ "type": "object", "required": ["id"], "properties": properties }));
    }
    serve_and_call(&json!({
        "openapi": "3.1.0", "info": { "title": "huge", "version": "1" }, "paths": paths, "components": { "schemas": schemas },
    }));
}

#[test]
fn github_s_description_is_loaded_and_served() {
    let Some(path) = github() else { return };
    let text = fs::read_to_string(&path).expect("a readable description");
    let document: Value = serde_json::from_str(&text).expect("JSON");
    assert!(operations(&document).len() > 1_000);
    serve_and_call(&document);
}

/// The description from its package, fetched once through npm. `None`, said aloud, where that is not possible.
fn github() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("octokit-openapi");
    let description = folder.join("package/generated/api.github.com.json");
    if description.is_file() {
        return Some(description);
    }
    fs::create_dir_all(&folder).expect("a folder of cargo's for tests");
    let quiet = |command: &mut Command| {
        command.current_dir(&folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()
    };
    let fetched =
        quiet(Command::new("npm").args(["pack", PACKAGE, "--silent", "--fetch-retries=0", "--fetch-timeout=20000"]));
    let archive = fs::read_dir(&folder).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let archive = archive.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "tgz"));
    if let (Ok(status), Some(archive)) = (&fetched, archive)
        && status.success()
        && quiet(Command::new("tar").arg("xzf").arg(archive)).is_ok_and(|status| status.success())
        && description.is_file()
    {
        return Some(description);
    }
    eprintln!("SKIPPED github_s_description_is_loaded_and_served: npm cannot fetch {PACKAGE}");
    None
}
