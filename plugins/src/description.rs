//! `plugin.toml`: what a plugin is.

use serde::Deserialize;

use crate::plugin::Fault;

/// Longest summary, in characters: it stands on one line of a list.
const SUMMARY_CHARS_MAX: usize = 160;

/// Longest version, in bytes.
const VERSION_BYTES_MAX: usize = 64;

/// Longest name of a plugin, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// When a plugin runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// When it is decided whether the caller may call.
    Authorize,
    /// When the integration's body is made.
    MapRequest,
    /// Before the integration is called.
    Request,
    /// Before the client is answered.
    Response,
    /// On every piece of the response's body.
    ResponseChunk,
    /// When the response was sent.
    Log,
}

impl Phase {
    /// Its name in `plugin.toml` and in handlers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::MapRequest => "map_request",
            Self::Request => "request",
            Self::Response => "response",
            Self::ResponseChunk => "response_chunk",
            Self::Log => "log",
        }
    }
}

/// What a plugin needs of a message's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BodyUse {
    /// Nothing: it streams past.
    #[default]
    Stream,
    /// All of it, in memory.
    Buffer,
}

/// The file, read and checked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) summary: String,
    #[serde(default)]
    pub(crate) phases: Vec<Phase>,
    /// What it needs of the request's body in phases `authorize` and `request`; `map_request` always has it.
    #[serde(default)]
    pub(crate) request_body: BodyUse,
    /// What it needs of the response's body in phase `response`.
    #[serde(default)]
    pub(crate) response_body: BodyUse,
}

/// What is wrong with a description, and the line (counted from 1) where that is known.
pub(crate) type Refusal = (Option<u32>, Fault);

impl Description {
    /// Reads a description of the plugin in the folder `name`.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, Refusal> {
        let description: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| line_of(text, span.start));
            (line, Fault::Description(error.message().to_owned()))
        })?;
        if description.name != name {
            return Err((None, Fault::Name { folder: name.to_owned(), declared: description.name }));
        }
        if !is_version(&description.version) {
            return Err((None, Fault::Version(description.version)));
        }
        let summary = &description.summary;
        let length = summary.chars().count();
        if summary.trim().is_empty() || length > SUMMARY_CHARS_MAX || summary.contains(char::is_control) {
            return Err((None, Fault::Summary { chars_max: SUMMARY_CHARS_MAX }));
        }
        Ok(description)
    }
}

/// Whether a name can be a plugin's: lower-case letters, digits and single hyphens, a letter first.
pub(crate) fn is_name(name: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    name.len() <= NAME_BYTES_MAX && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.split('-').all(is_word)
}

/// Whether a text is a version (Semantic Versioning 2.0.0, sections 2, 9 and 10).
fn is_version(text: &str) -> bool {
    let is_number = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'))
    };
    let is_identifier =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_pre_release =
        |text: &str| is_identifier(text) && (is_number(text) || !text.bytes().all(|byte| byte.is_ascii_digit()));
    let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
    let (core, pre_release) = text.split_once('-').map_or((text, None), |(core, rest)| (core, Some(rest)));
    text.len() + build.map_or(0, str::len) <= VERSION_BYTES_MAX
        && core.split('.').count() == 3
        && core.split('.').all(is_number)
        && pre_release.is_none_or(|rest| rest.split('.').all(is_pre_release))
        && build.is_none_or(|build| build.split('.').all(is_identifier))
}

/// The line a byte stands on, counted from 1.
fn line_of(text: &str, at: usize) -> u32 {
    let before = text.as_bytes().iter().take(at);
    u32::try_from(before.filter(|byte| **byte == b'\n').count()).unwrap_or(u32::MAX - 1) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_semantic() {
        let good = [
            "0.1.0",
            "1.0.0",
            "10.20.30",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-0a.b-c",
            "1.0.0+001",
            "1.0.0-rc.1+build.5",
        ];
        for version in good {
            assert!(is_version(version), "{version}");
        }
        let bad = [
            "",
            "1",
            "1.0",
            "1.0.0.0",
            "v1.0.0",
            "01.0.0",
            "1.0.x",
            "1.0.0-",
            "1.0.0-01",
            "1.0.0+",
            "1.0.0-a..b",
            "1.0.0 ",
            "1.-1.0",
        ];
        for version in bad.into_iter().chain([&*format!("1.0.0-{}", "a".repeat(60))]) {
            assert!(!is_version(version), "{version}");
        }
    }

    #[test]
    fn names_are_words_with_hyphens() {
        for name in ["a", "correlation-id", "b64-2"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "-", "a-", "-a", "a--b", "A", "2fa", "a_b", "a/b", "..", "a.b", "é", &*"a".repeat(65)] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn descriptions_hold_nothing_unknown_and_everything_needed() {
        let good = "name = 'a'\nversion = '1.2.3'\nsummary = 'Does it.'\nphases = ['request', 'response']\n";
        let description = Description::parse("a", good).expect("well formed");
        assert_eq!(description.phases, [Phase::Request, Phase::Response]);
        let cases = [
            ("name = 'a'\nversion = '1.2.3'\n", None, "missing field `summary`"),
            ("name = 'a'\nversion = '1.2.3'\nsummary = 'S'\nauthor = 'me'\n", Some(4), "unknown field `author`"),
            ("name = 'a'\nversion = 1.2\nsummary = 'S'\n", Some(2), "invalid type: floating point"),
            ("name = 'a'\nversion = '1.2'\nsummary = 'S'\n", None, "`1.2` is not a version"),
            ("name = 'b'\nversion = '1.2.3'\nsummary = 'S'\n", None, "the plugin is called `b` but its folder `a`"),
            ("name = 'a'\nversion = '1.2.3'\nsummary = ' '\n", None, "the summary must be one line"),
            ("name = 'a'\nversion = '1.2.3'\nsummary = \"S\\nS\"\n", None, "the summary must be one line"),
            ("name = 'a'\nversion = '1.2.3'\nsummary = 'S'\nphases = ['logs']", Some(4), "unknown variant `logs`"),
            ("name = 'a'\nname = 'a'\n", Some(2), "duplicate key"),
            ("name =", Some(1), ""),
        ];
        for (text, line, message) in cases {
            let (at, fault) = Description::parse("a", text).expect_err(text);
            assert!(fault.to_string().contains(message), "{text}: {fault}");
            if line.is_some() {
                assert_eq!(at, line, "{text}");
            }
        }
    }
}
