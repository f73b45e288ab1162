//! The commands that talk to a control plane.

use std::fs;
use std::path::Path;
use std::time::Duration;

use moongate_tests::process::{Ended, Process};
use moongate_tests::{Control, Server};
use tempfile::TempDir;

use crate::control_plane::{publish, server};

/// Longest a command may take.
const COMMAND: Duration = Duration::from_secs(30);

/// Runs a command in the folder of the control plane, whose address and token it finds there.
#[track_caller]
fn moongate(folder: &Path, arguments: &[&str], code: i32) -> Ended {
    let ended = Process::run(folder, arguments, COMMAND);
    assert_eq!(ended.code, Some(code), "{arguments:?}\n{}\n{}", ended.stdout, ended.stderr);
    ended
}

fn project(folder: &Path, text: &str) {
    fs::create_dir_all(folder.join("project/apis")).expect("folders");
    fs::create_dir_all(folder.join("project/lua")).expect("folders");
    let document = "api: shop\nname: Shop\nroutes:\n  - match: GET /v\n    integration: { type: lua, function: { file: lua/v.lua } }\n\
        stages:\n  - name: dev\n  - name: prod\n    variables: { colour: green }\n";
    fs::write(folder.join("project/apis/shop.yaml"), document).expect("written");
    fs::write(
        folder.join("project/lua/v.lua"),
        format!("return function() return {{ statusCode = 200, body = '{text}' }} end\n"),
    )
    .expect("written");
    fs::write(folder.join("project/apis/domain.yaml"), "domain: a.example\nmappings: [{ api: shop, stage: prod }]\n")
        .expect("written");
}

fn start() -> (TempDir, Server, Control) {
    server()
}

#[test]
fn a_folder_is_applied_compared_and_exported() {
    let (folder, server, _control) = start();
    let place = folder.path();
    project(place, "one");
    let differs = moongate(place, &["diff", "project"], 2);
    assert!(
        differs.stdout.contains("+ stage dev") && differs.stdout.contains("+ domain a.example"),
        "{}",
        differs.stdout
    );
    let applied = moongate(place, &["apply", "project", "-m", "first"], 0);
    assert!(applied.stdout.contains("revision 1 is served"), "{}", applied.stdout);
    server.wait_for_body("/shop/v", "one");
    moongate(place, &["diff", "project"], 0);
    let again = moongate(place, &["apply", "project"], 0);
    assert!(again.stdout.contains("no difference to revision 1"), "{}", again.stdout);

    moongate(place, &["pull", "--folder", "exported"], 0);
    moongate(place, &["diff", "exported", "--prune"], 0);
    let yaml = fs::read_to_string(place.join("exported/apis/shop.yaml")).expect("the document");
    assert!(yaml.starts_with("api: shop\nname: Shop\n"), "{yaml}");

    project(place, "two");
    let differs = moongate(place, &["diff", "project"], 2);
    assert!(differs.stdout.contains("~ lua/v.lua (+1 -1)"), "{}", differs.stdout);
    moongate(place, &["apply", "project", "--dry-run"], 0);
    moongate(place, &["diff", "project"], 2);
    moongate(place, &["apply", "project"], 0);
    server.wait_for_body("/shop/v", "two");
    fs::write(place.join("project/lua/v.lua"), "return function( end").expect("written");
    let refused = moongate(place, &["apply", "project"], 65);
    assert!(refused.stderr.contains("L001"), "{}", refused.stderr);
    fs::write(place.join("project/apis/shop.yaml"), "api: shop\nrutes: []\n").expect("written");
    let refused = moongate(place, &["apply", "project"], 65);
    assert!(refused.stderr.contains("apis/shop.yaml:2: error[E014]"), "{}", refused.stderr);
}

#[test]
fn deploy_canary_rollback_and_what_is_shown_of_them() {
    let (folder, server, control) = start();
    let place = folder.path();
    publish(&control, "shop", "dev", "one");
    control.send("PUT", "/apis/shop", &crate::management::api("shop", "two"));
    let stages = moongate(place, &["stages"], 0);
    assert!(stages.stdout.contains("differs"), "{}", stages.stdout);
    let deployed = moongate(place, &["deploy", "shop", "--stage", "dev", "--canary", "10%", "--wait", "-m", "try"], 0);
    assert!(deployed.stdout.contains("dev: 90% as before, 10% canary"), "{}", deployed.stdout);
    assert!(deployed.stderr.contains("served by 1 of 1"), "{}", deployed.stderr);
    let status = moongate(place, &["canary", "status", "shop", "--stage", "dev"], 0);
    assert!(status.stdout.contains("verdict: not enough data"), "{}", status.stdout);
    moongate(place, &["canary", "set", "shop", "--stage", "dev", "--weight", "50"], 0);
    moongate(place, &["canary", "promote", "shop", "--stage", "dev"], 0);
    server.wait_for_body("/shop/v", "two");
    moongate(place, &["rollback", "shop", "--stage", "dev"], 0);
    server.wait_for_body("/shop/v", "one");
    let revisions = moongate(place, &["revisions"], 0);
    assert!(
        revisions.stdout.lines().count() == 6 && revisions.stdout.contains("roll back shop on dev"),
        "{}",
        revisions.stdout
    );
    let changes = moongate(place, &["revisions", "2"], 0);
    assert!(changes.stdout.contains("+ canary with 10 % of the requests"), "{}", changes.stdout);
    let json = moongate(place, &["stages", "--output", "json"], 0);
    assert!(serde_json::from_str::<serde_json::Value>(&json.stdout).is_ok(), "{}", json.stdout);
}

#[test]
fn keys_tokens_and_the_audit_log() {
    let (folder, _server, control) = start();
    let place = folder.path();
    let key = moongate(place, &["keys", "create", "--name", "ci", "--expires", "90d"], 0);
    assert!(key.stdout.trim().starts_with("mgk_") && key.stdout.lines().count() == 1, "{}", key.stdout);
    let listed = moongate(place, &["keys", "list"], 0);
    let id = listed.stdout.lines().nth(1).and_then(|line| line.split_whitespace().next()).expect("an id");
    moongate(place, &["keys", "revoke", id], 0);
    let token = moongate(place, &["token", "create", "--name", "ci", "--scope", "read"], 0);
    control.with_token(token.stdout.trim()).get("/apis");
    let verified = moongate(place, &["audit", "verify"], 0);
    assert!(verified.stdout.contains("none changed, none missing"), "{}", verified.stdout);
    assert!(moongate(place, &["audit", "list"], 0).stdout.contains("key.delete"));
    fs::write(place.join("read.token"), &token.stdout).expect("written");
    moongate(place, &["keys", "create", "--name", "x", "--token-file", "read.token"], 77);
    moongate(place, &["stages", "--url", "http://127.0.0.1:1"], 69);
    moongate(place, &["deploy", "none", "--stage", "dev"], 1);
}

#[test]
fn a_backup_is_put_back_somewhere_else() {
    let (folder, server, control) = start();
    let place = folder.path();
    publish(&control, "shop", "dev", "one");
    let saved = moongate(place, &["backup", "all.backup"], 0);
    assert!(saved.stdout.contains("rows in all.backup"), "{}", saved.stdout);
    let text = fs::read_to_string(place.join("all.backup")).expect("text");
    assert!(!text.contains(control.token()), "a backup holds no token");
    server.kill();
    let other = moongate_tests::project::folder();
    let backup = place.join("all.backup").display().to_string();
    moongate(other.path(), &["restore", &backup], 0);
    moongate(other.path(), &["restore", &backup], 1);
    let restored = Server::start(other.path(), ["--admin-listen", "127.0.0.1:0"]);
    restored.wait_for_body("/shop/v", "one");
    let there = restored.control().with_token(control.token());
    assert_eq!(there.get("/audit/verify")["intact"], true);
    assert_eq!(there.get("/revisions")["items"][0]["revision"], 1);
}
