//! Upstreams with documents of their own: names that move, connections that are never shared across trust, targets that fail.

mod dns;
mod pools;
mod retries;
mod targets;
mod timeouts;

use std::net::SocketAddr;

use moongate_tests::{Answer, Gateway, Upstream};

/// An API `u` whose every request goes to the upstream `servers`.
const API: &str = "api: u\nroutes:\n  - match: $default\n    upstream: upstream://servers\n";

/// A gateway whose API `u` passes everything to an upstream's document: what stands behind its name.
fn gateway(document: &str) -> Gateway {
    builder(document).start()
}

fn builder(document: &str) -> moongate_tests::gateway::Builder {
    Gateway::builder().file("apis/u.yaml", API).file("apis/servers.yaml", &format!("upstream: servers\n{document}"))
}

/// Two upstreams on one port of two addresses, that say which one they are.
fn twins() -> (Upstream, Upstream) {
    let first = Upstream::text("first");
    let address = SocketAddr::from(([127, 0, 0, 2], first.address().port()));
    (first, Upstream::recording_at(address, |_| Answer::text("second")))
}

/// The document's list of targets.
fn targets(upstreams: &[&Upstream]) -> String {
    let lines: Vec<String> = upstreams.iter().map(|upstream| format!("  - url: {}\n", upstream.url())).collect();
    format!("targets:\n{}", lines.concat())
}
