//! What operators ask a gateway: alive, ready, figures.

use moongate_tests::wait::{SOON, wait_until};
use moongate_tests::{Fault, Gateway, Upstream};

const API: &str = "api: shop\nroutes:\n  - match: $default\n    upstream: ";

#[test]
fn a_served_project_is_alive_and_ready() {
    let gateway = Gateway::with_api(&format!("{API}http://127.0.0.1:1\n"));
    for target in ["/healthz", "/readyz", "/metrics"] {
        gateway.health(target).expect_status(200);
    }
    gateway.health("/elsewhere").expect_status(404);
    // The listeners are apart: APIs cannot be called here, nor figures read there.
    gateway.health("/shop/").expect_status(404);
    gateway.get("/metrics").expect_status(502);
}

#[test]
fn connections_and_requests_under_way_are_counted() {
    let upstream = Upstream::faulty(Fault::NeverAnswer);
    let gateway = Gateway::with_api(&format!("{API}{}\n", upstream.url()));
    let mut connections: Vec<_> = (0..3).map(|_| gateway.client().connect()).collect();
    for connection in connections.iter_mut().take(2) {
        connection.send_request("GET", "/shop/", &[], b"").expect("sent");
    }
    let count = |name: &str| gateway.metric(name, &[]);
    wait_until("two requests under way", SOON, || (count("gateway_requests_in_flight") - 2.0).abs() < 0.1);
    wait_until("three connections", SOON, || (count("gateway_connections") - 3.0).abs() < 0.1);
    drop(connections);
    wait_until("no requests under way", SOON, || count("gateway_requests_in_flight") < 0.1);
    wait_until("no connections", SOON, || count("gateway_connections") < 0.1);
}

#[test]
fn every_reload_raises_the_revision() {
    let gateway = Gateway::with_api(&format!("{API}http://127.0.0.1:1\n"));
    let before = gateway.metric("gateway_revision", &[]);
    gateway.edit_and_wait("apis/api.yaml", &format!("{API}http://127.0.0.1:2\n"));
    assert!(gateway.metric("gateway_revision", &[]) > before);
    let served = gateway.metric("gateway_revision", &[]);
    assert_eq!(gateway.edit_and_wait("apis/api.yaml", "api: []\n")["event"], "reload_failed");
    assert!((gateway.metric("gateway_revision", &[]) - served).abs() < 0.1);
}

#[test]
fn a_port_that_is_taken_is_said_at_once() {
    let gateway = Gateway::with_api(&format!("{API}http://127.0.0.1:1\n"));
    let address = gateway.address().to_string();
    let other = moongate_tests::Project::of([("apis/shop.yaml", &format!("{API}http://127.0.0.1:1\n"))]);
    let arguments = ["dev", ".", "--listen", &address, "--health-listen", "127.0.0.1:0"];
    let ended = moongate_tests::process::Process::run(other.working_folder(), arguments, SOON);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains(&address), "{}", ended.stderr);
}
