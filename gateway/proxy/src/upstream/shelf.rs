//! The connections of one worker to one address: those that wait for a request, and those that carry many at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use crate::upstream::h1::H1;
use crate::upstream::h2::H2;

/// Most HTTP/2 connections to an address from one worker. Beyond them requests wait for a stream.
const H2_MAX: usize = 16;

/// Connections of one worker to one address.
#[derive(Default)]
pub(super) struct Shelf {
    /// Used last, taken first: the others may rest and be closed.
    h1: Vec<(Instant, H1)>,
    h2: Vec<H2>,
    /// An HTTP/2 connection that is being made; whoever waits for it looks again when it is there, or has failed.
    pub(super) opening: Option<watch::Receiver<()>>,
    /// Whether the address spoke HTTP/2 last; `None` before the first connection.
    pub(super) speaks_h2: Option<bool>,
    /// Requests of this worker that wait for a connection.
    pub(super) waiters: usize,
    /// Wakes one of them.
    pub(super) returned: Arc<Notify>,
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shelf").field("h1", &self.h1.len()).field("h2", &self.h2.len()).finish_non_exhaustive()
    }
}

impl Shelf {
    /// The connection that was used last, if it was not too long ago. Whether it is still open is for the caller to see.
    pub(super) fn take_h1(&mut self, idle: Duration) -> Option<H1> {
        let (since, kept) = self.h1.pop()?;
        if since.elapsed() >= idle {
            // The others have waited even longer.
            self.h1.clear();
            return None;
        }
        Some(kept)
    }

    /// Keeps a connection whose last exchange is complete, if there is room.
    pub(super) fn keep_h1(&mut self, connection: H1, idle_max: usize) {
        if self.h1.len() < idle_max {
            self.h1.push((Instant::now(), connection));
        }
    }

    /// Gives up a connection that nobody uses, for one that is needed elsewhere: to be dropped outside of the lock.
    pub(super) fn give_up_one(&mut self) -> Option<impl Sized + use<>> {
        if !self.h1.is_empty() {
            return Some((Some(self.h1.remove(0)), None));
        }
        let unused = self.h2.iter().position(|connection| connection.streams() == 0)?;
        Some((None, Some(self.h2.remove(unused))))
    }

    /// An HTTP/2 connection with room for a stream; or, when there can be no further connection, the least busy one.
    pub(super) fn h2(&mut self) -> Option<H2> {
        self.h2.retain(H2::takes_requests);
        if let Some(free) = self.h2.iter().find(|connection| connection.has_room()) {
            return Some(free.clone());
        }
        if self.h2.len() < H2_MAX {
            return None;
        }
        self.h2.iter().min_by_key(|connection| connection.streams()).cloned()
    }

    /// Shares an HTTP/2 connection.
    pub(super) fn keep_h2(&mut self, connection: H2) {
        self.speaks_h2 = Some(true);
        self.h2.push(connection);
    }

    /// Takes out what was not used for long, or was closed by the upstream: to be dropped outside of the lock.
    pub(super) fn sweep(&mut self, idle: Duration) -> impl Sized + use<> {
        let (keep, old): (Vec<_>, Vec<_>) = std::mem::take(&mut self.h1)
            .into_iter()
            .map(|(since, mut kept)| (since.elapsed() < idle && kept.is_open(), since, kept))
            .partition(|(is_kept, ..)| *is_kept);
        self.h1 = keep.into_iter().map(|(_, since, kept)| (since, kept)).collect();
        let (keep, old_h2): (Vec<_>, Vec<_>) = std::mem::take(&mut self.h2)
            .into_iter()
            .partition(|connection| connection.takes_requests() && connection.idle_for() < idle);
        self.h2 = keep;
        (old, old_h2)
    }
}
