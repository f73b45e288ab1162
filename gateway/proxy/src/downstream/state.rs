//! What the two halves of a connection tell each other: the stream that keeps deadlines, and the service that knows whether a
//! request is under way.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::downstream::framing::Length;

/// What runs in the place of the codec after 101 (Switching Protocols).
pub(super) type Tunnel = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How a chunked body is written among lengths.
const CHUNKED: u64 = u64::MAX;

/// How many requests of an HTTP/2 connection may be cancelled before it is looked at how many were not.
///
/// A browser that leaves a page cancels what it has not got yet, a hundred at most (its limit of streams). Ten times that,
/// and more cancelled than not, is a client that makes work for others (CVE-2023-44487).
const CANCELLED_MAX: u32 = 500;

/// The state of a connection, shared between its stream and its service. Both live on one thread.
#[derive(Default)]
pub(super) struct ConnectionState {
    under_way: AtomicU32,
    begun: AtomicU32,
    /// The length of the last request's body; [`CHUNKED`] is none.
    length: AtomicU64,
    has_content_length: AtomicBool,
    must_close: AtomicBool,
    is_cut: AtomicBool,
    is_switched: AtomicBool,
    tunnel: Mutex<Option<Tunnel>>,
    cancelled: AtomicU32,
    payload: AtomicU64,
}

/// A request that is under way until this is dropped.
pub(super) struct UnderWay(Arc<ConnectionState>);

impl ConnectionState {
    /// A request's head is complete. To be told as soon as the codec hands it on: the stream waits to hear how long its body is.
    pub(super) fn request_begins(self: &Arc<Self>, length: Length) -> UnderWay {
        let length = match length {
            Length::Bytes(bytes) => bytes,
            Length::Chunked => CHUNKED,
        };
        self.length.store(length, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// Whether no request is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) == 0
    }

    /// How many requests have begun so far (modulo 2^32): whoever remembers the last value sees that there was one since.
    pub(super) fn begun(&self) -> u32 {
        self.begun.load(Ordering::Relaxed)
    }

    /// The length of the body of the request that began last.
    pub(super) fn length(&self) -> Length {
        match self.length.load(Ordering::Relaxed) {
            CHUNKED => Length::Chunked,
            bytes => Length::Bytes(bytes),
        }
    }

    /// A head's last byte was read.
    pub(super) fn head_is_whole(&self, has_content_length: bool) {
        self.has_content_length.store(has_content_length, Ordering::Relaxed);
    }

    /// Whether the raw head of the request that just began has a Content-Length field. The codec drops that field where there is also
    /// Transfer-Encoding; we refuse such requests, so we must look at what really came.
    pub(super) fn head_has_content_length(&self) -> bool {
        self.has_content_length.load(Ordering::Relaxed)
    }

    /// What follows the request that is under way cannot be read as a request: its body was not read to the end, or is broken.
    pub(super) fn must_close(&self) {
        self.must_close.store(true, Ordering::Relaxed);
    }

    /// Whether the connection ends with the request that is under way.
    pub(super) fn closes(&self) -> bool {
        self.must_close.load(Ordering::Relaxed)
    }

    /// The connection speaks another protocol from now on: `tunnel` passes its bytes on, to be run where the codec was.
    pub(super) fn switch(&self, tunnel: Tunnel) {
        *self.tunnel.lock() = Some(tunnel);
        self.is_switched.store(true, Ordering::Relaxed);
    }

    /// What passes the connection's bytes on, once.
    pub(super) fn take_tunnel(&self) -> Option<Tunnel> {
        self.tunnel.lock().take()
    }

    /// Whether the connection speaks another protocol.
    pub(super) fn is_switched(&self) -> bool {
        self.is_switched.load(Ordering::Relaxed)
    }

    /// The client has cancelled a request before it was answered.
    pub(super) fn request_cancelled(&self) {
        let cancelled = self.cancelled.fetch_add(1, Ordering::Relaxed) + 1;
        if cancelled >= CANCELLED_MAX && cancelled > self.begun() / 2 {
            self.is_cut.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the client has lost its right to the connection.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Relaxed)
    }

    /// Bytes that a client has sent to some purpose.
    pub(super) fn add_payload(&self, bytes: u64) {
        self.payload.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How many bytes a client has sent to some purpose.
    pub(super) fn payload(&self) -> u64 {
        self.payload.load(Ordering::Relaxed)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
