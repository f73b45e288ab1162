//! Payload format 2.0: what functions behind HTTP APIs receive.
//!
//! Source: API Gateway, "Create AWS Lambda proxy integrations for HTTP APIs", payload format 2.0. What a request lacks
//! (cookies, query, body, stage variables, ...) is left out, as AWS does. The event is written straight into its bytes:
//! no tree of values is built, headers and the body are not copied on the way.
//!
//! One deliberate difference: `rawPath` keeps its percent-encoding, as Lambda function URLs have it in this format. HTTP
//! APIs decode it, which makes `%2F` in a name look like a separator. `pathParameters` are decoded in both.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use http::header::{COOKIE, HeaderName, USER_AGENT};
use indexmap::IndexMap;
use moongate_exchange::context::{self, ACCOUNT_ID};
use moongate_exchange::{Caller, Exchange, Headers, Scalar, query, time};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// What an event takes beside the body, nearly always: the first allocation, in bytes.
const EVENT_BYTES_INITIAL: usize = 2 * 1024;

/// Writes the event of a request that has been routed. `headers` are those the function is to see.
///
/// `body` is the request's body as bytes. It is written as text unless `is_binary` says that its media type is one of the
/// API's binary ones, or it is not UTF-8: then it is in Base64 and `isBase64Encoded` is true, so that no byte is lost.
///
/// Cost: linear in the size of the request.
pub fn event(exchange: &Exchange, headers: &Headers, body: &[u8], is_binary: bool) -> Vec<u8> {
    let mut json = Vec::with_capacity(EVENT_BYTES_INITIAL + body.len() + body.len() / 2);
    serde_json::to_writer(&mut json, &Event::of(exchange, headers, body, is_binary))
        .expect("a Vec takes every write, and all keys are texts");
    json
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    version: &'static str,
    route_key: &'a str,
    raw_path: &'a str,
    raw_query_string: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cookies: Option<Cookies<'a>>,
    headers: JoinedHeaders<'a>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    query_string_parameters: IndexMap<Cow<'a, str>, Cow<'a, str>>,
    request_context: RequestContext<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<EventBody<'a>>,
    #[serde(skip_serializing_if = "PathParameters::is_empty")]
    path_parameters: PathParameters<'a>,
    is_base64_encoded: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage_variables: Option<&'a IndexMap<Box<str>, Box<str>>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    account_id: &'static str,
    api_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer: Option<Authorizer<'a>>,
    domain_name: &'a str,
    domain_prefix: &'a str,
    http: Http<'a>,
    request_id: &'a str,
    route_key: &'a str,
    stage: &'a str,
    time: String,
    time_epoch: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Http<'a> {
    method: &'a str,
    path: &'a str,
    protocol: &'static str,
    source_ip: IpAddr,
    user_agent: Cow<'a, str>,
}

impl<'a> Event<'a> {
    fn of(exchange: &'a Exchange, headers: &'a Headers, body: &'a [u8], is_binary: bool) -> Self {
        let matched = exchange.matched.as_ref();
        let route_key = matched.map_or("", |matched| &matched.route.key);
        let path = path(exchange);
        let query = exchange.request.target.query().unwrap_or_default();
        let domain_name = context::domain_name(exchange).unwrap_or_default();
        let body = EventBody::of(body, is_binary);
        Self {
            version: "2.0",
            route_key,
            raw_path: path,
            raw_query_string: query,
            cookies: headers.contains(COOKIE).then_some(Cookies(headers)),
            headers: JoinedHeaders(headers),
            query_string_parameters: joined_parameters(query),
            request_context: RequestContext {
                account_id: ACCOUNT_ID,
                api_id: matched.map_or("", |matched| &matched.route.api_id),
                authorizer: exchange.caller.as_ref().and_then(Authorizer::of),
                domain_name,
                domain_prefix: domain_name.split('.').next().unwrap_or_default(),
                http: Http {
                    method: exchange.request.method.as_str(),
                    path,
                    protocol: context::protocol(exchange.version),
                    source_ip: exchange.client_ip().to_canonical(),
                    user_agent: headers
                        .get(USER_AGENT)
                        .map_or(Cow::Borrowed(""), |agent| String::from_utf8_lossy(agent.as_bytes())),
                },
                request_id: exchange.id.as_str(),
                route_key,
                stage: matched.map_or("", |matched| &matched.stage.name),
                time: time::clf(exchange.arrived_at),
                time_epoch: exchange.arrived_epoch_ms(),
            },
            is_base64_encoded: matches!(body, Some(EventBody::Binary(_))),
            body,
            path_parameters: PathParameters(exchange),
            stage_variables: matched.map(|matched| &matched.stage.variables).filter(|variables| !variables.is_empty()),
        }
    }
}

/// The path as the API's own host name would have been asked for it: with the stage's segment, or the custom domain's base
/// path, but without the API's id that stands first on the default domain. AWS has no such addresses, so that functions
/// would not expect it.
fn path(exchange: &Exchange) -> &str {
    let whole = exchange.request.target.path();
    let Some(matched) = &exchange.matched else { return whole };
    let prefix = whole.get(1..matched.prefix_bytes).unwrap_or_default();
    if prefix == &*matched.route.api_id { exchange.route_path() } else { whole }
}

/// Parameters by name, decoded, repeated ones joined by commas in the order they came.
fn joined_parameters(query: &str) -> IndexMap<Cow<'_, str>, Cow<'_, str>> {
    let mut joined: IndexMap<Cow<'_, str>, Cow<'_, str>> = IndexMap::new();
    for (name, value) in query::parameters(query) {
        match joined.get_mut(&name) {
            Some(values) => {
                let values = values.to_mut();
                values.push(',');
                values.push_str(&value);
            }
            None => {
                joined.insert(name, value);
            }
        }
    }
    joined
}

/// The request's body in one of the two forms an event has for it.
enum EventBody<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
}

impl<'a> EventBody<'a> {
    fn of(body: &'a [u8], is_binary: bool) -> Option<Self> {
        if body.is_empty() {
            return None;
        }
        let text = if is_binary { None } else { std::str::from_utf8(body).ok() };
        Some(text.map_or(Self::Binary(body), Self::Text))
    }
}

impl Serialize for EventBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Binary(bytes) => serializer.collect_str(&Base64Display::new(bytes, &STANDARD)),
        }
    }
}

/// `cookies`: the cookies of all `cookie` fields, one by one (RFC 6265 section 4.2.1).
struct Cookies<'a>(&'a Headers);

impl Serialize for Cookies<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.0.get_all(COOKIE).iter().map(|value| value.as_bytes());
        let cookies = fields.flat_map(|field| field.split(|byte| *byte == b';')).map(<[u8]>::trim_ascii);
        serializer.collect_seq(cookies.filter(|cookie| !cookie.is_empty()).map(String::from_utf8_lossy))
    }
}

/// `headers`: names in lower case, several values joined by commas. Cookies have a place of their own.
struct JoinedHeaders<'a>(&'a Headers);

impl Serialize for JoinedHeaders<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for name in self.0.names().filter(|name| *name != COOKIE) {
            map.serialize_entry(name.as_str(), &JoinedValues { headers: self.0, name })?;
        }
        map.end()
    }
}

struct JoinedValues<'a> {
    headers: &'a Headers,
    name: &'a HeaderName,
}

impl Serialize for JoinedValues<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for JoinedValues<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, value) in self.headers.get_all(self.name).iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            f.write_str(&String::from_utf8_lossy(value.as_bytes()))?;
        }
        Ok(())
    }
}

/// `pathParameters`, decoded.
struct PathParameters<'a>(&'a Exchange);

impl PathParameters<'_> {
    fn is_empty(&self) -> bool {
        self.0.path_parameters().next().is_none()
    }
}

impl Serialize for PathParameters<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.path_parameters().map(|(name, value)| (name, query::decode_segment(value))))
    }
}

/// `authorizer`: what an authorizer said about the caller, its principal among it.
#[derive(Serialize)]
struct Authorizer<'a> {
    lambda: AuthorizerContext<'a>,
}

struct AuthorizerContext<'a>(&'a Caller);

impl<'a> Authorizer<'a> {
    /// `None` when no authorizer said anything: the route is open, or wants an API key only.
    fn of(caller: &'a Caller) -> Option<Self> {
        let is_silent = caller.principal.is_none() && caller.context.is_empty();
        (!is_silent).then_some(Self { lambda: AuthorizerContext(caller) })
    }
}

impl Serialize for AuthorizerContext<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const PRINCIPAL: &str = "principalId";
        let Self(caller) = self;
        let mut map = serializer.serialize_map(None)?;
        if let Some(principal) = &caller.principal {
            map.serialize_entry(PRINCIPAL, principal)?;
        }
        // A context may not pass somebody else off as the principal.
        let is_other = |name: &str| caller.principal.is_none() || name != PRINCIPAL;
        for (name, value) in caller.context.iter().filter(|(name, _)| is_other(name)) {
            map.serialize_entry(name, &ContextValue(value))?;
        }
        map.end()
    }
}

struct ContextValue<'a>(&'a Scalar);

impl Serialize for ContextValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// Up to here every integer has its own f64.
        const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
        match self.0 {
            Scalar::Text(text) => serializer.serialize_str(text),
            Scalar::Bool(truth) => serializer.serialize_bool(*truth),
            // `7`, not `7.0`: functions in typed languages read these into integers.
            Scalar::Number(number) if number.fract() == 0.0 && number.abs() <= EXACT_MAX => {
                serializer.serialize_i64(*number as i64)
            }
            Scalar::Number(number) => serializer.serialize_f64(*number),
        }
    }
}

#[cfg(test)]
mod tests;
