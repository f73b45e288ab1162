//! Scripts that try to hold up a worker, to eat its memory, or to get out: every file of `tests/hostile`.
//!
//! The first line of each names the kinds of errors that it may end with, `Ok` for none. Whatever it does, it must not use
//! more than twice its CPU budget and 10 ms, and the machine must be as good as before.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use moongate_lua::{Bank, ErrorKind, Kind, Limits, ScriptError, ScriptSet};

use crate::fixture::exchange;

const CPU_BUDGET: Duration = Duration::from_millis(50);
const CPU_MOST: Duration = Duration::from_millis(2 * 50 + 10);

/// Processor time of this thread.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("this is Linux");
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.expect("the first number is time on the processor"))
}

fn scripts() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let files = std::fs::read_dir(folder).expect("the folder is there");
    let scripts = files.map(|file| {
        let path = file.expect("can be listed").path();
        let source = std::fs::read_to_string(&path).expect("can be read");
        (path.file_name().expect("has a name").to_string_lossy().into_owned(), source)
    });
    scripts.collect()
}

fn name_of(result: &Result<(), ScriptError>) -> String {
    match result {
        Ok(()) => "Ok".to_owned(),
        Err(error) => format!("{:?}", error.kind),
    }
}

#[test]
fn hostile_scripts_are_stopped_in_time_and_leave_nothing_behind() {
    let limits = Limits { cpu: CPU_BUDGET, wall: Duration::from_secs(60), ..Limits::default() };
    let scripts = scripts();
    assert!(scripts.len() >= 100, "only {} scripts", scripts.len());
    let mut failures = Vec::new();
    for (name, source) in &scripts {
        let expected = source.lines().next().and_then(|line| line.strip_prefix("-- expect: ")).expect(name);
        let mut set = ScriptSet::new();
        let hostile = set.add(Kind::Template, name, source).expect(name);
        let normal = "return {token = request.header('x-token'), n = #input.path('$.list')}";
        let normal = set.add(Kind::Template, "normal.lua", normal).expect("compiles");
        let bank = Bank::build(&set, 1, limits).expect(name);
        for round in 1..=2 {
            let body = Bytes::from_static(br#"{"list": [1, [2, [3, [4]]]]}"#);
            let before = cpu();
            let result = bank.vm().map_request(hostile, &mut exchange(), &body).map(|_| ());
            let used = cpu() - before;
            let got = name_of(&result);
            let mut fail = |what: String| failures.push(format!("{name}, round {round}: {what}"));
            if !expected.split(" | ").any(|kind| kind == got) {
                fail(format!("expected {expected}, got {result:?}"));
            }
            if used > CPU_MOST {
                fail(format!("used {used:?} of CPU time"));
            }
            let mut vm = bank.vm();
            if vm.used_bytes() > vm.base_bytes() + limits.memory_bytes / 4 {
                fail(format!("{} bytes are in use, {} were at the start", vm.used_bytes(), vm.base_bytes()));
            }
            let mapped = vm.map_request(normal, &mut exchange(), &body).map(|mapped| mapped.body.len());
            if mapped != Ok(r#"{"token":"tok-7","n":2}"#.len()) {
                fail(format!("afterwards an ordinary script gives {mapped:?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {} scripts:\n{}", failures.len(), scripts.len(), failures.join("\n"));
}

#[test]
fn over_budget_errors_name_script_line_and_budget() {
    let cases = [
        ("\n\nwhile true do end", ErrorKind::CpuBudget, Some(3), "CPU budget of 50 ms"),
        (
            "local s = 'x'\nwhile true do\n s = s .. s\nend",
            ErrorKind::MemoryBudget,
            Some(3),
            "memory budget of 16777216 bytes",
        ),
        (
            "\nlocal t = table.create(100, 2)\ntable.sort(t, function(a, b)\n while true do end end)",
            ErrorKind::CpuBudget,
            Some(4),
            "CPU budget",
        ),
    ];
    let limits = Limits { wall: Duration::from_secs(60), ..Limits::default() };
    for (source, kind, line, message) in cases {
        let mut set = ScriptSet::new();
        let id = set.add(Kind::Template, "bad.lua", source).expect("compiles");
        let bank = Bank::build(&set, 1, limits).expect("builds");
        let error = bank.vm().map_request(id, &mut exchange(), &Bytes::new()).expect_err(source);
        assert_eq!((error.kind, error.line, error.script.as_str()), (kind, line, "bad.lua"), "{source}: {error}");
        assert!(error.message.contains(message), "{error}");
    }
}

#[test]
fn the_wall_clock_budget_holds_too() {
    let limits = Limits { cpu: Duration::from_secs(60), wall: Duration::from_millis(30), ..Limits::default() };
    let mut set = ScriptSet::new();
    let id = set.add(Kind::Template, "slow.lua", "while true do end").expect("compiles");
    let bank = Bank::build(&set, 1, limits).expect("builds");
    let error = bank.vm().map_request(id, &mut exchange(), &Bytes::new()).expect_err("stopped");
    assert_eq!(error.kind, ErrorKind::WallBudget, "{error}");
}

/// What scripts keep outside of their functions stays from run to run and counts against their memory: a script that lets it
/// grow is set back to its beginning.
#[test]
fn memory_that_scripts_keep_to_themselves_is_taken_back_in_the_end() {
    let source = "
        local kept = {}
        return function()
            for i = 1, 1000 do kept[#kept + 1] = string.format('%09d', #kept) end
            return #kept
        end";
    let limits = Limits {
        memory_bytes: 1 << 20,
        cpu: Duration::from_secs(20),
        wall: Duration::from_secs(60),
        ..Limits::default()
    };
    let mut set = ScriptSet::new();
    let id = set.add(Kind::Function, "leak.lua", source).expect("compiles");
    let bank = Bank::build(&set, 1, limits).expect("builds");
    let base = bank.vm().base_bytes();
    let mut resets = 0;
    for _ in 0..200 {
        match bank.vm().call_function(id, b"{}", &mut exchange()) {
            Ok(count) => resets += usize::from(count == "1000"),
            Err(error) => assert_eq!(error.kind, ErrorKind::MemoryBudget, "{error}"),
        }
        assert!(bank.vm().used_bytes() <= base + limits.memory_bytes + (64 << 10));
    }
    assert!(resets > 3, "{resets} resets");
}
