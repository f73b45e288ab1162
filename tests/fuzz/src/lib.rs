//! Fuzzing on stable Rust: random inputs, kept by what they make the code do.
//!
//! A target is a test: a function that is given bytes, checks what must hold for them, and returns their *behaviour*, a number that
//! stands for what the code did with them (which error, how many parts, which branch it took). Inputs with a behaviour that was not
//! seen before are kept and changed further, as fuzzers with instrumentation keep those that reach new code. That needs no other
//! compiler and no other build than the tests have, and runs in all of them.
//!
//! Without further ado a target runs for a fixed number of inputs from a fixed seed, beginning with all of its corpus: the same every
//! time. `tests/fuzz/run MINUTES` runs each for that long from another seed and adds to `tests/fuzz/corpus/NAME/` what behaves in a
//! new way. An input that fails is put there too, as `finding-...`, and from then on fails every run until it is dealt with.

#![forbid(unsafe_code)]

mod mutate;
pub mod random;

use std::collections::HashSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use random::Random;

/// How long every target runs, in seconds; without it they run for a fixed number of inputs.
pub const SECONDS_VARIABLE: &str = "MOONGATE_FUZZ_SECONDS";

/// How many inputs are tried in a short run.
const EXECUTIONS: u64 = 20_000;

/// Longest input that is made, in bytes.
const BYTES_MAX: usize = 4 * 1024;

/// Most inputs that a corpus keeps: all of them are run every time.
const CORPUS_MAX: usize = 120;

/// Longest that one input may take: code that is linear in its input needs a fraction of it.
const EXECUTION_TIME_MAX: Duration = Duration::from_secs(2);

/// A target and how it is run.
#[derive(Clone, Debug)]
pub struct Fuzz {
    name: &'static str,
    tokens: &'static [&'static str],
    executions: u64,
    is_kept: bool,
}

impl Fuzz {
    /// A target by its name, which is its corpus's folder.
    pub fn new(name: &'static str) -> Self {
        Self { name, tokens: &[], executions: EXECUTIONS, is_kept: true }
    }

    /// Texts that mean something to the target: put into inputs as they are.
    #[must_use]
    pub fn tokens(self, tokens: &'static [&'static str]) -> Self {
        Self { tokens, ..self }
    }

    /// How many inputs a short run tries, for targets that take long with each.
    #[must_use]
    pub fn executions(self, executions: u64) -> Self {
        Self { executions, ..self }
    }

    /// Runs the target.
    ///
    /// # Panics
    ///
    /// When it panics, with the input, or takes too long with one.
    pub fn run(self, target: impl Fn(&[u8]) -> u64) {
        let seconds = std::env::var(SECONDS_VARIABLE).ok().and_then(|text| text.parse().ok()).map(Duration::from_secs);
        let seed = random::seed();
        let mut random = Random::seeded(seed ^ behaviour(&self.name));
        let mut known = HashSet::new();
        let mut pool: Vec<Vec<u8>> = Vec::new();
        for input in self.corpus() {
            if known.insert(self.try_one(&target, &input)) {
                pool.push(input);
            }
        }
        let from_corpus = pool.len();
        if pool.is_empty() {
            pool.push(Vec::new());
        }
        let start = Instant::now();
        let mut executions = 0;
        while seconds.map_or(executions < self.executions, |seconds| start.elapsed() < seconds) {
            let input = mutate::change(&pool, self.tokens, &mut random, BYTES_MAX);
            executions += 1;
            if known.insert(self.try_one(&target, &input)) {
                if seconds.is_some() && self.is_kept && from_corpus + known.len() < CORPUS_MAX {
                    self.keep("", &input);
                }
                pool.push(input);
            }
        }
        println!(
            "{}: {executions} inputs in {:?}, {} ways to behave, {}={seed}",
            self.name,
            start.elapsed(),
            known.len(),
            random::SEED_VARIABLE
        );
    }

    /// Runs one input; its behaviour.
    fn try_one(&self, target: &impl Fn(&[u8]) -> u64, input: &[u8]) -> u64 {
        let (behaviour, took) = self.timed(target, input);
        // On a busy machine a thread may have to wait for longer than that: only what is slow again is slow.
        if took > EXECUTION_TIME_MAX && self.timed(target, input).1 > EXECUTION_TIME_MAX {
            self.keep("finding-slow-", input);
            panic!("{}: {took:?} for `{}`", self.name, input.escape_ascii());
        }
        behaviour
    }

    fn timed(&self, target: &impl Fn(&[u8]) -> u64, input: &[u8]) -> (u64, Duration) {
        let start = Instant::now();
        match catch_unwind(AssertUnwindSafe(|| target(input))) {
            Ok(behaviour) => (behaviour, start.elapsed()),
            Err(panic) => {
                let path = self.keep("finding-", input);
                eprintln!("{}: failed with `{}`, kept as {}", self.name, input.escape_ascii(), path.display());
                resume_unwind(panic);
            }
        }
    }

    fn folder(&self) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(self.name)
    }

    /// The corpus, in an order that is always the same.
    fn corpus(&self) -> Vec<Vec<u8>> {
        let Ok(folder) = fs::read_dir(self.folder()) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = folder.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        paths.iter().filter_map(|path| fs::read(path).ok()).collect()
    }

    /// Puts an input into the corpus. A disk that is full is no reason to fail.
    fn keep(&self, prefix: &str, input: &[u8]) -> PathBuf {
        let path = self.folder().join(format!("{prefix}{:016x}", behaviour(&input)));
        if fs::create_dir_all(self.folder()).and_then(|()| fs::write(&path, input)).is_err() {
            eprintln!("{}: cannot write {}", self.name, path.display());
        }
        path
    }
}

/// A number for a behaviour that is described by values: counts, names of errors, flags.
pub fn behaviour(of: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn a_mistake_behind_several_steps_is_found() {
        // Found only by keeping what got further: three random bytes in a row are one in sixteen million.
        let furthest = RefCell::new(0);
        let fuzz = Fuzz { is_kept: false, ..Fuzz::new("none").executions(50_000) };
        fuzz.run(|input| {
            let got = input.iter().zip(b"abc").take_while(|(byte, wanted)| byte == wanted).count() as u64;
            furthest.replace_with(|before| got.max(*before));
            got
        });
        assert_eq!(furthest.into_inner(), 3);
    }
}
