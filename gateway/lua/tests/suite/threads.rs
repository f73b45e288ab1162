//! Banks used by many threads, and machines that move between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use moongate_lua::{Bank, ErrorKind, Kind, Limits, ScriptSet, set_worker};

use crate::fixture::{exchange, generous};

fn set(source: &str) -> (ScriptSet, moongate_lua::ScriptId) {
    let mut set = ScriptSet::new();
    let id = set.add(Kind::Function, "f.lua", source).expect("compiles");
    (set, id)
}

#[test]
fn every_worker_has_a_machine_of_its_own() {
    let (set, id) = set("local calls = {} return function() calls[#calls + 1] = 1 return #calls end");
    let bank = Arc::new(Bank::build(&set, 3, generous()).expect("builds"));
    let workers: Vec<_> = (0..3)
        .map(|index| {
            let bank = Arc::clone(&bank);
            std::thread::spawn(move || {
                set_worker(index);
                for call in 1..=200 + index {
                    let count = bank.vm().call_function(id, b"{}", &mut exchange()).expect("runs");
                    assert_eq!(count, call.to_string());
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().expect("worker");
    }
}

#[test]
fn threads_that_are_no_workers_share_one_machine() {
    let (set, id) = set("local calls = {} return function() calls[#calls + 1] = 1 return #calls end");
    let bank = Arc::new(Bank::build(&set, 2, generous()).expect("builds"));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let bank = Arc::clone(&bank);
            std::thread::spawn(move || {
                for _ in 0..100 {
                    bank.vm().call_function(id, b"{}", &mut exchange()).expect("runs");
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("thread");
    }
    assert_eq!(bank.vm().call_function(id, b"{}", &mut exchange()).expect("runs"), "801");
}

#[test]
fn banks_are_built_used_and_dropped_on_different_threads() {
    for round in 0..20 {
        let (set, id) = set("local t = {} return function(event) t[1] = event.n return {t[1], context.stage} end");
        let bank =
            std::thread::spawn(move || Bank::build(&set, 2, generous()).expect("builds")).join().expect("builder");
        let event = format!("{{\"n\":{round}}}");
        let bank = std::thread::spawn(move || {
            let result = bank.vm().call_function(id, event.as_bytes(), &mut exchange()).expect("runs");
            assert_eq!(result, format!("[{round},\"prod\"]"));
            bank
        });
        let bank = bank.join().expect("user");
        std::thread::spawn(move || drop(bank)).join().expect("dropper");
    }
}

/// Kills and innocent runs side by side on one thread, and on several: a kill must never hit the run that comes after it, and
/// no endless run may escape.
#[test]
fn kills_belong_to_one_run() {
    let source = "return function(event) if event then while true do end end return 'ok' end";
    let limits = Limits { cpu: Duration::from_millis(1), wall: Duration::from_secs(30), ..Limits::default() };
    let (set, id) = set(source);
    let bank = Arc::new(Bank::build(&set, 3, limits).expect("builds"));
    let innocent = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..3)
        .map(|index| {
            let (bank, innocent) = (Arc::clone(&bank), Arc::clone(&innocent));
            std::thread::spawn(move || {
                set_worker(index);
                let mut exchange = exchange();
                for _ in 0..15 {
                    let error = bank.vm().call_function(id, b"true", &mut exchange).expect_err("never ends");
                    assert_eq!(error.kind, ErrorKind::CpuBudget, "{error}");
                    for _ in 0..500 {
                        // An innocent run may be seen to use a millisecond only when something else is broken.
                        let result = bank.vm().call_function(id, b"false", &mut exchange);
                        assert_eq!(result, Ok(Bytes::from_static(b"\"ok\"")));
                        innocent.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().expect("worker");
    }
    assert_eq!(innocent.load(Ordering::Relaxed), 3 * 15 * 500);
}

/// Machines that go away while others on the same thread are being condemned.
#[test]
fn banks_may_be_dropped_at_any_time() {
    let limits = Limits { cpu: Duration::from_millis(1), wall: Duration::from_secs(30), ..Limits::default() };
    let threads: Vec<_> = (0..3)
        .map(|_| {
            std::thread::spawn(move || {
                let (set, id) = set("return function() while true do end end");
                for _ in 0..20 {
                    let bank = Bank::build(&set, 1, limits).expect("builds");
                    let error = bank.vm().call_function(id, b"{}", &mut exchange()).expect_err("never ends");
                    assert_eq!(error.kind, ErrorKind::CpuBudget);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("thread");
    }
}

#[test]
fn a_run_that_waits_for_a_processor_is_not_charged_for_it() {
    // More threads than processors, each with work for a good part of its CPU budget.
    let source = "return function() local x = 0 for i = 1, 200000 do x = x + i end return x end";
    let limits = Limits { cpu: Duration::from_millis(150), wall: Duration::from_secs(60), ..Limits::default() };
    let (set, id) = set(source);
    let bank = Arc::new(Bank::build(&set, 8, limits).expect("builds"));
    let threads: Vec<_> = (0..8)
        .map(|index| {
            let bank = Arc::clone(&bank);
            std::thread::spawn(move || {
                set_worker(index);
                for _ in 0..10 {
                    bank.vm().call_function(id, b"{}", &mut exchange()).expect("within its own CPU time");
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("thread");
    }
}
