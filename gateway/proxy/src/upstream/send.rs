//! The path of a request to its upstream: let in, sent, tried again where that is safe and wanted.
//!
//! What may be sent twice:
//! - what certainly never left, or was certainly not processed (RFC 9113 section 8.7), whatever the method;
//! - on a kept connection that turns out to be closed: once more, when the method allows it (RFC 9110 section 9.2.2) and not one byte
//!   of an answer has come;
//! - what a retry policy names, within its budget.
//!
//! Never a request whose body streams and has begun. The request stays here while it is sent, so that none of this costs a copy.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use http::header::HOST;
use moongate_config::upstream::RetryOn;
use moongate_exchange::{Body, IntegrationFacts, Request, Response};
use moongate_runtime::UpstreamError;
use moongate_runtime::plan::{CallPlan, RetryPlan, is_idempotent};

use crate::fields;
use crate::upstream::balance::scramble;
use crate::upstream::endpoint::{Busy, Endpoint};
use crate::upstream::h1::{self, H1};
use crate::upstream::h2::{self, H2, Streaming};
use crate::upstream::pool::{Acquired, Pool};
use crate::upstream::progress::Upload;
use crate::upstream::state::{Admitted, InFlight, State};
use crate::upstream::{chain, to_h2, within};

/// Most targets that are tried when connections fail: nothing was sent, so that is no retry.
const TARGETS_TRIED_MAX: usize = 4;

/// How often a request is sent again that the upstream says it did not process.
const UNPROCESSED_MAX: u32 = 3;

/// Sends a request, perhaps several times, and waits for the head of the answer.
pub(super) async fn run(
    pool: &Pool,
    call: &CallPlan,
    request: Request,
    hash: Option<u64>,
    deadline: Instant,
    facts: &mut IntegrationFacts,
) -> Result<Response, UpstreamError> {
    let state = pool.state(&call.upstream);
    let Admitted { counted, pass } = state.admit()?;
    let sender = Sender { pool, call, state: &state, hash, counted, deadline };
    let outcome = sender.send(request, facts).await;
    // The circuit looks at what requests come to, not at attempts: one that found another target has not failed.
    match &outcome {
        Ok(response) => state.counted(pass, response.status.is_server_error()),
        Err(UpstreamError::Overloaded { .. } | UpstreamError::RequestBody(_)) => {}
        Err(_) => state.counted(pass, true),
    }
    outcome
}

/// What stays the same over all attempts.
struct Sender<'call> {
    pool: &'call Pool,
    call: &'call CallPlan,
    state: &'call Arc<State>,
    hash: Option<u64>,
    counted: Option<Arc<InFlight>>,
    deadline: Instant,
}

impl Sender<'_> {
    async fn send(&self, mut request: Request, facts: &mut IntegrationFacts) -> Result<Response, UpstreamError> {
        let upload = Upload::watch(&mut request);
        let mut tries = Tries::new(self.call, self.state, &request);
        loop {
            facts.attempts += 1;
            let mut reached = None;
            let outcome = {
                let attempt = pin!(self.attempt(&tries, &mut request, &mut reached));
                self.in_time(upload.as_ref(), attempt).await
            };
            match outcome {
                Ok(response) => {
                    if let Some(endpoint) = &reached {
                        self.state.ended(endpoint, response.status.is_server_error());
                    }
                    if !tries.is_replayable || !tries.may_retry(|plan| plan.is_on_status(response.status)) {
                        return Ok(response);
                    }
                    drop(response);
                }
                Err(failure) => {
                    if let Some(endpoint) = reached.as_ref().filter(|_| failure.is_upstreams()) {
                        self.state.ended(endpoint, true);
                    }
                    tries.again(failure)?;
                }
            }
            tries.next(reached, self.deadline).await;
        }
    }

    /// Waits for an attempt for as long as it may take.
    ///
    /// While an upload goes on, the upstream is not late; one that takes nothing of it for so long is, unless it is the client who
    /// sends nothing.
    async fn in_time(
        &self,
        upload: Option<&Upload>,
        mut attempt: Pin<&mut impl Future<Output = Result<Response, Failure>>>,
    ) -> Result<Response, Failure> {
        let patience = self.deadline.saturating_duration_since(Instant::now());
        let limited = |limit: Option<Duration>| limit.map_or(patience, |limit| limit.min(patience));
        let Some(upload) = upload else {
            let per_try = self.call.retry.as_deref().and_then(|plan| plan.per_try);
            return within(limited(per_try), attempt).await.unwrap_or_else(|| Err(Failure::timed_out()));
        };
        loop {
            let is_uploading = !upload.is_over();
            let timeouts = &self.call.timeouts;
            let limit = limited(if is_uploading { timeouts.write } else { timeouts.first_byte });
            match within(limit, attempt.as_mut()).await {
                Some(outcome) => return outcome,
                None if is_uploading && upload.goes_on() => {}
                None => return Err(Failure::timed_out()),
            }
        }
    }

    /// Chooses an address, gets a connection and sends. `reached` is told the address.
    async fn attempt(
        &self,
        tries: &Tries<'_>,
        request: &mut Request,
        reached: &mut Option<Arc<Endpoint>>,
    ) -> Result<Response, Failure> {
        let picked = match self.state.pick(self.hash, &tries.tried).await {
            Ok(picked) => picked,
            Err(error) => return Err(Failure::new(FailureKind::Connect, error)),
        };
        let limit = self.call.timeouts.connect;
        let endpoint = reached.insert(picked);
        let acquired = if tries.was_stale {
            self.pool.fresh(self.state, endpoint, limit).await
        } else {
            self.pool.acquire(self.state, endpoint, limit).await
        };
        let (other, connection) = match acquired {
            Ok(acquired) => acquired,
            Err(error @ UpstreamError::Overloaded { .. }) => return Err(Failure::new(FailureKind::Ours, error)),
            Err(error) => return Err(Failure::new(FailureKind::Connect, error)),
        };
        if let Some(other) = other {
            *endpoint = other;
        }
        if tries.takes_target_host {
            request.headers.set(HOST, self.state.spec.targets[endpoint.target].authority.clone());
        }
        let busy = Busy::new(Arc::clone(endpoint), self.counted.clone());
        let sending = async {
            match connection {
                Acquired::H1(connection) => self.send_h1(connection, tries, request, busy).await,
                Acquired::H2(connection, streaming) => self.send_h2(connection, streaming, request, busy).await,
            }
        };
        // An upload has its time counted from its end, elsewhere.
        match self.call.timeouts.first_byte.filter(|_| tries.is_replayable) {
            None => sending.await,
            Some(limit) => within(limit, sending).await.unwrap_or_else(|| Err(Failure::timed_out())),
        }
    }

    async fn send_h1(
        &self,
        connection: H1,
        tries: &Tries<'_>,
        request: &mut Request,
        busy: Busy,
    ) -> Result<Response, Failure> {
        let is_reused = connection.is_reused;
        let home = self.pool.home(self.state);
        let error = match connection.send(request, home, busy, self.call.timeouts.read).await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        let may_repeat = tries.is_idempotent && tries.is_replayable;
        let kind = match &error {
            h1::Error::Silent { is_unsent, .. } if is_reused && (*is_unsent || may_repeat) => FailureKind::Stale,
            h1::Error::RequestBody(_) | h1::Error::RequestLength => FailureKind::Ours,
            _ => FailureKind::Reset,
        };
        Err(Failure::new(kind, error.into()))
    }

    async fn send_h2(
        &self,
        connection: H2,
        streaming: Streaming,
        request: &mut Request,
        busy: Busy,
    ) -> Result<Response, Failure> {
        let target = &self.state.spec.targets[busy.endpoint.target];
        let head = to_h2(request, &target.authority, target.tls.is_some());
        let head = head.map_err(|error| Failure::new(FailureKind::Ours, error))?;
        let body = match &mut request.body {
            Body::Empty => Body::Empty,
            Body::Full(bytes) => Body::Full(bytes.clone()),
            streams => std::mem::take(streams),
        };
        match connection.send(head, body, streaming, self.call.timeouts.read).await {
            Ok((mut parts, stream, streaming)) => {
                // An upstream that names protected fields in `Connection` harms only itself: what it names first is gone.
                let _ = fields::strip_connection(&mut parts.headers);
                let body = h2::body(&parts.headers, stream, streaming, busy, self.call.timeouts.read);
                Ok(Response { status: parts.status, headers: parts.headers.into(), body })
            }
            Err(h2::Failure::RequestBody(error)) => {
                Err(Failure::new(FailureKind::Ours, UpstreamError::RequestBody(error)))
            }
            Err(failure @ h2::Failure::Upstream(_)) => {
                let reason = failure.to_string().into();
                Err(if failure.is_unprocessed() {
                    Failure::new(FailureKind::Refused, UpstreamError::Refused { reason })
                } else {
                    Failure::new(FailureKind::Reset, UpstreamError::Exchange { reason })
                })
            }
        }
    }
}

/// Why an attempt failed.
struct Failure {
    error: UpstreamError,
    kind: FailureKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FailureKind {
    /// No connection: nothing was sent.
    Connect,
    /// A kept connection was closed, and the request never left it, or may be sent twice.
    Stale,
    /// The upstream said that it did not process the request.
    Refused,
    /// The connection broke.
    Reset,
    TimedOut,
    /// The upstream was not asked, or it is the client's doing.
    Ours,
}

impl Failure {
    fn new(kind: FailureKind, error: UpstreamError) -> Self {
        Self { error, kind }
    }

    fn timed_out() -> Self {
        Self::new(FailureKind::TimedOut, UpstreamError::TimedOut)
    }

    /// Whether it says something about the upstream.
    fn is_upstreams(&self) -> bool {
        !matches!(self.kind, FailureKind::Ours | FailureKind::Stale | FailureKind::Refused)
    }
}

/// What was tried, and what may still be.
struct Tries<'call> {
    plan: Option<&'call RetryPlan>,
    state: &'call State,
    /// Whether the method allows sending the request twice on its own.
    is_idempotent: bool,
    is_replayable: bool,
    takes_target_host: bool,
    tried: Vec<Arc<Endpoint>>,
    retries: u32,
    unprocessed: u32,
    connects: usize,
    /// Whether kept connections are trusted no more.
    was_stale: bool,
    /// How long to wait before the next attempt.
    pause: Duration,
}

impl<'call> Tries<'call> {
    fn new(call: &'call CallPlan, state: &'call State, request: &Request) -> Self {
        let plan = call.retry.as_deref();
        if let Some(plan) = plan {
            state.budget.pay_in(plan.budget_percent);
        }
        Self {
            plan: plan.filter(|plan| plan.retries_max > 0 && plan.allows(&request.method)),
            state,
            is_idempotent: is_idempotent(&request.method),
            is_replayable: matches!(request.body, Body::Empty | Body::Full(_)),
            // Without a host the request has that of whichever target it is sent to.
            takes_target_host: call.authority.is_none() && !request.headers.contains(HOST),
            tried: Vec::new(),
            retries: 0,
            unprocessed: 0,
            connects: 0,
            was_stale: false,
            pause: Duration::ZERO,
        }
    }

    /// Takes a retry, if there is one and the policy wants it.
    fn may_retry(&mut self, is_wanted: impl Fn(&RetryPlan) -> bool) -> bool {
        let Some(plan) = self.plan else { return false };
        if self.retries >= plan.retries_max || !is_wanted(plan) || !self.state.budget.take() {
            return false;
        }
        // By chance up to the longest pause, which doubles: clients that failed together do not come back together.
        let longest = plan.backoff.saturating_mul(1 << self.retries.min(8));
        let chance = scramble(self.state.retries.fetch_add(1, Ordering::Relaxed)) % 1_000;
        self.pause = longest.mul_f64(chance as f64 / 1_000.0);
        self.retries += 1;
        true
    }

    /// Decides whether the request is sent once more.
    ///
    /// # Errors
    ///
    /// Why it failed, when it is not.
    fn again(&mut self, failure: Failure) -> Result<(), UpstreamError> {
        let Failure { error, kind } = failure;
        let is_free = match kind {
            // On another kept connection, a request that makes its upstream fail would be tried on all of them.
            FailureKind::Stale => !std::mem::replace(&mut self.was_stale, true),
            FailureKind::Refused => {
                self.unprocessed += 1;
                self.is_replayable && self.unprocessed <= UNPROCESSED_MAX
            }
            FailureKind::Connect => {
                self.connects += 1;
                self.connects < self.state.endpoints().list.len().min(TARGETS_TRIED_MAX)
            }
            _ => false,
        };
        let may_retry = kind != FailureKind::Ours && (self.is_replayable || kind == FailureKind::Connect);
        if is_free || (may_retry && self.may_retry(|plan| plan.is_on(kind.named()))) {
            return Ok(());
        }
        Err(error)
    }

    /// Gets ready for the next attempt.
    async fn next(&mut self, reached: Option<Arc<Endpoint>>, deadline: Instant) {
        self.tried.extend(reached);
        let pause = std::mem::take(&mut self.pause).min(deadline.saturating_duration_since(Instant::now()));
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
}

impl FailureKind {
    /// What a retry policy calls it.
    fn named(self) -> RetryOn {
        match self {
            Self::Connect => RetryOn::ConnectFailure,
            Self::Refused => RetryOn::Refused,
            Self::TimedOut => RetryOn::Timeout,
            Self::Stale | Self::Reset | Self::Ours => RetryOn::Reset,
        }
    }
}

/// What went wrong on an HTTP/2 connection, in one line.
impl std::fmt::Display for h2::Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::RequestBody(error) => f.write_str(&chain(error)),
            Self::Upstream(error) => f.write_str(&chain(error)),
        }
    }
}
