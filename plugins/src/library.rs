//! Libraries: what `require "lib.x"` means.
//!
//! A name stands for a file below `lib/`, of the plugin's own tree first and of the project's `lua/` then. All that a script
//! requires, directly or through its libraries, is found and compiled with it; nothing is looked for when a request runs.

use std::collections::BTreeSet;

use moongate_lua::{Module, lexer};

/// Most libraries of one script.
const LIBRARIES_MAX: usize = 64;

/// A library that is required and cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: `require \"{name}\"`: {why}")]
pub struct MissingLibrary {
    /// The name.
    pub name: String,
    /// The line of the script or library that requires it.
    pub line: u32,
    /// Why not.
    pub why: &'static str,
}

/// The libraries that a source requires, and those that they do. `find` gives path and text of a file such as `lib/x.lua`.
///
/// # Errors
///
/// The first that is not there.
pub fn modules(source: &str, find: impl Fn(&str) -> Option<(String, String)>) -> Result<Vec<Module>, MissingLibrary> {
    let mut known = BTreeSet::new();
    let mut found: Vec<Module> = Vec::new();
    let mut next = 0;
    let mut text = source.to_owned();
    loop {
        for (name, line) in lexer::requires(&text) {
            if !known.insert(name.to_owned()) {
                continue;
            }
            let missing = |why| MissingLibrary { name: name.to_owned(), line, why };
            let file = file_of(name).ok_or_else(|| missing("a library's name is `lib.` and words with dots"))?;
            let (file, source) = find(&file).ok_or_else(|| missing("there is no such file"))?;
            if found.len() >= LIBRARIES_MAX {
                return Err(missing("a script has at most 64 libraries"));
            }
            found.push(Module { name: name.to_owned(), file, source });
        }
        let Some(module) = found.get(next) else { return Ok(found) };
        text = module.source.clone();
        next += 1;
    }
}

/// The file of a name: `lib.a.b` is `lib/a/b.lua`.
fn file_of(name: &str) -> Option<String> {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    };
    let is_library = name.starts_with("lib.") && name.len() <= 128 && name.split('.').all(is_word);
    is_library.then(|| format!("{}.lua", name.replace('.', "/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_found_through_libraries_and_nowhere_else() {
        let files = [("lib/a.lua", "local b = require 'lib.b'\nreturn b"), ("lib/b.lua", "return require 'lib.a'")];
        let find = |file: &str| {
            files.iter().find(|(known, _)| *known == file).map(|(file, text)| ((*file).to_owned(), (*text).to_owned()))
        };
        let found = modules("local a = require(\"lib.a\")", find).expect("both are there");
        assert_eq!(found.iter().map(|module| module.file.as_str()).collect::<Vec<_>>(), ["lib/a.lua", "lib/b.lua"]);
        for (source, line) in
            [("\nrequire 'lib.c'", 2), ("require 'os'", 1), ("require 'lib.../x'", 1), ("require 'lib./etc/passwd'", 1)]
        {
            assert_eq!(modules(source, find).expect_err(source).line, line);
        }
        assert_eq!(modules("-- require 'lib.c'\nlocal x = 'require'", find), Ok(Vec::new()));
    }
}
