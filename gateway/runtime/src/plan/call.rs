//! How a route asks its upstream: which one, how long each step may take, what is sent again, mirrored or made to fail.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode};
use moongate_config::upstream::{HashKey, RetryOn};

use crate::upstream::Upstream;

/// Longest wait for a connection unless said otherwise.
const CONNECT: Duration = Duration::from_secs(5);

/// Longest pause in an upstream's body unless said otherwise (source: API Gateway response streaming, idle timeout of 5 minutes).
const READ: Duration = Duration::from_secs(300);

/// How a route asks its upstream.
#[derive(Clone, Debug)]
pub struct CallPlan {
    /// Whom to ask.
    pub upstream: Arc<Upstream>,
    /// `Host` field and `:authority`, where all targets have the same.
    pub authority: Option<HeaderValue>,
    /// What requests that belong together have in common.
    pub hash_on: Option<HashKey>,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// Which failed requests are sent again.
    pub retry: Option<Arc<RetryPlan>>,
    /// Whom a copy is sent to.
    pub mirror: Option<Arc<MirrorPlan>>,
    /// What is made to fail.
    pub fault: Option<FaultPlan>,
}

/// How long each step may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// From the end of the request to the head of the answer.
    pub first_byte: Option<Duration>,
    /// Longest pause in the answer's body.
    pub read: Duration,
    /// Longest time in which nothing of the request's body is taken.
    pub write: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: CONNECT, first_byte: None, read: READ, write: None }
    }
}

/// Which failed requests are sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPlan {
    /// Most further attempts.
    pub retries_max: u32,
    /// Longest time for one attempt.
    pub per_try: Option<Duration>,
    /// Kinds of failures.
    pub on: Box<[RetryOn]>,
    /// Statuses, beside those of `on`.
    pub statuses: Box<[u16]>,
    /// Methods; `None` for those that may be sent twice (RFC 9110 section 9.2.2).
    pub methods: Option<Box<[Method]>>,
    /// Retries allowed per 100 requests.
    pub budget_percent: u32,
    /// Longest pause before the first retry.
    pub backoff: Duration,
}

impl RetryPlan {
    /// Whether a kind of failure is tried again.
    pub fn is_on(&self, kind: RetryOn) -> bool {
        self.on.contains(&kind)
    }

    /// Whether an answer with this status is thrown away and the request tried again.
    pub fn is_on_status(&self, status: StatusCode) -> bool {
        let code = status.as_u16();
        (matches!(code, 502..=504) && self.is_on(RetryOn::GatewayError))
            || (status.is_server_error() && self.is_on(RetryOn::ServerError))
            || self.statuses.contains(&code)
    }

    /// Whether requests with this method are tried again.
    pub fn allows(&self, method: &Method) -> bool {
        match &self.methods {
            Some(methods) => methods.contains(method),
            None => is_idempotent(method),
        }
    }
}

/// Whether sending a request twice does no more than sending it once (RFC 9110 section 9.2.2).
pub fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE | Method::TRACE)
}

/// Whom a copy is sent to.
#[derive(Debug)]
pub struct MirrorPlan {
    /// How the copy is sent. Never mirrored itself.
    pub call: CallPlan,
    /// How many requests are copied.
    pub share: Share,
    /// Most copies under way.
    pub in_flight_max: u32,
}

/// What is made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultPlan {
    /// How long requests are held back, and how many.
    pub delay: Option<(Duration, Share)>,
    /// What requests are answered with instead of being sent, and how many.
    pub abort: Option<(StatusCode, Share)>,
}

/// A share of requests, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u32);

impl Share {
    /// All of them.
    pub const ALL: Self = Self(1_000_000);

    /// A share in percent, 0 to 100, down to a ten-thousandth.
    pub fn from_percent(percent: f64) -> Self {
        Self((percent.clamp(0.0, 100.0) * 10_000.0).round() as u32)
    }

    /// Whether request number `number` is one of them: exactly so many of any million in a row, evenly spread.
    pub fn takes(self, number: u64) -> bool {
        let share = u64::from(self.0);
        let number = number % 1_000_000;
        (number + 1) * share / 1_000_000 > number * share / 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_exact_and_evenly_spread() {
        for (percent, of, want) in
            [(0.0, 1_000, 0), (100.0, 1_000, 1_000), (25.0, 1_000, 250), (0.1, 1_000, 1), (50.0, 3, 1)]
        {
            let share = Share::from_percent(percent);
            assert_eq!((0..of).filter(|number| share.takes(*number)).count(), want, "{percent} % of {of}");
        }
        let quarter = Share::from_percent(25.0);
        assert!((0..100).all(|start| (start * 4..start * 4 + 4).filter(|number| quarter.takes(*number)).count() == 1));
    }

    #[test]
    fn statuses_are_retried_as_listed() {
        let plan = |on: &[RetryOn], statuses: &[u16]| RetryPlan {
            retries_max: 1,
            per_try: None,
            on: on.into(),
            statuses: statuses.into(),
            methods: None,
            budget_percent: 20,
            backoff: Duration::ZERO,
        };
        let cases = [
            (plan(&[RetryOn::GatewayError], &[]), 503, true),
            (plan(&[RetryOn::GatewayError], &[]), 500, false),
            (plan(&[RetryOn::ServerError], &[]), 500, true),
            (plan(&[], &[429]), 429, true),
            (plan(&[], &[429]), 200, false),
        ];
        for (plan, status, want) in cases {
            let code = StatusCode::from_u16(status).expect("a status");
            assert_eq!(plan.is_on_status(code), want, "{plan:?} {status}");
        }
        assert!(plan(&[], &[]).allows(&Method::PUT) && !plan(&[], &[]).allows(&Method::POST));
    }
}
