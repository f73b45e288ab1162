//! What the tests of policies have in common: requests, secrets, and the way of settings through the registry.

use std::collections::HashMap;
use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, Version};
use moongate_config::Issue;
use moongate_config::policy::PolicyAttachment;
use moongate_exchange::{Body, Connection, Exchange, Headers, Request, Target};
use serde_json::Value;

use crate::{CompileContext, Compiled, Secret, SecretError, Secrets, registry};

/// Secrets by reference, without an environment or files.
#[derive(Default)]
pub(crate) struct FakeSecrets(HashMap<&'static str, &'static str>);

impl FakeSecrets {
    pub(crate) fn new<const N: usize>(secrets: [(&'static str, &'static str); N]) -> Self {
        Self(HashMap::from(secrets))
    }
}

impl Secrets for FakeSecrets {
    fn resolve(&self, reference: &str) -> Result<Secret, SecretError> {
        self.0
            .get(reference)
            .map(|value| Secret::new(*value))
            .ok_or_else(|| SecretError::Unset { name: reference.into() })
    }
}

/// Compiles one use of a policy as a project would declare it, in `apis/a.yaml` at `/policies/0`.
pub(crate) fn compile(policy: &str, config: Value, secrets: &FakeSecrets) -> (Option<Compiled>, Vec<Issue>) {
    let mut issues = Vec::new();
    let attachment = PolicyAttachment { policy: policy.to_owned(), config };
    let mut cx = CompileContext::new("apis/a.yaml", "/policies/0", &mut issues, secrets);
    let compiled = registry::compile(&attachment, &mut cx);
    assert_eq!(
        compiled.is_none(),
        issues.iter().any(Issue::is_error),
        "errors and nothing else prevent a policy: {issues:?}"
    );
    (compiled, issues)
}

/// The problems of settings that are refused: pointers below `/policies/0/config` and messages.
pub(crate) fn problems(policy: &str, config: Value, secrets: &FakeSecrets) -> Vec<(String, String)> {
    let (_, issues) = compile(policy, config, secrets);
    let below = |issue: Issue| {
        let pointer = issue.pointer.strip_prefix("/policies/0/config").expect("a place in the settings").to_owned();
        (pointer, issue.message)
    };
    issues.into_iter().map(below).collect()
}

/// A GET request with header fields, from a client's address.
pub(crate) fn exchange(target: &str, headers: &[(&str, &[u8])], peer: &str) -> Exchange {
    let received = PathAndQuery::try_from(target.to_owned()).expect("a target");
    let header = |&(name, value): &(&str, &[u8])| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        (name, HeaderValue::from_bytes(value).expect("a value"))
    };
    let request = Request {
        method: Method::GET,
        target: Target::normalize(received).expect("a target with a normal form"),
        headers: headers.iter().map(header).collect::<Headers>(),
        body: Body::Empty,
    };
    let peer = (peer.parse::<std::net::IpAddr>().expect("an address"), 4711).into();
    let local = ([127, 0, 0, 1], 8080).into();
    Exchange::new(Arc::new(Connection::new(peer, local, false)), Version::HTTP_11, request)
}
