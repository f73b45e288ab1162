//! One event on its way to a function, and what comes of it.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::local::stream::Pieces;

/// An event for a function.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The id under which the function and its logs know it.
    pub request_id: Box<str>,
    /// The event: JSON.
    pub event: Bytes,
    /// `X-Amzn-Trace-Id`, if the caller is being traced.
    pub trace_id: Option<Box<str>>,
    /// The client context, JSON, if the caller gave one.
    pub client_context: Option<Box<str>>,
}

/// What came of an event.
#[derive(Debug)]
pub struct Outcome {
    /// The result, or the error document of a function that failed.
    pub body: ResultBody,
    /// Whether the function failed.
    pub error: Option<FunctionError>,
    /// How long the function ran.
    pub duration: Duration,
    /// Whether a process was started for it.
    pub is_cold: bool,
    /// The end of what it wrote meanwhile, at most 4 KiB.
    pub log_tail: Vec<u8>,
}

/// A function's result.
#[derive(Debug)]
pub enum ResultBody {
    /// All of it.
    Whole(Bytes),
    /// Piece by piece, as the function writes it. Ends early with an error when the function fails on the way.
    Stream {
        /// What describes the response, JSON, if the function gave any (`application/vnd.awslambda.http-integration-response`).
        prelude: Option<Bytes>,
        /// The pieces.
        pieces: Pieces,
    },
}

/// How a function failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FunctionError {
    /// It said so: an exception, as a rule.
    #[error("the function failed: {error_type}")]
    Failed {
        /// The error's type, as the function named it.
        error_type: Box<str>,
    },
    /// It ran longer than it may.
    #[error("the function ran longer than {} ms", timeout.as_millis())]
    TimedOut {
        /// What it may take.
        timeout: Duration,
    },
    /// It took more memory than it may.
    #[error("the function used more than {} MiB of memory", bytes_max >> 20)]
    OutOfMemory {
        /// What it may take, in bytes.
        bytes_max: u64,
    },
    /// Its process ended.
    #[error("the function's process ended: {0}")]
    Exited(Box<str>),
    /// Its process could not be started, or never asked for an event.
    #[error("the function could not be started: {0}")]
    NotStarted(Box<str>),
    /// The result was larger than a result may be.
    #[error("the function's result is larger than {bytes_max} bytes")]
    TooLarge {
        /// What it may be, in bytes.
        bytes_max: usize,
    },
}

/// Why a function was not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// There is no such function.
    #[error("there is no function of this name")]
    Unknown,
    /// All its processes are busy and too many events wait already, or this one waited too long.
    #[error("the function is busy and as many events wait as may")]
    Overloaded,
    /// It runs, but its result did not come in time.
    #[error("the function's result did not come in time")]
    TimedOut,
    /// The gateway is stopping.
    #[error("functions are being stopped")]
    Stopped,
}

/// An error document as AWS Lambda's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<&'a str>,
    error_message: String,
}

impl FunctionError {
    /// The error document for failures that the function has not described itself. The texts are those of AWS Lambda.
    pub(super) fn document(&self, request_id: &str) -> Bytes {
        let (error_type, error_message) = match self {
            Self::Failed { error_type } => (Some(&**error_type), String::new()),
            Self::TimedOut { timeout } => {
                let message = format!("{request_id} Task timed out after {:.2} seconds", timeout.as_secs_f64());
                (Some("Sandbox.Timedout"), format!("RequestId: {message}"))
            }
            Self::OutOfMemory { .. } => (Some("Runtime.OutOfMemory"), format!("RequestId: {request_id} Error: {self}")),
            Self::Exited(reason) => (
                Some("Runtime.ExitError"),
                format!("RequestId: {request_id} Error: Runtime exited with error: {reason}"),
            ),
            Self::NotStarted(reason) => (Some("Runtime.InitError"), format!("RequestId: {request_id} Error: {reason}")),
            Self::TooLarge { bytes_max } => (
                Some("Function.ResponseSizeTooLarge"),
                format!("Response payload size exceeded maximum allowed payload size ({bytes_max} bytes)."),
            ),
        };
        serde_json::to_vec(&Document { error_type, error_message }).map(Bytes::from).unwrap_or_default()
    }
}
