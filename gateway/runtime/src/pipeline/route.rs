//! Stage 1, route: which route of the API takes the request.
//!
//! *Reads* method, path. *Writes* [`Exchange::matched`]. *May end with* 404 `RESOURCE_NOT_FOUND`, 405 `METHOD_NOT_ALLOWED` with
//! `Allow` (both 403 under `compat: aws`). *Limits*: depth of the deepest declared route. *Source*: RFC 9110 section 15.5.6;
//! API Gateway, "Develop routes". The host's part (domain, base path, stage) is [`crate::snapshot::Snapshot::site`].

use std::sync::{Arc, LazyLock};

use http::header::ALLOW;
use http::{HeaderValue, Method};
use moongate_config::Compat;
use moongate_exchange::{Exchange, Kind, Matched, PathParameters, Rejection, RouteFacts};

use crate::plan::{RoutePlan, SitePlan};
use crate::router::Found;

pub(super) fn find<'site>(
    site: &'site SitePlan,
    prefix_bytes: usize,
    exchange: &mut Exchange,
) -> Result<&'site Arc<RoutePlan>, Rejection> {
    // Only AWS's `$context.path` is told how a path was written, apart from slashes before it; everything else knows one form.
    let received = exchange.received_path.take().filter(|_| site.is_aws());
    exchange.received_path = received.map(|path| format!("/{}", path.trim_start_matches('/')).into());
    let request = &exchange.request;
    let (route, parameters, outcome) = match site.router.find(&request.method, request.target.path(), prefix_bytes) {
        Found::Route(route, parameters) => (Arc::clone(&route.facts), parameters, Ok(route)),
        Found::WrongMethod(allowed) => (nowhere(site), PathParameters::default(), Err(wrong_method(site, allowed))),
        Found::Nothing => {
            let rejection = no_route(site, request.method.as_str(), request.target.path());
            (nowhere(site), PathParameters::default(), Err(rejection))
        }
    };
    exchange.matched = Some(Matched { route, stage: Arc::clone(&site.stage), parameters, prefix_bytes });
    outcome
}

/// The rejection of a request that belongs to no API at all.
pub(super) fn no_site(exchange: &Exchange) -> Rejection {
    let host = moongate_exchange::context::domain_name(exchange).unwrap_or("(none)");
    let path = exchange.request.target.path();
    Rejection::new(Kind::ResourceNotFound, format!("no API is served for host `{host}` and path `{path}`"))
}

fn no_route(site: &SitePlan, method: &str, path: &str) -> Rejection {
    // AWS's REST APIs take an unknown path, and a wrong method, for a request that forgot to say who it is from.
    let kind = if site.is_aws_rest() { Kind::MissingAuthenticationToken } else { Kind::ResourceNotFound };
    Rejection::new(kind, format!("no route for {method} {path}"))
}

fn wrong_method(site: &SitePlan, mut allowed: Vec<Method>) -> Rejection {
    if allowed.contains(&Method::GET) && !allowed.contains(&Method::HEAD) && site.compat == Compat::None {
        allowed.push(Method::HEAD);
    }
    if site.cors.is_some() && !allowed.contains(&Method::OPTIONS) {
        allowed.push(Method::OPTIONS);
    }
    allowed.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    let names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
    let list = names.join(", ");
    let kind = if site.is_aws_rest() { Kind::MissingAuthenticationToken } else { Kind::MethodNotAllowed };
    let rejection = Rejection::new(kind, format!("the path takes {list} only"));
    match (site.compat, HeaderValue::from_str(&list)) {
        (Compat::None, Ok(value)) => rejection.header(ALLOW, value),
        _ => rejection,
    }
}

/// Facts for requests that no route took, so that logs and `$context` still name the API.
fn nowhere(site: &SitePlan) -> Arc<RouteFacts> {
    static NOWHERE: LazyLock<Arc<RouteFacts>> = LazyLock::new(Arc::default);
    if site.api_id.is_empty() {
        return Arc::clone(&NOWHERE);
    }
    Arc::new(RouteFacts { api_id: site.api_id.clone(), ..RouteFacts::default() })
}
