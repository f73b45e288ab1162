//! Runs what documents show: fenced `console` blocks, against a gateway.
//!
//! In a block, a line that starts with `$ ` is a command (continued while lines end with `\`), the lines up to the next one
//! are what it prints. Commands run in a folder that looks like the repository's root as far as the project goes. `curl` is
//! run as it stands, apart from the ports 8080 and 9000, which become the gateway's; `sed -i` edits the project's copy, and the gateway's
//! reload is waited for; `moongate` other than `dev` and `run` is run with the binary under test, and what it prints is both its
//! streams. What builds or starts things (`cargo`, `git`, `deploy/dev`, `moongate dev`) was done by the test already. Everything
//! else is refused, so that no example is silently left out.
//!
//! In what is printed, `…` stands for any text within a line, and a line of only `…` for any number of lines.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus, Output};

use serde_json::Value;

use crate::binary;
use crate::gateway::Gateway;
use crate::wait::SOON;

/// A command of a document and what it must print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The line in the document, from 1.
    pub line: usize,
    /// The command, without its `$ `.
    pub command: String,
    /// The expected lines.
    pub output: Vec<String>,
}

/// The steps of all `console` blocks of a Markdown text.
pub fn steps(markdown: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut is_inside = false;
    let mut lines = markdown.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if line.starts_with("```") {
            is_inside = !is_inside && line.trim() == "```console";
        } else if !is_inside {
            continue;
        } else if let Some(command) = line.strip_prefix("$ ") {
            let mut command = command.to_owned();
            while command.ends_with('\\') {
                let Some((_, more)) = lines.next() else { break };
                command.push('\n');
                command.push_str(more);
            }
            steps.push(Step { line: index + 1, command, output: Vec::new() });
        } else if let Some(step) = steps.last_mut() {
            step.output.push(line.to_owned());
        }
    }
    for step in &mut steps {
        while step.output.last().is_some_and(|line| line.trim().is_empty()) {
            step.output.pop();
        }
    }
    steps
}

/// Runs a document's steps against a gateway that was started on a copy of its project.
///
/// Returns how many commands were run.
///
/// # Panics
///
/// When a command is unknown, fails, or prints something else; the message names file and line.
pub fn run(document: &Path, gateway: &Gateway) -> usize {
    let text =
        fs::read_to_string(document).unwrap_or_else(|error| panic!("cannot read {}: {error}", document.display()));
    let mut count = 0;
    for step in steps(&text) {
        let place = format!("{}:{}", document.display(), step.line);
        match kind(&step.command) {
            Kind::Done => continue,
            Kind::Unknown => panic!("{place}: `{}` is no command that documents may show here", step.command),
            Kind::Curl => check(&place, &step, &shell(&step.command, gateway), gateway),
            Kind::Moongate => {
                let mut output = shell(&format!("{{ {}; }} 2>&1", step.command), gateway);
                // What it ends with is not shown; that it ended by itself is what counts.
                output.status = output.status.code().map_or(output.status, |_| ExitStatus::default());
                check(&place, &step, &output, gateway);
            }
            Kind::Edit => {
                let mark = gateway.process().mark();
                check(&place, &step, &shell(&step.command, gateway), gateway);
                let ended = |event: &Value| event["event"] == "reloaded" || event["event"] == "reload_failed";
                gateway.process().wait_for_event_since(mark, "reloaded or reload_failed", SOON, ended);
            }
        }
        count += 1;
    }
    count
}

enum Kind {
    Curl,
    Moongate,
    Edit,
    Done,
    Unknown,
}

fn kind(command: &str) -> Kind {
    let words: Vec<&str> = command.split_whitespace().collect();
    match words[..] {
        ["curl", ..] => Kind::Curl,
        ["sed", "-i", ..] => Kind::Edit,
        ["moongate", "dev" | "run", ..] | ["cargo" | "git" | "deploy/dev" | "./deploy/dev", ..] => Kind::Done,
        ["moongate", ..] => Kind::Moongate,
        _ => Kind::Unknown,
    }
}

fn shell(command: &str, gateway: &Gateway) -> Output {
    let mut command = command.replace(":8080", &format!(":{}", gateway.address().port()));
    if let Some(admin) = gateway.admin_address() {
        command = command.replace(":9000", &format!(":{}", admin.port()));
    }
    let binaries = binary::moongate().parent().map(|folder| folder.display().to_string()).unwrap_or_default();
    let path = format!("{binaries}:{}", std::env::var("PATH").unwrap_or_default());
    let shell = Command::new("bash")
        .args(["-c", &command])
        .current_dir(gateway.project().working_folder())
        .env("PATH", path)
        .output();
    shell.unwrap_or_else(|error| panic!("cannot run bash: {error}"))
}

fn check(place: &str, step: &Step, output: &Output, gateway: &Gateway) {
    let printed = String::from_utf8_lossy(&output.stdout);
    let printed: Vec<&str> = printed.lines().map(|line| line.trim_end_matches('\r')).collect();
    let expected: Vec<&str> = step.output.iter().map(String::as_str).collect();
    assert!(
        output.status.success() && matches(&expected, &printed),
        "{place}: `{}` prints something else ({})\n--- expected ---\n{}\n--- printed ---\n{}\n{}\n{}",
        step.command,
        output.status,
        expected.join("\n"),
        printed.join("\n"),
        String::from_utf8_lossy(&output.stderr),
        gateway.process().said(),
    );
}

/// Whether printed lines are what a document shows, `…` standing for anything.
pub fn matches(expected: &[&str], printed: &[&str]) -> bool {
    match (expected, printed) {
        ([], []) => true,
        (["…", rest @ ..], _) => (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..])),
        ([line, rest @ ..], [first, others @ ..]) => matches_line(line, first) && matches(rest, others),
        _ => false,
    }
}

fn matches_line(expected: &str, printed: &str) -> bool {
    let mut parts = expected.trim_end().split('…');
    let Some(mut rest) = printed.trim_end().strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(found) = rest.find(part) else { return false };
        rest = &rest[found + part.len()..];
    }
    true
}
