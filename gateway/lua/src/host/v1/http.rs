//! `gate.http`: requests of scripts to services.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue, Method, Uri};
use moongate_exchange::Headers;

use super::fields;
use crate::host::function::{Parameter, PhaseSet, any, table, text, waiting};
use crate::host::options::{self, BadOption};
use crate::host::{Answer, Answered, Call, Noun, Refused};
use crate::json::encode;
use crate::operation::{HttpCall, Operation};
use crate::stack::Value;

/// How long an answer is waited for unless said otherwise.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Longest timeout of one request, in milliseconds. The run's own budget for waiting may be shorter.
const TIMEOUT_MS_MAX: f64 = 60_000.0;

/// Largest body of an answer unless said otherwise, in bytes.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

/// Longest URL, in bytes.
const URL_BYTES_MAX: usize = 8 * 1024;

const OPTIONS: Parameter = table(
    "options",
    "`headers` (names and values), `query` (names and values, added to the URL), `timeout_ms` (1 to 60,000, default 5,000), \
     `body_bytes_max` (of the answer, default 1 MiB)",
);
const RETURNS: &str = "({ status: number, headers: { [string]: string | { string } }, body: string }?, string?)";
const ERRORS: &str = "returns nil and a reason when there is no answer: the host is not allowed, no connection, too late, too large; \
                      raises on URLs and options that cannot be used, and beyond the run's budgets for requests and bytes";
const COST: &str = "waits without holding up the worker; connections are kept";

/// The declaration.
pub(crate) static NOUN: Noun = Noun {
    path: "gate.http",
    about: "Requests to services. They wait without holding up the worker: other requests go on. Connections are kept and shared, TLS \
            is verified, redirects are not followed. Which hosts may be asked is the operator's word (`scripts.outbound` in \
            `moongate.yaml`); addresses of this machine, of the link and of clouds' metadata are refused unless they are named \
            there. A run sends at most 16 requests.",
    functions: &[
        waiting("get", PhaseSet::WAITING, get)
            .about("Asks with GET.")
            .takes(&[text("url", "`https://host/path`, at most 8 KiB"), OPTIONS.optional()])
            .gives(RETURNS)
            .fails(ERRORS)
            .costs(COST)
            .example(
                "local answer, why = gate.http.get('https://users.example/v1/me', { timeout_ms = 500 })\n\
                 if not answer then log.warn(why) end",
            ),
        waiting("post", PhaseSet::WAITING, post)
            .about("Sends a body with POST: a text as it is, a table as JSON.")
            .takes(&[
                text("url", "`https://host/path`, at most 8 KiB"),
                any("body", "a string or a table"),
                OPTIONS.optional(),
            ])
            .gives(RETURNS)
            .fails(ERRORS)
            .costs(COST)
            .example("local answer = gate.http.post('https://users.example/v1/seen', { user = 'ann' })"),
        waiting("request", PhaseSet::WAITING, request)
            .about("Asks with any method.")
            .takes(&[
                text("method", "`PUT`, `DELETE`, ..."),
                text("url", "`https://host/path`, at most 8 KiB"),
                table("options", "as for `get`, and `body` (a string, or a table that becomes JSON)").optional(),
            ])
            .gives(RETURNS)
            .fails(ERRORS)
            .costs(COST)
            .example("local answer = gate.http.request('DELETE', 'https://users.example/v1/sessions/7')"),
    ],
    fields: &[],
    is_open: false,
};

fn get<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "gate.http.get";
    let mut request = prepare(&mut call, FUNCTION, Method::GET, 1)?;
    read_options(&mut call, FUNCTION, 2, &mut request)?;
    send(call, FUNCTION, request)
}

fn post<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "gate.http.post";
    let mut request = prepare(&mut call, FUNCTION, Method::POST, 1)?;
    read_options(&mut call, FUNCTION, 3, &mut request)?;
    let body = call.arguments.get(2);
    set_body(&mut request, body).map_err(|BadOption(why)| call.run.refuse(format_args!("{FUNCTION}: {why}")))?;
    send(call, FUNCTION, request)
}

fn request<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    const FUNCTION: &str = "gate.http.request";
    let method = Method::from_bytes(call.text(1, FUNCTION)?).ok().filter(|method| method != Method::CONNECT);
    let Some(method) = method else {
        return Err(call.run.refuse(format_args!("{FUNCTION}: the method cannot be sent")));
    };
    let mut request = prepare(&mut call, FUNCTION, method, 2)?;
    read_options(&mut call, FUNCTION, 3, &mut request)?;
    send(call, FUNCTION, request)
}

fn prepare(call: &mut Call<'_, '_>, function: &str, method: Method, place: u8) -> Result<HttpCall, Refused> {
    let text = call.text(place, function)?;
    let url = std::str::from_utf8(text).ok().filter(|url| url.len() <= URL_BYTES_MAX).and_then(|url| url.parse().ok());
    let is_usable = |url: &Uri| {
        let authority = url.authority().is_some_and(|host| !host.host().is_empty() && !host.as_str().contains('@'));
        matches!(url.scheme_str(), Some("http" | "https")) && authority
    };
    let Some(url) = url.filter(is_usable) else {
        return Err(call.run.refuse(format_args!(
            "{function}: the URL cannot be used; write `https://host/path`, without a user name"
        )));
    };
    Ok(HttpCall {
        method,
        url,
        headers: Headers::new(),
        body: Bytes::new(),
        timeout: TIMEOUT,
        answer_bytes_max: ANSWER_BYTES_MAX,
    })
}

fn set_body(request: &mut HttpCall, body: Value<'_>) -> Result<(), BadOption> {
    match body {
        Value::Absent | Value::Nil => {}
        Value::Text(text) => request.body = Bytes::copy_from_slice(text),
        Value::Table(_) => {
            let mut json = Vec::new();
            encode::write(body, &mut json, &Never).map_err(|why| BadOption(format!("the body holds {why}")))?;
            request.body = json.into();
            request.headers.set_if_absent(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        other => return Err(BadOption(format!("the body must be a string or a table, not {}", other.type_name()))),
    }
    Ok(())
}

/// What is written here is small, or ends with the limit on texts.
struct Never;

impl crate::json::Stop for Never {
    fn is_due(&self) -> bool {
        false
    }
}

fn read_options(call: &mut Call<'_, '_>, function: &str, place: u8, request: &mut HttpCall) -> Result<(), Refused> {
    const KNOWN: &str = "`headers`, `query`, `body`, `timeout_ms`, `body_bytes_max`";
    options::read(call, place, function, KNOWN, |name, value| {
        match name {
            b"headers" => read_headers(&mut request.headers, value)?,
            b"query" => request.url = with_query(&request.url, value)?,
            b"body" => set_body(request, value)?,
            b"timeout_ms" => {
                let milliseconds = options::number("timeout_ms", value, 1.0..=TIMEOUT_MS_MAX)?;
                request.timeout = Duration::from_millis(milliseconds as u64);
            }
            b"body_bytes_max" => {
                request.answer_bytes_max = options::number("body_bytes_max", value, 0.0..=10_485_760.0)? as u64;
            }
            _ => return Ok(false),
        }
        Ok(true)
    })
}

fn read_headers(headers: &mut Headers, value: Value<'_>) -> Result<(), BadOption> {
    let Value::Table(table) = value else { return Err(BadOption("option `headers` must be a table".to_owned())) };
    table.for_each(|name, value| {
        let Value::Text(name) = name else { return Err(BadOption("a header has a name".to_owned())) };
        let name: HeaderName = fields::name(name).map_err(|fault| BadOption(fault.to_string()))?;
        if name == HOST {
            return Err(BadOption("`host` is the URL's".to_owned()));
        }
        let value = fields::value(&name, value).map_err(|fault| BadOption(fault.to_string()))?;
        fields::set(headers, name, value).map_err(|fault| BadOption(fault.to_string()))
    })
}

fn with_query(url: &Uri, value: Value<'_>) -> Result<Uri, BadOption> {
    let Value::Table(table) = value else { return Err(BadOption("option `query` must be a table".to_owned())) };
    let query = super::url::query_of(table)?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let separator = if path.contains('?') { '&' } else { '?' };
    let mut parts = url.clone().into_parts();
    parts.path_and_query = format!("{path}{separator}{query}").parse().ok();
    Uri::from_parts(parts).map_err(|_| BadOption("the query cannot be sent".to_owned()))
}

fn send<'call>(mut call: Call<'call, '_>, function: &str, mut request: HttpCall) -> Answered<'call> {
    call.demand_coroutine(function)?;
    let run = &mut *call.run;
    let limits = run.limits;
    if run.spent.calls >= limits.calls_max {
        return Err(run.refuse(format_args!("{function}: the run has sent its {} requests", limits.calls_max)));
    }
    let left = limits.outbound_bytes_max.saturating_sub(run.spent.bytes);
    if request.body.len() as u64 > left {
        return Err(run.refuse(format_args!(
            "{function}: the run's budget of {} bytes for requests and answers is used up",
            limits.outbound_bytes_max
        )));
    }
    run.spent.calls += 1;
    run.spent.bytes += request.body.len() as u64;
    request.answer_bytes_max = request.answer_bytes_max.min(left - request.body.len() as u64);
    let answer = call.wait(function, Operation::Http(Box::new(request)))?;
    debug_assert!(matches!(answer, Answer::Waits));
    Ok(answer)
}
