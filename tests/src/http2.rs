//! An HTTP/2 client: hyper's, over plain TCP with prior knowledge or over TLS.
//!
//! Calls block the test; the connection makes progress only inside them.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_openssl::SslStream;

use crate::certificates::Authority;
use crate::client::Response;
use crate::fields::Fields;
use crate::wait::SOON;

/// One HTTP/2 connection.
pub struct Http2Client {
    runtime: Runtime,
    sender: SendRequest<Frames>,
    base: String,
}

impl Http2Client {
    /// Connects without TLS, with prior knowledge.
    ///
    /// # Panics
    ///
    /// When nobody listens, or nobody speaks HTTP/2.
    pub fn plain(address: SocketAddr) -> Self {
        let runtime = runtime();
        let sender = runtime.block_on(soon("an HTTP/2 connection", async {
            let socket = TcpStream::connect(address)
                .await
                .unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
            handshake(socket).await
        }));
        Self { runtime, sender, base: format!("http://{address}") }
    }

    /// Connects over TLS, offering `h2` by ALPN.
    ///
    /// # Panics
    ///
    /// As [`Http2Client::plain`], and when the certificate is not for `server_name` or `h2` is not taken.
    pub fn tls(address: SocketAddr, server_name: &str, authority: &Authority) -> Self {
        let runtime = runtime();
        let sender = runtime.block_on(soon("an HTTP/2 connection over TLS", async {
            let socket = TcpStream::connect(address)
                .await
                .unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
            let ssl = authority.client(server_name, &[b"h2"]);
            let mut stream = SslStream::new(ssl, socket).expect("a fresh socket");
            Pin::new(&mut stream).connect().await.unwrap_or_else(|error| panic!("TLS with {address}: {error}"));
            assert_eq!(stream.ssl().selected_alpn_protocol(), Some(&b"h2"[..]), "ALPN with {address}");
            handshake(stream).await
        }));
        Self { runtime, sender, base: format!("https://{server_name}:{}", address.port()) }
    }

    /// A request and its whole response.
    ///
    /// # Panics
    ///
    /// When there is no whole response.
    #[track_caller]
    pub fn request(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let mut exchange = self.start(method, target, headers);
        if !body.is_empty() {
            exchange.send(body);
        }
        exchange.finish();
        exchange.response()
    }

    /// Starts a request whose body is sent piece by piece. Nothing is sent before the first call on the exchange that waits.
    pub fn start(&mut self, method: &str, target: &str, headers: &[(&str, &str)]) -> Http2Exchange<'_> {
        let (body, frames) = Frames::channel();
        let mut request =
            Request::builder().method(method).uri(format!("{}{target}", self.base)).body(frames).expect("a request");
        *request.headers_mut() = header_map(headers);
        let _guard = self.runtime.enter();
        let pending = tokio::spawn(self.sender.send_request(request));
        Http2Exchange {
            runtime: &self.runtime,
            body: Some(body),
            pending: Some(pending),
            incoming: None,
            response: Response::default(),
        }
    }
}

/// A request on its way.
pub struct Http2Exchange<'client> {
    runtime: &'client Runtime,
    body: Option<UnboundedSender<Frame<Bytes>>>,
    pending: Option<JoinHandle<hyper::Result<http::Response<Incoming>>>>,
    incoming: Option<Incoming>,
    response: Response,
}

impl Http2Exchange<'_> {
    /// Queues bytes of the body.
    pub fn send(&mut self, data: &[u8]) {
        let body = self.body.as_ref().expect("the request is not finished");
        // The receiver is gone when the peer has refused the rest: the response says so.
        drop(body.send(Frame::data(Bytes::copy_from_slice(data))));
    }

    /// Queues trailer fields, after which nothing may follow.
    pub fn send_trailers(&mut self, trailers: &[(&str, &str)]) {
        let body = self.body.take().expect("the request is not finished");
        drop(body.send(Frame::trailers(header_map(trailers))));
    }

    /// Ends the request.
    pub fn finish(&mut self) {
        self.body = None;
    }

    /// Lets the connection go on for so long, whatever comes.
    pub fn go_on(&mut self, pause: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(pause).await });
    }

    /// Waits for the response's head; its status.
    ///
    /// # Errors
    ///
    /// When the stream or the connection ends without one.
    pub fn status(&mut self) -> Result<u16, hyper::Error> {
        if let Some(pending) = self.pending.take() {
            let response =
                self.runtime.block_on(soon("the head of a response", pending)).expect("no panic in hyper")?;
            let (head, incoming) = response.into_parts();
            self.response.version = format!("{:?}", head.version);
            self.response.status = head.status.as_u16();
            self.response.headers = Fields::from(&head.headers);
            self.incoming = Some(incoming);
        }
        Ok(self.response.status)
    }

    /// The next bytes of the response's body; `None` after its end.
    ///
    /// # Errors
    ///
    /// When the stream or the connection breaks.
    pub fn piece(&mut self) -> Result<Option<Bytes>, hyper::Error> {
        self.status()?;
        let Some(incoming) = self.incoming.as_mut() else { return Ok(None) };
        loop {
            let Some(frame) = self.runtime.block_on(soon("bytes of a response", incoming.frame())) else {
                return Ok(None);
            };
            match frame?.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Ok(Some(data)),
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    self.response.trailers = Fields::from(&trailers);
                }
            }
        }
    }

    /// Reads the response to its end.
    ///
    /// # Errors
    ///
    /// As [`Http2Exchange::piece`].
    pub fn try_response(mut self) -> Result<Response, hyper::Error> {
        while let Some(data) = self.piece()? {
            self.response.body.extend_from_slice(&data);
        }
        Ok(self.response)
    }

    /// Reads the response to its end.
    ///
    /// # Panics
    ///
    /// When it breaks off.
    #[track_caller]
    pub fn response(self) -> Response {
        self.try_response().unwrap_or_else(|error| panic!("no whole response: {error:?}"))
    }
}

/// A body that is fed through a channel; it ends when the sender is dropped.
pub struct Frames(UnboundedReceiver<Frame<Bytes>>);

impl Frames {
    /// The two ends.
    pub fn channel() -> (UnboundedSender<Frame<Bytes>>, Self) {
        let (sender, receiver) = unbounded_channel();
        (sender, Self(receiver))
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|frame| frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_closed() && self.0.is_empty()
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let deadline: Duration = SOON;
    timeout(deadline, future).await.unwrap_or_else(|_| panic!("waited {deadline:?} in vain for {what}"))
}

async fn handshake(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> SendRequest<Frames> {
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap_or_else(|error| panic!("no HTTP/2: {error}"));
    // Ends with an error when the peer breaks it; exchanges then fail too.
    tokio::spawn(async move { drop(connection.await) });
    sender
}

fn header_map(fields: &[(&str, &str)]) -> HeaderMap {
    let parse = |(name, value): &(&str, &str)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a test's field name");
        (name, HeaderValue::from_str(value).expect("a test's field value"))
    };
    fields.iter().map(parse).collect()
}
