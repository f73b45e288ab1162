//! Recorded behaviour of AWS API Gateway, case by case, through the real gateway.
//!
//! The cases are JSON files outside the repository (`MOONGATE_VECTORS`, else `../shared/vectors/open`). Each becomes an API; all
//! APIs are served by one gateway, requests go to it over sockets, and what reaches an upstream is looked at there. The few cases
//! about addresses that must not be called go through `moongate routes test --dry-run`, which runs the same stages.
//!
//! `EXPECTED_FAILURES.md` lists the cases that are not met, each with its reason. The test fails when a listed case passes and
//! when an unlisted one fails. `MOONGATE_CASE=ID` runs one case and prints what it saw.

#![forbid(unsafe_code)]

mod answers;
mod headers;
mod imports;
mod mapping;
mod responses;
mod routing;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use moongate_tests::{binary, vectors};
use world::{Case, Prepared, World};

/// The files, in the order in which they are told of.
const FILES: [&str; 13] = [
    "routing",
    "param_mapping",
    "integration_request",
    "integration_response",
    "content_handling",
    "validators",
    "mock",
    "uri_interpolation",
    "gateway_responses",
    "header_remapping",
    "cors",
    "querystring_headers",
    "openapi_import_recorded",
];

fn read(folder: &Path) -> Vec<Case> {
    let mut cases = Vec::new();
    for file in FILES {
        // Other sets of cases need not have every file.
        let Ok(text) = fs::read_to_string(folder.join(format!("{file}.json"))) else { continue };
        let document: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}.json: {error}"));
        for value in document["cases"].as_array().cloned().unwrap_or_default() {
            cases.push(Case::new(file, value));
        }
    }
    cases.extend(imports::files(folder));
    let only = std::env::var("MOONGATE_CASE").unwrap_or_default();
    cases.retain(|case| only.is_empty() || case.id == only);
    cases
}

fn prepare(case: &Case, world: &World) -> Prepared {
    match case.file {
        "routing" => routing::route(case),
        "querystring_headers" => routing::query(case),
        "param_mapping" => mapping::parameters(case, world),
        "integration_request" => mapping::request(case, world),
        "uri_interpolation" => mapping::uri(case),
        "mock" => mapping::mock(case),
        "integration_response" => responses::integration(case, world),
        "content_handling" => responses::content(case, world),
        "validators" => answers::validator(case),
        "gateway_responses" => answers::gateway_response(case, world),
        "cors" => answers::cors(case),
        "header_remapping" => headers::remapping(case, world),
        "openapi_import_recorded" => imports::recorded(case, world),
        _ => imports::file(case),
    }
}

/// The listed cases: lines that begin with `- ` and hold the id in backticks.
fn expected_failures() -> BTreeSet<String> {
    let path = binary::repository().join("tests/conformance/EXPECTED_FAILURES.md");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let ids = text.lines().filter_map(|line| line.strip_prefix("- ")?.split('`').nth(1));
    ids.map(str::to_owned).collect()
}

#[test]
fn recorded_behaviour_is_kept() {
    let Some(folder) = vectors::folder("conformance") else { return };
    let started = Instant::now();
    let cases = read(&folder);
    let world = World::start();
    let prepared = cases.iter().map(|case| (case, prepare(case, &world))).collect();
    let verdicts = world.run(prepared);

    let mut by_file: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let listed = expected_failures();
    let (mut failing, mut passing) = (Vec::new(), Vec::new());
    for (case, verdict) in cases.iter().zip(&verdicts) {
        let (passed, total) = by_file.entry(case.file).or_default();
        *total += 1;
        match verdict {
            Ok(()) => {
                *passed += 1;
                if listed.contains(&case.id) {
                    passing.push(case.id.as_str());
                }
            }
            Err(why) if !listed.contains(&case.id) => failing.push(format!("{} ({}): {why}", case.id, case.oracle())),
            Err(_) => {}
        }
    }
    for (file, (passed, total)) in &by_file {
        println!("{file}: {passed}/{total}");
    }
    let passed: usize = by_file.values().map(|(passed, _)| passed).sum();
    println!("{passed}/{} in {:.1} s", cases.len(), started.elapsed().as_secs_f64());
    assert!(failing.is_empty(), "{} cases fail and are not listed:\n{}", failing.len(), failing.join("\n"));
    assert!(passing.is_empty(), "these cases pass and are listed as failing: {}", passing.join(", "));
}
