//! AWS mapping templates in VTL, carried over to Lua (`moongate-vtl`).
//!
//! Here is what an import says about them: where in a template something cannot be carried over, or probably does not do what
//! its author meant.

use moongate_vtl::Content;

/// Longest script, in bytes (`moongate-lua`, `SOURCE_BYTES_MAX`).
const SCRIPT_BYTES_MAX: usize = 300 * 1024;

/// What a template becomes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Translation {
    /// The template refers to nothing: its text, escapes resolved.
    Text(String),
    /// A Lua script that returns the body.
    Lua(String),
}

/// A place in a template, and what is to be said about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Remark {
    /// The template's line it stands in, from 1.
    pub(super) line: usize,
    /// That line.
    pub(super) text: String,
    /// What it is, as a fragment.
    pub(super) what: String,
}

/// Translates a template. The remarks are about things that work, but perhaps not as they were meant.
///
/// # Errors
///
/// Everything in it that cannot be carried over.
pub(super) fn translate(template: &str) -> Result<(Translation, Vec<Remark>), Vec<Remark>> {
    let remark = |line: u32, what: String| {
        let line = usize::try_from(line).unwrap_or(usize::MAX);
        let text = template.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        Remark { line, text: text.to_owned(), what }
    };
    let parsed = moongate_vtl::parse(template).map_err(|error| vec![remark(error.line, error.what)])?;
    let translation = moongate_vtl::translate(&parsed).map_err(|problems| {
        problems.into_iter().map(|problem| remark(problem.line, problem.what)).collect::<Vec<_>>()
    })?;
    let notes = translation.notes.into_iter().map(|note| remark(note.line, note.what)).collect();
    match translation.content {
        Content::Text(text) => Ok((Translation::Text(text), notes)),
        Content::Lua(script) if script.len() > SCRIPT_BYTES_MAX => {
            let what = format!("its translation has {} bytes, at most {SCRIPT_BYTES_MAX} are allowed", script.len());
            Err(vec![remark(1, what)])
        }
        Content::Lua(script) => Ok((Translation::Lua(script), notes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_name_the_line_and_show_it() {
        let problems = translate("{\r\n  #parse(\"other.vm\")\r\n}").expect_err("no files");
        let [problem] = &problems[..] else { panic!("{problems:?}") };
        assert_eq!((problem.line, problem.text.as_str()), (2, "  #parse(\"other.vm\")"));
        assert!(problem.what.contains("`#parse`"), "{}", problem.what);
        let (_, notes) = translate("\n$x.frobnicate()").expect("translates");
        assert_eq!(notes[0].line, 2);
    }

    #[test]
    fn templates_that_grow_too_large_are_refused() {
        let template = "$a\n".repeat(30_000);
        let problems = translate(&template).expect_err("too large");
        assert!(problems[0].what.contains("at most"), "{}", problems[0].what);
    }
}
