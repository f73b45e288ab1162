//! A problem in a declared document: where it is, what it is, how to mend it.
//!
//! Whoever checks something collects [`Issue`]s; [`codes`] holds every code with its explanation, [`render`] shows issues
//! to people (with the line and a caret), to editors, to programs and to CI.

pub mod codes;
pub mod render;

mod excerpt;
pub(crate) mod lines;

#[cfg(test)]
mod tests;

use std::fmt;

pub use codes::explain;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The documents work, but probably not as meant.
    Warning,
    /// The documents cannot be used.
    Error,
}

/// One problem in a declared document.
///
/// Problems are collected, never thrown one by one: whoever checks something pushes into a `Vec<Issue>` and goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// How bad it is.
    pub severity: Severity,
    /// A stable code, `E014` or `W007`, that `moongate explain` knows.
    pub code: &'static str,
    /// What is wrong, as one lower-case fragment without a full stop.
    pub message: String,
    /// The document or script, as a path relative to the project's folder.
    pub file: String,
    /// The JSON pointer (RFC 6901) into the *native* document, by which a position is found when `span` is unknown.
    pub pointer: String,
    /// Where it is in `file`, in bytes. `None` until resolved, or when there is no such place.
    pub span: Option<Span>,
    /// What stands under the caret's line: `did you mean `upstream`?`.
    pub label: Option<String>,
    /// How to mend it.
    pub help: Option<String>,
}

/// A stretch of a text, in bytes, end excluded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Issue {
    /// An error at a pointer of a document.
    pub fn error(
        code: &'static str,
        file: impl Into<String>,
        pointer: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            file: file.into(),
            pointer: pointer.into(),
            span: None,
            label: None,
            help: None,
        }
    }

    /// A warning at a pointer of a document.
    pub fn warning(
        code: &'static str,
        file: impl Into<String>,
        pointer: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, file, pointer, message) }
    }

    /// The same problem, with its place known.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    /// The same problem, with the words that stand beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The same problem, with how to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Whether the documents cannot be used because of it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.is_error() { "error" } else { "warning" };
        write!(f, "{severity}[{}]: {} ({}{})", self.code, self.message, self.file, self.pointer)
    }
}

/// A text from a document in backticks, cut where it would drown the message.
///
/// Control characters stay; rendering escapes them.
pub fn quote(text: &str) -> String {
    /// Longer than any sensible name, short enough for one line.
    const CHARS_MAX: usize = 60;
    match text.char_indices().nth(CHARS_MAX) {
        None => format!("`{text}`"),
        Some((at, _)) => format!("`{}...`", &text[..at]),
    }
}

/// Puts issues into the order people read them, by file and then by position, and drops repetitions.
///
/// Two issues that differ in their pointer only (one place that an alias brings in twice) count as one.
pub fn sort_and_fold(issues: &mut Vec<Issue>) {
    issues.sort_by(|a, b| order(a).cmp(&order(b)));
    issues.dedup_by(|a, b| order(a) == order(b));
}

/// What issues are sorted by; equal for repetitions. Errors come before warnings of the same place.
fn order(issue: &Issue) -> impl Ord + '_ {
    let Issue { severity, code, message, file, pointer, span, label, help } = issue;
    let place = span.map(|span| (span.start, span.end));
    let pointer = span.is_none().then_some(pointer);
    (file, place, std::cmp::Reverse(severity), code, message, label, help, pointer)
}
