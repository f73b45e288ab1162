//! OpenAPI documents with AWS's extensions, and what AWS itself made of some of them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use moongate_tests::Project;
use moongate_tests::process::Process;
use moongate_tests::wait::SOON;

use crate::world::{Case, Prepared, Served, Setup, World, command, equal};

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

/// What AWS made of a document.
pub(crate) fn recorded(_case: &Case, _world: &World) -> Prepared {
    Err("not compared yet".to_owned())
}
