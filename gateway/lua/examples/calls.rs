//! What calls into scripts cost: nanoseconds per call, median of several rounds.
//!
//! `cargo run --release -p moongate-lua --example calls -- [PART OF A NAME]`

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Method, Version};
use moongate_exchange::{Body, Connection, Exchange, Request, Target};
use moongate_lua::{Bank, ConfigId, Kind, Limits, ScriptId, ScriptSet, Tenant, VmGuard};
use serde_json::json;

const ROUNDS: usize = 9;
const CALLS: u32 = 50_000;

const TOKENS: &str = "
    local tokens = {}
    for i = 0, 999 do
        tokens['tok-' .. i] = {sub = 'user-' .. i, plan = i % 2 == 0 and 'gold' or 'free'}
    end
";

/// Reads a header, looks its value up and sets two headers.
const TWO_HEADERS: &str = "
    return {request = function()
        local record = tokens[request.header('x-token')]
        if not record then return response.exit(401) end
        request.set_header('x-sub', record.sub)
        request.set_header('x-plan', record.plan)
    end}
";

/// The same decision as an authorizer.
const AUTHORIZER: &str = "
    return function(request)
        local record = tokens[request.header('x-token')]
        if not record then error('Unauthorized') end
        return {isAuthorized = true, principalId = record.sub, context = {plan = record.plan}}
    end
";

const DECODE: &str = "
    local body = json.decode(input.body)
    return {id = body.id, name = body.customer.name, total = body.total}
";

const LAZY: &str = "
    return {id = input.path('$.id'), name = input.path('$.customer.name'), total = input.path('$.total')}
";

struct Scripts {
    empty: ScriptId,
    allow: ScriptId,
    plugin: ScriptId,
    config: ConfigId,
    authorizer: ScriptId,
    variables: ScriptId,
    decode: ScriptId,
    lazy: ScriptId,
}

fn main() {
    let mut set = ScriptSet::new();
    let mut add = |kind, name: &str, source: &str| set.add(kind, name, source).expect("compiles");
    let plugin = add(Kind::Plugin, "two headers", &format!("{TOKENS}{TWO_HEADERS}"));
    let scripts = Scripts {
        empty: add(Kind::Template, "empty", ""),
        allow: add(Kind::Authorizer, "allow", "return function() return true end"),
        plugin,
        authorizer: add(Kind::Authorizer, "authorizer", &format!("{TOKENS}{AUTHORIZER}")),
        variables: add(Kind::Template, "variables", "local a, b = context.stage, context.identity.sourceIp"),
        decode: add(Kind::Template, "decode", DECODE),
        lazy: add(Kind::Template, "lazy", LAZY),
        config: set.add_config(plugin, &json!({}), Tenant::default(), None).expect("fits"),
    };
    let bank = Bank::build(&set, 1, Limits::default()).expect("builds");
    let body = Bytes::from(body());
    let mut exchange = exchange();
    println!("body: {} bytes, machine: {} bytes\n", body.len(), bank.vm().base_bytes());

    measure("take the machine", || drop(black_box(bank.vm())));
    let vm = &mut bank.vm();
    measure("empty template", || drop(vm.map_request(scripts.empty, &mut exchange, &body).expect("maps")));
    measure("authorizer that allows", || drop(vm.authorize(scripts.allow, &mut exchange).expect("decides")));
    measure("plugin: header, token table, 2 headers set", || two_headers(vm, &scripts, &mut exchange));
    measure("authorizer: header, token table, context", || {
        drop(vm.authorize(scripts.authorizer, &mut exchange).expect("decides"));
    });
    measure("template: 2 variables of context", || {
        drop(vm.map_request(scripts.variables, &mut exchange, &body).expect("maps"));
    });
    measure("template: decode, pick 3, encode", || {
        drop(vm.map_request(scripts.decode, &mut exchange, &body).expect("maps"));
    });
    measure("template: 3 paths, encode", || drop(vm.map_request(scripts.lazy, &mut exchange, &body).expect("maps")));
}

fn two_headers(vm: &mut VmGuard<'_>, scripts: &Scripts, exchange: &mut Exchange) {
    // The request is lent to the plugin as its integration request: making one would be measured too.
    let spare =
        Request { method: Method::GET, target: Target::root(), headers: HeaderMap::new().into(), body: Body::Empty };
    let mut request = std::mem::replace(&mut exchange.request, spare);
    let answer = vm.plugin_request(scripts.plugin, scripts.config, exchange, &mut request).expect("runs");
    assert!(answer.is_none());
    exchange.request = request;
}

fn measure(name: &str, mut call: impl FnMut()) {
    if std::env::args().nth(1).is_some_and(|part| !name.contains(&part)) {
        return;
    }
    let mut rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            (0..CALLS).for_each(|_| call());
            start.elapsed().as_nanos() / u128::from(CALLS)
        })
        .collect();
    rounds.sort_unstable();
    println!("{:>7} ns  {name}", rounds[ROUNDS / 2]);
}

fn exchange() -> Exchange {
    let address = "127.0.0.1:8000".parse().expect("an address");
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("host", "127.0.0.1:8000"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64)"),
        ("accept", "application/json"),
        ("accept-encoding", "gzip, deflate, br"),
        ("x-token", "tok-77"),
        ("x-request-id", "3f0c8e2e-1111-2222-3333-444455556666"),
        ("cookie", "a=b; c=d; session=0123456789abcdef"),
        ("x-forwarded-for", "10.0.0.1"),
    ] {
        headers.insert(name, value.parse().expect("a value"));
    }
    let target = Target::from_text("/pets/7?q=1".to_owned()).expect("a target");
    let request = Request { method: Method::GET, target, headers: headers.into(), body: Body::Empty };
    Exchange::new(Arc::new(Connection::new(address, address, false)), Version::HTTP_11, request)
}

/// About one kibibyte of JSON as APIs send it.
fn body() -> String {
    let items: Vec<_> = (1..=7)
        .map(|n| json!({"sku": format!("SKU-{n:05}"), "name": format!("Article number {n}"), "quantity": n, "price": 9.5 * f64::from(n)}))
        .collect();
    let body = json!({
        "id": "ord-20261122-000184",
        "status": "confirmed",
        "customer": {"id": 4711, "name": "Ann Example", "email": "ann@example.com", "address": {"city": "Bonn", "zip": "53111"}},
        "items": items,
        "notes": "Please ring twice. \"Leave at the door\" is fine, too.",
        "tags": ["new", "web", "gift"],
        "flags": {"express": false, "insured": true, "coupon": null},
        "total": 266.0,
    });
    body.to_string()
}
