//! Checks of decoded documents that need no compiling: names that refer to nothing, fields that exclude each other, two
//! routes that match the same requests, values out of range.
//!
//! Everything here is linear in the size of the documents. Expressions, patterns, scripts and schemas are checked where
//! they are compiled, in `moongate-runtime`.

mod api;
mod cors;
mod domain;
mod function;
mod integration;
mod route;
mod script;
mod stage;
mod upstream;
mod url;

#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::collections::BTreeSet;

use crate::integration::TIMEOUT_MS_MAX;
use crate::issue::lines::Lines;
use crate::issue::{Issue, Span, codes, quote};
use crate::project::{Declared, Project, Sources};
use crate::source::{ISSUES_MAX, Node};
use crate::suggest;

pub use upstream::status_range;

/// What is known about documents that could not be decoded, so that nothing is said about names that may be in them.
#[derive(Clone, Debug, Default)]
pub struct Unread {
    /// The ids of such APIs.
    pub apis: BTreeSet<String>,
    /// The names of such upstreams.
    pub upstreams: BTreeSet<String>,
    /// Whether there are documents of which not even the id is known.
    pub is_incomplete: bool,
}

/// Checks every document of a project. At most [`ISSUES_MAX`] errors and as many warnings are reported for each.
///
/// Issues carry pointers; [`Project::resolve`] gives them places.
pub fn check(project: &Project, unread: &Unread) -> Vec<Issue> {
    let mut issues = Vec::new();
    let upstreams = upstream::Names::new(project, unread);
    for declared in &project.apis {
        let mut report = Report::new(declared, &project.sources);
        api::check(&declared.config, &project.sources, &mut report);
        upstream::check_references(&declared.config, &upstreams, &mut report);
        issues.append(&mut report.issues);
    }
    let domains = domain::Targets::new(project, unread);
    for declared in &project.domains {
        let mut report = Report::new(declared, &project.sources);
        domain::check(&declared.config, &domains, &mut report);
        issues.append(&mut report.issues);
    }
    for declared in &project.upstreams {
        let mut report = Report::new(declared, &project.sources);
        upstream::check(&declared.config, &upstreams, &mut report);
        issues.append(&mut report.issues);
    }
    for declared in &project.functions {
        let mut report = Report::new(declared, &project.sources);
        function::check(&declared.config, &mut report);
        issues.append(&mut report.issues);
    }
    issues
}

/// Collects the problems of one document.
struct Report<'a> {
    file: &'a str,
    node: &'a Node,
    text: &'a str,
    lines: OnceCell<Lines<'a>>,
    issues: Vec<Issue>,
    /// Whether the document is of an API with AWS's habits.
    is_aws: bool,
    /// Longest timeout that its integrations may have.
    timeout_ms_max: u32,
    /// Counted apart, so that warnings never hide an error.
    errors: usize,
    warnings: usize,
}

impl<'a> Report<'a> {
    fn new<T>(declared: &'a Declared<T>, sources: &'a Sources) -> Self {
        let text = sources.files.get(&declared.file).map_or("", |text| &**text);
        let Declared { file, node, .. } = declared;
        Self {
            file,
            node,
            text,
            lines: OnceCell::new(),
            issues: Vec::new(),
            is_aws: false,
            timeout_ms_max: TIMEOUT_MS_MAX,
            errors: 0,
            warnings: 0,
        }
    }

    fn error(&self, code: &'static str, pointer: impl Into<String>, message: impl Into<String>) -> Issue {
        Issue::error(code, self.file, pointer, message)
    }

    fn warning(&self, code: &'static str, pointer: impl Into<String>, message: impl Into<String>) -> Issue {
        Issue::warning(code, self.file, pointer, message)
    }

    fn push(&mut self, issue: Issue) {
        let count = if issue.is_error() { &mut self.errors } else { &mut self.warnings };
        *count += 1;
        if *count <= ISSUES_MAX {
            self.issues.push(issue);
        } else if *count == ISSUES_MAX + 1 {
            let kind = if issue.is_error() { "errors" } else { "warnings" };
            let message = format!("{ISSUES_MAX} {kind} are shown, there are more");
            let more = Issue { severity: issue.severity, ..self.error(codes::TOO_MANY, "", message) };
            self.issues.push(more);
        }
    }

    /// Reports a name that refers to nothing, with the one that was probably meant.
    fn push_unknown_name<'n>(
        &mut self,
        noun: &str,
        name: &str,
        pointer: String,
        known: impl Iterator<Item = &'n str> + Clone,
    ) {
        /// More names would not be read.
        const LISTED_MAX: usize = 12;
        if self.errors >= ISSUES_MAX {
            // Only counted: finding suggestions costs more than all other checks.
            self.push(self.error(codes::UNKNOWN_NAME, "", ""));
            return;
        }
        let issue = self.error(codes::UNKNOWN_NAME, pointer, format!("there is no {noun} {}", quote(name)));
        let issue = match suggest::closest(name, known.clone()) {
            Some(meant) => issue.label(format!("did you mean `{meant}`?")),
            None => {
                let mut names: Vec<String> = known.map(|name| format!("`{name}`")).take(LISTED_MAX + 1).collect();
                if names.len() > LISTED_MAX {
                    names[LISTED_MAX] = "...".to_owned();
                }
                let declared = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                issue.help(format!("declared: {declared}"))
            }
        };
        self.push(issue);
    }

    /// The line of the value at a pointer of this document.
    fn line_of(&self, pointer: &str) -> Option<usize> {
        let node = self.node.pointer(pointer)?;
        let lines = self.lines.get_or_init(|| Lines::new(self.text));
        Some(lines.position(node.span.start as usize).line)
    }

    /// ` on line 12`, or nothing.
    fn on_line(&self, pointer: &str) -> String {
        self.line_of(pointer).map_or(String::new(), |line| format!(" on line {line}"))
    }

    /// Where a key of a mapping of this document stands, for problems with the key itself.
    fn key_place(&self, mapping: &str, key: &str) -> Option<Span> {
        self.node.pointer(mapping)?.span_of_key(key)
    }

    /// Reports a number outside of its range. The field's name is the pointer's last segment.
    fn check_range(&mut self, value: i64, low: i64, high: i64, pointer: impl FnOnce() -> String) {
        if !(low..=high).contains(&value) {
            let pointer = pointer();
            let field = pointer.rsplit('/').next().unwrap_or_default();
            let message = format!("`{field}` takes {low} to {high}, not {value}");
            self.push(self.error(codes::OUT_OF_RANGE, pointer, message));
        }
    }
}
