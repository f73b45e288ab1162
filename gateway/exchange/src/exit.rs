//! Leaving the pipeline early: with an answer, or with a rejection.
//!
//! Every failure on the request path is a [`Rejection`] of one [`Kind`]; the table here maps the kind to status and public
//! text, for Moongate's own style and for AWS's. Nobody else writes an error status.

use std::borrow::Cow;
use std::error::Error as StdError;

use http::{HeaderName, HeaderValue, StatusCode};

use crate::message::Response;

/// Why the remaining stages are skipped.
#[derive(Debug)]
pub enum Exit {
    /// There is an answer already: a preflight, a cache hit, a plugin's response.
    Answer(Box<Response>),
    /// The request is refused or failed.
    Reject(Box<Rejection>),
}

/// A refused or failed request.
#[derive(Debug)]
pub struct Rejection {
    /// What kind of failure: decides status and public text.
    pub kind: Kind,
    /// What happened, for the log and the trace. The client sees it only where an API shows details.
    pub detail: Cow<'static, str>,
    /// The public text, where it is not the kind's own.
    pub public: Option<Box<str>>,
    /// The status, where it is not the kind's own.
    pub status: Option<StatusCode>,
    /// Fields the answer must carry (`Allow`, `WWW-Authenticate`, `Retry-After`).
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What exactly is wrong with the request, place by place. The client is told under Moongate's own habits.
    pub problems: Box<[Problem]>,
    /// `x-amzn-ErrorType` under `compat: aws`, where it is not the kind's own.
    pub aws_error_type: Option<&'static str>,
    /// The cause.
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// Where: a JSON pointer (RFC 6901) into the body, behind `#` (`#/items/0/sku`). `None` for a parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<Box<str>>,
    /// Which parameter: `query page`, `header x-tenant`, `path id`. `None` for a place of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<Box<str>>,
    /// What is wrong there. Says nothing of the value itself, which may be a secret.
    pub detail: Box<str>,
}

/// The kinds of rejections: AWS's gateway response types, and `METHOD_NOT_ALLOWED`.
///
/// Source of names, AWS statuses and messages: API Gateway, "Gateway response types".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "AWS's own names; the table below says what each means")]
pub enum Kind {
    AccessDenied,
    ApiConfigurationError,
    AuthorizerConfigurationError,
    AuthorizerFailure,
    BadRequestBody,
    BadRequestParameters,
    ExpiredToken,
    IntegrationFailure,
    IntegrationTimeout,
    InvalidApiKey,
    InvalidSignature,
    MethodNotAllowed,
    MissingAuthenticationToken,
    QuotaExceeded,
    RequestTooLarge,
    ResourceNotFound,
    Throttled,
    Unauthorized,
    UnsupportedMediaType,
    WafFiltered,
}

/// How a kind looks from outside.
#[derive(Clone, Copy, Debug)]
pub struct Face {
    /// AWS's name of the kind: `RESOURCE_NOT_FOUND`.
    pub name: &'static str,
    /// The status.
    pub status: StatusCode,
    /// Moongate's short code in the error body: `no_route`.
    pub code: &'static str,
    /// Moongate's public text.
    pub message: &'static str,
    /// The status under `compat: aws`.
    pub aws_status: StatusCode,
    /// The message under `compat: aws`; `None` is JSON's `null`.
    pub aws_message: Option<&'static str>,
    /// The value of `x-amzn-ErrorType` under `compat: aws`.
    pub aws_error_type: &'static str,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 20] = [
        Self::AccessDenied,
        Self::ApiConfigurationError,
        Self::AuthorizerConfigurationError,
        Self::AuthorizerFailure,
        Self::BadRequestBody,
        Self::BadRequestParameters,
        Self::ExpiredToken,
        Self::IntegrationFailure,
        Self::IntegrationTimeout,
        Self::InvalidApiKey,
        Self::InvalidSignature,
        Self::MethodNotAllowed,
        Self::MissingAuthenticationToken,
        Self::QuotaExceeded,
        Self::RequestTooLarge,
        Self::ResourceNotFound,
        Self::Throttled,
        Self::Unauthorized,
        Self::UnsupportedMediaType,
        Self::WafFiltered,
    ];

    /// How the kind looks from outside.
    pub const fn face(self) -> Face {
        const fn face(
            name: &'static str,
            status: StatusCode,
            code: &'static str,
            message: &'static str,
            aws: (StatusCode, Option<&'static str>, &'static str),
        ) -> Face {
            Face { name, status, code, message, aws_status: aws.0, aws_message: aws.1, aws_error_type: aws.2 }
        }
        use StatusCode as S;
        const INTERNAL: Option<&str> = Some("Internal server error");
        match self {
            Self::AccessDenied => face(
                "ACCESS_DENIED",
                S::FORBIDDEN,
                "access_denied",
                "You are not allowed to use this resource.",
                (S::FORBIDDEN, Some("User is not authorized to access this resource"), "AccessDeniedException"),
            ),
            Self::ApiConfigurationError => face(
                "API_CONFIGURATION_ERROR",
                S::INTERNAL_SERVER_ERROR,
                "configuration_error",
                "This API could not answer because of a fault in its configuration or scripts.",
                (S::INTERNAL_SERVER_ERROR, INTERNAL, "InternalServerErrorException"),
            ),
            Self::AuthorizerConfigurationError => face(
                "AUTHORIZER_CONFIGURATION_ERROR",
                S::INTERNAL_SERVER_ERROR,
                "authorizer_configuration_error",
                "The API's authorizer gave an answer that cannot be used.",
                (S::INTERNAL_SERVER_ERROR, None, "AuthorizerConfigurationException"),
            ),
            Self::AuthorizerFailure => face(
                "AUTHORIZER_FAILURE",
                S::INTERNAL_SERVER_ERROR,
                "authorizer_failure",
                "The API's authorizer failed.",
                (S::INTERNAL_SERVER_ERROR, None, "AuthorizerFailureException"),
            ),
            Self::BadRequestBody => face(
                "BAD_REQUEST_BODY",
                S::BAD_REQUEST,
                "bad_request_body",
                "The request's body is not what this route takes.",
                (S::BAD_REQUEST, Some("Invalid request body"), "BadRequestException"),
            ),
            Self::BadRequestParameters => face(
                "BAD_REQUEST_PARAMETERS",
                S::BAD_REQUEST,
                "bad_request",
                "The request is not well formed.",
                (S::BAD_REQUEST, Some("Bad Request"), "BadRequestException"),
            ),
            Self::ExpiredToken => face(
                "EXPIRED_TOKEN",
                S::FORBIDDEN,
                "expired_token",
                "The token has expired.",
                (S::FORBIDDEN, Some("The security token included in the request is expired"), "ExpiredTokenException"),
            ),
            Self::IntegrationFailure => face(
                "INTEGRATION_FAILURE",
                S::BAD_GATEWAY,
                "upstream_failure",
                "The service behind this API could not be reached or broke off.",
                (S::GATEWAY_TIMEOUT, INTERNAL, "InternalServerErrorException"),
            ),
            Self::IntegrationTimeout => face(
                "INTEGRATION_TIMEOUT",
                S::GATEWAY_TIMEOUT,
                "upstream_timeout",
                "The service behind this API did not answer in time.",
                (S::GATEWAY_TIMEOUT, Some("Endpoint request timed out"), "InternalServerErrorException"),
            ),
            Self::InvalidApiKey => face(
                "INVALID_API_KEY",
                S::FORBIDDEN,
                "invalid_api_key",
                "This route needs a valid API key in `x-api-key`.",
                (S::FORBIDDEN, Some("Forbidden"), "ForbiddenException"),
            ),
            Self::InvalidSignature => face(
                "INVALID_SIGNATURE",
                S::FORBIDDEN,
                "invalid_signature",
                "The request's signature does not match.",
                (
                    S::FORBIDDEN,
                    Some("The request signature we calculated does not match the signature you provided"),
                    "InvalidSignatureException",
                ),
            ),
            Self::MethodNotAllowed => face(
                "METHOD_NOT_ALLOWED",
                S::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This route does not take that method; `Allow` says which it takes.",
                (S::FORBIDDEN, Some("Missing Authentication Token"), "MissingAuthenticationTokenException"),
            ),
            Self::MissingAuthenticationToken => face(
                "MISSING_AUTHENTICATION_TOKEN",
                S::UNAUTHORIZED,
                "missing_authentication_token",
                "The request carries no credentials.",
                (S::FORBIDDEN, Some("Missing Authentication Token"), "MissingAuthenticationTokenException"),
            ),
            Self::QuotaExceeded => face(
                "QUOTA_EXCEEDED",
                S::TOO_MANY_REQUESTS,
                "quota_exceeded",
                "The quota of this plan is used up.",
                (S::TOO_MANY_REQUESTS, Some("Limit Exceeded"), "LimitExceededException"),
            ),
            Self::RequestTooLarge => face(
                "REQUEST_TOO_LARGE",
                S::PAYLOAD_TOO_LARGE,
                "request_too_large",
                "The request's body is larger than this API takes.",
                (S::PAYLOAD_TOO_LARGE, Some("Request Too Long"), "RequestTooLargeException"),
            ),
            Self::ResourceNotFound => face(
                "RESOURCE_NOT_FOUND",
                S::NOT_FOUND,
                "no_route",
                "There is no such route.",
                // An unknown route is AWS's MISSING_AUTHENTICATION_TOKEN in REST APIs; this one is for HTTP APIs.
                (S::NOT_FOUND, Some("Not Found"), "NotFoundException"),
            ),
            Self::Throttled => face(
                "THROTTLED",
                S::TOO_MANY_REQUESTS,
                "throttled",
                "Too many requests; try again later.",
                (S::TOO_MANY_REQUESTS, Some("Too Many Requests"), "TooManyRequestsException"),
            ),
            Self::Unauthorized => face(
                "UNAUTHORIZED",
                S::UNAUTHORIZED,
                "unauthorized",
                "The request's credentials are missing or not valid.",
                (S::UNAUTHORIZED, Some("Unauthorized"), "UnauthorizedException"),
            ),
            Self::UnsupportedMediaType => face(
                "UNSUPPORTED_MEDIA_TYPE",
                S::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "This route does not take bodies of that content type.",
                (S::UNSUPPORTED_MEDIA_TYPE, Some("Unsupported Media Type"), "BadRequestException"),
            ),
            Self::WafFiltered => face(
                "WAF_FILTERED",
                S::FORBIDDEN,
                "waf_filtered",
                "The request was refused by a security rule.",
                (S::FORBIDDEN, Some("Forbidden"), "ForbiddenException"),
            ),
        }
    }
}

impl Kind {
    /// The status of a gRPC call that fails like this (source: gRPC, "Status codes and their use in gRPC").
    pub const fn grpc_status(self) -> u8 {
        match self {
            // INVALID_ARGUMENT
            Self::BadRequestBody | Self::BadRequestParameters | Self::UnsupportedMediaType => 3,
            // DEADLINE_EXCEEDED
            Self::IntegrationTimeout => 4,
            // PERMISSION_DENIED
            Self::AccessDenied | Self::InvalidApiKey | Self::WafFiltered => 7,
            // RESOURCE_EXHAUSTED
            Self::QuotaExceeded | Self::RequestTooLarge | Self::Throttled => 8,
            // UNIMPLEMENTED
            Self::MethodNotAllowed | Self::ResourceNotFound => 12,
            // INTERNAL
            Self::ApiConfigurationError | Self::AuthorizerConfigurationError | Self::AuthorizerFailure => 13,
            // UNAVAILABLE
            Self::IntegrationFailure => 14,
            // UNAUTHENTICATED
            Self::ExpiredToken | Self::InvalidSignature | Self::MissingAuthenticationToken | Self::Unauthorized => 16,
        }
    }
}

impl Rejection {
    /// A rejection of a kind, with what to log.
    pub fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            public: None,
            status: None,
            headers: Vec::new(),
            problems: Box::default(),
            aws_error_type: None,
            source: None,
        }
    }

    /// The same, with a public text of its own: for the client to see, so without anything internal.
    #[must_use]
    pub fn public(mut self, text: impl Into<Box<str>>) -> Self {
        self.public = Some(text.into());
        self
    }

    /// The same, with a status of its own.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// The same, with a field on the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same, with what exactly is wrong.
    #[must_use]
    pub fn problems(mut self, problems: Vec<Problem>) -> Self {
        self.problems = problems.into();
        self
    }

    /// The same, with an error type of its own under `compat: aws`.
    #[must_use]
    pub fn aws_error_type(mut self, name: &'static str) -> Self {
        self.aws_error_type = Some(name);
        self
    }

    /// The same, with its cause.
    #[must_use]
    pub fn source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl From<Rejection> for Exit {
    fn from(rejection: Rejection) -> Self {
        Self::Reject(Box::new(rejection))
    }
}

impl From<Response> for Exit {
    fn from(response: Response) -> Self {
        Self::Answer(Box::new(response))
    }
}
