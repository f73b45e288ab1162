//! Copies of requests, sent elsewhere for their own sake: nobody waits for them, and their answers are thrown away.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use http_body_util::BodyExt;
use moongate_exchange::{Body, IntegrationFacts, Request};
use moongate_runtime::plan::MirrorPlan;

use crate::upstream::pool::Pool;
use crate::upstream::send;
use crate::upstream::state::State;

/// Most of an answer that is read, so that its connection can be used again, in bytes.
const DRAINED_BYTES_MAX: usize = 1024 * 1024;

/// Sends a copy of a request if it is one of those to be copied, can be, and there are not too many under way.
pub(super) fn send_copy(
    pool: &Pool,
    state: &Arc<State>,
    plan: &Arc<MirrorPlan>,
    request: &Request,
    number: u64,
    deadline: Instant,
) {
    // A connection that goes over to another protocol cannot be in two places.
    if !plan.share.takes(number) || request.headers.contains(http::header::UPGRADE) {
        return;
    }
    let body = match &request.body {
        Body::Empty => Body::Empty,
        Body::Full(bytes) => Body::Full(bytes.clone()),
        Body::Stream(_) | Body::Duplex(_) => return,
    };
    let under_way = state.mirrored.fetch_add(1, Ordering::Relaxed);
    let counted = Mirrored(Arc::clone(state));
    if under_way >= plan.in_flight_max {
        return;
    }
    let mut headers = request.headers.clone();
    match &plan.call.authority {
        Some(authority) => headers.set(http::header::HOST, authority.clone()),
        None => drop(headers.remove(http::header::HOST)),
    }
    let copy = Request { method: request.method.clone(), target: request.target.clone(), headers, body };
    let (pool, plan) = (pool.clone(), Arc::clone(plan));
    tokio::spawn(async move {
        let mut facts = IntegrationFacts::default();
        let answer = send::run(&pool, &plan.call, copy, None, deadline, &mut facts).await;
        let Ok(answer) = answer else { return };
        let drained = tokio::time::timeout_at(deadline.into(), drain(answer.body)).await;
        drop((drained, counted));
    });
}

async fn drain(mut body: Body) {
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, bytes::Bytes::len);
        if bytes > DRAINED_BYTES_MAX {
            return;
        }
    }
}

/// A copy under way.
struct Mirrored(Arc<State>);

impl Drop for Mirrored {
    fn drop(&mut self) {
        self.0.mirrored.fetch_sub(1, Ordering::Relaxed);
    }
}
