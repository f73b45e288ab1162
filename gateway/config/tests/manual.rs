//! The documents in the crate's README are valid.

use moongate_config::{Issue, Project, Sources};

/// The `yaml` blocks of the manual.
fn blocks() -> Vec<&'static str> {
    let manual = include_str!("../README.md");
    manual.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect()
}

#[test]
fn the_manual_s_documents_have_no_problem() {
    let documents: Vec<&str> =
        blocks().into_iter().filter(|text| text.starts_with("api:") || text.starts_with("domain:")).collect();
    assert_eq!(documents.len(), 2);
    let mut sources = Sources::default();
    for (index, text) in documents.iter().enumerate() {
        sources.files.insert(format!("apis/{index}.yaml"), (*text).to_owned());
    }
    let (project, issues) = Project::load(sources);
    assert!(issues.is_empty(), "{:#?}", issues.iter().map(Issue::to_string).collect::<Vec<_>>());
    assert_eq!((project.apis.len(), project.domains.len()), (1, 1));
}
