//! What a waiting run asks for, and what it is answered.

use std::future::Future;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, StatusCode, Uri};
use moongate_exchange::Headers;

use crate::machine::Reference;
use crate::store::{StoreError, StoreReply, Wait};

/// A request that a script sends.
#[derive(Debug)]
pub struct HttpCall {
    /// The method.
    pub method: Method,
    /// `http` or `https`, with a host, without a user name.
    pub url: Uri,
    /// Header fields; none of the connection's.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
    /// Longest wait for the whole answer.
    pub timeout: Duration,
    /// Largest body of an answer that is taken, in bytes.
    pub answer_bytes_max: u64,
}

/// The answer to a script's request.
#[derive(Debug)]
pub struct HttpReply {
    /// The status.
    pub status: StatusCode,
    /// Header fields.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
}

/// Sends requests of scripts: implemented by the gateway over its own connections, and by specs without any.
pub trait Outside: Sync {
    /// Sends a request and reads the whole answer, until `deadline` at the latest.
    ///
    /// # Errors
    ///
    /// Why there is none, as a fragment that scripts may see.
    fn fetch(&self, call: HttpCall, deadline: Instant) -> impl Future<Output = Result<HttpReply, String>> + Send;
}

/// Nothing can be reached: for scripts that run without a network.
#[derive(Clone, Copy, Debug)]
pub struct NoOutside;

impl Outside for NoOutside {
    async fn fetch(&self, _call: HttpCall, _deadline: Instant) -> Result<HttpReply, String> {
        Err("there is no network here".to_owned())
    }
}

/// What a coroutine waits for.
pub(crate) enum Operation {
    Http(Box<HttpCall>),
    Store(Wait),
    /// The coroutines that the run noted.
    Parallel,
}

/// What a coroutine is told when it goes on.
pub(crate) enum Reply {
    /// An answer, and its fields as JSON.
    Http {
        status: u16,
        headers: Vec<u8>,
        body: Bytes,
    },
    /// There is nothing: nil and why.
    Failed(String),
    /// An error is raised.
    Raised(Vec<u8>),
    Store(StoreReply),
    /// The results of these coroutines.
    Joined(Vec<Reference>),
}

impl From<Result<HttpReply, String>> for Reply {
    fn from(reply: Result<HttpReply, String>) -> Self {
        match reply {
            Ok(HttpReply { status, headers, body }) => {
                let mut json = Vec::new();
                crate::host::v1::write_all(&headers, &mut json);
                Self::Http { status: status.as_u16(), headers: json, body }
            }
            Err(why) => Self::Failed(why),
        }
    }
}

impl From<Result<StoreReply, StoreError>> for Reply {
    fn from(reply: Result<StoreReply, StoreError>) -> Self {
        match reply {
            Ok(reply) => Self::Store(reply),
            Err(error) => Self::Raised(format!("gate.store: {error}").into_bytes()),
        }
    }
}
