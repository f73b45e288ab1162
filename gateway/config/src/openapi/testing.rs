//! What the tests of the import share.

use serde_json::Value as Json;

use crate::issue::Issue;
use crate::source::{self, Node};

/// The tree of a JSON value.
pub(super) fn node(json: &Json) -> Node {
    source::parse(&json.to_string(), "test.json").expect("JSON")
}

/// Imports a YAML document: the native tree, if there is one, and the problems.
pub(super) fn import(document: &str) -> (Option<Json>, Vec<Issue>) {
    let node = source::parse(document, "apis/orders.yaml").expect("YAML");
    let mut issues = Vec::new();
    let native = super::to_native(&node, "apis/orders.yaml", &mut issues);
    (native.as_ref().map(Node::to_json), issues)
}

/// Imports a YAML document that has nothing wrong with it.
pub(super) fn import_clean(document: &str) -> Json {
    let (native, issues) = import(document);
    assert_eq!(issues, [], "{document}");
    native.expect("importable")
}
