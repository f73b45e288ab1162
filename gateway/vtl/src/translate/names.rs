//! The names of variables in Lua.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Facts;

/// Words of Lua, and names that the script uses itself.
const TAKEN: [&str; 40] = [
    "and",
    "break",
    "do",
    "else",
    "elseif",
    "end",
    "false",
    "for",
    "function",
    "if",
    "in",
    "local",
    "nil",
    "not",
    "or",
    "repeat",
    "return",
    "then",
    "true",
    "until",
    "while",
    "continue",
    "context",
    "error",
    "input",
    "ipairs",
    "json",
    "log",
    "math",
    "out",
    "pairs",
    "request",
    "response",
    "stageVariables",
    "string",
    "table",
    "util",
    "variables",
    "vtl",
    "_",
];

/// Most variables that are locals: Luau allows 200 in a function, loops included.
const LOCALS_MAX: usize = 120;

pub(super) struct Names {
    variables: BTreeMap<String, String>,
    macros: BTreeMap<String, String>,
    taken: BTreeSet<String>,
    /// Whether variables are fields of the table `variables`.
    pub(super) is_table: bool,
}

impl Names {
    pub(super) fn of(facts: &Facts<'_>, macros: &[String]) -> Self {
        let is_own = |name: &&&str| !facts.is_built_in(name);
        let own: Vec<&str> = facts.variables.iter().filter(is_own).copied().collect();
        let members = facts.context_members.iter().map(|member| format!("context.{member}"));
        let mut names = Self {
            variables: BTreeMap::new(),
            macros: BTreeMap::new(),
            taken: TAKEN.iter().map(|word| (*word).to_owned()).collect(),
            is_table: own.len() + facts.context_members.len() + macros.len() > LOCALS_MAX,
        };
        // Names that can stay as they are come first.
        let (plain, odd): (Vec<&str>, Vec<&str>) = own.into_iter().partition(|name| is_name(name));
        for name in plain.into_iter().chain(odd) {
            let lua = names.fresh(name);
            names.variables.insert(name.to_owned(), lua);
        }
        for member in members {
            let lua = names.fresh(&member);
            names.variables.insert(member, lua);
        }
        for name in macros {
            let lua = names.fresh(name);
            names.macros.insert(name.clone(), lua);
        }
        names
    }

    /// A name like another one that nothing else has.
    pub(super) fn fresh(&mut self, like: &str) -> String {
        let clean: String = like.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let mut name = clean.clone();
        let mut count = 1;
        while self.taken.contains(&name) {
            count += 1;
            name = if count == 2 { format!("{clean}_") } else { format!("{clean}_{count}") };
        }
        self.taken.insert(name.clone());
        name
    }

    /// Gives a name back.
    pub(super) fn release(&mut self, name: &str) {
        self.taken.remove(name);
    }

    /// What a variable is called in the script.
    pub(super) fn variable(&self, name: &str) -> String {
        match self.variables.get(name) {
            Some(lua) if self.is_table => format!("variables.{lua}"),
            Some(lua) => lua.clone(),
            None => "nil".to_owned(),
        }
    }

    /// What a member of `$context` is called that the template sets.
    pub(super) fn context_member(&self, member: &str) -> Option<String> {
        let name = format!("context.{member}");
        self.variables.contains_key(&name).then(|| self.variable(&name))
    }

    pub(super) fn macro_function(&self, name: &str) -> String {
        match self.macros.get(name) {
            Some(lua) if self.is_table => format!("variables.{lua}"),
            Some(lua) => lua.clone(),
            None => "nil".to_owned(),
        }
    }

    /// The names that have to be declared: variables in alphabetical order.
    pub(super) fn locals(&self) -> Vec<&str> {
        self.variables.values().chain(self.macros.values()).map(String::as_str).collect()
    }
}

fn is_name(name: &str) -> bool {
    !name.contains('-') && !TAKEN.contains(&name)
}
