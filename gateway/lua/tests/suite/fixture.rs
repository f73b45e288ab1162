//! An exchange to work on, and short ways to run a script on it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version};
use indexmap::IndexMap;
use moongate_exchange::{
    Body, Caller, Connection, Exchange, Matched, PathParameters, Request, Response, RouteFacts, Scalar, StageFacts,
    Target,
};
use moongate_lua::{Bank, Kind, Limits, Mapped, ScriptError, ScriptSet};
use serde_json::Value;

/// Limits that a slow or busy machine does not make innocent scripts fail at.
pub(crate) fn generous() -> Limits {
    Limits { cpu: Duration::from_secs(20), wall: Duration::from_secs(60), ..Limits::default() }
}

/// `POST /prod/pets/caf%C3%A9?q=1&q=two+words&flag&x%20y=z` with a few headers, matched and authorized.
pub(crate) fn exchange() -> Exchange {
    let address = |text: &str| text.parse().expect("an address");
    let connection = Connection::new(address("192.0.2.7:4711"), address("192.0.2.1:443"), true);
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("host", "shop.example.com:8080"),
        ("user-agent", "curl/8.0"),
        ("content-type", "application/json"),
        ("x-token", "tok-7"),
        ("x-many", "first"),
        ("x-many", "last"),
    ] {
        headers.append(name, value.parse().expect("a value"));
    }
    let target = "/prod/pets/caf%C3%A9?q=1&q=two+words&flag&x%20y=z&x-token=query";
    let target = Target::from_text(target.to_owned()).expect("a target");
    let request = Request { method: Method::POST, target, headers: headers.into(), body: Body::Empty };
    let mut exchange = Exchange::new(Arc::new(connection), Version::HTTP_11, request);
    exchange.arrived_at = std::time::UNIX_EPOCH + Duration::from_millis(1_795_374_131_250);
    let mut parameters = PathParameters::default();
    parameters.push("/prod/pets/".len(), "/prod/pets/caf%C3%A9".len());
    let variables = [("backend", "b.internal"), ("empty", "")];
    exchange.matched = Some(Matched {
        route: Arc::new(RouteFacts {
            api_id: "a1b2c3".into(),
            key: "POST /pets/{id}".into(),
            resource_path: "/pets/{id}".into(),
            name: "pets".into(),
            parameter_names: ["id".into()].into(),
        }),
        stage: Arc::new(StageFacts {
            name: "prod".into(),
            variables: variables.map(|(name, value)| (name.into(), value.into())).into(),
            deployment_id: "d1".into(),
            ..StageFacts::default()
        }),
        parameters,
        prefix_bytes: "/prod".len(),
    });
    exchange.caller = Some(Caller {
        principal: Some("user-1".into()),
        context: Arc::new(IndexMap::from([
            ("plan".into(), Scalar::Text("gold".into())),
            ("level".into(), Scalar::Number(3.0)),
            ("beta".into(), Scalar::Bool(true)),
        ])),
        api_key_id: Some("key-9".into()),
    });
    exchange
}

/// The integration's response.
pub(crate) fn response() -> Response {
    let mut response = Response::new(StatusCode::CREATED);
    response.headers.set("x-backend", "b1".parse().expect("a value"));
    response
}

/// An integration request.
pub(crate) fn integration_request() -> Request {
    let target = Target::from_text("/v2/pets?x=1".to_owned()).expect("a target");
    let mut headers = HeaderMap::new();
    headers.insert("x-token", "tok-7".parse().expect("a value"));
    headers.insert("accept", "*/*".parse().expect("a value"));
    Request { method: Method::PUT, target, headers: headers.into(), body: Bytes::from_static(b"payload").into() }
}

/// A bank with one script.
pub(crate) fn bank(kind: Kind, source: &str, limits: Limits) -> Result<(Bank, moongate_lua::ScriptId), ScriptError> {
    let mut set = ScriptSet::new();
    let id = set.add(kind, "script.lua", source)?;
    Ok((Bank::build(&set, 1, limits)?, id))
}

/// What the body of a template makes of a request's body.
pub(crate) fn map(source: &str, body: &str) -> Result<Mapped, ScriptError> {
    map_on(&mut exchange(), source, body)
}

pub(crate) fn map_on(exchange: &mut Exchange, source: &str, body: &str) -> Result<Mapped, ScriptError> {
    let (bank, id) = bank(Kind::Template, source, generous())?;
    bank.vm().map_request(id, exchange, &Bytes::copy_from_slice(body.as_bytes()))
}

/// The text that a template makes.
pub(crate) fn text(source: &str, body: &str) -> Result<String, ScriptError> {
    map(source, body).map(|mapped| String::from_utf8_lossy(&mapped.body).into_owned())
}

/// The value of an expression, as a function returns it.
pub(crate) fn evaluate(expression: &str) -> Result<Value, ScriptError> {
    evaluate_on(&mut exchange(), expression)
}

pub(crate) fn evaluate_on(exchange: &mut Exchange, expression: &str) -> Result<Value, ScriptError> {
    let (bank, id) = bank(Kind::Function, &format!("return function(event, ctx) return {expression} end"), generous())?;
    let result = bank.vm().call_function(id, b"{\"n\": 1}", exchange)?;
    Ok(serde_json::from_slice(&result).expect("functions return JSON"))
}
