//! What the declarations of the host API become: pages of the reference, the editor's types, and the tables of checkers.
//!
//! Everything here is made from the same constants as the functions themselves, so it cannot say what they do not do.

use std::fmt::Write as _;

pub use crate::host::function::{Field, Function, Noun, Parameter, PhaseSet, Type};
use crate::host::v1::NOUNS;

/// Every noun of the API.
pub fn nouns() -> impl Iterator<Item = &'static Noun> {
    NOUNS.into_iter()
}

/// Names that scripts find beside the nouns: Luau's own, chosen by the sandbox.
pub fn luau_names() -> impl Iterator<Item = &'static str> {
    crate::sandbox::names()
}

/// The function of a path, such as `gate.crypto.hmac` or `request.header`. `gate.request.header` is the latter.
pub fn find(path: &str) -> Option<(&'static Noun, &'static Function)> {
    let (noun, name) = path.rsplit_once('.')?;
    let noun = nouns().find(|known| known.path == noun || noun.strip_prefix("gate.") == Some(known.path))?;
    Some((noun, noun.functions.iter().find(|function| function.name == name)?))
}

/// The reference: pages by file name, in Markdown.
pub fn pages() -> Vec<(String, String)> {
    let mut pages: Vec<(String, String)> = nouns().map(|noun| (file(noun), page(noun))).collect();
    pages.push(("README.md".to_owned(), index()));
    pages
}

fn file(noun: &Noun) -> String {
    format!("{}.md", noun.path)
}

fn index() -> String {
    let mut out = String::from(
        "# Reference of the host API, version 1\n\n\
         Made from the source of the functions; do not edit. Signatures are Luau's: `?` marks what may be nil or left out. A\n\
         function that is called in another phase than its page says, or with arguments of another type, raises an error that says\n\
         what is allowed. The examples are run as tests: `A --> B` says that `A` is `B`.\n\n\
         | Noun | Functions |\n|---|---|\n",
    );
    for noun in nouns() {
        let names = noun.functions.iter().map(|function| format!("`{}`", function.name));
        let names: Vec<String> = names.chain(noun.fields.iter().map(|field| format!("`{}`", field.name))).collect();
        let names = if names.is_empty() { "any name".to_owned() } else { names.join(", ") };
        let _ = writeln!(out, "| [`{}`]({}) | {names} |", noun.path, file(noun));
    }
    out
}

fn page(noun: &Noun) -> String {
    let mut out = format!("# `{}`\n\n{}\n", noun.path, noun.about);
    if !noun.fields.is_empty() {
        out.push_str("\n| Field | Type | Is |\n|---|---|---|\n");
        for field in noun.fields {
            let _ = writeln!(out, "| `{}` | `{}` | {} |", field.name, field.luau.replace('|', "\\|"), field.about);
        }
    }
    for function in noun.functions {
        let _ = write!(out, "\n## `{}{}`\n\n{}\n", noun.path_of(function), signature(function), function.about);
        if !function.parameters.is_empty() {
            out.push('\n');
            for parameter in function.parameters {
                let _ = writeln!(out, "- `{}`: {}", parameter.name, parameter.about);
            }
        }
        let _ = write!(out, "\n**Where**: {}.", function.phases);
        if !function.errors.is_empty() {
            let _ = write!(out, " **Errors**: {}.", function.errors);
        }
        if !function.cost.is_empty() {
            let _ = write!(out, " **Cost**: {}.", function.cost);
        }
        let _ = write!(out, "\n\n```lua\n{}\n```\n", function.example);
    }
    out
}

/// `(name: string, amount: number?): boolean`.
fn signature(function: &Function) -> String {
    let mut text = format!("({})", parameters(function));
    if function.returns != "()" {
        let _ = write!(text, ": {}", function.returns);
    }
    text
}

fn parameters(function: &Function) -> String {
    let one = |parameter: &Parameter| {
        let luau = parameter.kind.luau();
        let luau = match (parameter.is_optional, luau.contains([' ', '>'])) {
            (true, true) => format!("({luau})?"),
            (true, false) => format!("{luau}?"),
            (false, _) => luau.to_owned(),
        };
        format!("{}: {luau}", parameter.name)
    };
    let mut all: Vec<String> = function.parameters.iter().map(one).collect();
    if function.is_variadic {
        all.push("...any".to_owned());
    }
    all.join(", ")
}

/// Definitions of the API for editors, in the syntax of Luau's definition files.
pub fn types() -> String {
    let mut out = String::from(
        "-- Types of Moongate's host API, version 1, for Luau's language server. Made from the source; do not edit.\n",
    );
    for noun in nouns().filter(|noun| noun.path != "gate") {
        let _ = writeln!(out, "\ndeclare class {}", class(noun));
        members(noun, &mut out);
        out.push_str("end\n");
    }
    out.push_str("\ndeclare class Gate\n");
    for noun in nouns().filter(|noun| noun.path != "gate") {
        let _ = writeln!(out, "    {}: {}", noun.name(), class(noun));
    }
    if let Some(gate) = nouns().find(|noun| noun.path == "gate") {
        members(gate, &mut out);
    }
    out.push_str("end\n\ndeclare gate: Gate\n");
    for noun in nouns().filter(|noun| !noun.path.starts_with("gate")) {
        let _ = writeln!(out, "declare {}: {}", noun.path, class(noun));
    }
    out
}

fn members(noun: &Noun, out: &mut String) {
    for field in noun.fields {
        let _ = writeln!(out, "    {}: {}", field.name, field.luau);
    }
    for function in noun.functions {
        let first = parameters(function);
        let returns = function.returns;
        let _ = writeln!(out, "    --- {}", function.about.replace('\n', " "));
        let _ = writeln!(out, "    {}: ({first}) -> {returns}", function.name);
    }
    if noun.is_open {
        out.push_str("    [string]: any\n");
    }
}

fn class(noun: &Noun) -> String {
    let words = noun.path.split(['.', '_']);
    let capital = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    words.map(capital).collect()
}
