//! Recorded behaviour of AWS API Gateway, for tests: a folder of JSON files beside the project, not part of it.

use std::path::Path;

use serde_json::Value;

/// The cases of a file, from the folder that `MOONGATE_VECTORS` names or the one beside the project.
///
/// Empty, and said aloud, when there is no such folder.
pub(crate) fn cases(file: &str) -> Vec<Value> {
    let folder = std::env::var("MOONGATE_VECTORS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors/open").to_owned());
    let path = Path::new(&folder).join(file);
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: no recorded cases at {}", path.display());
        return Vec::new();
    };
    let document: Value = serde_json::from_str(&text).expect("recorded cases are JSON");
    document["cases"].as_array().cloned().expect("a list of cases")
}
