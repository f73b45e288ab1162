//! Tests of the forms in which issues are shown; what they look like in a terminal is in `tests/diagnostics`.

use serde_json::json;

use super::*;
use crate::issue::render::{escape, render, render_github, render_short, reports};
use crate::project::Sources;

fn sources() -> Sources {
    let files = [("apis/a.yaml", "api: a\nroutes:\n  - mach: \u{1b}[31m\n"), ("apis/b.yaml", "é: 1\n")];
    Sources { files: files.map(|(path, text)| (path.to_owned(), text.to_owned())).into() }
}

fn span(start: u32, end: u32) -> Span {
    Span { start, end }
}

fn some_issues() -> Vec<Issue> {
    vec![
        Issue::error(codes::UNKNOWN_FIELD, "apis/b.yaml", "/é", "unknown field `é`").at(span(0, 2)),
        Issue::warning(codes::OPEN_ROUTE, "apis/a.yaml", "/routes/0", "50% open\nroute")
            .at(span(19, 23))
            .help("say, none"),
        Issue::error(codes::UNKNOWN_FIELD, "apis/a.yaml", "/routes/0/mach", "unknown field `mach`")
            .at(span(19, 23))
            .label("did you mean `match`?"),
        Issue::error(codes::NO_SUCH_FILE, "lua/x.lua", "", "gone").at(span(3, 4)),
        Issue::error(codes::EMPTY_PROJECT, "", "", "nothing"),
    ]
}

#[test]
fn one_line_forms_are_sorted_and_safe() {
    let want = "error[E005]: nothing\n\
                apis/a.yaml:3:5: error[E014]: unknown field `mach`\n\
                apis/a.yaml:3:5: warning[W007]: 50% open\\u{a}route\n\
                apis/b.yaml:1:1: error[E014]: unknown field `é`\n\
                lua/x.lua: error[E023]: gone\n";
    assert_eq!(render_short(&some_issues(), &sources()), want);
}

#[test]
fn annotations_escape_what_github_gives_a_meaning_to() {
    let want = "::error title=E005::nothing\n\
                ::error title=E014,file=apis/a.yaml,line=3,col=5,endLine=3,endColumn=9::unknown field `mach`%0Adid you mean `match`?\n\
                ::warning title=W007,file=apis/a.yaml,line=3,col=5,endLine=3,endColumn=9::50%25 open\\u{a}route%0Asay, none\n\
                ::error title=E014,file=apis/b.yaml,line=1,col=1,endLine=1,endColumn=2::unknown field `é`\n\
                ::error title=E023,file=lua/x.lua::gone\n";
    assert_eq!(render_github(&some_issues(), &sources()), want);
    let odd = Issue::error(codes::SYNTAX, "a,b:c%.yaml", "", "x");
    assert_eq!(render_github(&[odd], &sources()), "::error title=E001,file=a%2Cb%3Ac%25.yaml::x\n");
}

#[test]
fn reports_have_every_field() {
    let found = serde_json::to_value(reports(&some_issues(), &sources())).expect("JSON");
    assert_eq!(found.as_array().map(Vec::len), Some(5));
    let want = json!({
        "severity": "error", "code": "E014", "message": "unknown field `mach`", "file": "apis/a.yaml", "line": 3, "column": 5,
        "end_line": 3, "end_column": 9, "pointer": "/routes/0/mach", "label": "did you mean `match`?", "help": null
    });
    assert_eq!(found[1], want);
    assert_eq!((&found[0]["line"], &found[0]["file"]), (&json!(null), &json!("")));
}

#[test]
fn control_characters_never_reach_the_terminal() {
    let hostile =
        Issue::error(codes::SYNTAX, "apis/a.yaml\u{1b}[2J", "", "a\u{7}b\r\u{202e}c").help("\u{9b}31m").label("\u{0}");
    let here = Issue { file: "apis/a.yaml".to_owned(), ..hostile.clone() }.at(span(19, 23));
    for shown in [render(&[hostile, here], &sources(), false), escape("\u{1b}\u{85}\t")] {
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{shown:?}");
    }
}

#[test]
fn colours_change_nothing_but_the_colours() {
    let colored = render(&some_issues(), &sources(), true);
    assert!(colored.contains("\u{1b}[1;31merror[E014]\u{1b}[0m"), "{colored:?}");
    let mut plain = colored;
    for sequence in ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[1;31m", "\u{1b}[1;33m", "\u{1b}[1;34m"] {
        plain = plain.replace(sequence, "");
    }
    assert_eq!(plain, render(&some_issues(), &sources(), false));
}

#[test]
fn repetitions_are_folded() {
    let at = |pointer: &str, start| Issue::error(codes::SYNTAX, "a", pointer, "x").at(span(start, start));
    let mut issues = vec![at("/b", 7), at("/a", 3), at("/c", 7), at("/b", 7).label("l"), at("/b", 7)];
    sort_and_fold(&mut issues);
    let found: Vec<_> = issues.iter().map(|issue| (issue.span.map(|span| span.start), issue.label.is_some())).collect();
    assert_eq!(found, [(Some(3), false), (Some(7), false), (Some(7), true)]);

    let placeless = |pointer: &str| Issue::error(codes::SYNTAX, "a", pointer, "x");
    let mut issues = vec![placeless("/a"), placeless("/b"), placeless("/a")];
    sort_and_fold(&mut issues);
    assert_eq!(issues.len(), 2);
}

#[test]
fn nothing_is_shown_when_there_is_nothing() {
    assert_eq!(render(&[], &sources(), true), "");
    assert_eq!(render_short(&[], &sources()), "");
}

#[test]
fn quoted_texts_are_cut() {
    assert_eq!(quote("é"), "`é`");
    assert_eq!(quote(&"é".repeat(1_000)), format!("`{}...`", "é".repeat(60)));
}
