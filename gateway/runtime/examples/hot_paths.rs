//! Hot paths of the pipeline, each taken a fixed number of times: what `tests/bench/gate` counts the instructions of.
//!
//! `cargo run -p moongate-runtime --example hot_paths` prints how often each path is taken, and the paths' names in order. Run
//! under callgrind, every return from [`measured`] ends one path. No sockets, no clock that waits: a path is the same
//! instructions in every run, give or take what hash seeds and the allocator do.

use std::fmt::Write as _;
use std::future::Future;
use std::hint::black_box;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use moongate_config::{Issue, Project, Sources};
use moongate_exchange::{Body, Connection, Exchange, IntegrationFacts, Request, Response, Target};
use moongate_policy::LocalSecrets;
use moongate_runtime::compile::Compiler;
use moongate_runtime::pipeline::{self, Behaviour};
use moongate_runtime::plan::CallPlan;
use moongate_runtime::{Snapshot, UpstreamError, Upstreams};

/// How often each path is taken while it is counted. Enough that what happens once (growing a buffer) does not show.
const TIMES: u32 = 200;

/// How often each path is taken before.
const WARM_UP: u32 = 20;

/// Routes of the large API.
const ROUTES: u32 = 10_000;

const API: &str = r"
api: bench
authorizers:
  tokens:
    type: lua
    script: { file: lua/tokens.lua }
api_keys:
  - { id: demo, sha256: cdb261f25818c0b9927e93c353bdc05dddfa18e4ede433d264e910cc94b47aeb }
cors:
  allow_origins: [https://app.example.com]
models:
  Order:
    schema:
      type: object
      required: [p1, p2, p3]
      properties:
        p1: { type: integer, minimum: 0 }
        p2: { type: string, pattern: '^[a-z ]+$' }
        p3: { type: boolean }
        p4: { type: string, maxLength: 60 }
        p5: { type: integer, minimum: 0 }
        p6: { type: string, pattern: '^[a-z ]+$' }
        p7: { type: boolean }
        p8: { type: string, maxLength: 60 }
        p9: { type: integer, minimum: 0 }
        p10: { type: string, pattern: '^[a-z ]+$' }
        p11: { type: boolean }
        p12: { type: string, maxLength: 60 }
        p13: { type: integer, minimum: 0 }
        p14: { type: string, pattern: '^[a-z ]+$' }
        p15: { type: boolean }
        p16: { type: string, maxLength: 60 }
        p17: { type: integer, minimum: 0 }
        p18: { type: string, pattern: '^[a-z ]+$' }
        p19: { type: boolean }
        p20: { type: string, maxLength: 60 }
request_validators:
  body: { validate_request_body: true }
routes:
  - match: POST /checked
    request_validator: body
    request_models: { application/json: Order }
    upstream: http://127.0.0.1:9
  - match: POST /unchecked
    upstream: http://127.0.0.1:9
  - match: GET /passed/{id}
    integration:
      type: http_proxy
      uri: http://127.0.0.1:9/passed/{id}
      request_parameters: { integration.request.path.id: method.request.path.id }
  - match: GET /parameters/{id}
    integration:
      type: http_proxy
      uri: http://127.0.0.1:9/parameters/{id}
      request_parameters:
        integration.request.path.id: method.request.path.id
        integration.request.header.x-agent: method.request.header.user-agent
        integration.request.querystring.stage: context.stage
        integration.request.header.x-fixed: stageVariables.none
  - match: GET /open
    upstream: http://127.0.0.1:9
  - match: GET /key
    api_key_required: true
    upstream: http://127.0.0.1:9
  - match: GET /authorized
    authorizer: tokens
    integration:
      type: http_proxy
      uri: http://127.0.0.1:9/authorized
      request_parameters:
        integration.request.header.x-sub: context.authorizer.sub
        integration.request.header.x-plan: context.authorizer.plan
  - match: GET /mapped
    integration:
      type: http
      uri: http://127.0.0.1:9/mapped
      responses:
        - status_code: 200
          response_templates:
            application/json: { file: lua/pick.lua }
  - match: POST /mapped
    integration:
      type: http
      uri: http://127.0.0.1:9/mapped
      request_templates:
        application/json: { file: lua/pick.lua }
      responses:
        - status_code: 200
";

const TOKENS: &str = "
local tokens = {}
for i = 0, 999 do
    tokens['token-' .. i] = { isAuthorized = true, context = { sub = 'user-' .. i, plan = 'free' } }
end
return function(request)
    local row = tokens[request.header('x-token')]
    if not row then error('Unauthorized', 0) end
    return row
end
";

const PICK: &str =
    "return { id = input.path('$.id'), name = input.path('$.customer.name'), total = input.path('$.total') }";

/// A path: its name, and the request that takes it.
struct Path {
    name: &'static str,
    method: Method,
    target: &'static str,
    fields: &'static [(&'static str, &'static str)],
    /// Whether the request has a body of JSON.
    has_body: bool,
    /// Whether that is one object of twenty members, instead of the upstream's.
    is_flat: bool,
    /// The status that says that the path was really taken.
    status: StatusCode,
}

fn paths() -> Vec<Path> {
    let get = Path::get;
    vec![
        get("pass-through", "/bench/open?page=2", &[]),
        get("api key", "/bench/key", &[("x-api-key", "demo-key-0123456789abcdef")]),
        get("lua authorizer", "/bench/authorized", &[("x-token", "token-7")]),
        get("lua authorizer refuses", "/bench/authorized", &[("x-token", "x")]).answered(StatusCode::UNAUTHORIZED),
        get("parameters of a path", "/bench/passed/7?page=2", &[]),
        get("mapped parameters", "/bench/parameters/7?page=2", &[]),
        Path { method: Method::POST, has_body: true, is_flat: true, ..get("POST with 1 KiB", "/bench/unchecked", &[]) },
        Path {
            method: Method::POST,
            has_body: true,
            is_flat: true,
            ..get("POST with 1 KiB, validated", "/bench/checked", &[])
        },
        get("response mapping", "/bench/mapped", &[]),
        Path { method: Method::POST, has_body: true, ..get("request mapping", "/bench/mapped", &[]) },
        get("cors", "/bench/open", &[("origin", "https://app.example.com")]),
        get("one of 10,000 routes", "/many/area-77/items/4711/parts/9", &[]),
        get("none of 10,000 routes", "/many/area-77/items/4711/no", &[]).answered(StatusCode::NOT_FOUND),
        get("odd path brought into form", "/bench//x/../%6fpen/", &[]),
    ]
}

impl Path {
    fn get(name: &'static str, target: &'static str, fields: &'static [(&'static str, &'static str)]) -> Self {
        Self { name, method: Method::GET, target, fields, has_body: false, is_flat: false, status: StatusCode::OK }
    }

    fn answered(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

/// An upstream that answers at once.
struct Immediate {
    body: Bytes,
    /// A request's body of twenty members.
    flat: Bytes,
}

impl Upstreams for Immediate {
    async fn send(
        &self,
        _call: &CallPlan,
        request: Request,
        _hash: Option<u64>,
        _deadline: Instant,
        facts: &mut IntegrationFacts,
    ) -> Result<Response, UpstreamError> {
        black_box(request);
        facts.status = Some(StatusCode::OK);
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("server", HeaderValue::from_static("upstream"));
        Ok(Response { status: StatusCode::OK, headers: headers.into(), body: self.body.clone().into() })
    }
}

fn main() {
    // The bodies first: what making them leaves on the heap would be counted in the first path.
    let upstreams = Immediate { body: Bytes::from(body()), flat: Bytes::from(flat()) };
    let snapshot = snapshot();
    let address = SocketAddr::from(([127, 0, 0, 1], 8080));
    let connection = Arc::new(Connection::new(address, address, false));
    if std::env::var_os("HOT_PATHS_TIME").is_some() {
        return time(&snapshot, &upstreams, &connection);
    }
    println!("{TIMES}");
    // Callgrind knows the function from its first call on.
    measured(&mut || ());
    for path in &paths() {
        let mut once = || take(path, &snapshot, &upstreams, &connection);
        (0..WARM_UP).for_each(|_| once());
        measured(&mut once);
        println!("{}", path.name);
    }
}

/// With `HOT_PATHS_TIME` set: nanoseconds per call instead, the best of several rounds.
fn time(snapshot: &Snapshot, upstreams: &Immediate, connection: &Arc<Connection>) {
    for path in &paths() {
        let round = || {
            let began = Instant::now();
            measured(&mut || take(path, snapshot, upstreams, connection));
            began.elapsed().as_nanos() / u128::from(TIMES)
        };
        let best = (0..100).map(|_| round()).min().unwrap_or_default();
        println!("{best:>8} ns  {}", path.name);
    }
}

/// What is counted. A function of its own with a name of its own, because that is how callgrind is told.
#[inline(never)]
fn measured(once: &mut dyn FnMut()) {
    for _ in 0..TIMES {
        once();
    }
}

/// One request, from its head to its record in the log.
fn take(path: &Path, snapshot: &Snapshot, upstreams: &Immediate, connection: &Arc<Connection>) {
    let mut headers = HeaderMap::new();
    for (name, value) in [("host", "127.0.0.1:8080"), ("user-agent", "bench/1.0"), ("accept", "application/json")] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for (name, value) in path.fields {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    let body = if path.has_body {
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        Body::from(if path.is_flat { upstreams.flat.clone() } else { upstreams.body.clone() })
    } else {
        Body::Empty
    };
    let target = Target::from_text(path.target.to_owned()).expect("a target");
    let request = Request { method: path.method.clone(), target, headers: headers.into(), body };
    let mut exchange = Exchange::new(Arc::clone(connection), Version::HTTP_11, request);
    let response = {
        let handled = pin!(pipeline::handle(snapshot, Behaviour::default(), upstreams, &mut exchange));
        match handled.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(response) => response,
            Poll::Pending => panic!("{}: nothing here waits", path.name),
        }
    };
    assert_eq!(response.status, path.status, "{}: {:?}", path.name, exchange.outcome);
    black_box(response);
    pipeline::finish(&mut exchange, &|record| {
        black_box(record);
    });
}

fn snapshot() -> Snapshot {
    let mut sources = Sources::default();
    for (name, text) in [
        ("apis/bench.yaml", API.to_owned()),
        ("apis/many.yaml", many()),
        ("lua/tokens.lua", TOKENS.to_owned()),
        ("lua/pick.lua", PICK.to_owned()),
    ] {
        sources.files.insert(name.to_owned(), text);
    }
    let (project, issues) = Project::load(sources);
    assert!(!issues.iter().any(Issue::is_error), "{issues:?}");
    let functions = moongate_function::local::Functions::start().expect("a thread");
    let outcome =
        Compiler::new(1, moongate_runtime::compile::ScriptSettings::default(), Box::new(LocalSecrets::new(".")))
            .with_functions(functions)
            .compile(&project, 1);
    outcome.snapshot.unwrap_or_else(|| panic!("{:?}", outcome.issues))
}

/// An API of [`ROUTES`] routes of three shapes.
fn many() -> String {
    let mut text = "api: many\nroutes:\n".to_owned();
    for number in 0..ROUTES {
        let shape = match number % 3 {
            0 => "items",
            1 => "items/{id}",
            _ => "items/{id}/parts/{part}",
        };
        let line = format!("  - {{ match: 'GET /area-{}/{shape}', upstream: 'http://127.0.0.1:9' }}", number / 3);
        writeln!(text, "{line}").expect("memory");
    }
    text
}

/// About a kibibyte of JSON.
fn body() -> String {
    let items: Vec<_> = (1..=16)
        .map(|number| serde_json::json!({"sku": format!("sku-{number:04}"), "quantity": number, "price": 9.75}))
        .collect();
    let document = serde_json::json!({
        "id": 4711, "status": "shipped", "customer": {"id": 17, "name": "Ada Lovelace", "city": "London"},
        "total": 129.95, "items": items,
    });
    document.to_string()
}

/// About a kibibyte of JSON: one object of twenty members.
fn flat() -> String {
    let member = |number: u32| match number % 4 {
        0 => serde_json::json!("a text of some fifty characters, as people write them"),
        1 => serde_json::json!(number * 1_000),
        2 => serde_json::json!("lower case letters and spaces, no comma".replace(',', "").repeat(2)),
        _ => serde_json::json!(number > 9),
    };
    let members: serde_json::Map<_, _> = (1..=20).map(|number| (format!("p{number}"), member(number))).collect();
    serde_json::Value::from(members).to_string()
}
