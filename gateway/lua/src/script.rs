//! The scripts of one API, compiled.
//!
//! Scripts are compiled where configurations are, so that a script with an error never reaches a gateway's workers, and
//! because compiling cannot be interrupted. Machines load the bytecode; scripts themselves can neither compile nor load any.

use std::sync::Arc;

use mlua::chunk::Compiler;

use crate::budget::Limits;
use crate::error::{ErrorKind, ScriptError};
use crate::services::Tenant;

/// Largest source of one script, in bytes (source: API Gateway quotas, "Mapping template size").
pub const SOURCE_BYTES_MAX: usize = 300 * 1024;

/// Longest name of a script, in bytes. Luau cuts longer ones in messages.
const NAME_BYTES_MAX: usize = 200;

/// What a script is for, which decides what it has to return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A mapping template. The whole script runs for every request and returns the new body: a string, a table that becomes
    /// JSON, or nil for an empty body.
    Template,
    /// Runs once when it is loaded and returns `function(request, context)`, which decides about one request.
    Authorizer,
    /// Runs once when it is loaded and returns `function(event, context)`.
    Function,
    /// Runs once when it is loaded and returns a table of phase functions, `request` and `response`.
    Plugin,
}

impl Kind {
    /// The kind as messages name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Template => "a mapping template",
            Self::Authorizer => "an authorizer",
            Self::Function => "a function",
            Self::Plugin => "a plugin",
        }
    }
}

/// A script of a set, and of every machine built from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScriptId(u32);

/// A plugin configuration of a set, and of every machine built from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConfigId(u32);

impl ScriptId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

impl ConfigId {
    /// The configuration that was added in this place.
    pub(crate) fn at(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// The compiled scripts of one API.
#[derive(Clone, Debug, Default)]
pub struct ScriptSet {
    pub(crate) scripts: Vec<Script>,
    pub(crate) configs: Vec<Config>,
    /// Whose data and secrets the scripts use that are no plugins.
    pub(crate) tenant: Tenant,
}

/// A plugin's settings, and whose data and secrets it uses with them.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) script: ScriptId,
    pub(crate) json: Arc<[u8]>,
    pub(crate) tenant: Tenant,
    /// Budgets of its own.
    pub(crate) limits: Option<Limits>,
}

/// A library that a script requires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// What it is required as: `lib.tokens`.
    pub name: String,
    /// What errors call it: its file.
    pub file: String,
    /// Its source.
    pub source: String,
}

/// A library, compiled.
#[derive(Clone, Debug)]
pub(crate) struct CompiledModule {
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) bytecode: Arc<[u8]>,
}

#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) kind: Kind,
    pub(crate) name: Arc<str>,
    pub(crate) bytecode: Arc<[u8]>,
    /// Whether it names functions that wait: then it runs as a coroutine.
    pub(crate) waits: bool,
    pub(crate) modules: Arc<[CompiledModule]>,
}

impl ScriptSet {
    /// A set without scripts.
    pub fn new() -> Self {
        Self::default()
    }

    /// A set whose scripts, but for plugins, use that tenant's data and secrets.
    pub fn of(tenant: Tenant) -> Self {
        Self { tenant, ..Self::default() }
    }

    /// Compiles a script and adds it. `name` is what errors call it; of names longer than 200 bytes the end is kept.
    ///
    /// Takes about a millisecond per 5 KiB of source, at most a few hundred.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Compile`] with the line, or without one when the source is larger than [`SOURCE_BYTES_MAX`].
    pub fn add(&mut self, kind: Kind, name: &str, source: &str) -> Result<ScriptId, ScriptError> {
        self.add_with(kind, name, source, &[])
    }

    /// The same, with the libraries that it requires, and those that they do. What is not among them cannot be required.
    ///
    /// # Errors
    ///
    /// As [`ScriptSet::add`], about the script or a library.
    pub fn add_with(
        &mut self,
        kind: Kind,
        name: &str,
        source: &str,
        modules: &[Module],
    ) -> Result<ScriptId, ScriptError> {
        let bytecode = compile(name, source)?;
        let mut compiled = Vec::with_capacity(modules.len());
        for Module { name, file, source } in modules {
            compiled.push(CompiledModule {
                name: name.clone(),
                file: presentable(file),
                bytecode: compile(file, source)?,
            });
        }
        let name = presentable(name);
        let may_wait = may_wait(source) || modules.iter().any(|module| may_wait(&module.source));
        let waits = kind != Kind::Template && may_wait;
        let id = next_id(self.scripts.len(), &name)?;
        self.scripts.push(Script { kind, name: name.into(), bytecode, waits, modules: compiled.into() });
        Ok(ScriptId(id))
    }

    /// Adds a configuration that plugin phases are called with, and whose data and secrets they then use. It becomes a
    /// read-only table, made once per machine. `limits`, if given, are its budgets in place of the bank's; memory is always the
    /// bank's.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`] when the set is full, at four thousand million configurations.
    pub fn add_config(
        &mut self,
        script: ScriptId,
        config: &serde_json::Value,
        tenant: Tenant,
        limits: Option<Limits>,
    ) -> Result<ConfigId, ScriptError> {
        let id = next_id(self.configs.len(), "configuration")?;
        self.configs.push(Config { script, json: config.to_string().into_bytes().into(), tenant, limits });
        Ok(ConfigId(id))
    }

    /// The number of scripts.
    pub fn len(&self) -> usize {
        self.scripts.len()
    }

    /// Whether there are no scripts: no bank needs to be built.
    pub fn is_empty(&self) -> bool {
        self.scripts.is_empty()
    }
}

/// Compiles a source under its name.
fn compile(name: &str, source: &str) -> Result<Arc<[u8]>, ScriptError> {
    let name = presentable(name);
    if source.len() > SOURCE_BYTES_MAX {
        let message = format!("the source has {} bytes, at most {SOURCE_BYTES_MAX} are allowed", source.len());
        return Err(ScriptError::new(ErrorKind::Compile, &name, message));
    }
    let bytecode = compiler().compile(source).map_err(|error| ScriptError::compile(&name, &error))?;
    Ok(bytecode.into())
}

/// Whether a source names a noun whose functions wait. A false alarm costs a microsecond per run; a script that hides the name is
/// told so when it calls.
fn may_wait(source: &str) -> bool {
    source.contains("gate") && ["http", "store", "parallel"].iter().any(|noun| source.contains(noun))
}

fn next_id(length: usize, name: &str) -> Result<u32, ScriptError> {
    u32::try_from(length).map_err(|_| ScriptError::new(ErrorKind::Internal, name, "the script set is full"))
}

/// The compiler as scripts are compiled.
pub(crate) fn compiler() -> Compiler {
    Compiler::new()
        .set_optimization_level(2)
        .set_debug_level(1)
        // Their fields differ from request to request; as imports they would be read once, when the script is loaded.
        .set_mutable_globals(["context", "gate", "input", "stageVariables"])
        // As a built-in it is not a call, and only calls and loops can be interrupted; it may read megabytes.
        .set_disabled_builtins(["tonumber"])
}

/// A name that Luau passes on as it is: no control characters, not too long.
fn presentable(name: &str) -> String {
    let clean: String = name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    let mut start = clean.len().saturating_sub(NAME_BYTES_MAX);
    while !clean.is_char_boundary(start) {
        start += 1;
    }
    clean[start..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compile_errors_name_script_and_line() {
        let cases = [
            ("return 1 +", 1, "Expected identifier"),
            ("local x = 1\n\nlocal = 2", 3, "Expected identifier"),
            ("goto done ::done::", 1, "Incomplete statement"),
            ("local x <const> = ", 1, ""),
            ("return '\u{0}", 1, "Malformed string"),
        ];
        for (source, line, message) in cases {
            let error = ScriptSet::new().add(Kind::Template, "map.lua", source).expect_err(source);
            assert_eq!(error.kind, ErrorKind::Compile, "{source}: {error}");
            assert_eq!(error.line, Some(line), "{source}: {error}");
            assert!(error.message.contains(message), "{source}: {error}");
            assert_eq!(error.script, "map.lua");
        }
    }

    #[test]
    fn sources_beyond_the_limit_are_refused_unseen() {
        let mut set = ScriptSet::new();
        let just = format!("--{}", "x".repeat(SOURCE_BYTES_MAX - 2));
        set.add(Kind::Template, "t", &just).expect("exactly at the limit");
        let error = set.add(Kind::Template, "t", &format!("{just}x")).expect_err("one byte more");
        assert_eq!((error.kind, error.line), (ErrorKind::Compile, None));
        assert_eq!(set.len(), 1);
    }

    #[test]
    fn sources_that_nest_without_end_are_refused() {
        for (open, close) in
            [("(", ")"), ("{", "}"), ("- ", "1"), ("do ", " end"), ("function() return ", " end"), ("not ", "1")]
        {
            let source = format!("return {}{}", open.repeat(20_000), close.repeat(20_000));
            let error = ScriptSet::new().add(Kind::Template, "deep", &source).expect_err(open);
            assert_eq!(error.kind, ErrorKind::Compile);
        }
    }

    #[test]
    fn bytecode_is_not_a_source() {
        let bytecode = Compiler::new().compile("return 1").expect("compiles");
        let source: String = bytecode.iter().map(|&byte| char::from(byte)).collect();
        assert_eq!(ScriptSet::new().add(Kind::Template, "b", &source).expect_err("refused").kind, ErrorKind::Compile);
    }

    #[test]
    fn names_are_made_presentable() {
        let cases =
            [("a.lua", "a.lua".to_owned()), ("a\nb", "a\u{fffd}b".to_owned()), (&*"é".repeat(150), "é".repeat(100))];
        for (name, want) in cases {
            assert_eq!(presentable(name), want);
        }
    }
}
