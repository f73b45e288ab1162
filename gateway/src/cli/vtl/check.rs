//! A template beside its translation, on samples.
//!
//! A sample becomes a request that never was on a wire. The original is rendered by the evaluator, the translation by the
//! engine that serves requests; what both see of the request comes from the same exchange.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use indexmap::IndexMap;
use moongate_exchange::{
    Body, Caller, Connection, Exchange, Matched, Overrides, PathParameters, Request, Response, RouteFacts, Scalar,
    StageFacts, Target, context, query,
};
use moongate_lua::{Bank, Kind, Limits, ScriptSet, json_at};
use moongate_vtl::evaluate::{self, Rendering};
use moongate_vtl::{Content, Template, Translation};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::say;

/// Most characters that are shown of a rendering around a difference.
const SHOWN_MAX: usize = 60;

/// A request, and what is known about it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Sample {
    /// A text; anything else is written as JSON.
    body: Value,
    path: IndexMap<String, String>,
    querystring: IndexMap<String, String>,
    header: IndexMap<String, String>,
    context: SampleContext,
    #[serde(rename = "stageVariables")]
    stage_variables: IndexMap<String, String>,
}

/// The members of `$context` that can be chosen.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct SampleContext {
    api_id: Option<String>,
    http_method: Option<String>,
    resource_path: Option<String>,
    stage: Option<String>,
    identity: SampleIdentity,
    authorizer: IndexMap<String, Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct SampleIdentity {
    source_ip: Option<String>,
    user_agent: Option<String>,
}

/// Reads a file with a sample, or a list of them.
pub(super) fn read_samples(file: &Path) -> anyhow::Result<Vec<Sample>> {
    let name = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("the sample `{name}`"))?;
    let value: Value = serde_json::from_str(&text).with_context(|| format!("the sample `{name}`"))?;
    let values = match value {
        Value::Array(values) => values,
        value => vec![value],
    };
    let samples: Result<Vec<Sample>, _> = values.into_iter().map(serde_json::from_value).collect();
    samples.with_context(|| format!("the sample `{name}`"))
}

/// The samples that are used when none are given.
pub(super) fn own_samples() -> Vec<Sample> {
    let texts =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let body = json!({
        "id": 7, "name": "A \"quoted\" name", "price": 19.99, "total": 20.0, "active": true, "note": null, "tags": ["new", "web"],
        "items": [{"id": 1, "name": "first", "quantity": 2}, {"id": 2, "name": "second", "quantity": 0}],
        "address": {"city": "Bonn", "zip": "53111"},
    });
    let full = Sample {
        body,
        path: texts(&[("id", "7"), ("name", "first")]),
        querystring: texts(&[("q", "two words"), ("page", "2")]),
        header: texts(&[("accept", "application/json"), ("x-request-id", "r-1")]),
        stage_variables: texts(&[("host", "backend.internal")]),
        context: SampleContext {
            authorizer: IndexMap::from([
                ("principalId".to_owned(), "user-1".into()),
                ("plan".to_owned(), "gold".into()),
            ]),
            ..SampleContext::default()
        },
    };
    let list = Sample { body: json!([{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]), ..full.clone() };
    vec![full, list, Sample::default()]
}

impl Sample {
    fn body_text(&self) -> String {
        match &self.body {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// The request.
    fn exchange(&self) -> anyhow::Result<Exchange> {
        let peer = self.context.identity.source_ip.as_deref().unwrap_or("192.0.2.1");
        let peer = peer.parse().context("`context.identity.sourceIp`")?;
        let connection = Connection::new(std::net::SocketAddr::new(peer, 4711), ([127, 0, 0, 1], 8080).into(), false);
        let mut headers = HeaderMap::new();
        if let Some(agent) = &self.context.identity.user_agent {
            headers.insert(http::header::USER_AGENT, HeaderValue::from_str(agent).context("the user agent")?);
        }
        for (name, value) in &self.header {
            let name = HeaderName::from_bytes(name.as_bytes()).with_context(|| format!("the header name `{name}`"))?;
            headers.append(name, HeaderValue::from_str(value).context("a header value")?);
        }
        let mut path = String::new();
        let mut parameters = PathParameters::default();
        for value in self.path.values().map(|value| form(value)) {
            path.push('/');
            let start = path.len();
            path.push_str(&value);
            parameters.push(start, path.len());
        }
        if path.is_empty() {
            path.push('/');
        }
        let pairs: Vec<String> =
            self.querystring.iter().map(|(name, value)| format!("{}={}", form(name), form(value))).collect();
        let target = if pairs.is_empty() { path } else { format!("{path}?{}", pairs.join("&")) };
        let target = Target::from_text(target).map_err(|error| anyhow::anyhow!("the path parameters: {error}"))?;
        let method = self.context.http_method.as_deref().unwrap_or("POST");
        let method = Method::from_bytes(method.as_bytes()).context("`context.httpMethod`")?;
        let request = Request { method, target, headers: headers.into(), body: Body::Empty };
        let mut exchange = Exchange::new(Arc::new(connection), Version::HTTP_11, request);
        let text = |value: &Option<String>, default: &str| value.as_deref().unwrap_or(default).into();
        exchange.matched = Some(Matched {
            route: Arc::new(RouteFacts {
                api_id: text(&self.context.api_id, "api"),
                key: "$default".into(),
                resource_path: text(&self.context.resource_path, "/"),
                name: "sample".into(),
                parameter_names: self.path.keys().map(|name| name.as_str().into()).collect(),
            }),
            stage: Arc::new(StageFacts {
                name: text(&self.context.stage, "prod"),
                variables: self
                    .stage_variables
                    .iter()
                    .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
                    .collect(),
                deployment_id: "sample".into(),
                ..StageFacts::default()
            }),
            parameters,
            prefix_bytes: 0,
        });
        let authorizer = &self.context.authorizer;
        if !authorizer.is_empty() {
            let scalar = |value: &Value| match value {
                Value::String(text) => Scalar::Text(text.as_str().into()),
                Value::Bool(value) => Scalar::Bool(*value),
                Value::Number(number) => Scalar::Number(number.as_f64().unwrap_or(0.0)),
                other => Scalar::Text(other.to_string().into()),
            };
            let others = authorizer.iter().filter(|(name, _)| *name != "principalId");
            exchange.caller = Some(Caller {
                principal: authorizer.get("principalId").and_then(Value::as_str).map(Into::into),
                context: Arc::new(others.map(|(name, value)| (name.as_str().into(), scalar(value))).collect()),
                ..Caller::default()
            });
        }
        Ok(exchange)
    }

    /// The same for the evaluator: read from the exchange, so that both see one request.
    fn for_evaluator(&self, exchange: &Exchange) -> evaluate::Sample {
        let names = [
            "accountId",
            "apiId",
            "deploymentId",
            "domainName",
            "domainPrefix",
            "extendedRequestId",
            "httpMethod",
            "path",
            "protocol",
            "requestId",
            "requestTime",
            "resourcePath",
            "routeKey",
            "stage",
        ];
        let text = |name: &str| context::variable(exchange, name).map(|value| Value::from(value.as_ref()));
        let mut members: Map<String, Value> =
            names.into_iter().filter_map(|name| Some((name.to_owned(), text(name)?))).collect();
        members.insert("requestTimeEpoch".to_owned(), exchange.arrived_epoch_ms().into());
        let identity = ["apiKeyId", "sourceIp", "userAgent"];
        let identity: Map<String, Value> = identity
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), text(&format!("identity.{name}"))?)))
            .collect();
        members.insert("identity".to_owned(), identity.into());
        members.insert("authorizer".to_owned(), json!(self.context.authorizer));
        let query = exchange.request.target.query().unwrap_or_default();
        let header =
            exchange.request.headers.iter().map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            });
        evaluate::Sample {
            body: self.body_text(),
            path: exchange.path_parameters().map(|(name, value)| (name.to_owned(), value.to_string())).collect(),
            querystring: query::parameters(query)
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
            header: header.collect(),
            context: members,
            stage_variables: self.stage_variables.clone(),
        }
    }
}

/// A text as a query has it.
fn form(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// Renders both on every sample. Fails when they differ on one.
pub(super) fn run(
    template: &Template,
    translation: &Translation,
    samples: &[Sample],
    is_response: bool,
    is_printed: bool,
) -> anyhow::Result<ExitCode> {
    let mut set = ScriptSet::new();
    let script = match &translation.content {
        Content::Lua(script) => set.add(Kind::Template, "translation", script)?,
        Content::Text(_) => {
            say("nothing in the template is carried out: it is used as the text it is");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let bank = Bank::build(&set, 1, Limits::default())?;
    let mut differences = 0;
    for (place, sample) in (1..).zip(samples) {
        let mut exchange = sample.exchange()?;
        let find = |body: &str, path: &str| json_at(body.as_bytes(), path);
        let original = evaluate::render(template, &sample.for_evaluator(&exchange), &find);
        let body = Bytes::from(sample.body_text());
        let mapped = if is_response {
            bank.vm().map_response(script, &mut exchange, &mut Response::new(StatusCode::OK), &body)
        } else {
            bank.vm().map_request(script, &mut exchange, &body)
        };
        let translated = mapped.map(|mapped| Rendering {
            text: String::from_utf8_lossy(&mapped.body).into_owned(),
            overrides: overrides(exchange.overrides.as_deref()),
        });
        let verdict = match (&original, &translated) {
            (Ok(original), Ok(translated)) => difference(original, translated),
            (Err(_), Err(_)) => None,
            (Ok(_), Err(error)) => Some(format!("the translation fails: {error}")),
            (Err(error), Ok(_)) => Some(format!("the original fails, the translation does not: {error}")),
        };
        match (&verdict, &original, &translated) {
            (Some(difference), ..) => {
                differences += 1;
                say(&format!("sample {place}: DIFFERENT\n{difference}"));
            }
            (None, Err(error), Err(other)) => say(&format!("sample {place}: both fail: {error}; {other}")),
            _ => say(&format!("sample {place}: equal")),
        }
        if let (true, Ok(translated)) = (is_printed, &translated) {
            say(&translated.text);
        }
    }
    if differences > 0 {
        bail!("the translation differs on {differences} of {} samples", samples.len());
    }
    Ok(ExitCode::SUCCESS)
}

/// Overrides as the evaluator has them.
fn overrides(overrides: Option<&Overrides>) -> Value {
    let empty = Overrides::default();
    let overrides = overrides.unwrap_or(&empty);
    let map = |map: &IndexMap<Box<str>, Box<str>>| -> Value {
        map.iter().map(|(name, value)| (name.to_string(), Value::from(&**value))).collect::<Map<_, _>>().into()
    };
    let mut response = Map::from_iter([("header".to_owned(), map(&overrides.response_headers))]);
    if let Some(status) = overrides.response_status {
        response.insert("status".to_owned(), status.as_u16().into());
    }
    json!({
        "requestOverride": {
            "header": map(&overrides.request_headers),
            "path": map(&overrides.request_path),
            "querystring": map(&overrides.request_query),
        },
        "responseOverride": response,
    })
}

/// A value as an override keeps it: as a text, lists with commas.
fn as_text(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), as_text(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => {
            let texts: Vec<String> =
                items.iter().map(|item| item.as_str().map_or(item.to_string(), str::to_owned)).collect();
            texts.join(",").into()
        }
        Value::String(_) => value.clone(),
        Value::Null => "".into(),
        other => other.to_string().into(),
    }
}

/// Where two renderings part.
fn difference(original: &Rendering, translated: &Rendering) -> Option<String> {
    if original.text != translated.text {
        let common = original.text.char_indices().zip(translated.text.chars()).find(|((_, left), right)| left != right);
        let at = common.map_or(original.text.len().min(translated.text.len()), |((at, _), _)| at);
        let line = original.text[..at].matches('\n').count() + 1;
        let shown = |text: &str| -> String { text[at..].chars().take(SHOWN_MAX).collect() };
        let (left, right) = (shown(&original.text), shown(&translated.text));
        return Some(format!(
            "  from line {line} of the rendering on\n  original:    {left:?}\n  translation: {right:?}"
        ));
    }
    let (left, right) = (as_text(&original.overrides), as_text(&translated.overrides));
    (left != right).then(|| format!("  overrides\n  original:    {left}\n  translation: {right}"))
}
