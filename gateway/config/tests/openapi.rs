//! OpenAPI documents, whole: what the import makes of them, and what is said about them.
//!
//! Beside each case in `tests/openapi` stand the native tree (`.native.json`) and what users see (`.issues.txt`).
//! `UPDATE_GOLDEN=1 cargo test` rewrites both; read the difference before committing it.
//!
//! Exports and samples by others are read from `$MOONGATE_VECTORS/openapi_import` (or `../../../shared/vectors/open` beside
//! the crate), and skipped where there is no such folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use moongate_config::issue::render;
use moongate_config::openapi::export::{self, Extensions};
use moongate_config::openapi::{Options, codes, import, to_native};
use moongate_config::source::{self, Node, Value};
use moongate_config::{Issue, Project, Sources};

/// The cases in `tests/openapi`.
const CASES: [&str; 2] = ["orders.yaml", "pets-export.json"];

/// What the import says about the files in the vectors folder: codes and how often. Files that are not listed have no problem.
///
/// The error is a template with a reference that a deployment replaces (E210).
/// One sample requires a scheme that it does not define, on operations that are declared open (W213).
const EXPECTED: [(&str, &[(&str, usize)]); 15] = [
    ("0_docs-kinesis-proxy.json", &[(codes::INTEGRATION_FIELD_UNSUPPORTED, 8)]),
    ("1_docs-kinesis-proxy.json", &[(codes::INTEGRATION_FIELD_UNSUPPORTED, 8)]),
    ("0_docs-request-validation.json", &[(codes::SCHEME_UNKNOWN_IGNORED, 2)]),
    ("0_docs-s3-proxy.json", &[(codes::INTEGRATION_FIELD_UNSUPPORTED, 8)]),
    (
        "apigw-ddb-openapi-crud__api.yaml",
        &[(codes::INTEGRATION_FIELD_UNSUPPORTED, 5), (codes::CLOUDFORMATION_KEPT, 15)],
    ),
    (
        "apigw-http-api-sqs-lambda-sls__api.json",
        &[(codes::INTEGRATION_FIELD_UNSUPPORTED, 2), (codes::CLOUDFORMATION_KEPT, 2)],
    ),
    (
        "apigw-kinesis-lambda-ddb__api.yaml",
        &[(codes::INTEGRATION_FIELD_UNSUPPORTED, 1), (codes::CLOUDFORMATION_KEPT, 1)],
    ),
    ("apigw-mappingtemplate-lambda__api.yaml", &[(codes::CLOUDFORMATION_KEPT, 1)]),
    ("apigw-rest-apigw-rest__api.yaml", &[(codes::CLOUDFORMATION_KEPT, 4)]),
    (
        "apigw-rest-vpclink-pvt-alb-sam__api.yaml",
        &[(codes::INTEGRATION_FIELD_UNSUPPORTED, 3), (codes::CLOUDFORMATION_KEPT, 3)],
    ),
    ("apigw-sfn-crud__api.openapi.yaml", &[(codes::INTEGRATION_FIELD_UNSUPPORTED, 2), (codes::CLOUDFORMATION_KEPT, 4)]),
    ("apigw-sns-sms__api.yaml", &[(codes::INTEGRATION_FIELD_UNSUPPORTED, 1)]),
    ("openapi-basepath-url.yaml", &[(codes::MAPPING_DROPPED, 1)]),
    ("petstore-authorizer.swagger.json", &[(codes::AUTHORIZER_FIELD_UNSUPPORTED, 2)]),
    (
        "step-function-sync-rest-api__api.yaml",
        &[(codes::TEMPLATE, 1), (codes::INTEGRATION_FIELD_UNSUPPORTED, 1), (codes::CLOUDFORMATION_KEPT, 1)],
    ),
];

/// The folder of others' documents, or why there is none.
fn others() -> Result<PathBuf, String> {
    let root = std::env::var_os("MOONGATE_VECTORS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/open"), PathBuf::from);
    let folder = root.join("openapi_import");
    if folder.is_dir() { Ok(folder) } else { Err(format!("SKIPPED: no {} (set MOONGATE_VECTORS)", folder.display())) }
}

/// Import, export, import: the same API, whatever it came from, and in every form of an export the same paths.
#[test]
fn an_exported_api_is_imported_as_the_same() {
    let mut documents: Vec<PathBuf> = CASES.iter().map(|case| folder().join(case)).collect();
    match others() {
        Ok(folder) => documents.extend(
            std::fs::read_dir(folder).expect("a readable folder").map(|entry| entry.expect("a readable entry").path()),
        ),
        Err(why) => println!("{why}"),
    }
    let mut compared = 0;
    for path in documents.iter().filter(|path| !path.ends_with("index.json")) {
        let text = std::fs::read_to_string(path).expect("a readable document");
        let name = path.display().to_string();
        let Some(first) = import::import(&text, &name, &Options::default()).config else { continue };
        compared += 1;
        let first = serde_json::to_value(&first).expect("JSON");
        for yaml in [false, true] {
            let config = serde_json::from_value(first.clone()).expect("the API itself");
            let (document, unsaid) = export::export(&config, Extensions::Moongate);
            assert_eq!(unsaid, Vec::<String>::new(), "{name}");
            let (text, file) =
                if yaml { (source::to_yaml(&document), "export.yaml") } else { (document.to_string(), "export.json") };
            let again = import::import(&text, file, &Options::default());
            let again = again.config.unwrap_or_else(|| panic!("{name}: {:#?}\n{text}", again.issues));
            assert_eq!(serde_json::to_value(&again).expect("JSON"), first, "{name}");
        }
        let config = serde_json::from_value(first.clone()).expect("the API itself");
        for extensions in [Extensions::None, Extensions::Integrations, Extensions::Authorizers, Extensions::ApiGateway]
        {
            let (document, _) = export::export(&config, extensions);
            let text = document.to_string();
            let has = |name: &str| text.contains(name);
            let (integrations, authorizers) = (has("apigateway-integration\""), has("apigateway-authorizer\""));
            let wants = |kinds: &[Extensions]| kinds.contains(&extensions);
            assert!(
                !integrations || wants(&[Extensions::Integrations, Extensions::ApiGateway]),
                "{name} {extensions:?}"
            );
            assert!(!authorizers || wants(&[Extensions::Authorizers, Extensions::ApiGateway]), "{name} {extensions:?}");
            assert!(!has("x-moongate"), "{name} {extensions:?}");
        }
    }
    println!("{compared} documents");
    assert!(compared >= CASES.len());
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi")
}

fn native(text: &str, file: &str) -> (Option<Node>, Vec<Issue>) {
    let mut issues = Vec::new();
    let document = source::parse(text, file).expect("a readable document");
    (to_native(&document, file, &mut issues), issues)
}

#[test]
fn imports_look_as_expected() {
    let mut wrong = Vec::new();
    for case in CASES {
        let text = std::fs::read_to_string(folder().join(case)).expect("a readable case");
        let file = format!("apis/{case}");
        let native = native(&text, &file).0.expect("an importable case");
        let json = serde_json::to_string_pretty(&native.to_json()).expect("JSON") + "\n";
        let (project, issues) = Project::load(Sources { files: BTreeMap::from([(file, text)]) });
        assert_eq!(project.apis.len(), 1, "{case} must be usable: {issues:?}");
        let shown = render::render(&issues, &project.sources, false);
        for (ending, found) in [("native.json", json), ("issues.txt", shown)] {
            let golden = folder().join(case).with_extension(ending);
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                std::fs::write(&golden, &found).expect("a writable golden file");
            } else if std::fs::read_to_string(&golden).unwrap_or_default() != found {
                wrong.push(format!("{}:\n{found}", golden.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "run with UPDATE_GOLDEN=1 after checking:\n{}", wrong.join("\n"));
}

/// Later problems are shown where a node came from, so each must have come from somewhere.
#[test]
fn every_node_of_an_import_has_a_place_in_the_document() {
    for case in CASES {
        let text = std::fs::read_to_string(folder().join(case)).expect("a readable case");
        let native = native(&text, case).0.expect("an importable case");
        let mut nodes = vec![&native];
        while let Some(node) = nodes.pop() {
            let range = node.span.start as usize..node.span.end as usize;
            let place = text.get(range).expect("a place within the text");
            assert!(!place.is_empty(), "{case}: {node:?}");
            match &node.value {
                Value::Sequence(items) => nodes.extend(items),
                Value::Mapping(entries) => {
                    for (key, value) in entries {
                        assert!(key.span.end > key.span.start, "{case}: {key:?}");
                        nodes.push(value);
                    }
                }
                _ => {}
            }
        }
    }
}

/// Every value of a case in turn becomes every other kind of value: nothing panics, and what is said has a place.
#[test]
fn any_value_may_be_of_the_wrong_kind() {
    let wrong = ["null", "true", "7", "\"x\"", "[]", "[[]]", "{}", "{\"$ref\": \"#/info\"}", "{\"x\": {\"x\": []}}"];
    for case in CASES {
        let text = std::fs::read_to_string(folder().join(case)).expect("a readable case");
        let document = source::parse(&text, case).expect("a readable document").to_json();
        let mut pointers = vec![String::new()];
        while let Some(pointer) = pointers.pop() {
            match document.pointer(&pointer).expect("a pointer made from the document") {
                serde_json::Value::Array(items) => {
                    pointers.extend((0..items.len()).map(|at| format!("{pointer}/{at}")));
                }
                serde_json::Value::Object(fields) => {
                    pointers.extend(fields.keys().map(|key| source::pointer_to(&pointer, key)));
                }
                _ => {}
            }
            for value in wrong {
                let mut changed = document.clone();
                *changed.pointer_mut(&pointer).expect("the same document") = value.parse().expect("JSON");
                let (_, issues) = native(&changed.to_string(), "changed.json");
                assert!(issues.iter().all(|issue| issue.span.is_some()), "{case}{pointer}: {issues:?}");
            }
        }
    }
}

#[test]
fn a_problem_found_after_the_import_is_shown_in_the_openapi_file() {
    let text = "openapi: 3.1.0\ninfo: {title: Shop}\npaths:\n  /a{b:\n    get:\n      x-moongate-upstream: nowhere\n";
    let files = BTreeMap::from([("apis/shop.yaml".to_owned(), text.to_owned())]);
    let (_, issues) = Project::load(Sources { files });
    let places: Vec<&str> = issues
        .iter()
        .filter_map(|issue| issue.span)
        .map(|span| &text[span.start as usize..span.end as usize])
        .collect();
    assert_eq!(places, ["/a{b"], "{issues:?}");
    let (_, issues) =
        Project::load(Sources { files: BTreeMap::from([("apis/shop.yaml".to_owned(), text.replace("/a{b", "/a"))]) });
    assert!(issues.iter().any(|issue| issue.span.is_some_and(|span| text.len() > span.end as usize)), "{issues:?}");
}

#[test]
fn documents_of_others_are_imported() {
    let folder = match others() {
        Ok(folder) => folder,
        Err(why) => return println!("{why}"),
    };
    let entries = std::fs::read_dir(folder).expect("a readable folder");
    let expected: BTreeMap<&str, &[(&str, usize)]> = EXPECTED.into_iter().collect();
    let (mut imported, mut wrong) = (0, Vec::new());
    for entry in entries {
        let path = entry.expect("a readable entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a UTF-8 name");
        if name == "index.json" {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a readable file");
        let (native, issues) = native(&text, name);
        let mut found: BTreeMap<&str, usize> = BTreeMap::new();
        for issue in &issues {
            assert!(issue.span.is_some() && codes::explain(issue.code).is_some(), "{name}: {issue}");
            *found.entry(issue.code).or_default() += 1;
        }
        let want: BTreeMap<&str, usize> =
            expected.get(name).into_iter().flat_map(|codes| codes.iter().copied()).collect();
        if found != want {
            wrong.push(format!("{name}: found {found:?}, want {want:?}"));
        }
        assert!(native.is_some_and(|native| native.get("routes").is_some()), "{name}");
        imported += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(imported >= EXPECTED.len(), "only {imported} files");
}
