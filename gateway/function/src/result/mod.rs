//! Results: what a function returned, as a response, a module per payload format version.

mod fields;
pub mod v1;
pub mod v2;

use std::str::Utf8Error;

use base64::DecodeError;

/// Largest result of a function, in bytes: 6 MB, as AWS Lambda answers synchronous calls (source: Lambda quotas).
pub const RESULT_BYTES_MAX: usize = 6 * 1024 * 1024;

/// Most header fields a result may set, cookies included. Ample for a response, and far below what a header map holds.
pub const HEADERS_MAX: usize = 500;

/// Why a result is no response. The request is answered with an integration failure; the message is for the log.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// Larger than [`RESULT_BYTES_MAX`].
    #[error("the function's result has {bytes} bytes, more than {RESULT_BYTES_MAX}")]
    TooLarge {
        /// Its size, in bytes.
        bytes: usize,
    },
    /// Not in UTF-8, as JSON has to be (RFC 8259 section 8.1).
    #[error("the function's result is not UTF-8")]
    NotUtf8(#[source] Utf8Error),
    /// Not JSON.
    #[error("the function's result is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// Not an object, where the format knows nothing else.
    #[error("the function's result is not a JSON object with `statusCode`, `headers` and `body`")]
    NotObject,
    /// A member that the format does not have.
    #[error("the function's result has a member `{name}`, which a response does not have")]
    UnknownMember {
        /// The member's name, shortened.
        name: Box<str>,
    },
    /// `statusCode` is something else than a number (or its text) from 200 to 599.
    #[error("`statusCode` of the function's result is not a status from 200 to 599")]
    Status,
    /// `headers` is something else than an object.
    #[error("`headers` of the function's result is not an object")]
    Headers,
    /// `multiValueHeaders` is something else than an object of lists.
    #[error("`multiValueHeaders` of the function's result is not an object of lists")]
    MultiValueHeaders,
    /// A field name that HTTP does not allow.
    #[error("the function's result names a header {name:?}, which is no field name")]
    HeaderName {
        /// The name, shortened.
        name: Box<str>,
    },
    /// A field value that HTTP does not allow, or one that is an object.
    #[error("the function's result gives header `{name}` a value that no header can have")]
    HeaderValue {
        /// The field's name.
        name: Box<str>,
    },
    /// More than [`HEADERS_MAX`] fields.
    #[error("the function's result sets more than {HEADERS_MAX} headers")]
    TooManyHeaders,
    /// An entry of `cookies` is something else than the text of a cookie.
    #[error("`cookies` of the function's result holds something else than the text of a cookie")]
    Cookie,
    /// `body` is something else than a text.
    #[error("`body` of the function's result is not a text; encode objects with JSON first")]
    Body,
    /// `isBase64Encoded` is something else than true or false.
    #[error("`isBase64Encoded` of the function's result is neither true nor false")]
    Base64Flag,
    /// `isBase64Encoded` is true and `body` is not in Base64.
    #[error("`body` of the function's result is not in Base64, although `isBase64Encoded` says so")]
    Base64(#[source] DecodeError),
}
