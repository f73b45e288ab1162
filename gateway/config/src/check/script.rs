//! Checks of scripts and templates: said in exactly one way, and there when they are files.

use crate::check::Report;
use crate::issue::{codes, quote};
use crate::project::Sources;
use crate::script::{ScriptConfig, TemplateConfig};
use crate::suggest;

/// How scripts' files end; only those are suggested.
const SCRIPT_ENDING: &str = ".lua";

pub(super) fn check(script: &ScriptConfig, pointer: &str, sources: &Sources, report: &mut Report<'_>) {
    let set = [script.file.is_some(), script.lua.is_some()];
    check_exactly_one("a script has exactly one of `file` and `lua`", &set, pointer, report);
    check_file(script.file.as_deref(), pointer, sources, report);
}

pub(super) fn check_template(template: &TemplateConfig, pointer: &str, sources: &Sources, report: &mut Report<'_>) {
    let set = [template.file.is_some(), template.lua.is_some(), template.text.is_some()];
    check_exactly_one("a template has exactly one of `file`, `lua` and `text`", &set, pointer, report);
    check_file(template.file.as_deref(), pointer, sources, report);
}

fn check_exactly_one(rule: &str, set: &[bool], pointer: &str, report: &mut Report<'_>) {
    let found = match set.iter().filter(|is_set| **is_set).count() {
        1 => return,
        0 => "none",
        2 => "two",
        _ => "all",
    };
    report.push(report.error(codes::EXACTLY_ONE, pointer, format!("{rule}; this one has {found}")));
}

fn check_file(path: Option<&str>, pointer: &str, sources: &Sources, report: &mut Report<'_>) {
    let Some(path) = path.filter(|path| !sources.files.contains_key(*path)) else { return };
    let pointer = format!("{pointer}/file");
    if let Err(why) = check_path(path) {
        let issue =
            report.error(codes::BAD_PATH, pointer, format!("{} is not a path within the project: {why}", quote(path)));
        report.push(issue.help("write it relative to the project's folder: `lua/auth.lua`"));
        return;
    }
    let issue = report.error(codes::NO_SUCH_FILE, pointer, format!("the project has no file {}", quote(path)));
    let issue = match suggestion(path, sources) {
        Some(meant) => issue.label(format!("did you mean `{meant}`?")),
        None => issue.help("paths are relative to the project's folder"),
    };
    report.push(issue);
}

/// A file of the same name in another folder, or one with a similar path.
fn suggestion<'a>(path: &str, sources: &'a Sources) -> Option<&'a str> {
    let scripts = || sources.files.keys().map(String::as_str).filter(|known| known.ends_with(SCRIPT_ENDING));
    let name = |path: &'a str| path.rsplit('/').next().unwrap_or(path);
    let wanted = path.rsplit('/').next().unwrap_or(path);
    scripts().find(|known| name(known) == wanted).or_else(|| suggest::closest(path, scripts()))
}

fn check_path(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("it is empty");
    }
    if path.contains('\\') {
        return Err("folders are separated by `/`");
    }
    if path.starts_with('/') || path.as_bytes().get(1) == Some(&b':') {
        return Err("it is absolute");
    }
    if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err("it has an empty segment, `.` or `..`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_within_the_project() {
        for path in ["a.lua", "lua/a.lua", "lua/..a/b.lua"] {
            assert_eq!(check_path(path), Ok(()), "{path}");
        }
        for path in [
            "",
            "/etc/passwd",
            "../a.lua",
            "lua/../../a.lua",
            "./a.lua",
            "lua//a.lua",
            "lua\\a.lua",
            "C:/a.lua",
            "lua/",
        ] {
            assert!(check_path(path).is_err(), "{path}");
        }
    }
}
