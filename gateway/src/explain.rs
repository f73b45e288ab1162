//! What codes mean, from the tables of all crates that report problems.

use moongate_config::Issue;

/// Codes of problems with the project's folder itself.
const CODES: &[(&str, &str)] = &[
    (UNREADABLE, "A file of the project cannot be read, or is not UTF-8 text."),
    (
        FUNCTION_CODE,
        "A function's code cannot be started: its folder is gone, `bootstrap` is missing or not executable (`chmod +x bootstrap`), or \
            its command is empty.",
    ),
    (
        FUNCTION_SECRET,
        "A secret in a function's environment cannot be had. Secrets are named by `env:NAME`, a variable of the gateway's own \
            environment, or `file:PATH`.",
    ),
    (TOO_LARGE, "The project's folder holds more than a project can: at most 100,000 files and 512 MiB of text."),
];

/// A file cannot be read.
pub(crate) const UNREADABLE: &str = "E060";
/// The folder holds too much.
pub(crate) const TOO_LARGE: &str = "E061";

/// A function cannot be started.
pub(crate) const FUNCTION_CODE: &str = "E062";
/// A secret of a function's environment cannot be had.
pub(crate) const FUNCTION_SECRET: &str = "E063";

/// The paragraph about a code.
pub(crate) fn code(code: &str) -> Option<&'static str> {
    let find =
        |table: &[(&'static str, &'static str)]| table.iter().find(|(known, _)| *known == code).map(|(_, text)| *text);
    moongate_config::issue::explain(code)
        .or_else(|| find(moongate_runtime::compile::CODES))
        .or_else(|| find(moongate_policy::codes::CODES))
        .or_else(|| find(CODES))
}

/// Errors and warnings, in words.
pub(crate) fn count(issues: &[Issue]) -> String {
    let errors = issues.iter().filter(|issue| issue.is_error()).count();
    let plural = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    format!("{}, {}", plural(errors, "error"), plural(issues.len() - errors, "warning"))
}
