//! HTTP/1.1 on an upstream's connection (RFC 9112): requests are written, answers are read.
//!
//! Our own, because the upstream's side needs less than a general client offers and is paid for on every request: the head is
//! written from the message without a copy, and an answer's fields are cut out of one allocation. Nothing here waits or touches a
//! socket; [`super::h1`] does.

mod chunked;
#[cfg(test)]
mod fuzz;
mod request;
mod response;

pub(super) use chunked::{ChunkError, Chunked, Decoded, LAST_CHUNK, write_chunk_head, write_trailers};
pub(super) use request::{RequestBody, write_head};
pub(super) use response::{AnswerBody, Head, HeadError, HeadReader};
