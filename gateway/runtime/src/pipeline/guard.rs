//! Stage 2, guard: what must not pass whoever asks.
//!
//! *Reads* the request's head, the client's address. *Writes* the body's limit. *May end with* 413 `REQUEST_TOO_LARGE`, 403
//! `ACCESS_DENIED` or `WAF_FILTERED`. *Limits*: `limits.request_body_bytes_max`. *Source*: RFC 9110 section 15.5.14.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use moongate_exchange::{Body, BodyError, Exchange, Exit, Kind, Rejection};

use crate::plan::{RoutePlan, SitePlan};

pub(super) fn check(
    site: &SitePlan,
    found: &Result<&RoutePlan, Rejection>,
    exchange: &mut Exchange,
) -> Result<(), Exit> {
    // The API's own guards decide first, also about routes that do not exist: a caller who is kept out learns nothing.
    for guard in &site.guards {
        guard.check(exchange)?;
    }
    let Ok(route) = found else { return Ok(()) };
    for guard in &route.guards {
        guard.check(exchange)?;
    }
    let Some(bytes_max) = route.body_bytes_max else { return Ok(()) };
    match exchange.request.body.len() {
        Some(length) if length > bytes_max => Err(too_large(bytes_max).into()),
        Some(_) => Ok(()),
        None => {
            let body = std::mem::take(&mut exchange.request.body);
            exchange.request.body = Body::stream(Limited { body, left: bytes_max, bytes_max });
            Ok(())
        }
    }
}

/// The rejection of a body that is too large.
pub(super) fn too_large(bytes_max: u64) -> Rejection {
    Rejection::new(Kind::RequestTooLarge, format!("the request's body is larger than {bytes_max} bytes"))
}

/// A body of unknown length that breaks off when it passes a limit.
struct Limited {
    body: Body,
    left: u64,
    bytes_max: u64,
}

impl HttpBody for Limited {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            let Some(left) = self.left.checked_sub(data.len() as u64) else {
                return Poll::Ready(Some(Err(BodyError::TooLarge { bytes_max: self.bytes_max })));
            };
            self.left = left;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
