//! The published JSON Schema: current, valid, and of one mind with decoding.

use std::collections::BTreeMap;
use std::path::Path;

use moongate_config::issue::codes;
use moongate_config::schema::json_schema;
use moongate_config::{Project, Sources, source};

#[test]
fn the_published_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/moongate.schema.json");
    let current = serde_json::to_string_pretty(&json_schema()).expect("JSON") + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &current).expect("a writable schema");
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(published == current, "{} is out of date: run the tests with UPDATE_GOLDEN=1", path.display());
}

/// Documents of the diagnostics cases that decode without an error must satisfy the schema, and those with a wrong type or
/// an unknown word or field must not.
#[test]
fn the_schema_and_decoding_agree() {
    let validator = jsonschema::validator_for(&json_schema()).expect("a valid schema");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let (mut accepted, mut refused) = (0, 0);
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let text = std::fs::read_to_string(&path).expect("a readable case");
        if path.extension().is_none_or(|ending| ending != "yaml") || text.starts_with("#--- ") {
            continue;
        }
        let Ok(node) = source::parse(&text, "apis/a.yaml") else { continue };
        let (_, issues) = Project::load(Sources { files: BTreeMap::from([("apis/a.yaml".to_owned(), text)]) });
        let is_structural = |code: &&str| {
            let structural = [codes::WRONG_TYPE, codes::UNKNOWN_VALUE, codes::UNKNOWN_FIELD, codes::MISSING_FIELD];
            structural.contains(code)
        };
        let structural = issues.iter().map(|issue| issue.code).find(is_structural);
        let errors: Vec<String> = validator.iter_errors(&node.to_json()).map(|error| error.to_string()).collect();
        match structural {
            Some(code) => {
                refused += 1;
                assert!(!errors.is_empty(), "{}: {code}, but the schema accepts it", path.display());
            }
            None if issues.iter().any(|issue| issue.code == codes::REFUSED_VALUE) => {}
            None => {
                accepted += 1;
                assert!(errors.is_empty(), "{}: {errors:?}", path.display());
            }
        }
    }
    assert!(accepted >= 5 && refused >= 3, "{accepted} accepted, {refused} refused");
}
