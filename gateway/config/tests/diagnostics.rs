//! What users see: every case in `tests/diagnostics` is a project, the `.txt` beside it is what is printed about it.
//!
//! A case is one document, or several files with a line `#--- PATH` before each. `UPDATE_GOLDEN=1 cargo test` rewrites the
//! expected texts; read the difference before committing it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use moongate_config::issue::{codes, render};
use moongate_config::{Issue, Project, Sources};

const MARKER: &str = "#--- ";

/// Codes without a case: `E003` needs more problems than a readable file has (it is tested beside the code).
const WITHOUT_CASE: [&str; 1] = [codes::TOO_MANY];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics")
}

fn cases() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).expect("a readable folder");
    let paths = entries.map(|entry| entry.expect("a readable entry").path());
    let mut cases: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|ending| ending == "yaml")).collect();
    cases.sort();
    cases
}

fn load(case: &Path) -> (Project, Vec<Issue>) {
    let text = std::fs::read_to_string(case).expect("a readable case");
    let name = case.file_stem().and_then(|name| name.to_str()).expect("a UTF-8 name");
    let files: BTreeMap<String, String> = match text.strip_prefix(MARKER) {
        None => BTreeMap::from([(format!("apis/{name}.yaml"), text)]),
        Some(rest) => rest
            .split(&format!("\n{MARKER}"))
            .map(|file| {
                let (path, text) = file.split_once('\n').expect("a line with the path");
                let end = if text.ends_with('\n') { "" } else { "\n" };
                (path.to_owned(), format!("{text}{end}"))
            })
            .collect(),
    };
    Project::load(Sources { files })
}

#[test]
fn diagnostics_look_as_expected() {
    let mut wrong = Vec::new();
    for case in cases() {
        let (project, issues) = load(&case);
        let shown = render::render(&issues, &project.sources, false);
        let golden = case.with_extension("txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &shown).expect("a writable golden file");
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != shown {
            wrong.push(format!("{}:\n{shown}", golden.display()));
        }
    }
    assert!(wrong.is_empty(), "run with UPDATE_GOLDEN=1 after checking:\n{}", wrong.join("\n"));
}

#[test]
fn every_code_of_this_crate_has_a_case() {
    let shown: BTreeSet<&str> = cases().iter().flat_map(|case| load(case).1).map(|issue| issue.code).collect();
    let is_ours = |code: &&str| code.starts_with("E0") || code.starts_with("W0");
    let missing: Vec<&str> = codes::CODES
        .iter()
        .map(|entry| entry.code)
        .filter(is_ours)
        .filter(|code| !shown.contains(code) && !WITHOUT_CASE.contains(code))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn every_issue_has_a_place_unless_it_is_about_the_whole_project() {
    for case in cases() {
        for issue in load(&case).1 {
            assert!(issue.span.is_some() || issue.file.is_empty(), "{}: {issue}", case.display());
        }
    }
}
