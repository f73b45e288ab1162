//! Who may use whom, and which crate alone may name an outside library: the tables of the architecture, asserted.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use moongate_tests::binary;

/// Each crate and the crates of ours that it may name: lower levels only. `moongate-fuzz` is named by tests.
const MAY_USE: [(&str, &[&str]); 16] = [
    ("moongate-vtl", &[]),
    ("moongate-config", &["moongate-vtl"]),
    ("moongate-portal-templates", &[]),
    ("moongate-exchange", &["moongate-fuzz"]),
    ("moongate-fuzz", &[]),
    ("moongate-admin-store", &["moongate-config"]),
    ("moongate-state", &["moongate-config", "moongate-exchange"]),
    ("moongate-lua", &["moongate-config", "moongate-exchange", "moongate-vtl"]),
    ("moongate-function", &["moongate-config", "moongate-exchange"]),
    (
        "moongate-policy",
        &["moongate-config", "moongate-exchange", "moongate-function", "moongate-lua", "moongate-state"],
    ),
    ("moongate-plugins", &["moongate-exchange", "moongate-lua"]),
    (
        "moongate-runtime",
        &[
            "moongate-config",
            "moongate-exchange",
            "moongate-function",
            "moongate-lua",
            "moongate-plugins",
            "moongate-policy",
            "moongate-state",
        ],
    ),
    ("moongate-proxy", &["moongate-config", "moongate-exchange", "moongate-fuzz", "moongate-runtime"]),
    (
        "moongate-admin",
        &[
            "moongate-admin-store",
            "moongate-config",
            "moongate-exchange",
            "moongate-lua",
            "moongate-policy",
            "moongate-portal-templates",
            "moongate-runtime",
        ],
    ),
    ("moongate", ANY),
    ("moongate-tests", &["moongate-fuzz"]),
];

/// The composition root may use everything.
const ANY: &[&str] = &["*"];

/// Libraries, by the start of their names, and who alone may name them.
const OUTSIDE: [(&[&str], &[&str]); 9] = [
    (&["pingora"], &["moongate-proxy", "moongate"]),
    (&["hyper"], &["moongate-function", "moongate-proxy", "moongate-tests"]),
    (&["h2"], &["moongate-proxy", "moongate-tests"]),
    (&["mlua"], &["moongate-lua"]),
    (&["redis"], &["moongate-state"]),
    (&["sqlx", "rusqlite", "tokio-postgres", "postgres", "diesel", "sea-orm"], &["moongate-admin-store"]),
    (&["axum"], &["moongate-admin"]),
    (&["ureq"], &["moongate"]),
    (&["askama"], &["moongate-portal-templates"]),
];

/// The workspace's packages and what each names in its manifest, whatever the section.
fn manifests() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(binary::repository())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    let text = |value: &Value| value.as_str().expect("a name").to_owned();
    let names = |package: &Value| {
        let dependencies = package["dependencies"].as_array().expect("a list of dependencies");
        dependencies.iter().map(|dependency| text(&dependency["name"])).collect()
    };
    packages.iter().map(|package| (text(&package["name"]), names(package))).collect()
}

fn is_ours(name: &str) -> bool {
    name == "moongate" || name.starts_with("moongate-")
}

#[test]
fn crates_use_lower_levels_only() {
    let may_use: BTreeMap<&str, &[&str]> = MAY_USE.into_iter().collect();
    for (package, used) in manifests() {
        let allowed = may_use.get(package.as_str()).unwrap_or_else(|| panic!("`{package}` is not in the table above"));
        for name in used.iter().filter(|name| is_ours(name)) {
            assert!(*allowed == ANY || allowed.contains(&name.as_str()), "`{package}` may not use `{name}`");
        }
    }
}

#[test]
fn outside_libraries_are_named_by_their_owners_only() {
    for (package, used) in manifests() {
        for (libraries, owners) in OUTSIDE {
            let is_one = |name: &str| {
                libraries.iter().any(|library| name == *library || name.starts_with(&format!("{library}-")))
            };
            for name in used.iter().filter(|name| is_one(name)) {
                assert!(owners.contains(&package.as_str()), "`{package}` may not use `{name}`, only {owners:?} may");
            }
        }
    }
}

#[test]
fn the_data_plane_holds_no_sql() {
    let manifests = manifests();
    let mut queue = vec!["moongate-proxy".to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(package) = queue.pop() {
        assert!(!package.starts_with("moongate-admin"), "the data plane reaches `{package}`");
        let used = manifests.get(&package).unwrap_or_else(|| panic!("`{package}` is a member of the workspace"));
        queue.extend(used.iter().filter(|name| is_ours(name) && seen.insert((*name).clone())).cloned());
    }
    assert!(seen.contains("moongate-runtime"));
}
