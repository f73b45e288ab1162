//! What scripts can reach.
//!
//! The names scripts see are chosen, not what is left after taking some away: [`BASE`] and [`LIBRARIES`] list them. There is no
//! way to files, processes, the clock, other scripts, the compiler or bytecode, and none to change what other scripts or later
//! requests see: libraries, the metatable of strings and the host's tables are read-only, and so is a script's environment
//! once it is loaded. Global variables that a script makes while it is loaded are kept in a table of its own.

use mlua::{Function, Lua, LuaOptions, LuaString, StdLib, Table, Value};

use crate::host;

/// Luau's own functions that scripts see.
const BASE: [&str; 19] = [
    "assert",
    "error",
    "getmetatable",
    "ipairs",
    "next",
    "pairs",
    "pcall",
    "rawequal",
    "rawget",
    "rawlen",
    "rawset",
    "select",
    "setmetatable",
    "tonumber",
    "tostring",
    "type",
    "typeof",
    "unpack",
    "xpcall",
];

/// Luau's libraries that scripts see, and the functions that are left out of them: those call functions given to them in loops
/// that cannot be interrupted.
const LIBRARIES: [(&str, &[&str]); 7] = [
    ("bit32", &[]),
    ("buffer", &[]),
    ("coroutine", &[]),
    ("math", &[]),
    ("string", &[]),
    ("table", &["foreach", "foreachi", "getn", "maxn"]),
    ("utf8", &[]),
];

/// The names of Luau's own functions and libraries that scripts see, and `print`.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    BASE.into_iter().chain(LIBRARIES.into_iter().map(|(name, _)| name)).chain(["_VERSION", "print"])
}

/// A new machine and what scripts see in it.
pub(crate) struct Sandbox {
    pub(crate) lua: Lua,
    /// Every name, with its value.
    names: Vec<(&'static str, Value)>,
}

/// The environment of one script.
pub(crate) struct Environment {
    /// What its functions take as global variables.
    pub(crate) table: Table,
    metatable: Table,
    store: Table,
}

impl Sandbox {
    /// Makes a machine.
    pub(crate) fn new() -> mlua::Result<Self> {
        let libraries = StdLib::BIT
            | StdLib::BUFFER
            | StdLib::COROUTINE
            | StdLib::MATH
            | StdLib::STRING
            | StdLib::TABLE
            | StdLib::UTF8;
        let lua = Lua::new_with(libraries, LuaOptions::new())?;
        let original = lua.globals();
        let mut names = vec![("_VERSION", original.raw_get("_VERSION")?)];
        for name in BASE {
            names.push((name, original.raw_get(name)?));
        }
        let mut guarded = Vec::new();
        for (name, left_out) in LIBRARIES {
            let library = lua.create_table()?;
            for pair in original.raw_get::<Table>(name)?.pairs::<LuaString, Value>() {
                let (field, value) = pair?;
                if !left_out.contains(&&*field.to_str()?) {
                    library.raw_set(field, value)?;
                }
            }
            if name == "string" || name == "table" {
                guarded.push(library.clone());
            }
            names.push((name, Value::Table(library)));
        }
        let [string, table] = &guarded[..] else { unreachable!("both are in the list") };
        host::guard_libraries(&lua, string, table)?;
        let string_metatable = lua.create_table()?;
        string_metatable.raw_set("__index", string)?;
        string_metatable.raw_set("__metatable", "locked")?;
        string_metatable.set_readonly(true);
        lua.set_type_metatable::<LuaString>(Some(string_metatable));

        for (name, noun) in host::install(&lua)? {
            if name == "log" {
                names.push(("print", noun.raw_get("info")?));
            }
            names.push((name, Value::Table(noun)));
        }
        let without_library = Self { lua: lua.clone(), names: names.clone() };
        let environment = without_library.environment(None)?.table;
        names.push(("vtl", Value::Table(host::install_vtl(&lua, environment)?)));
        for (_, value) in &names {
            if let Value::Table(table) = value {
                table.set_readonly(true);
            }
        }
        // Luau looks constant names up here when a script is loaded, and not in the script's own environment.
        let globals = lua.create_table()?;
        for (name, value) in &names {
            globals.raw_set(*name, value)?;
        }
        lua.set_globals(globals)?;
        lua.sandbox(true)?;
        Ok(Self { lua, names })
    }

    /// Makes the environment of a script, with `require` where it has libraries. Until it is frozen, global variables can be made in it.
    pub(crate) fn environment(&self, require: Option<&Function>) -> mlua::Result<Environment> {
        let (table, metatable, store) = (self.lua.create_table()?, self.lua.create_table()?, self.lua.create_table()?);
        for (name, value) in &self.names {
            table.raw_set(*name, value)?;
        }
        if let Some(require) = require {
            table.raw_set("require", require)?;
        }
        metatable.raw_set("__index", &store)?;
        metatable.raw_set("__newindex", &store)?;
        metatable.raw_set("__metatable", "locked")?;
        table.set_metatable(Some(metatable.clone()))?;
        table.set_readonly(true);
        table.set_safeenv(true);
        Ok(Environment { table, metatable, store })
    }

    /// The function that takes assignments to global variables in frozen environments.
    pub(crate) fn refusal(&self) -> mlua::Result<Function> {
        host::raw::function(&self.lua, "__newindex", host::refuse_global)
    }
}

impl Environment {
    /// Takes assignments to global variables as errors from now on.
    pub(crate) fn freeze(&self, refusal: &Function) -> mlua::Result<()> {
        self.metatable.raw_set("__newindex", refusal)?;
        self.metatable.set_readonly(true);
        self.store.set_readonly(true);
        Ok(())
    }
}
