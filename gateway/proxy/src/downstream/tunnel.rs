//! A connection after 101 (Switching Protocols): bytes pass both ways as they are, until one side ends it or its time is up.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use moongate_exchange::{Duplex, UpgradeLimits};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, sleep, sleep_until};

use crate::downstream::service::Run;

/// How much waits to be passed on in each direction, in bytes.
const BUFFER_BYTES: usize = 16 * 1024;

/// Passes bytes between a client and an upstream. The exchange ends with it.
pub(super) async fn run(mut run: Run, client: OnUpgrade, mut upstream: Box<dyn Duplex>, limits: UpgradeLimits) {
    let outcome = match client.await {
        Ok(client) => {
            let mut client = TokioIo::new(client);
            let outcome = pass(&mut client, &mut upstream, limits, &mut run.exchange.outcome.body_bytes).await;
            // Whoever is still there hears that it is over; whether they listen is theirs.
            let _ = upstream.shutdown().await;
            let _ = client.shutdown().await;
            outcome
        }
        Err(_) => Err("the client left before the protocol was changed"),
    };
    if let Err(detail) = outcome {
        run.exchange.outcome.is_aborted = true;
        run.exchange.outcome.detail = Some(detail.into());
    }
}

/// Ends a connection whose client would have gone over to another protocol and was not let: the codec hands it over all the same when
/// it is done, and it must be closed as gently as any other.
pub(super) async fn decline(client: OnUpgrade) {
    if let Ok(client) = client.await {
        // Nobody is left to hear about a failure.
        let _ = TokioIo::new(client).shutdown().await;
    }
}

async fn pass<C, U>(
    client: &mut C,
    upstream: &mut U,
    limits: UpgradeLimits,
    bytes_down: &mut u64,
) -> Result<(), &'static str>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let (mut up, mut down) = (Direction::new(), Direction::new());
    let mut lifetime = pin!(sleep(limits.lifetime));
    let mut idle = pin!(sleep(limits.idle));
    let mut passed_seen = 0;
    let mut last = Instant::now();
    poll_fn(|cx| {
        let up_over = up.poll(cx, client, upstream);
        let down_over = down.poll(cx, upstream, client);
        *bytes_down = down.passed;
        match (up_over, down_over) {
            // An upstream that has said all is done, and nobody would hear what the client still says.
            (_, Poll::Ready(Ok(()))) => return Poll::Ready(Ok(())),
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => return Poll::Ready(Err("one side broke off")),
            _ => {}
        }
        if lifetime.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err("the connection has reached its longest life"));
        }
        if up.passed + down.passed != passed_seen {
            passed_seen = up.passed + down.passed;
            last = Instant::now();
        }
        while idle.as_mut().poll(cx).is_ready() {
            if last.elapsed() >= limits.idle {
                return Poll::Ready(Err("nothing passed for too long"));
            }
            idle.set(sleep_until(last + limits.idle));
        }
        Poll::Pending
    })
    .await
}

/// Bytes on their way from one side to the other.
struct Direction {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    passed: u64,
    has_ended: bool,
    is_over: bool,
}

impl Direction {
    fn new() -> Self {
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        Self { buffer, start: 0, end: 0, passed: 0, has_ended: false, is_over: false }
    }

    /// Ready when the one side has ended and the other was told all of it.
    fn poll<R, W>(&mut self, cx: &mut Context<'_>, from: &mut R, to: &mut W) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        if self.is_over {
            return Poll::Ready(Ok(()));
        }
        loop {
            while self.start < self.end {
                let written = ready!(Pin::new(&mut *to).poll_write(cx, &self.buffer[self.start..self.end]))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.start += written;
                self.passed += written as u64;
            }
            if self.has_ended {
                ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                self.is_over = true;
                return Poll::Ready(Ok(()));
            }
            let mut read = ReadBuf::new(&mut self.buffer);
            match Pin::new(&mut *from).poll_read(cx, &mut read)? {
                Poll::Ready(()) => {
                    (self.start, self.end) = (0, read.filled().len());
                    self.has_ended = self.end == 0;
                }
                Poll::Pending => {
                    ready!(Pin::new(&mut *to).poll_flush(cx))?;
                    return Poll::Pending;
                }
            }
        }
    }
}
