//! The path of a request: the stages in order, read from top to bottom.
//!
//! ```text
//! route -> guard -> preflight -> authorize -> throttle -> validate -> cache -> map_request -> integrate -> map_response -> log
//! ```
//!
//! Each stage is a file that says what it reads and writes, with what it may end a request, and its limits. The order is
//! code: `authorize` makes the [`Caller`] that the later stages take. Leaving early is an [`Exit`]; [`rejection`] is the one
//! place where a failure becomes an answer. `log` runs once for every request, whatever happened to it.

mod affinity;
mod authorize;
mod aws;
mod cache;
mod content;
mod forward;
mod function;
mod guard;
mod integrate;
mod log;
mod lookup;
mod map_request;
mod map_response;
mod mock;
mod plugins;
mod preflight;
mod rejection;
mod route;
mod script;
mod template;
mod throttle;
mod validate;

use std::sync::Arc;

use http::HeaderName;
use moongate_exchange::{Caller, Exchange, Exit, Rejection, Response};

pub use log::{AccessRecord, finish};

use crate::outbound::Sender;
use crate::plan::{RoutePlan, SitePlan};
use crate::recorder::{Event, Off, Record, Stage};
use crate::snapshot::Snapshot;
use crate::upstream::Upstreams;

/// The response header that carries the request's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Fields that speak of one connection only (RFC 9110 section 7.6.1): nobody maps them, and the codec alone writes them.
const CONNECTION_FIELDS: [HeaderName; 6] = [
    HeaderName::from_static("connection"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("te"),
    HeaderName::from_static("transfer-encoding"),
    HeaderName::from_static("upgrade"),
];

/// Whether a field speaks of one connection only.
fn is_connection_field(name: &HeaderName) -> bool {
    CONNECTION_FIELDS.contains(name)
}

/// How the gateway behaves beyond what APIs declare.
#[derive(Clone, Copy, Debug, Default)]
pub struct Behaviour {
    /// Whether error bodies carry the detail that is otherwise only logged. For development.
    pub shows_details: bool,
}

/// Takes a request through all stages but the last. Whoever sends the response calls [`finish`] when that is done.
pub async fn handle<U: Upstreams>(
    snapshot: &Snapshot,
    behaviour: Behaviour,
    upstreams: &U,
    exchange: &mut Exchange,
) -> Response {
    let site = snapshot.site(exchange);
    handle_at(site, behaviour, upstreams, exchange, &mut Off).await
}

/// As [`handle`], for a request whose API and stage are known, with somebody who follows it.
///
/// `site` is the API on its stage, and how much of the path's start is not the route's, in bytes; `None` when there is none.
pub async fn handle_at<U: Upstreams, R: Record>(
    site: Option<(&SitePlan, usize)>,
    behaviour: Behaviour,
    upstreams: &U,
    exchange: &mut Exchange,
    record: &mut R,
) -> Response {
    let mut progress = Progress::default();
    let outcome = match site {
        Some((site, prefix_bytes)) => {
            if site.is_aws_rest() {
                aws::hide(&mut exchange.request.headers);
            }
            preflight::note_origin(site, exchange);
            let outside = Sender { upstreams, outbound: &site.outbound };
            stages(site, prefix_bytes, &outside, exchange, &mut progress, record).await
        }
        None => Err(route::no_site(exchange).into()),
    };
    let site = site.map(|(site, _)| site);
    let cors = site.and_then(|site| site.cors.as_ref());
    let mut answered_by = None;
    let is_own = outcome.is_err();
    let mut response = match outcome {
        Ok((mut response, route)) => {
            if let Some(cors) = cors {
                cors.strip(&mut response.headers);
            }
            answered_by = Some(&route.integration);
            response
        }
        Err(Exit::Answer(response)) => *response,
        Err(Exit::Reject(rejection)) => {
            record.note(Event::Rejected(&rejection));
            rejection::answer(site, behaviour, exchange, *rejection)
        }
    };
    if let (Some(site), Some(route)) = (site, progress.route.filter(|_| is_own && !progress.has_response)) {
        // Plugins see the gateway's own answers too. One that fails here changes nothing more: the answer is there.
        let outside = Sender { upstreams, outbound: &site.outbound };
        if let Err(rejection) = plugins::response(route, exchange, &mut response, &outside).await {
            tracing::warn!(detail = %rejection.detail, "plugin failed on an answer of the gateway's own");
        }
    }
    if let Some(cors) = cors {
        cors.apply(exchange.cors_origin.as_ref(), &mut response.headers);
    }
    if let Some(site) = site.filter(|site| site.is_aws()) {
        aws::sign(site, answered_by, exchange, &mut response.headers);
    }
    response.headers.set(REQUEST_ID, exchange.id.header_value());
    exchange.outcome.status = Some(response.status);
    record.note(Event::MethodResponse(&response));
    response
}

/// Answers a request that is refused before any API is looked for: its head cannot be read in one way.
pub fn refuse(behaviour: Behaviour, exchange: &mut Exchange, rejection: Rejection) -> Response {
    let mut response = rejection::answer(None, behaviour, exchange, rejection);
    response.headers.set(REQUEST_ID, exchange.id.header_value());
    exchange.outcome.status = Some(response.status);
    response
}

/// How far a request has come.
#[derive(Default)]
struct Progress<'site> {
    /// Its route.
    route: Option<&'site RoutePlan>,
    /// Whether the integration's answer has reached the plugins.
    has_response: bool,
}

async fn stages<'site, U: Upstreams, R: Record>(
    site: &'site SitePlan,
    prefix_bytes: usize,
    outside: &Sender<'_, U>,
    exchange: &mut Exchange,
    progress: &mut Progress<'site>,
    record: &mut R,
) -> Result<(Response, &'site RoutePlan), Exit> {
    record.note(Event::Stage(Stage::Route));
    let found = route::find(site, prefix_bytes, exchange);
    record.note(Event::Matched(exchange));
    if let Ok(route) = &found {
        progress.route = Some(route);
        if route.plugins.iter().any(|plugin| plugin.phases.log) {
            let route: Arc<RoutePlan> = Arc::clone(route);
            exchange.at_end = Some(route);
        }
    }
    let found = found.map(|route| &**route);
    record.note(Event::Stage(Stage::Guard));
    guard::check(site, &found, exchange)?;
    record.note(Event::Stage(Stage::Preflight));
    preflight::answer(site, exchange)?;
    let route: &RoutePlan = found?;
    record.note(Event::Stage(Stage::Authorize));
    let caller: Caller = authorize::caller(site, route, exchange, outside).await?;
    record.note(Event::Stage(Stage::Throttle));
    throttle::admit(route, &caller, exchange)?;
    record.note(Event::Stage(Stage::Validate));
    validate::check(route, &caller, exchange).await?;
    record.note(Event::Stage(Stage::Cache));
    cache::look_up(route, &caller, exchange)?;
    record.note(Event::Stage(Stage::MapRequest));
    record.note(Event::MethodRequest(exchange));
    let request = map_request::build(site, route, &caller, exchange, outside).await?;
    request.show(route, record);
    record.note(Event::Stage(Stage::Integrate));
    let answered = integrate::call(site, route, outside, exchange, request).await?;
    progress.has_response = true;
    record.note(Event::Stage(Stage::MapResponse));
    let response = map_response::build(site, route, &caller, exchange, answered, outside, record).await?;
    Ok((response, route))
}
