//! Requests for tests, as the pipeline would have them after routing.

use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, Version};
use moongate_exchange::{
    Body, Connection, Exchange, Headers, Matched, PathParameters, Request, RouteFacts, StageFacts, Target,
};

/// A request from 192.0.2.7.
pub(crate) fn exchange(method: &str, target: &str, headers: &[(&str, &str)]) -> Exchange {
    let received = PathAndQuery::try_from(target.to_owned()).expect("a target");
    let header = |&(name, value): &(&str, &str)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        (name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"))
    };
    let request = Request {
        method: Method::from_bytes(method.as_bytes()).expect("a method"),
        target: Target::normalize(received).expect("a target with a normal form"),
        headers: headers.iter().map(header).collect::<Headers>(),
        body: Body::Empty,
    };
    let address = |text: &str| text.parse().expect("an address");
    let connection = Connection::new(address("[::ffff:192.0.2.7]:4711"), address("127.0.0.1:8080"), false);
    Exchange::new(Arc::new(connection), Version::HTTP_11, request)
}

/// The route it leads to.
pub(crate) fn matched(api_id: &str, key: &str, stage: &str, prefix_bytes: usize) -> Matched {
    Matched {
        route: Arc::new(RouteFacts { api_id: api_id.into(), key: key.into(), ..RouteFacts::default() }),
        stage: Arc::new(StageFacts { name: stage.into(), ..StageFacts::default() }),
        parameters: PathParameters::default(),
        prefix_bytes,
    }
}
