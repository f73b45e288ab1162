//! What a translated Velocity template costs beside Lua written by hand that does the same: nanoseconds per render.
//!
//! The quickest of many rounds is told, because what else a machine does only ever adds.
//!
//! `cargo run --release -p moongate-lua --example vtl`

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Method, Version};
use moongate_exchange::{Body, Connection, Exchange, Request, Target};
use moongate_lua::{Bank, Kind, Limits, ScriptId, ScriptSet, VmGuard};
use moongate_vtl::{Content, parse, translate};
use serde_json::json;

const ROUNDS: usize = 40;
const RENDERS: u32 = 1_000;

struct Pair {
    name: &'static str,
    template: &'static str,
    by_hand: &'static str,
}

const PAIRS: [Pair; 3] = [
    Pair {
        name: "pass-through of a few fields",
        template: r#"#set($order = $input.path('$'))
{
  "id": "$order.id", "status": "$order.status", "total": $order.total,
  "name": "$util.escapeJavaScript($order.customer.name)", "city": "$order.customer.address.city",
  "stage": "$context.stage", "request": "$context.requestId"
}"#,
        by_hand: r#"local order = input.path("$")
return '{\n  "id": "' .. order.id .. '", "status": "' .. order.status .. '", "total": ' .. order.total
    .. ',\n  "name": "' .. util.escapeJavaScript(order.customer.name) .. '", "city": "' .. order.customer.address.city
    .. '",\n  "stage": "' .. util.text(context.stage) .. '", "request": "' .. context.requestId .. '"\n}'"#,
    },
    Pair {
        name: "a loop over seven items",
        template: r##"#set($order = $input.path('$'))
{
  "order": "$order.id",
  "lines": [
#foreach($item in $order.items)
    { "sku": "$item.sku", "name": "$item.name", "n": $item.quantity#if($item.quantity > 3), "bulk": true#end }#if($foreach.hasNext),#end

#end
  ]
}"##,
        by_hand: r#"local order = input.path("$")
local out = {'{\n  "order": "' .. order.id .. '",\n  "lines": [\n'}
for place, item in ipairs(order.items) do
    local bulk = if item.quantity > 3 then ', "bulk": true' else ""
    local comma = if place < #order.items then "," else ""
    table.insert(out, '    { "sku": "' .. item.sku .. '", "name": "' .. item.name .. '", "n": ' .. item.quantity .. bulk .. " }" .. comma .. "\n")
end
table.insert(out, "  ]\n}")
return table.concat(out)"#,
    },
    Pair {
        name: "arithmetic and texts",
        template: r##"#set($items = $input.path('$.items'))#set($sum = 0)#set($names = "")
#foreach($item in $items)
#set($sum = $sum + $item.quantity * 2)
#set($names = "$names$item.sku.toLowerCase().substring(0, 3)-$foreach.index;")
#end
{"sum": $sum, "names": "$names"}"##,
        by_hand: r#"local sum, names = 0, ""
for place, item in ipairs(input.path("$.items")) do
    sum += item.quantity * 2
    names = names .. string.sub(string.lower(item.sku), 1, 3) .. "-" .. (place - 1) .. ";"
end
return '{"sum": ' .. sum .. ', "names": "' .. names .. '"}'"#,
    },
];

fn main() {
    let mut set = ScriptSet::new();
    let mut add = |source: &str| set.add(Kind::Template, "template", source).expect("compiles");
    let scripts: Vec<(ScriptId, ScriptId)> =
        PAIRS.iter().map(|pair| (add(&translated(pair.template)), add(pair.by_hand))).collect();
    let bank = Bank::build(&set, 1, Limits::default()).expect("builds");
    let body = Bytes::from(body());
    let mut exchange = exchange();
    let vm = &mut bank.vm();
    println!("body: {} bytes\n", body.len());
    for (pair, (translated, by_hand)) in PAIRS.iter().zip(scripts) {
        let texts =
            [translated, by_hand].map(|script| vm.map_request(script, &mut exchange, &body).expect("renders").body);
        assert_eq!(squeezed(&texts[0]), squeezed(&texts[1]), "{}", pair.name);
        let times = measure(vm, [translated, by_hand], &mut exchange, &body);
        let ratio = times[0] as f64 / times[1] as f64;
        println!("{:>7} ns translated, {:>7} ns by hand, {ratio:.2}x  {}", times[0], times[1], pair.name);
    }
}

/// Without white space: by hand nobody would write the blank lines.
fn squeezed(text: &[u8]) -> String {
    String::from_utf8_lossy(text).split_whitespace().collect()
}

fn translated(template: &str) -> String {
    let template = parse(template).expect("a template");
    match translate(&template).expect("translates").content {
        Content::Lua(script) => script,
        Content::Text(text) => panic!("only text: {text}"),
    }
}

/// Rounds take turns, so that a busy machine is busy for both.
fn measure(vm: &mut VmGuard<'_>, scripts: [ScriptId; 2], exchange: &mut Exchange, body: &Bytes) -> [u128; 2] {
    let mut rounds = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (script, times) in scripts.into_iter().zip(&mut rounds) {
            let start = Instant::now();
            for _ in 0..RENDERS {
                drop(black_box(vm.map_request(script, exchange, body).expect("renders")));
            }
            times.push(start.elapsed().as_nanos() / u128::from(RENDERS));
        }
    }
    rounds.map(|mut times| {
        times.sort_unstable();
        times[0]
    })
}

fn exchange() -> Exchange {
    let address = "127.0.0.1:8000".parse().expect("an address");
    let mut headers = HeaderMap::new();
    headers.insert("host", "127.0.0.1:8000".parse().expect("a value"));
    let target = Target::from_text("/orders?q=1".to_owned()).expect("a target");
    let request = Request { method: Method::POST, target, headers: headers.into(), body: Body::Empty };
    Exchange::new(Arc::new(Connection::new(address, address, false)), Version::HTTP_11, request)
}

/// About one kibibyte of JSON as APIs send it.
fn body() -> String {
    let items: Vec<_> = (1..=7)
        .map(|n| json!({"sku": format!("SKU-{n:05}"), "name": format!("Article number {n}"), "quantity": n, "price": 9.5 * f64::from(n)}))
        .collect();
    json!({
        "id": "ord-20261122-000184",
        "status": "confirmed",
        "customer": {"id": 4711, "name": "Ann Example", "email": "ann@example.com", "address": {"city": "Bonn", "zip": "53111"}},
        "items": items,
        "notes": "Please ring twice. \"Leave at the door\" is fine, too.",
        "tags": ["new", "web", "gift"],
        "flags": {"express": false, "insured": true, "coupon": null},
        "total": 266,
    })
    .to_string()
}
