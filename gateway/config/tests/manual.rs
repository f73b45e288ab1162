//! The documents in the crate's README are valid.

use moongate_config::{Issue, Project, Sources};

/// What the documents shown begin with.
const KINDS: [&str; 3] = ["api:", "domain:", "upstream:"];

/// What they name and do not show.
const BESIDE: [(&str, &str); 1] =
    [("apis/next.yaml", "upstream: orders-next\ntargets: [{ url: http://10.0.0.9:9000 }]\n")];

/// The `yaml` blocks of the manual.
fn blocks() -> Vec<&'static str> {
    let manual = include_str!("../README.md");
    manual.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect()
}

#[test]
fn the_manual_s_documents_have_no_problem() {
    let documents: Vec<&str> =
        blocks().into_iter().filter(|text| KINDS.iter().any(|kind| text.starts_with(kind))).collect();
    assert_eq!(documents.len(), 4);
    let mut sources = Sources::default();
    for (index, text) in documents.iter().enumerate() {
        sources.files.insert(format!("apis/{index}.yaml"), (*text).to_owned());
    }
    for (path, text) in BESIDE {
        sources.files.insert(path.to_owned(), text.to_owned());
    }
    let (project, issues) = Project::load(sources);
    assert!(issues.is_empty(), "{:#?}", issues.iter().map(Issue::to_string).collect::<Vec<_>>());
    assert_eq!((project.apis.len(), project.domains.len(), project.upstreams.len()), (2, 1, 2));
}
