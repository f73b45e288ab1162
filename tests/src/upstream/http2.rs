//! HTTP/2 upstreams: hyper's server on a runtime of its own.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use openssl::ssl::{Ssl, SslAcceptor};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio_openssl::SslStream;

use super::answer::Answer;
use super::recorded::Recorded;
use super::server::{Server, Shared};
use crate::fields::Fields;
use crate::http2::Frames;

type Answers = Arc<dyn Fn(&Recorded) -> Answer + Send + Sync>;

/// Listens on a port that the system chooses.
pub(super) fn start(tls: Option<SslAcceptor>, answer: Answers, streams_max: Option<u32>) -> Server {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    listener.set_nonblocking(true).expect("a socket of ours");
    let shared = Arc::new(Shared::default());
    let for_thread = Arc::clone(&shared);
    let (stop, stopped) = oneshot::channel::<()>();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            tokio::select! {
                () = accept_loop(listener, tls, answer, for_thread, streams_max) => {}
                _ = stopped => {}
            }
        });
    });
    Server { address, shared, kept: vec![Box::new(stop)] }
}

async fn accept_loop(
    listener: std::net::TcpListener,
    tls: Option<SslAcceptor>,
    answer: Answers,
    shared: Arc<Shared>,
    streams_max: Option<u32>,
) {
    let listener = TcpListener::from_std(listener).expect("the runtime is running");
    while let Ok((socket, _)) = listener.accept().await {
        let (tls, answer, shared) = (tls.clone(), Arc::clone(&answer), Arc::clone(&shared));
        let index = shared.accept();
        tokio::spawn(async move {
            serve_connection(socket, tls, answer, &shared, index, streams_max).await;
            shared.close();
        });
    }
}

async fn serve_connection(
    socket: TcpStream,
    tls: Option<SslAcceptor>,
    answer: Answers,
    shared: &Arc<Shared>,
    index: usize,
    streams_max: Option<u32>,
) {
    let for_requests = Arc::clone(shared);
    let service = service_fn(move |request| respond(request, Arc::clone(&answer), Arc::clone(&for_requests), index));
    let mut server = http2::Builder::new(TokioExecutor::new());
    if let Some(most) = streams_max {
        server.max_concurrent_streams(most);
    }
    // A test sees a broken connection at the other end of it.
    match tls {
        None => drop(server.serve_connection(TokioIo::new(socket), service).await),
        Some(tls) => {
            let ssl = Ssl::new(tls.context()).expect("a valid context");
            let mut stream = SslStream::new(ssl, socket).expect("a valid stream");
            if Pin::new(&mut stream).accept().await.is_ok() {
                drop(server.serve_connection(TokioIo::new(stream), service).await);
            }
        }
    }
}

/// Listens on a port that the system chooses and sends back every message as it comes, then `grpc-status`.
pub(super) fn start_echo() -> Server {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    listener.set_nonblocking(true).expect("a socket of ours");
    let shared = Arc::new(Shared::default());
    let for_thread = Arc::clone(&shared);
    let (stop, stopped) = oneshot::channel::<()>();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).expect("the runtime is running");
            let accepting = async {
                while let Ok((socket, _)) = listener.accept().await {
                    let shared = Arc::clone(&for_thread);
                    let index = shared.accept();
                    tokio::spawn(async move {
                        let service = service_fn(|request| echo(request, Arc::clone(&shared), index));
                        drop(
                            http2::Builder::new(TokioExecutor::new())
                                .serve_connection(TokioIo::new(socket), service)
                                .await,
                        );
                        shared.close();
                    });
                }
            };
            tokio::select! {
                () = accepting => {}
                _ = stopped => {}
            }
        });
    });
    Server { address, shared, kept: vec![Box::new(stop)] }
}

async fn echo(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    connection: usize,
) -> Result<Response<Frames>, Infallible> {
    let (head, mut body) = request.into_parts();
    let (sender, frames) = Frames::channel();
    let mut recorded = Recorded {
        method: head.method.to_string(),
        target: head.uri.path().to_owned(),
        version: "HTTP/2.0".to_owned(),
        headers: Fields::from(&head.headers),
        connection,
        ..Recorded::default()
    };
    tokio::spawn(async move {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return shared.record(recorded) };
            match frame.into_data() {
                Ok(data) => {
                    recorded.body.extend_from_slice(&data);
                    drop(sender.send(Frame::data(data)));
                }
                Err(frame) => recorded.trailers = frame.trailers_ref().map(Fields::from).unwrap_or_default(),
            }
        }
        recorded.is_complete = true;
        shared.record(recorded);
        let status = [("grpc-status".to_owned(), "0".to_owned()), ("grpc-message".to_owned(), "fine".to_owned())];
        drop(sender.send(Frame::trailers(header_map(&status))));
    });
    let mut response = Response::new(frames);
    *response.headers_mut() = header_map(&[("content-type".to_owned(), "application/grpc".to_owned())]);
    Ok(response)
}

async fn respond(
    request: Request<Incoming>,
    answer: Answers,
    shared: Arc<Shared>,
    connection: usize,
) -> Result<Response<Frames>, Infallible> {
    let (head, body) = request.into_parts();
    let mut headers = Fields::default();
    if let Some(authority) = head.uri.authority() {
        headers.push("host", authority.as_str());
    }
    for (name, value) in Fields::from(&head.headers).iter() {
        headers.push(name, value);
    }
    let target = head.uri.path_and_query().map_or_else(|| head.uri.to_string(), ToString::to_string);
    let mut recorded = Recorded {
        method: head.method.to_string(),
        target,
        version: "HTTP/2.0".to_owned(),
        headers,
        connection,
        ..Recorded::default()
    };
    if let Ok(collected) = body.collect().await {
        recorded.is_complete = true;
        recorded.trailers = collected.trailers().map(Fields::from).unwrap_or_default();
        recorded.body = collected.to_bytes().to_vec();
    }
    shared.record(recorded.clone());
    let answer = answer(&recorded);
    tokio::time::sleep(answer.after).await;
    Ok(to_response(&answer))
}

fn to_response(answer: &Answer) -> Response<Frames> {
    let (sender, frames) = Frames::channel();
    let body = answer.body_bytes();
    if !body.is_empty() {
        drop(sender.send(Frame::data(Bytes::from(body))));
    }
    if !answer.trailers.is_empty() {
        drop(sender.send(Frame::trailers(header_map(&answer.trailers))));
    }
    let mut response = Response::new(frames);
    *response.status_mut() = StatusCode::from_u16(answer.status).expect("a test's status");
    *response.headers_mut() = header_map(&answer.headers);
    response
}

fn header_map(fields: &[(String, String)]) -> HeaderMap {
    let parse = |(name, value): &(String, String)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a test's field name");
        (name, HeaderValue::from_str(value).expect("a test's field value"))
    };
    fields.iter().map(parse).collect()
}
