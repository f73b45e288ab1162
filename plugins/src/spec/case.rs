//! A case as its spec file declares it, and the exchange made out of it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, Version};
use moongate_exchange::{
    Body, Caller, Connection, Exchange, Headers, Matched, PathParameters, Request, Response, RouteFacts, Scalar,
    StageFacts, Target,
};
use serde::Deserialize;
use serde_json::Value;

/// The client's address where a case does not say (RFC 5737, for documentation).
const CLIENT_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));

/// One case of a spec file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// The behaviour, as a sentence.
    pub(super) name: String,
    /// The attachment's settings.
    #[serde(default)]
    pub(super) config: Value,
    /// What the client sends.
    #[serde(default)]
    pub(super) request: DeclaredRequest,
    /// Requests that came before, to the same attachment with the same store.
    #[serde(default)]
    pub(super) before: Vec<DeclaredRequest>,
    /// What services answer, by method and URL.
    #[serde(default)]
    pub(super) http: BTreeMap<String, UpstreamResponse>,
    /// What references to secrets stand for.
    #[serde(default)]
    pub(super) secrets: BTreeMap<Box<str>, Box<str>>,
    /// What the clock says, in seconds since 1970.
    pub(super) now: Option<f64>,
    /// Where random bytes begin.
    #[serde(default)]
    pub(super) seed: u64,
    client_ip: Option<IpAddr>,
    /// The integration request before the plugin sees it, where it is not the client's request as it came.
    integration: Option<DeclaredRequest>,
    /// What the upstream answers.
    #[serde(default)]
    pub(super) upstream: UpstreamResponse,
    /// Who calls; nobody in particular if absent.
    pub(super) caller: Option<KnownCaller>,
    #[serde(default)]
    pub(super) stage_variables: BTreeMap<Box<str>, Box<str>>,
    pub(super) expect: Expect,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeclaredRequest {
    method: Option<String>,
    /// Path and query.
    path: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Values>,
    body: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UpstreamResponse {
    status: Option<u16>,
    #[serde(default)]
    headers: BTreeMap<String, Values>,
    body: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KnownCaller {
    principal: Option<Arc<str>>,
    #[serde(default)]
    context: BTreeMap<Box<str>, Value>,
    api_key_id: Option<Arc<str>>,
}

/// One or several values of a field.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a field's value must be a string or a list of strings")]
enum Values {
    One(String),
    Several(Vec<String>),
}

/// What must come of it. What is not named may be anything.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    /// The settings are refused, at these places and no others.
    pub(super) refused: Option<Vec<String>>,
    /// A phase fails with an error that holds this text.
    pub(super) error: Option<String>,
    /// What the upstream gets.
    pub(super) request: Option<ExpectedRequest>,
    /// What the client gets.
    pub(super) response: Option<ExpectedResponse>,
    /// Who is found to call.
    pub(super) caller: Option<ExpectedCaller>,
    /// What is asked of services, in this order.
    pub(super) calls: Option<Vec<String>>,
    /// Texts that logged lines hold, in this order.
    pub(super) log: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedCaller {
    pub(super) principal: Option<String>,
    #[serde(default)]
    pub(super) context: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedRequest {
    pub(super) method: Option<String>,
    pub(super) path: Option<String>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, ExpectedField>,
    pub(super) body: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedResponse {
    pub(super) status: Option<u16>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, ExpectedField>,
    pub(super) body: Option<Value>,
    /// Whether the plugin answered by itself, so that the upstream was not asked.
    pub(super) exit: Option<bool>,
}

/// What a field must be.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "an expected field must be a string, a list of strings, true for any value or false for none"
)]
pub(super) enum ExpectedField {
    /// There, with any value, or not there.
    Is(bool),
    /// There once, with this value.
    One(String),
    /// There with these values, in this order.
    Several(Vec<String>),
}

/// Why a case cannot be played.
#[derive(Debug, thiserror::Error)]
pub(super) enum CaseError {
    #[error("`{0}` is not a method")]
    Method(String),
    #[error("`{0}` is not a path")]
    Path(String),
    #[error("`{0}` is not a header name")]
    FieldName(String),
    #[error("the value of `{0}` cannot be sent")]
    FieldValue(String),
    #[error("{0} is not a status")]
    Status(u16),
    #[error("the caller's `{0}` must be a string, a number or a boolean")]
    CallerContext(Box<str>),
}

impl Case {
    /// The exchange as it stands before the plugin runs, and the integration request.
    pub(super) fn start(&self, declared: &DeclaredRequest) -> Result<(Exchange, Request), CaseError> {
        let integration = self.integration.as_ref().unwrap_or(declared).request()?;
        let request = declared.request()?;
        let body = match &request.body {
            Body::Full(bytes) => bytes.clone(),
            Body::Empty | Body::Stream(_) | Body::Duplex(_) => Bytes::new(),
        };
        let peer = SocketAddr::new(self.client_ip.unwrap_or(CLIENT_IP), 50_000);
        let connection = Connection::new(peer, SocketAddr::new(CLIENT_IP, 80), false);
        let mut exchange = Exchange::new(Arc::new(connection), Version::HTTP_11, request);
        exchange.request_body = Some(body);
        exchange.matched = Some(self.matched(&exchange.request));
        exchange.caller = self.caller.as_ref().map(KnownCaller::caller).transpose()?;
        Ok((exchange, integration))
    }

    fn matched(&self, request: &Request) -> Matched {
        let path = request.target.path();
        let route = RouteFacts {
            api_id: "spec".into(),
            key: format!("{} {path}", request.method).into(),
            resource_path: path.into(),
            name: "spec".into(),
            parameter_names: Box::default(),
        };
        let variables = self.stage_variables.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let stage =
            StageFacts { name: "spec".into(), variables, deployment_id: "spec".into(), ..StageFacts::default() };
        Matched { route: route.into(), stage: stage.into(), parameters: PathParameters::default(), prefix_bytes: 0 }
    }
}

impl DeclaredRequest {
    fn request(&self) -> Result<Request, CaseError> {
        let method = self.method.as_deref().unwrap_or("GET");
        let path = self.path.as_deref().unwrap_or("/");
        Ok(Request {
            method: Method::from_bytes(method.as_bytes()).map_err(|_| CaseError::Method(method.to_owned()))?,
            target: Target::from_text(path.to_owned()).map_err(|_| CaseError::Path(path.to_owned()))?,
            headers: headers(&self.headers)?,
            body: self.body.as_ref().map_or(Bytes::new(), body_bytes).into(),
        })
    }
}

impl Expect {
    /// Whether anything is compared at all.
    pub(super) fn is_something(&self) -> bool {
        self.refused.is_some()
            || self.error.is_some()
            || self.request.is_some()
            || self.response.is_some()
            || self.log.is_some()
            || self.caller.is_some()
            || self.calls.is_some()
    }
}

impl UpstreamResponse {
    /// The integration response.
    pub(super) fn response(&self) -> Result<Response, CaseError> {
        let status = self.status.unwrap_or(200);
        Ok(Response {
            status: StatusCode::from_u16(status).map_err(|_| CaseError::Status(status))?,
            headers: headers(&self.headers)?,
            body: self.body.as_ref().map_or(Bytes::new(), body_bytes).into(),
        })
    }
}

impl KnownCaller {
    fn caller(&self) -> Result<Caller, CaseError> {
        let mut caller =
            Caller { principal: self.principal.clone(), api_key_id: self.api_key_id.clone(), ..Caller::default() };
        let context = Arc::make_mut(&mut caller.context);
        for (name, value) in &self.context {
            let scalar = match value {
                Value::String(text) => Scalar::Text(text.as_str().into()),
                Value::Number(number) => Scalar::Number(number.as_f64().unwrap_or(f64::NAN)),
                Value::Bool(truth) => Scalar::Bool(*truth),
                _ => return Err(CaseError::CallerContext(name.clone())),
            };
            context.insert(name.clone(), scalar);
        }
        Ok(caller)
    }
}

fn headers(fields: &BTreeMap<String, Values>) -> Result<Headers, CaseError> {
    let mut headers = Headers::new();
    for (name, values) in fields {
        let field = HeaderName::from_bytes(name.as_bytes()).map_err(|_| CaseError::FieldName(name.clone()))?;
        let values = match values {
            Values::One(value) => std::slice::from_ref(value),
            Values::Several(values) => values,
        };
        for value in values {
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| CaseError::FieldValue(name.clone()))?;
            headers.append(field.clone(), value);
        }
    }
    Ok(headers)
}

/// A body: a text as it is, anything else as JSON.
fn body_bytes(body: &Value) -> Bytes {
    match body {
        Value::String(text) => Bytes::copy_from_slice(text.as_bytes()),
        other => Bytes::from(other.to_string()),
    }
}
