//! Issues as people, editors, programs and CI read them.
//!
//! Everything shown here comes from files that somebody else may have written: control characters and characters that
//! reorder text are escaped, so that a document can neither move the cursor nor disguise its own line.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::issue::lines::{Lines, Position};
use crate::issue::{Issue, Span, excerpt, sort_and_fold};
use crate::project::Sources;

/// One issue in the JSON form of `--format json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// `error` or `warning`.
    pub severity: &'static str,
    /// The code that `moongate explain` knows.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// The document or script, relative to the project's folder; empty when the issue concerns the project as a whole.
    pub file: String,
    /// First line, from 1; `null` when the issue has no place.
    pub line: Option<usize>,
    /// First column in characters, from 1.
    pub column: Option<usize>,
    /// Last line, from 1.
    pub end_line: Option<usize>,
    /// One past the last column, in characters, from 1.
    pub end_column: Option<usize>,
    /// The JSON pointer into the native document.
    pub pointer: String,
    /// What is said about the marked text.
    pub label: Option<String>,
    /// How to mend it.
    pub help: Option<String>,
}

/// The issues with the lines they stand on, for a terminal. `color`: with ANSI colours.
///
/// Sorted by file and position, repetitions folded; a blank line between issues; ends with a line break unless empty.
pub fn render(issues: &[Issue], sources: &Sources, color: bool) -> String {
    let style = if color { Style::COLORED } else { Style::PLAIN };
    let mut places = Places::new(sources);
    let blocks: Vec<String> = sorted(issues).iter().map(|issue| block(issue, &mut places, &style)).collect();
    blocks.join("\n")
}

/// One line per issue, `file:line:column: error[E014]: message`, as editors and `grep` take it.
pub fn render_short(issues: &[Issue], sources: &Sources) -> String {
    let mut places = Places::new(sources);
    let mut out = String::new();
    for issue in sorted(issues) {
        out.push_str(&escape(&issue.file));
        if let Some((start, _)) = places.positions(&issue) {
            let _ = write!(out, ":{}:{}", start.line, start.column);
        }
        let separator = if issue.file.is_empty() { "" } else { ": " };
        let _ = writeln!(out, "{separator}{}[{}]: {}", severity(&issue), issue.code, escape(&issue.message));
    }
    out
}

/// The issues as GitHub Actions annotations, one workflow command per line (source: GitHub Actions "Workflow commands").
pub fn render_github(issues: &[Issue], sources: &Sources) -> String {
    let mut places = Places::new(sources);
    let mut out = String::new();
    for issue in sorted(issues) {
        let _ = write!(out, "::{} title={}", severity(&issue), issue.code);
        if !issue.file.is_empty() {
            let _ = write!(out, ",file={}", github_property(&issue.file));
        }
        if let Some((start, end)) = places.positions(&issue) {
            let (line, column) = (start.line, start.column);
            let _ = write!(out, ",line={line},col={column},endLine={},endColumn={}", end.line, end.column);
        }
        let parts = [Some(&issue.message), issue.label.as_ref(), issue.help.as_ref()];
        let text: Vec<String> = parts.into_iter().flatten().map(|part| escape(part)).collect();
        let _ = writeln!(out, "::{}", github_text(&text.join("\n")));
    }
    out
}

/// The issues as values to serialize, sorted and folded. Texts are unescaped: JSON escapes what it must.
pub fn reports(issues: &[Issue], sources: &Sources) -> Vec<Report> {
    let mut places = Places::new(sources);
    let report = |issue: Issue| {
        let positions = places.positions(&issue);
        Report {
            severity: severity(&issue),
            code: issue.code,
            line: positions.map(|(start, _)| start.line),
            column: positions.map(|(start, _)| start.column),
            end_line: positions.map(|(_, end)| end.line),
            end_column: positions.map(|(_, end)| end.column),
            message: issue.message,
            file: issue.file,
            pointer: issue.pointer,
            label: issue.label,
            help: issue.help,
        }
    };
    sorted(issues).into_iter().map(report).collect()
}

/// A text without characters that act on a terminal or hide in a line.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if excerpt::is_unsafe(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

fn block(issue: &Issue, places: &mut Places<'_>, style: &Style) -> String {
    let Style { gutter, emphasis, reset, .. } = style;
    let tint = if issue.is_error() { style.error } else { style.warning };
    let mut out = String::new();
    let head = format!("{tint}{}[{}]{reset}", severity(issue), issue.code);
    let _ = writeln!(out, "{head}{emphasis}: {}{reset}", escape(&issue.message));

    let found = places.find(issue);
    let number = found.as_ref().map_or(String::new(), |found| found.start.line.to_string());
    let pad = " ".repeat(number.len().max(1));
    if !issue.file.is_empty() {
        let _ = write!(out, "{pad}{gutter}-->{reset} {}", escape(&issue.file));
        if let Some(Found { start, .. }) = &found {
            let _ = write!(out, ":{}:{}", start.line, start.column);
        }
        out.push('\n');
    }
    if let Some(Found { lines, span, .. }) = &found {
        let excerpt = excerpt::cut(lines, *span);
        let label = issue.label.as_deref().map_or(String::new(), |label| format!(" {}", escape(label)));
        let _ = writeln!(out, "{pad} {gutter}|{reset}");
        let _ = writeln!(out, "{gutter}{number} |{reset} {}", excerpt.line);
        let _ = writeln!(out, "{pad} {gutter}|{reset} {}{tint}{}{label}{reset}", excerpt.indent, excerpt.carets);
    } else if let Some(label) = &issue.label {
        let _ = writeln!(out, "{pad} {gutter}={reset} {}", escape(label));
    }
    if let Some(help) = &issue.help {
        let _ = writeln!(out, "{pad} {gutter}={reset} {emphasis}help{reset}: {}", escape(help));
    }
    out
}

fn sorted(issues: &[Issue]) -> Vec<Issue> {
    let mut issues = issues.to_vec();
    sort_and_fold(&mut issues);
    issues
}

fn severity(issue: &Issue) -> &'static str {
    if issue.is_error() { "error" } else { "warning" }
}

fn github_text(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn github_property(text: &str) -> String {
    github_text(&escape(text)).replace(':', "%3A").replace(',', "%2C")
}

/// ANSI sequences, or nothing.
struct Style {
    error: &'static str,
    warning: &'static str,
    gutter: &'static str,
    emphasis: &'static str,
    reset: &'static str,
}

impl Style {
    const PLAIN: Self = Self { error: "", warning: "", gutter: "", emphasis: "", reset: "" };
    const COLORED: Self = Self {
        error: "\x1b[1;31m",
        warning: "\x1b[1;33m",
        gutter: "\x1b[1;34m",
        emphasis: "\x1b[1m",
        reset: "\x1b[0m",
    };
}

/// Finds lines and columns; each file is looked through once.
struct Places<'a> {
    sources: &'a Sources,
    lines: HashMap<&'a str, Lines<'a>>,
}

/// Where an issue stands.
struct Found<'p, 'a> {
    lines: &'p Lines<'a>,
    span: Span,
    start: Position,
}

impl<'a> Places<'a> {
    fn new(sources: &'a Sources) -> Self {
        Self { sources, lines: HashMap::new() }
    }

    /// The place of an issue, unless it has none or its text is not there.
    fn find(&mut self, issue: &Issue) -> Option<Found<'_, 'a>> {
        let span = issue.span?;
        let (file, text) = self.sources.files.get_key_value(&issue.file)?;
        let lines = self.lines.entry(file).or_insert_with(|| Lines::new(text));
        Some(Found { start: lines.position(span.start as usize), lines, span })
    }

    fn positions(&mut self, issue: &Issue) -> Option<(Position, Position)> {
        let Found { lines, span, start } = self.find(issue)?;
        Some((start, lines.position(span.end.max(span.start) as usize)))
    }
}
