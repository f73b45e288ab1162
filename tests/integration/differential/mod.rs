//! The same exchange through Moongate and straight to the upstream gives the same.
//!
//! Ten thousand exchanges are made up from a seed: methods, targets, repeated fields, bodies in every framing and size, cut into
//! writes at any byte, trailers, HTTP/1.0, 1.1 and 2, answers of every kind. The upstream says in its answer what it got. A failure
//! names the seed and the exchange; `MOONGATE_SEED` runs that seed again, or any other.

mod plan;
mod sides;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use moongate_tests::random::{self, Random};
use moongate_tests::{Answer, Gateway, Recorded, Upstream};

use crate::differential::plan::{AnswerPlan, Plan};
use crate::differential::sides::{Direct, Outcome, Through};

/// How many exchanges there are.
const EXCHANGES: u64 = 10_000;

/// How many connections of each kind they are spread over.
const WORKERS: usize = 6;

/// The field that tells the upstream which answer to give.
const PLAN: &str = "x-plan";

/// The field in which the upstream says what it got.
const SEEN: &str = "x-seen";

/// Fields that a gateway may or must change.
const OURS: [&str; 16] = [
    "host",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "expect",
    "content-length",
    "transfer-encoding",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "forwarded",
    "via",
    "x-request-id",
    "date",
    "priority",
];

/// Fields in an order that does not matter: by name, values of a name as they came.
fn sorted(fields: &moongate_tests::Fields) -> Vec<(String, String)> {
    let mut sorted: Vec<(String, String)> = fields
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .filter(|(name, _)| !OURS.contains(&name.as_str()))
        .collect();
    sorted.sort_by(|(first, _), (second, _)| first.cmp(second));
    sorted
}

/// A number that stands for some bytes (FNV-1a).
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// What the upstream got, in one line. Cookies are one field in HTTP/1.1 and may be several in HTTP/2 (RFC 9113 section 8.2.3).
fn seen(request: &Recorded) -> String {
    let text = format!("{:?} {:?}", sorted(&request.headers), sorted(&request.trailers));
    format!(
        "{} {} {} bytes {:016x} fields {:016x}",
        request.method,
        request.target,
        request.body.len(),
        digest(&request.body),
        digest(text.as_bytes())
    )
}

fn upstream(seed: u64) -> Upstream {
    Upstream::recording(move |request| {
        let number = request.header(PLAN).and_then(|number| number.parse().ok()).expect("every request has a plan");
        answer(&AnswerPlan::of(seed, number), request)
    })
}

fn answer(plan: &AnswerPlan, request: &Recorded) -> Answer {
    let mut answer = plan.to_answer().header(SEEN, &seen(request));
    for (name, value) in &plan.fields {
        answer = answer.header(name, value);
    }
    for (name, value) in &plan.trailers {
        answer = answer.trailer(name, value);
    }
    answer
}

/// What differs between two outcomes, if anything.
fn difference(plan: &Plan, direct: &Outcome, through: &Outcome) -> Option<String> {
    if direct.status != through.status {
        return Some(format!("status {} became {}", direct.status, through.status));
    }
    let (wanted, got) = (sorted(&direct.headers), sorted(&through.headers));
    if wanted != got {
        let lost: Vec<_> = wanted.iter().filter(|field| !got.contains(field)).collect();
        let gained: Vec<_> = got.iter().filter(|field| !wanted.contains(field)).collect();
        return Some(format!("fields: lost {lost:?}, gained {gained:?}"));
    }
    if direct.body != through.body {
        let at = direct.body.iter().zip(&through.body).position(|(wanted, got)| wanted != got);
        return Some(format!(
            "a body of {} bytes became one of {}, different at {at:?}",
            direct.body.len(),
            through.body.len()
        ));
    }
    // Trailers need a client that understands them: in HTTP/1.1 one that says so, in HTTP/1.0 none.
    let (wanted, got) = (sorted(&direct.trailers), sorted(&through.trailers));
    (plan.takes_trailers() && wanted != got).then(|| format!("trailers {wanted:?} became {got:?}"))
}

#[test]
fn ten_thousand_exchanges_are_the_same_through_the_gateway() {
    let seed = random::seed();
    let upstream = upstream(seed);
    let api = format!("api: d\nroutes:\n  - match: $default\n    upstream: {}\n", upstream.url());
    let gateway = Gateway::builder().file("moongate.yaml", "access_log: none\n").file("apis/d.yaml", &api).start();
    let start = Instant::now();
    let next = AtomicU64::new(0);
    let failures: Vec<String> = thread::scope(|scope| {
        let work = || {
            let mut direct = Direct::new(upstream.address());
            let mut through = Through::new(gateway.address());
            let mut failures = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= EXCHANGES || failures.len() > 3 {
                    return failures;
                }
                let plan = Plan::of(seed, number);
                let mut timing = Random::of_case(seed ^ 1, number);
                let wanted = direct.exchange(&plan, &mut timing);
                let got = through.exchange(&plan, &mut timing);
                let different = match (&wanted, &got) {
                    (Ok(wanted), Ok(got)) => difference(&plan, wanted, got),
                    (Err(error), _) => Some(format!("straight to the upstream: {error}")),
                    (_, Err(error)) => Some(format!("through the gateway: {error}")),
                };
                if let Some(different) = different {
                    let answer = AnswerPlan::of(seed, number);
                    failures.push(format!("exchange {number}: {different}\n  {plan}\n  {answer}"));
                }
                // The harness's memory, not the gateway's.
                if number.is_multiple_of(500) {
                    upstream.forget();
                }
            }
        };
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no worker panics")).collect()
    });
    assert!(
        failures.is_empty(),
        "{}={seed}: {} of {EXCHANGES} exchanges differ, after {:?}:\n{}",
        random::SEED_VARIABLE,
        failures.len(),
        start.elapsed(),
        failures.join("\n")
    );
    println!("{EXCHANGES} exchanges in {:?}, {}={seed}", start.elapsed(), random::SEED_VARIABLE);
}
