//! Gateways that follow a control plane on another machine, with and without it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use moongate_tests::port;
use moongate_tests::wait::{SOON, wait_until};
use moongate_tests::{Control, Server};
use serde_json::json;
use tempfile::TempDir;

use crate::control_plane::publish;
use crate::management::api;

/// A control plane on a port of its own, which can be killed and started again, and the folder for its gateways.
struct Plane {
    folder: TempDir,
    port: u16,
    server: Option<Server>,
    control: Control,
}

impl Plane {
    fn start() -> Self {
        let folder = moongate_tests::project::folder();
        let port = port::lasting();
        let server = Self::server(&folder, port);
        let control = server.control();
        let node = control.send("POST", "/tokens", &json!({"name": "nodes", "scope": "node"}));
        fs::write(folder.path().join("node.token"), node["token"].as_str().expect("a token")).expect("written");
        Self { folder, port, server: Some(server), control }
    }

    fn server(folder: &TempDir, port: u16) -> Server {
        let admin = format!("127.0.0.1:{}", port);
        Server::start(folder.path(), ["--admin-listen", &admin, "--data-dir", "plane", "--node", "plane"])
    }

    fn kill(&mut self) {
        self.server.take().expect("running").kill();
    }

    fn start_again(&mut self) {
        let server = Self::server(&self.folder, self.port);
        // The token is the one of the first start.
        server.control();
        self.server = Some(server);
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn arguments(&self, name: &str) -> Vec<String> {
        let control = self.control.url();
        let arguments =
            ["--control", &control, "--control-token-file", "node.token", "--data-dir", name, "--node", name];
        arguments.map(str::to_owned).into()
    }

    fn node(&self, name: &str) -> Server {
        Server::start(self.path(), self.arguments(name).iter().map(String::as_str))
    }
}

#[test]
fn a_deployment_is_live_on_every_node_within_a_second() {
    let plane = Plane::start();
    let nodes = [plane.node("n1"), plane.node("n2")];
    publish(&plane.control, "shop", "dev", "0");
    for node in &nodes {
        node.wait_for_body("/shop/v", "0");
    }
    for round in 1..=5 {
        let text = round.to_string();
        let revision = publish(&plane.control, "shop", "dev", &text);
        let began = Instant::now();
        for node in &nodes {
            node.wait_for_body("/shop/v", &text);
        }
        assert!(began.elapsed() < Duration::from_secs(1), "live after {:?}", began.elapsed());
        // The plane's own gateway is the third.
        plane.control.wait_for_nodes(3, revision);
    }
}

#[test]
fn gateways_serve_on_and_start_without_their_control_plane_and_catch_up_when_it_returns() {
    let mut plane = Plane::start();
    let key = plane.control.send("POST", "/keys", &json!({"name": "ci"}));
    let (id, secret) = (key["id"].as_str().expect("an id").to_owned(), key["key"].as_str().expect("a key").to_owned());
    let mut document = api("shop", "one");
    document["document"]["routes"][0]["api_key_required"] = json!(true);
    plane.control.send("PUT", "/apis/shop", &document);
    plane.control.send("POST", "/apis/shop/deployments", &json!({"stage": "dev"}));
    let node = plane.node("n1");
    let status = |node: &Server| node.client().request("GET", "/shop/v", &[("x-api-key", &secret)], b"").status;
    wait_until("the key to open the route", SOON, || status(&node) == 200);
    plane.control.wait_for_nodes(2, 1);

    plane.kill();
    assert_eq!(status(&node), 200, "without a control plane");
    node.kill();
    let node = plane.node("n1");
    assert_eq!(status(&node), 200, "started without a control plane");
    assert!(node.is_ready());

    plane.start_again();
    plane.control.act("DELETE", &format!("/keys/{id}"));
    wait_until("the revoked key to be refused", SOON, || status(&node) == 403);
    publish(&plane.control, "shop", "dev", "two");
    node.wait_for_body("/shop/v", "two");
}

#[test]
fn a_damaged_revision_on_disk_is_never_served() {
    let mut plane = Plane::start();
    publish(&plane.control, "shop", "dev", "one");
    let node = plane.node("n1");
    node.wait_for_body("/shop/v", "one");
    let second = publish(&plane.control, "shop", "dev", "two");
    node.wait_for_body("/shop/v", "two");
    plane.control.wait_for_nodes(2, second);
    plane.kill();
    node.kill();
    let kept = plane.path().join("n1/known-good");
    let newest = kept.join("revision.json");
    let whole = fs::read(&newest).expect("the newest revision");

    fs::write(&newest, &whole[..whole.len() / 2]).expect("cut off");
    let node = plane.node("n1");
    assert_eq!(node.client().get("/shop/v").text(), "one", "the one before is whole");
    node.kill();

    fs::write(&newest, &whole).expect("mended");
    for file in fs::read_dir(kept.join("deployments")).expect("deployments").filter_map(Result::ok) {
        let text = fs::read_to_string(file.path()).expect("text");
        fs::write(file.path(), text.replace("two", "six")).expect("changed");
    }
    let node = plane.node("n1");
    assert_eq!(node.client().get("/shop/v").text(), "one", "a deployment that was changed is not served");
    node.kill();

    fs::write(&newest, b"x").expect("damaged");
    fs::write(kept.join("revision.previous.json"), b"").expect("damaged");
    let arguments = plane.arguments("n1");
    let refused = Server::spawn(plane.path(), arguments.iter().map(String::as_str)).wait_for_end(SOON);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("no revision that was kept can be used"), "{}", refused.stderr);

    plane.start_again();
    plane.node("n1").wait_for_body("/shop/v", "two");
}

#[test]
fn a_wrong_token_follows_nothing() {
    let plane = Plane::start();
    publish(&plane.control, "shop", "dev", "one");
    fs::write(plane.path().join("node.token"), "wrong").expect("written");
    let node = plane.node("n1");
    assert_eq!(node.client().get("/shop/v").status, 404);
    wait_until("the refusal to be told", SOON, || node.process().said().contains("cannot be followed"));
    assert!(!node.is_ready());
}

#[test]
fn an_unusable_store_keeps_no_gateway_from_serving_its_folder() {
    let folder = moongate_tests::project::folder();
    fs::create_dir(folder.path().join("apis")).expect("a folder");
    let text =
        "api: shop\nroutes:\n  - match: GET /v\n    integration: { type: mock, responses: [{ status_code: 200  }] }\n";
    fs::write(folder.path().join("apis/shop.yaml"), text).expect("written");
    fs::write(folder.path().join("moongate.yaml"), "").expect("written");
    let store = "postgres://nobody@127.0.0.1:1/none";
    let server =
        Server::start(folder.path(), ["-c", "moongate.yaml", "--admin-listen", "127.0.0.1:0", "--store", store]);
    assert_eq!(server.client().get("/shop/v").status, 200);
    assert!(server.is_ready());
}
