//! A control plane under test: its management API, and processes of `moongate run`.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::Client;
use crate::gateway::Gateway;
use crate::process::{Ended, Process};
use crate::wait::SOON;

/// A management API and a token for it.
#[derive(Clone, Debug)]
pub struct Control {
    address: SocketAddr,
    token: String,
}

/// An answer of the management API.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The entity tag, with its quotes.
    pub etag: Option<String>,
    /// The body; `null` where there is none.
    pub body: Value,
}

impl Control {
    /// The control plane of a gateway that was built [`with_admin`](crate::gateway::Builder::with_admin).
    #[track_caller]
    pub fn of(gateway: &Gateway) -> Self {
        Self::told(gateway.process())
    }

    #[track_caller]
    fn told(process: &Process) -> Self {
        let event = process.wait_for_event_since(0, "admin", SOON, |event| event["event"] == "admin");
        let url = event["url"].as_str().expect("a URL");
        let address = url.rsplit('/').next().and_then(|text| text.parse().ok()).expect("an address in the URL");
        Self { address, token: event["token"].as_str().unwrap_or_default().to_owned() }
    }

    /// The same, with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// One call, with header fields beside the token.
    #[track_caller]
    pub fn call(&self, method: &str, path: &str, fields: &[(&str, &str)], body: Option<&Value>) -> Reply {
        let authorization = format!("Bearer {}", self.token);
        let mut headers = vec![("authorization", authorization.as_str())];
        headers.extend(fields);
        let text = body.map_or_else(String::new, Value::to_string);
        if body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        let response = Client::new(self.address).request(method, &format!("/api/v1{path}"), &headers, text.as_bytes());
        let body = if response.body.is_empty() { Value::Null } else { response.json() };
        Reply { status: response.status, etag: response.header("etag").map(str::to_owned), body }
    }

    /// `GET`, which must go well.
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        self.call("GET", path, &[], None).expect(200).body
    }

    /// Any method with a body, which must go well.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let reply = self.call(method, path, &[], Some(body));
        assert!((200..300).contains(&reply.status), "{method} {path}: {} {:#}", reply.status, reply.body);
        reply.body
    }

    /// Any method without a body, which must go well.
    #[track_caller]
    pub fn act(&self, method: &str, path: &str) -> Value {
        let reply = self.call(method, path, &[], None);
        assert!((200..300).contains(&reply.status), "{method} {path}: {} {:#}", reply.status, reply.body);
        reply.body
    }

    /// Waits until every gateway that is connected serves a revision, of which there must be `count`.
    #[track_caller]
    pub fn wait_for_nodes(&self, count: usize, revision: u64) {
        crate::wait::wait_until("gateways to serve the revision", SOON, || {
            let nodes = self.get("/nodes");
            let nodes = nodes["items"].as_array().expect("a list");
            nodes.iter().filter(|node| node["serving"].as_u64() >= Some(revision)).count() >= count
        });
    }
}

impl Reply {
    /// The reply again, after checking its status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:#}", self.body);
        self
    }
}

/// A process of `moongate run`. It is killed when the value is dropped.
pub struct Server {
    process: Process,
    api: SocketAddr,
    health: SocketAddr,
}

impl Server {
    /// Starts `moongate run` with arguments in a folder, on free ports, and waits until it listens.
    #[track_caller]
    pub fn start<'a>(folder: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let process = Self::spawn(folder, arguments);
        let listening = process.wait_for_event_since(0, "listening", SOON, |event| event["event"] == "listening");
        let address = |name: &str| listening[name].as_str().and_then(|text| text.parse().ok()).expect("an address");
        Self { api: address("api"), health: address("health"), process }
    }

    /// Starts it without waiting.
    pub fn spawn<'a>(folder: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Process {
        let fixed = [
            "run",
            "--listen",
            "127.0.0.1:0",
            "--health-listen",
            "127.0.0.1:0",
            "--output",
            "json",
            "--access-log",
            "none",
        ];
        Process::start(folder, fixed.into_iter().chain(arguments), &[])
    }

    /// The control plane it runs. The token is there on the first start only.
    #[track_caller]
    pub fn control(&self) -> Control {
        Control::told(&self.process)
    }

    /// A client of its APIs.
    pub fn client(&self) -> Client {
        Client::new(self.api)
    }

    /// Waits until it says that it is ready.
    #[track_caller]
    pub fn wait_until_ready(&self) {
        let health = Client::new(self.health);
        crate::wait::wait_until("the gateway to be ready", SOON, || health.get("/readyz").status == 200);
    }

    /// Whether it says that it is ready.
    pub fn is_ready(&self) -> bool {
        Client::new(self.health).get("/readyz").status == 200
    }

    /// Waits for an answer with a body, and says how long that took.
    #[track_caller]
    pub fn wait_for_body(&self, target: &str, body: &str) -> Duration {
        let started = Instant::now();
        crate::wait::wait_until(&format!("{target} to answer {body}"), SOON, || {
            self.client().get(target).text() == body
        });
        started.elapsed()
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Kills it, as a power failure would.
    pub fn kill(self) -> Ended {
        self.process.signal("KILL");
        self.process.wait_for_end(SOON)
    }
}
