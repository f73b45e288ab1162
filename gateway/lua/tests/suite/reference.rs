//! The reference and the editor's types: current, complete, and true.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use moongate_lua::reference::{self, Function, Noun};
use moongate_lua::{Bank, ErrorKind, Kind, Phase, ScriptError, ScriptSet, Tenant};

use crate::fixture::{exchange, generous, integration_request, response};
use crate::waiting::{Fake, block_on};

/// What examples compare with.
const SAME: &str = "
local function same(a, b)
    if type(a) ~= 'table' or type(b) ~= 'table' then return a == b end
    for key, value in a do if not same(value, b[key]) then return false end end
    for key in b do if a[key] == nil then return false end end
    return true
end
local function check(line, a, b)
    if not same(a, b) then error(line .. ' gave ' .. util.text(a), 0) end
end
";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files that are made, by their place in the repository.
fn made() -> Vec<(PathBuf, String)> {
    let pages = reference::pages().into_iter();
    let mut files: Vec<_> =
        pages.map(|(name, text)| (repository().join("gateway/lua/reference").join(name), text)).collect();
    files.push((repository().join("plugins/types/gate.d.lua"), reference::types()));
    files
}

#[test]
fn the_reference_and_the_editor_s_types_are_current() {
    let files = made();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        for (path, text) in &files {
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, text).expect("can be written");
        }
    }
    for (path, text) in &files {
        let there = std::fs::read_to_string(path).unwrap_or_default();
        assert!(there == *text, "{} is out of date: run the tests with UPDATE_GOLDEN=1", path.display());
    }
    let folder = std::fs::read_dir(repository().join("gateway/lua/reference")).expect("the folder is there");
    assert_eq!(folder.count(), files.len() - 1, "there are pages of nouns that are gone");
}

#[test]
fn every_function_is_declared_in_full() {
    for noun in reference::nouns() {
        assert!(noun.about.ends_with('.'), "{}: `about` is a sentence", noun.path);
        assert!(!noun.functions.is_empty() || noun.is_open, "{} has nothing", noun.path);
        for function in noun.functions {
            let path = noun.path_of(function);
            assert!(function.about.ends_with('.'), "{path}: `about` is a sentence");
            assert!(!function.example.is_empty(), "{path} has no example");
            assert!(function.example.contains(function.name), "{path}: the example shows something else");
            assert!(
                !function.errors.ends_with('.') && !function.cost.ends_with('.'),
                "{path}: a fragment ends with a dot"
            );
            let optional = function.parameters.iter().map(|parameter| parameter.is_optional);
            assert!(optional.is_sorted(), "{path}: what may be left out comes last");
        }
    }
}

/// Runs lines in a phase.
fn run(phase: Phase, lines: &str) -> Result<(), ScriptError> {
    let secrets = HashMap::from([("env:SIGNING_KEY".into(), "example-secret".into())]);
    let tenant = Tenant { name: "docs".into(), secrets: Arc::new(secrets) };
    let mut set = ScriptSet::of(tenant.clone());
    let kind = match phase {
        Phase::MapRequest | Phase::MapResponse => Kind::Template,
        Phase::Authorize => Kind::Authorizer,
        Phase::Function => Kind::Function,
        _ => Kind::Plugin,
    };
    let source = match phase {
        Phase::Load => format!("{SAME}{lines}\nreturn {{ request = function() end }}"),
        Phase::MapRequest | Phase::MapResponse => format!("{SAME}{lines}"),
        Phase::Authorize | Phase::Function => format!("{SAME}return function()\n{lines}\nreturn true end"),
        other => format!("{SAME}return {{ {} = function()\n{lines}\nend }}", other.name()),
    };
    let script = set.add(kind, "example.lua", &source)?;
    let config = set.add_config(script, &serde_json::json!({}), tenant, None)?;
    let bank = Bank::build(&set, 1, generous())?;
    let (mut exchange, body) = (exchange(), "{}".into());
    match phase {
        Phase::Load => Ok(()),
        Phase::Authorize => block_on(bank.authorize(script, &mut exchange, &Fake)).map(|_| ()),
        Phase::MapRequest => bank.vm().map_request(script, &mut exchange, &body).map(|_| ()),
        Phase::Function => block_on(bank.call_function(script, b"{}", &mut exchange, &Fake)).map(|_| ()),
        Phase::MapResponse => bank.vm().map_response(script, &mut exchange, &mut response(), &body).map(|_| ()),
        Phase::Request => {
            let mut request = integration_request();
            block_on(bank.plugin_request(script, config, &mut exchange, &mut request, &Fake)).map(|_| ())
        }
        Phase::Response => block_on(bank.plugin_response(script, config, &mut exchange, &mut response(), &Fake)),
        Phase::Log => bank.plugin_log(script, config, &mut exchange),
        Phase::ResponseChunk => {
            let stream = bank.begin_stream(script)?;
            let result = bank.plugin_chunk(script, config, &stream, b"chunk", false);
            bank.end_stream(stream);
            result.map(|_| ())
        }
    }
}

/// The phases that examples can be run in.
const RUNNABLE: [Phase; 8] = [
    Phase::Request,
    Phase::Response,
    Phase::Authorize,
    Phase::MapRequest,
    Phase::MapResponse,
    Phase::Function,
    Phase::ResponseChunk,
    Phase::Log,
];

/// An example as a script that fails where it is not true.
fn script(example: &str) -> String {
    let mut lines = String::new();
    for line in example.lines() {
        match line.split_once(" --> ") {
            Some((expression, value)) => lines.push_str(&format!("check([=[{line}]=], ({expression}), ({value}))\n")),
            None => lines.push_str(&format!("{line}\n")),
        }
    }
    lines
}

fn each(mut check: impl FnMut(&'static Noun, &'static Function)) {
    for noun in reference::nouns() {
        for function in noun.functions {
            check(noun, function);
        }
    }
}

#[test]
fn every_example_is_true() {
    let mut failures = Vec::new();
    each(|noun, function| {
        let phase = RUNNABLE.into_iter().find(|phase| function.phases.contains(*phase)).expect("one can be run");
        if let Err(error) = run(phase, &script(function.example)) {
            failures.push(format!("{}: {error}", noun.path_of(function)));
        }
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_call_in_a_wrong_phase_says_where_it_is_allowed() {
    let mut failures = Vec::new();
    each(|noun, function| {
        let path = noun.path_of(function);
        for phase in RUNNABLE.into_iter().chain([Phase::Load]).filter(|phase| !function.phases.contains(*phase)) {
            // Arguments that any function takes, so that nothing but the phase is wrong.
            let arguments: Vec<&str> = function
                .parameters
                .iter()
                .map(|parameter| match parameter.kind.luau() {
                    "string" => "'a'",
                    "number" => "200",
                    "boolean" => "true",
                    "any" => "'a'",
                    kind if kind.starts_with("string") => "'a'",
                    kind if kind.starts_with('{') => "{}",
                    _ => "function() end",
                })
                .collect();
            let lines = format!("{path}({})", arguments.join(", "));
            match run(phase, &lines) {
                Err(error) if error.kind == ErrorKind::Raised => {
                    let says = &error.message;
                    let is_said = if phase == Phase::Load {
                        says.contains("while a script is loaded")
                    } else {
                        says.contains("only allowed in")
                    };
                    if !is_said && !says.contains("only allowed in") {
                        failures.push(format!("{path} in {}: {error}", phase.name()));
                    }
                }
                other => failures.push(format!("{path} in {}: {other:?}", phase.name())),
            }
        }
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_wrong_argument_is_named_with_what_is_wanted() {
    let mut failures = Vec::new();
    each(|noun, function| {
        let path = noun.path_of(function);
        let phase = RUNNABLE.into_iter().find(|phase| function.phases.contains(*phase)).expect("one can be run");
        if function.arguments_min() > 0 && !path.starts_with("util.") && !path.starts_with("json.") {
            match run(phase, &format!("{path}()")) {
                Err(error)
                    if error.kind == ErrorKind::Raised && error.line.is_some() && error.message.contains(&path) => {}
                other => failures.push(format!("{path}(): {other:?}")),
            }
        }
        for wrong in ["coroutine.create(function() end)", "0/0"] {
            // Whatever is given, functions refuse or answer; nothing else may happen.
            let arguments = vec![wrong; function.parameters.len().max(1)].join(", ");
            match run(phase, &format!("{path}({arguments})")) {
                Ok(()) => {}
                Err(error) if matches!(error.kind, ErrorKind::Raised | ErrorKind::BodyNotJson) => {}
                Err(error) => failures.push(format!("{path}({arguments}): {error}")),
            }
        }
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn secrets_of_others_cannot_be_asked_for() {
    let error = run(Phase::Request, "gate.secret('env:HOME')").expect_err("not given");
    assert!(error.message.contains("was given no secret of that name"), "{error}");
    assert!(!error.message.contains("HOME"), "{error}");
}

#[test]
fn declared_functions_can_be_found_by_path() {
    for path in ["gate.crypto.hmac", "request.header", "gate.request.header", "gate.meter"] {
        assert!(reference::find(path).is_some(), "{path}");
    }
    for path in ["", "gate", "gate.crypto", "gate.crypto.hmacs", "crypto.hmac"] {
        assert!(reference::find(path).is_none(), "{path}");
    }
}
