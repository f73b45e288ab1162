//! Figures about upstreams for `/metrics`: those with documents, whose names are a closed set.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::upstream::endpoint::Condition;
use crate::upstream::state::State;

/// Conditions of targets, as labels.
const CONDITIONS: [(Condition, &str); 4] = [
    (Condition::Available, "available"),
    (Condition::Unwell, "unwell"),
    (Condition::Aside, "aside"),
    (Condition::Resting, "resting"),
];

/// What is told about one upstream.
#[derive(Default)]
struct Figures {
    targets: [u64; CONDITIONS.len()],
    connections: u64,
    pending: u64,
    retries: u64,
    is_circuit_open: bool,
}

/// Writes the figures in Prometheus' text format, version 0.0.4.
pub(super) fn write(text: &mut String, states: &[Arc<State>]) {
    let mut by_name: BTreeMap<&str, Figures> = BTreeMap::new();
    for state in states.iter().filter(|state| state.is_wanted()) {
        let Some(name) = &state.spec.name else { continue };
        // While a reload ends there may be two of a name: one figure is told for both.
        let figures = by_name.entry(name).or_default();
        for endpoint in &state.endpoints().list {
            let condition = endpoint.condition();
            if let Some(index) = CONDITIONS.iter().position(|(known, _)| *known == condition) {
                figures.targets[index] += 1;
            }
        }
        figures.connections += state.connections() as u64;
        figures.pending += u64::from(state.pending());
        figures.retries += state.retries.load(Ordering::Relaxed);
        figures.is_circuit_open |= state.circuit.is_open();
    }
    if by_name.is_empty() {
        return;
    }
    let mut family = |name: &str, kind: &str, help: &str, lines: Vec<(String, u64)>| {
        writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("writing to a String does not fail");
        for (labels, value) in lines {
            writeln!(text, "{name}{{{labels}}} {value}").expect("writing to a String does not fail");
        }
    };
    let targets = by_name.iter().flat_map(|(name, figures)| {
        let counts = CONDITIONS.iter().zip(figures.targets);
        counts.map(move |((_, state), count)| (format!("upstream=\"{name}\",state=\"{state}\""), count))
    });
    family("gateway_upstream_targets", "gauge", "Targets by how they count.", targets.collect());
    let mut each = |name, kind, help, value: fn(&Figures) -> u64| {
        let lines = by_name.iter().map(|(upstream, figures)| (format!("upstream=\"{upstream}\""), value(figures)));
        family(name, kind, help, lines.collect());
    };
    each("gateway_upstream_connections", "gauge", "Open connections.", |figures| figures.connections);
    each("gateway_upstream_pending", "gauge", "Requests that wait for a connection.", |figures| figures.pending);
    each("gateway_upstream_retries_total", "counter", "Requests sent again.", |figures| figures.retries);
    each("gateway_upstream_circuit_open", "gauge", "Whether requests are refused at once.", |figures| {
        figures.is_circuit_open.into()
    });
}
