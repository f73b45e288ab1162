//! A plugin's description, settings and program, as texts that were checked.

use std::collections::BTreeMap;
use std::fmt;

use moongate_lua::Module;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::bundled;
use crate::description::{BodyUse, Description, Phase, is_name};
use crate::library::{self, MissingLibrary};
use crate::settings;

/// Largest `plugin.toml`, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 16 * 1024;

/// Largest `schema.json`, in bytes: a form with several hundred fields.
const SCHEMA_BYTES_MAX: usize = 64 * 1024;

/// A plugin: what it is, which settings it takes, what it does.
///
/// The program is only text here; compiling it is what finds errors in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Plugin {
    /// Its name, which attachments use: lower-case letters, digits and hyphens, at most 64 bytes.
    pub name: String,
    /// Its version (Semantic Versioning 2.0.0).
    pub version: String,
    /// What it does, in one line.
    pub summary: String,
    /// The phases it says it runs in; empty where it does not say.
    pub phases: Vec<Phase>,
    /// The JSON Schema of its settings: an object without `$ref`.
    pub schema: Value,
    /// Whether it needs the request's body in memory.
    pub buffers_request: bool,
    /// Whether it needs the response's body in memory.
    pub buffers_response: bool,
    /// The Lua source.
    pub handler: String,
    /// Its own libraries: source by file, `lib/x.lua`.
    pub libraries: BTreeMap<String, String>,
    /// `plugin.toml` as it is, for the digest.
    pub(crate) description: String,
    /// `schema.json` as it is, for the digest.
    pub(crate) schema_text: String,
    /// Its manual, in Markdown; empty where there is none.
    pub readme: String,
}

/// A plugin of a project that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {fault}", Place { file, line: *line })]
pub struct PluginError {
    /// The file it is about, relative to the project's folder. It may be one that should be there.
    pub file: String,
    /// The line, counted from 1, where it is known.
    pub line: Option<u32>,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a plugin's files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file is not there.
    #[error("a plugin needs this file")]
    Missing,
    /// The file is too large.
    #[error("the file is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit, in bytes.
        bytes_max: usize,
    },
    /// `plugin.toml` is no TOML, lacks a key, or has one too many.
    #[error("{0}")]
    Description(String),
    /// `plugin.toml` names another plugin than its folder.
    #[error("the plugin is called `{declared}` but its folder `{folder}`")]
    Name {
        /// The folder's name.
        folder: String,
        /// The name in `plugin.toml`.
        declared: String,
    },
    /// The version is not one.
    #[error("`{0}` is not a version such as `1.0.0`")]
    Version(String),
    /// The summary is empty, too long, or several lines.
    #[error("the summary must be one line of at most {chars_max} characters")]
    Summary {
        /// The limit, in characters.
        chars_max: usize,
    },
    /// `schema.json` is no JSON, or no schema that plugins may have.
    #[error("{0}")]
    Schema(String),
}

/// A plugin's files.
pub(crate) struct Texts<'text> {
    pub(crate) description: &'text str,
    pub(crate) schema: &'text str,
    pub(crate) handler: &'text str,
    pub(crate) readme: &'text str,
}

/// A file and, where it is known, a line.
struct Place<'a> {
    file: &'a str,
    line: Option<u32>,
}

impl Plugin {
    /// The plugin of that name among those that ship with Moongate.
    pub fn bundled(name: &str) -> Option<Self> {
        bundled::find(name)
    }

    /// The plugin of that name among a project's own: `plugins/NAME/{plugin.toml,schema.json,handler.lua}`, with a
    /// `README.md` where there is one. `files` are a project's texts by path.
    ///
    /// `None` when there is no file below `plugins/NAME/`, or `name` cannot be a plugin's.
    ///
    /// # Errors
    ///
    /// A file is missing or malformed; the first one that is.
    pub fn in_project(files: &BTreeMap<String, String>, name: &str) -> Result<Option<Self>, PluginError> {
        if !is_name(name) {
            return Ok(None);
        }
        let folder = format!("plugins/{name}/");
        if !files.range(folder.clone()..).next().is_some_and(|(path, _)| path.starts_with(&folder)) {
            return Ok(None);
        }
        let libraries = format!("{folder}lib/");
        let own = files.range(libraries.clone()..).take_while(|(path, _)| path.starts_with(&libraries));
        let own = own.filter(|(path, _)| path.ends_with(".lua"));
        let own = own.map(|(path, text)| (path[folder.len()..].to_owned(), text.clone())).collect();
        let plugin = Self::in_folder(&folder, name, |file| files.get(&format!("{folder}{file}")).map(String::as_str))?;
        Ok(Some(Self { libraries: own, ..plugin }))
    }

    /// The digest of everything that makes the plugin what it does: `plugin.toml`, `schema.json`, `handler.lua` and the libraries,
    /// each with its name and length. Attachments pin it.
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        let texts =
            [("plugin.toml", &self.description), ("schema.json", &self.schema_text), ("handler.lua", &self.handler)];
        let libraries = self.libraries.iter().map(|(file, text)| (file.as_str(), text));
        for (file, text) in texts.into_iter().chain(libraries) {
            hasher.update(format!("{file}\0{}\0", text.len()));
            hasher.update(text);
        }
        let digest = hasher.finalize();
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{hex}")
    }

    /// The libraries it requires: its own, and for those it has not what `find` gives for a file such as `lib/x.lua`.
    ///
    /// # Errors
    ///
    /// The first that is not there.
    pub fn modules(&self, find: impl Fn(&str) -> Option<(String, String)>) -> Result<Vec<Module>, MissingLibrary> {
        let own = |file: &str| {
            let text = self.libraries.get(file)?;
            Some((format!("plugins/{}/{file}", self.name), text.clone()))
        };
        library::modules(&self.handler, |file| own(file).or_else(|| find(file)))
    }

    /// The plugin `name` out of its folder's files; `folder` is what errors put before their names.
    pub(crate) fn in_folder<'text>(
        folder: &str,
        name: &str,
        file: impl Fn(&str) -> Option<&'text str>,
    ) -> Result<Self, PluginError> {
        let needed = |name: &str| {
            let missing = || PluginError { file: format!("{folder}{name}"), line: None, fault: Fault::Missing };
            file(name).ok_or_else(missing)
        };
        let texts = Texts {
            description: needed("plugin.toml")?,
            schema: needed("schema.json")?,
            handler: needed("handler.lua")?,
            readme: file("README.md").unwrap_or_default(),
        };
        Self::parse(name, &texts).map_err(|error| PluginError { file: format!("{folder}{}", error.file), ..error })
    }

    /// Checks and assembles a plugin. Errors name files without their folder.
    pub(crate) fn parse(name: &str, texts: &Texts<'_>) -> Result<Self, PluginError> {
        let in_file = |file: &str, line, fault| PluginError { file: file.to_owned(), line, fault };
        let bounded = |file: &str, text: &str, bytes_max| {
            if text.len() > bytes_max { Err(in_file(file, None, Fault::TooLarge { bytes_max })) } else { Ok(()) }
        };
        bounded("plugin.toml", texts.description, DESCRIPTION_BYTES_MAX)?;
        bounded("schema.json", texts.schema, SCHEMA_BYTES_MAX)?;
        let description =
            Description::parse(name, texts.description).map_err(|(line, fault)| in_file("plugin.toml", line, fault))?;
        let schema = settings::parse_schema(texts.schema)
            .map_err(|(line, message)| in_file("schema.json", line, Fault::Schema(message)))?;
        Ok(Self {
            name: description.name,
            version: description.version,
            summary: description.summary,
            phases: description.phases,
            schema,
            buffers_request: description.request_body == BodyUse::Buffer,
            buffers_response: description.response_body == BodyUse::Buffer,
            handler: texts.handler.to_owned(),
            libraries: BTreeMap::new(),
            description: texts.description.to_owned(),
            schema_text: texts.schema.to_owned(),
            readme: texts.readme.to_owned(),
        })
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file),
            None => f.write_str(self.file),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIPTION: &str = "name = 'my-own'\nversion = '0.1.0'\nsummary = 'Does what we need.'\n";

    fn project(files: &[(&str, &str)]) -> BTreeMap<String, String> {
        files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn a_project_s_plugin_is_read_from_its_folder() {
        let files = project(&[
            ("plugins/my-own/plugin.toml", DESCRIPTION),
            ("plugins/my-own/schema.json", r#"{"type": "object"}"#),
            ("plugins/my-own/handler.lua", "return {}"),
        ]);
        let plugin = Plugin::in_project(&files, "my-own").expect("well formed").expect("it is there");
        assert_eq!((&*plugin.name, &*plugin.version, &*plugin.handler), ("my-own", "0.1.0", "return {}"));
        assert_eq!((&*plugin.summary, &*plugin.readme), ("Does what we need.", ""));
    }

    #[test]
    fn a_project_without_the_folder_has_no_such_plugin() {
        let files = project(&[("plugins/my-own-2/plugin.toml", ""), ("plugins/my", ""), ("apis/a.yaml", "")]);
        for name in ["my-own", "my", "", "..", "../apis", "my-own-2/", "My-Own"] {
            assert_eq!(Plugin::in_project(&files, name), Ok(None), "{name}");
        }
    }

    #[test]
    fn a_malformed_plugin_is_an_error_that_names_file_and_line() {
        let cases: [(&[(&str, &str)], &str); 8] = [
            (&[("plugin.toml", "")], "plugins/my-own/schema.json: a plugin needs this file"),
            (&[("README.md", "")], "plugins/my-own/plugin.toml: a plugin needs this file"),
            (
                &[("plugin.toml", DESCRIPTION), ("schema.json", "{}")],
                "plugins/my-own/handler.lua: a plugin needs this file",
            ),
            (
                &[("plugin.toml", "name = 1"), ("schema.json", "{}"), ("handler.lua", "")],
                "plugins/my-own/plugin.toml:1: invalid type",
            ),
            (
                &[("plugin.toml", DESCRIPTION), ("schema.json", "{\n}}"), ("handler.lua", "")],
                "plugins/my-own/schema.json:2: trailing",
            ),
            (
                &[("plugin.toml", DESCRIPTION), ("schema.json", r#"{"type": "objct"}"#), ("handler.lua", "")],
                "plugins/my-own/schema.json: the schema is not valid at `/type`",
            ),
            (
                &[("plugin.toml", DESCRIPTION), ("schema.json", "true"), ("handler.lua", "")],
                "plugins/my-own/schema.json: the schema must be an object",
            ),
            (
                &[("plugin.toml", &"#".repeat(DESCRIPTION_BYTES_MAX + 1)), ("schema.json", "{}"), ("handler.lua", "")],
                "plugins/my-own/plugin.toml: the file is larger than 16384 bytes",
            ),
        ];
        for (files, want) in cases {
            let files =
                files.iter().map(|(name, text)| (format!("plugins/my-own/{name}"), (*text).to_owned())).collect();
            let error = Plugin::in_project(&files, "my-own").expect_err(want);
            assert!(error.to_string().starts_with(want), "{error} should start with {want}");
        }
    }
}
