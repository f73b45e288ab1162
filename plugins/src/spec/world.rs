//! The world of a case: a clock that stands still, random bytes that repeat, services that answer what the case says, and secrets.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use moongate_exchange::{Body, Response};
use moongate_lua::services::{Clock, Random, Services};
use moongate_lua::store::MemoryStore;
use moongate_lua::{HttpCall, HttpReply, Outside, Tenant};
use parking_lot::Mutex;

use crate::spec::case::{Case, CaseError};

/// What the clock says where a case does not: 2026-04-09T12:00:00Z.
const NOW_SECONDS: f64 = 1_775_736_000.0;

/// Everything beside the exchange that a plugin can reach in a case.
pub(super) struct World {
    pub(super) services: Services,
    pub(super) tenant: Tenant,
    answers: BTreeMap<String, HttpAnswer>,
    calls: Mutex<Vec<String>>,
}

/// An answer that can be given more than once.
struct HttpAnswer {
    status: http::StatusCode,
    headers: moongate_exchange::Headers,
    body: bytes::Bytes,
}

struct Still(SystemTime);

impl Clock for Still {
    fn now(&self) -> SystemTime {
        self.0
    }
}

/// SplitMix64, as in Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
struct Repeating(Mutex<u64>);

impl Random for Repeating {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.0.lock();
        for chunk in bytes.chunks_mut(8) {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut value = *state;
            value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(value ^ (value >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

impl World {
    /// The world that a case describes.
    pub(super) fn of(case: &Case) -> Result<Self, CaseError> {
        let seconds = case.now.unwrap_or(NOW_SECONDS).clamp(0.0, 1e11);
        let clock: Arc<dyn Clock> = Arc::new(Still(SystemTime::UNIX_EPOCH + Duration::from_secs_f64(seconds)));
        let services = Services {
            clock: Arc::clone(&clock),
            random: Arc::new(Repeating(Mutex::new(case.seed))),
            store: Arc::new(MemoryStore::new(clock)),
            ..Services::default()
        };
        let secrets: HashMap<_, _> = case.secrets.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut answers = BTreeMap::new();
        for (call, answer) in &case.http {
            let Response { status, headers, body } = answer.response()?;
            let body = match body {
                Body::Full(bytes) => bytes,
                Body::Empty | Body::Stream(_) | Body::Duplex(_) => bytes::Bytes::new(),
            };
            answers.insert(call.clone(), HttpAnswer { status, headers, body });
        }
        let tenant = Tenant { name: "spec".into(), secrets: Arc::new(secrets) };
        Ok(Self { services, tenant, answers, calls: Mutex::default() })
    }

    /// What was asked of services, in its order.
    pub(super) fn calls(&self) -> Vec<String> {
        self.calls.lock().clone()
    }
}

impl Outside for World {
    async fn fetch(&self, call: HttpCall, _deadline: Instant) -> Result<HttpReply, String> {
        let name = format!("{} {}", call.method, call.url);
        self.calls.lock().push(name.clone());
        let answer = self.answers.get(&name).ok_or_else(|| format!("the case has no answer to `{name}`"))?;
        if answer.body.len() as u64 > call.answer_bytes_max {
            return Err("the answer is too large".to_owned());
        }
        Ok(HttpReply { status: answer.status, headers: answer.headers.clone(), body: answer.body.clone() })
    }
}
