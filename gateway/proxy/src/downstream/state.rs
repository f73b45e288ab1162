//! What the two halves of a connection tell each other: the stream that keeps deadlines, and the service that knows whether a
//! request is under way.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

/// Longest head of which the raw bytes are kept, in bytes: larger ones are refused by the codec anyway.
const HEAD_BYTES_KEPT: usize = 64 * 1024;

/// Most memory that a connection keeps for the bytes of heads between requests, in bytes.
const HEAD_BYTES_USUAL: usize = 4 * 1024;

/// The state of a connection, shared between its stream and its service. Both live in one task; the lock is never contended.
#[derive(Debug, Default)]
pub(super) struct ConnectionState {
    under_way: AtomicU32,
    begun: AtomicU32,
    head: Mutex<Vec<u8>>,
    /// Answers that were handed to the codec and not asked for more since: by number, with the time.
    waiting: Mutex<Vec<(u32, Instant)>>,
}

impl ConnectionState {
    /// A request's head is complete. Gives the request its number on this connection.
    pub(super) fn request_begins(&self) -> u32 {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed)
    }

    /// A request's answer was sent or given up.
    pub(super) fn request_ends(&self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        let mut head = self.head.lock();
        head.clear();
        // One large head must not cost a connection its memory for the rest of its life.
        head.shrink_to(HEAD_BYTES_USUAL);
    }

    /// Whether no request is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) == 0
    }

    /// How many requests have begun so far (modulo 2^32): whoever remembers the last value sees that there was one since.
    pub(super) fn begun(&self) -> u32 {
        self.begun.load(Ordering::Relaxed)
    }

    /// An answer was handed on and waits for the client to take it.
    pub(super) fn answer_waits(&self, number: u32) {
        self.waiting.lock().push((number, Instant::now()));
    }

    /// An answer waits no longer: more of it is asked for, or it is over.
    pub(super) fn answer_goes_on(&self, number: u32) {
        let mut waiting = self.waiting.lock();
        if let Some(index) = waiting.iter().position(|(known, _)| *known == number) {
            waiting.swap_remove(index);
        }
    }

    /// Since when the client has taken nothing of some answer.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        self.waiting.lock().iter().map(|(_, since)| *since).min()
    }

    /// Keeps bytes read while no request was under way: they are the next head.
    pub(super) fn keep_head(&self, bytes: &[u8]) {
        let mut head = self.head.lock();
        let room = HEAD_BYTES_KEPT.saturating_sub(head.len());
        head.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Whether the raw head of the request that just began has a Content-Length field. The codec drops that field where there is also
    /// Transfer-Encoding; we refuse such requests, so we must look at what really came.
    pub(super) fn head_has_content_length(&self) -> bool {
        let head = self.head.lock();
        if head.is_empty() {
            // A pipelined request: its bytes came with an earlier one. Both lengths cannot be ruled out.
            return true;
        }
        // Empty lines before a request line are skipped (RFC 9112 section 2.2).
        let lines = head.split(|byte| *byte == b'\n').skip_while(|line| line.trim_ascii().is_empty());
        let fields = lines.take_while(|line| !line.trim_ascii().is_empty());
        fields
            .into_iter()
            .any(|line| line.get(..15).is_some_and(|start| start.eq_ignore_ascii_case(b"content-length:")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_length_is_found_in_the_head_only() {
        let cases: [(&[u8], bool); 5] = [
            (b"POST / HTTP/1.1\r\nHost: a\r\nCONTENT-length: 3\r\n\r\nabc", true),
            (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\ncontent-length: 3\r\n", false),
            (b"GET / HTTP/1.1\nContent-Length: 0\n\n", true),
            (b"\r\n\r\nPOST / HTTP/1.1\r\ncontent-length: 5\r\n\r\n", true),
            (b"", true),
        ];
        for (head, want) in cases {
            let state = ConnectionState::default();
            state.keep_head(head);
            assert_eq!(state.head_has_content_length(), want, "{}", String::from_utf8_lossy(head));
        }
    }
}
