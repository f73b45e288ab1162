//! Request bodies that nobody read before the request was answered.
//!
//! On HTTP/1 the next request stands behind the body. A short rest is read and thrown away, so that a client whose request was refused
//! (401, 404, 413) keeps its connection; a long one is not worth it, and the connection ends with the answer.

use std::time::Duration;

use http_body_util::BodyExt;
use moongate_exchange::Body;

/// Longest body that is read for nothing, in bytes: a new connection costs about as much.
const BYTES_MAX: u64 = 64 * 1024;

/// Longest that reading it may take.
const LONGEST: Duration = Duration::from_secs(5);

/// Whether a body is short enough, as far as one knows.
pub(super) fn is_worth_reading(body: &Body) -> bool {
    body.len().is_none_or(|bytes| bytes <= BYTES_MAX)
}

/// Reads a body to its end. One that is too long or too slow is dropped, which ends its connection.
pub(super) async fn read(mut body: Body) {
    let all = async {
        let mut left = BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, |data| data.len() as u64)) else { return };
            left = rest;
        }
    };
    // Too late or not: there is nothing left to be done.
    let _ = tokio::time::timeout(LONGEST, all).await;
}
