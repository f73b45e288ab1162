//! Stage 3, preflight: cross-origin questions are answered by the gateway.
//!
//! *Reads* `Access-Control-Request-Method`. *Writes* nothing. *May end with* 204. *Source*: Fetch standard, section 3.2.2 (a CORS-preflight request).
//!
//! Comes before the missing route is reported: browsers ask with `OPTIONS`, which hardly any API declares.

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use http::{Method, StatusCode};
use moongate_exchange::{Exchange, Exit, Response};

use crate::plan::SitePlan;

/// Notes on the exchange which origin may read its answer: whatever the answer will be, it gets its CORS fields from that.
pub(super) fn note_origin(site: &SitePlan, exchange: &mut Exchange) {
    let Some(cors) = &site.cors else { return };
    exchange.cors_origin = exchange.request.headers.get(ORIGIN).and_then(|origin| cors.allowed_origin(origin));
}

pub(super) fn answer(site: &SitePlan, exchange: &Exchange) -> Result<(), Exit> {
    let Some(cors) = &site.cors else { return Ok(()) };
    let request = &exchange.request;
    let is_preflight = request.method == Method::OPTIONS
        && request.headers.contains(ORIGIN)
        && request.headers.contains(ACCESS_CONTROL_REQUEST_METHOD);
    if !is_preflight {
        return Ok(());
    }
    let mut response = Response::new(StatusCode::NO_CONTENT);
    if exchange.cors_origin.is_some() {
        cors.apply_preflight(&mut response.headers);
    }
    Err(response.into())
}
