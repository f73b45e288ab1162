//! Plugins in the pipeline: their phases, in the order in which they are attached, and what a failure of one means.
//!
//! A plugin that fails closes: its request gets 500. Where its attachment says `on_error: open` the failure is logged and the
//! request goes on as if the plugin were not there.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use moongate_exchange::{AtEnd, Body, BodyError, Caller, Exchange, Exit, Kind, Rejection, Response};
use moongate_lua::{Bank, Decision, Mapped, Outside, Phases, ScriptError, Stream};

use crate::pipeline::script;
use crate::plan::{PluginPlan, RoutePlan};

/// The plugins of a route that have a phase, with the machines they run in.
fn with_phase(route: &RoutePlan, has: fn(&Phases) -> bool) -> impl Iterator<Item = (&Arc<Bank>, &Arc<PluginPlan>)> {
    let plugins = route.plugins.iter().filter(move |plugin| has(&plugin.phases));
    route.scripts.iter().flat_map(move |bank| plugins.clone().map(move |plugin| (bank, plugin)))
}

/// Decides what a plugin's failure means.
fn failed(plugin: &PluginPlan, error: ScriptError) -> Result<(), Rejection> {
    if plugin.fails_open {
        tracing::warn!(plugin = %plugin.name, %error, "plugin failed, going on without it as its attachment says");
        return Ok(());
    }
    Err(script::failed(error))
}

/// Phase `authorize`: plugins decide about the caller that the authorizer found, and add to what is known of it.
pub(super) async fn authorize(
    route: &RoutePlan,
    mut caller: Caller,
    exchange: &mut Exchange,
    outside: &impl Outside,
) -> Result<Caller, Exit> {
    for (bank, plugin) in with_phase(route, |phases| phases.authorize) {
        exchange.caller = Some(caller.clone());
        let outcome = bank.plugin_authorize(plugin.script, plugin.config, exchange, outside).await;
        let (opinion, answer) = match outcome {
            Ok(outcome) => outcome,
            Err(error) if plugin.fails_open => {
                failed(plugin, error)?;
                continue;
            }
            Err(error) => return Err(script::authorizer_failed(error).into()),
        };
        if let Some(answer) = answer {
            return Err(Exit::Answer(answer));
        }
        let Some(opinion) = opinion else { continue };
        if opinion.decision != Decision::Allow {
            let detail = format!("plugin `{}` said no", plugin.name);
            return Err(Rejection::new(Kind::AccessDenied, detail).into());
        }
        caller.principal = opinion.principal.or(caller.principal);
        if !opinion.context.is_empty() {
            Arc::make_mut(&mut caller.context).extend(opinion.context);
        }
    }
    Ok(caller)
}

/// Phase `map_request`: each plugin may make a new body of what the one before it made.
pub(super) async fn map_request(
    route: &RoutePlan,
    exchange: &mut Exchange,
    outside: &impl Outside,
) -> Result<Option<Mapped>, Exit> {
    let mut mapped: Option<Mapped> = None;
    for (bank, plugin) in with_phase(route, |phases| phases.map_request) {
        let received = exchange.request_body.clone().unwrap_or_default();
        let body = mapped.as_ref().map_or(received, |mapped| mapped.body.clone());
        match bank.plugin_map_request(plugin.script, plugin.config, exchange, &body, outside).await {
            Ok((_, Some(answer))) => return Err(Exit::Answer(answer)),
            Ok((made, None)) => mapped = made.or(mapped),
            Err(error) => failed(plugin, error)?,
        }
    }
    Ok(mapped)
}

/// Phase `request`, on whatever the integration is given. A plugin may answer instead.
pub(super) async fn request(
    route: &RoutePlan,
    exchange: &mut Exchange,
    request: &mut moongate_exchange::Request,
    outside: &impl Outside,
) -> Result<(), Exit> {
    for (bank, plugin) in with_phase(route, |phases| phases.request) {
        match bank.plugin_request(plugin.script, plugin.config, exchange, request, outside).await {
            Ok(((), Some(answer))) => return Err(Exit::Answer(answer)),
            Ok(((), None)) => {}
            Err(error) => failed(plugin, error)?,
        }
    }
    Ok(())
}

/// Phase `response`, on an answer of the integration, of a plugin or of the gateway itself.
pub(super) async fn response(
    route: &RoutePlan,
    exchange: &mut Exchange,
    response: &mut Response,
    outside: &impl Outside,
) -> Result<(), Rejection> {
    for (bank, plugin) in with_phase(route, |phases| phases.response) {
        if plugin.reads_response_body && matches!(response.body, Body::Stream(_)) {
            let body = std::mem::take(&mut response.body);
            let collected = body.collect(route.buffer_bytes_max).await;
            let broken = |error: BodyError| {
                let detail = format!("the integration's answer cannot be read for plugin `{}`: {error}", plugin.name);
                Rejection::new(Kind::IntegrationFailure, detail).source(error)
            };
            response.body = collected.map_err(broken)?.into();
        }
        if let Err(error) = bank.plugin_response(plugin.script, plugin.config, exchange, response, outside).await {
            failed(plugin, error)?;
        }
    }
    Ok(())
}

/// Phase `response_chunk`: the body passes through the plugins piece by piece.
pub(super) fn stream(route: &RoutePlan, response: &mut Response) -> Result<(), Rejection> {
    for (bank, plugin) in with_phase(route, |phases| phases.response_chunk) {
        if matches!(response.body, Body::Empty) {
            return Ok(());
        }
        let stream = match bank.begin_stream(plugin.script) {
            Ok(stream) => stream,
            Err(error) => {
                failed(plugin, error)?;
                continue;
            }
        };
        let body = std::mem::take(&mut response.body);
        let chunked =
            Chunked { body, bank: Arc::clone(bank), plugin: Arc::clone(plugin), stream: Some(stream), is_over: false };
        response.body = Body::Stream(Box::pin(chunked));
        response.headers.remove(http::header::CONTENT_LENGTH);
        // What is computed over the body as it was says nothing about the body as it will be (RFC 9110 section 8.8.3).
        response.headers.remove(http::header::ETAG);
    }
    Ok(())
}

/// A body that passes through a plugin.
struct Chunked {
    body: Body,
    bank: Arc<Bank>,
    plugin: Arc<PluginPlan>,
    /// What the plugin keeps about the response, until its end.
    stream: Option<Stream>,
    is_over: bool,
}

impl Chunked {
    fn pass(&mut self, chunk: Bytes, is_last: bool) -> Result<Bytes, BodyError> {
        let Some(stream) = &self.stream else { return Ok(chunk) };
        match self.bank.plugin_chunk(self.plugin.script, self.plugin.config, stream, &chunk, is_last) {
            Ok(changed) => Ok(changed.unwrap_or(chunk)),
            Err(error) if self.plugin.fails_open => {
                tracing::warn!(plugin = %self.plugin.name, %error, "plugin failed, the rest of the body passes as it is");
                self.end();
                Ok(chunk)
            }
            Err(error) => Err(BodyError::Aborted(error.into())),
        }
    }

    fn end(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.bank.end_stream(stream);
        }
    }
}

impl Drop for Chunked {
    fn drop(&mut self) {
        self.end();
    }
}

impl HttpBody for Chunked {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        loop {
            if this.is_over {
                return Poll::Ready(None);
            }
            let passed = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.pass(data, false),
                    // Trailers pass as they are.
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                Some(Err(error)) => {
                    this.is_over = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    this.is_over = true;
                    this.pass(Bytes::new(), true)
                }
            };
            match passed {
                // An empty piece is no piece: the next one is asked for.
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Err(error) => {
                    this.is_over = true;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// Phase `log`, when the response was sent: what a route leaves in the exchange for then.
impl AtEnd for RoutePlan {
    fn run(&self, exchange: &mut Exchange) {
        for (bank, plugin) in with_phase(self, |phases| phases.log) {
            if let Err(error) = bank.plugin_log(plugin.script, plugin.config, exchange) {
                tracing::warn!(plugin = %plugin.name, %error, "plugin failed in phase `log`");
            }
        }
    }
}
