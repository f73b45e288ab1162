//! What the store promises.

use std::io::Cursor;

use moongate_admin_store::audit::{Actor, Entry};
use moongate_admin_store::backup;
use moongate_admin_store::measurement::{Counts, Side};
use moongate_admin_store::records::{SettingRecord, TokenRecord};
use moongate_admin_store::{Error, Expect, Store, records::Scope};
use moongate_config::{Deployment, Digest, Manifest};
use serde_json::json;
use sqlx::Executor as _;

use crate::behaviour::Fixture;

fn setting(id: &str, value: i64) -> SettingRecord {
    SettingRecord { id: id.to_owned(), value: json!(value) }
}

fn token(id: &str, hash: &str) -> TokenRecord {
    TokenRecord {
        id: id.to_owned(),
        name: String::new(),
        user: "u".to_owned(),
        prefix: String::new(),
        hash: hash.to_owned(),
        scope: Scope::Read,
        expires_ms: None,
    }
}

async fn put(store: &Store, record: SettingRecord, expect: Expect) -> Result<i64, Error> {
    let mut transaction = store.begin().await?;
    let stored = transaction.put(record, expect).await?;
    transaction.commit().await?;
    Ok(stored.version)
}

async fn value(store: &Store, id: &str) -> Option<i64> {
    store.get::<SettingRecord>("", id).await.expect("an answer")?.record.value.as_i64()
}

pub(crate) async fn a_record_is_written_read_and_removed(fixture: Fixture) {
    let store = &fixture.store;
    assert_eq!(value(store, "a").await, None);
    assert_eq!(put(store, setting("a", 1), Expect::Absent).await.expect("written"), 1);
    assert_eq!(put(store, setting("a", 2), Expect::Anything).await.expect("written"), 2);
    assert_eq!(value(store, "a").await, Some(2));
    assert!(matches!(put(store, setting("a", 3), Expect::Absent).await, Err(Error::Exists { .. })));
    assert!(matches!(put(store, setting("b", 3), Expect::Present).await, Err(Error::Missing { .. })));
    let mut transaction = store.begin().await.expect("a transaction");
    assert!(transaction.delete::<SettingRecord>("", "none", Expect::Anything).await.is_err());
    transaction.delete::<SettingRecord>("", "a", Expect::Version(2)).await.expect("removed");
    transaction.commit().await.expect("committed");
    assert_eq!(value(store, "a").await, None);
}

pub(crate) async fn the_second_of_two_writers_gets_a_conflict(fixture: Fixture) {
    let store = &fixture.store;
    put(store, setting("a", 1), Expect::Absent).await.expect("written");
    put(store, setting("a", 2), Expect::Version(1)).await.expect("the first writer");
    let second = put(store, setting("a", 3), Expect::Version(1)).await;
    assert!(matches!(second, Err(Error::Conflict { expected: 1, current: 2, .. })), "{second:?}");
    assert_eq!(value(store, "a").await, Some(2));
}

pub(crate) async fn lists_come_in_pages_in_the_order_of_their_bytes(fixture: Fixture) {
    let store = &fixture.store;
    for id in ["b", "a", "B", "a-1", "é", "_"] {
        put(store, setting(id, 0), Expect::Absent).await.expect("written");
    }
    let mut names = Vec::new();
    let mut after = String::new();
    loop {
        let page = store.list::<SettingRecord>("", &after, 4).await.expect("a page");
        names.extend(page.items.iter().map(|item| item.record.id.clone()));
        let Some(next) = page.next else { break };
        assert_eq!(page.items.len(), 4);
        after = next;
    }
    assert_eq!(names, ["B", "_", "a", "a-1", "b", "é"]);
}

pub(crate) async fn a_hash_finds_its_record_and_is_unique(fixture: Fixture) {
    let mut transaction = fixture.store.begin().await.expect("a transaction");
    transaction.put(token("t1", "aa"), Expect::Absent).await.expect("written");
    transaction.put(setting("no lookup", 1), Expect::Absent).await.expect("written");
    transaction.put(setting("nor here", 1), Expect::Absent).await.expect("several without one");
    transaction.commit().await.expect("committed");
    let found = fixture.store.find::<TokenRecord>("aa").await.expect("an answer").expect("found");
    assert_eq!(found.record.id, "t1");
    assert!(fixture.store.find::<TokenRecord>("ab").await.expect("an answer").is_none());
    let mut transaction = fixture.store.begin().await.expect("a transaction");
    let twice = transaction.put(token("t2", "aa"), Expect::Absent).await;
    assert!(matches!(twice, Err(Error::Exists { .. })), "{:?}", twice.map(|stored| stored.version));
}

pub(crate) async fn a_dropped_transaction_leaves_nothing(fixture: Fixture) {
    let mut transaction = fixture.store.begin().await.expect("a transaction");
    transaction.put(setting("a", 1), Expect::Absent).await.expect("written");
    transaction.audit(&Entry::new(&Actor::system(), "x", "y")).await.expect("written");
    drop(transaction);
    assert_eq!(value(&fixture.store, "a").await, None);
    assert_eq!(fixture.store.verify_audit().await.expect("an answer").entries, 0);
}

pub(crate) async fn deployments_never_change(fixture: Fixture) {
    let deployment = Deployment { document: json!({"api": "a", "routes": []}), files: [].into() };
    let digest = deployment.digest().expect("JSON");
    for message in ["first", "again"] {
        let mut transaction = fixture.store.begin().await.expect("a transaction");
        transaction.put_deployment(&digest, "a", &deployment, message, "u").await.expect("kept");
        transaction.commit().await.expect("committed");
    }
    assert_eq!(fixture.store.deployment(&digest).await.expect("an answer"), Some(deployment));
    let rows = fixture.store.deployments("a", i64::MAX, 10).await.expect("rows");
    assert_eq!(rows.iter().map(|row| &*row.message).collect::<Vec<_>>(), ["first"]);
    let other = Digest::of(&1).expect("JSON");
    assert_eq!(fixture.store.deployment(&other).await.expect("an answer"), None);
    let outside = sqlx::AnyPool::connect(&driver_url(&fixture.url)).await.expect("a connection");
    let changed = outside.execute("UPDATE deployment SET body = 'x'").await;
    assert!(changed.is_err_and(|error| error.to_string().contains("never change")));
}

pub(crate) async fn revisions_are_numbered_without_gaps(fixture: Fixture) {
    let store = &fixture.store;
    assert_eq!(store.newest_revision().await.expect("a number"), 0);
    for want in 1..=3 {
        let mut transaction = store.begin().await.expect("a transaction");
        let manifest = transaction.newest_manifest().await.expect("a manifest");
        let made = transaction.put_revision(manifest, &format!("cause {want}"), "u").await.expect("made");
        transaction.commit().await.expect("committed");
        assert_eq!(made.revision, want);
    }
    let mut transaction = store.begin().await.expect("a transaction");
    let stale = transaction.put_revision(Manifest { revision: 2, ..Manifest::default() }, "late", "u").await;
    assert!(matches!(stale, Err(Error::Conflict { expected: 2, current: 3, .. })), "{stale:?}");
    drop(transaction);
    assert_eq!(store.manifest(3).await.expect("an answer").expect("there").revision, 3);
    assert!(store.manifest(4).await.expect("an answer").is_none());
    let numbers: Vec<u64> = store.revisions(3, 10).await.expect("rows").iter().map(|row| row.number).collect();
    assert_eq!(numbers, [2, 1]);
    let row = store.revision(2).await.expect("an answer").expect("there");
    assert_eq!(row.cause, "cause 2");
    let now = store.revision_at(i64::MAX).await.expect("an answer").expect("there");
    assert_eq!(now.number, 3);
    assert!(store.revision_at(1).await.expect("an answer").is_none());
}

pub(crate) async fn writers_take_turns(fixture: Fixture) {
    // Two processes: two stores on one database.
    let other = Store::open(&fixture.url).await.expect("a second process");
    let tasks: Vec<_> = (0..2)
        .flat_map(|_| [fixture.store.clone(), other.clone()])
        .map(|store| {
            tokio::spawn(async move {
                for _ in 0..5 {
                    let mut transaction = store.begin().await.expect("a turn");
                    let manifest = transaction.newest_manifest().await.expect("a manifest");
                    transaction.put_revision(manifest, "", "u").await.expect("nobody came between");
                    transaction.audit(&Entry::new(&Actor::system(), "x", "y")).await.expect("logged");
                    transaction.commit().await.expect("committed");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    assert_eq!(fixture.store.newest_revision().await.expect("a number"), 20);
    let verdict = fixture.store.verify_audit().await.expect("an answer");
    assert_eq!((verdict.entries, verdict.broken_at), (20, None));
}

pub(crate) async fn the_audit_log_is_chained_and_cannot_be_changed(fixture: Fixture) {
    let store = &fixture.store;
    for (user, target) in [("ann", "apis/a"), ("bob", "apis/a/stages/x"), ("ann", "apis/ab")] {
        let actor = Actor { user: user.to_owned(), ..Actor::default() };
        let mut transaction = store.begin().await.expect("a transaction");
        transaction.audit(&Entry::new(&actor, "api.update", target)).await.expect("logged");
        transaction.commit().await.expect("committed");
    }
    let verdict = store.verify_audit().await.expect("an answer");
    assert_eq!((verdict.entries, verdict.broken_at), (3, None));
    let below = store.audit(i64::MAX, "apis/a", "", 10).await.expect("entries");
    assert_eq!(below.iter().map(|logged| logged.sequence).collect::<Vec<_>>(), [2, 1]);
    let by_ann = store.audit(i64::MAX, "", "ann", 1).await.expect("entries");
    assert_eq!(by_ann.iter().map(|logged| logged.sequence).collect::<Vec<_>>(), [3]);
    let outside = sqlx::AnyPool::connect(&driver_url(&fixture.url)).await.expect("a connection");
    for statement in ["UPDATE audit SET entry = '{}' WHERE sequence = 2", "DELETE FROM audit"] {
        assert!(outside.execute(statement).await.is_err_and(|error| error.to_string().contains("never change")));
    }
    // Somebody with the rights of the tables' owner takes the guard away.
    let removals: &[&'static str] = if fixture.url.starts_with("sqlite") {
        &["DROP TRIGGER audit_no_update"]
    } else {
        &["DROP TRIGGER audit_no_change ON audit"]
    };
    for statement in removals {
        outside.execute(*statement).await.expect("dropped");
    }
    outside.execute("UPDATE audit SET entry = REPLACE(entry, 'bob', 'eve')").await.expect("changed");
    assert_eq!(store.verify_audit().await.expect("an answer").broken_at, Some(2));
}

pub(crate) async fn counters_grow(fixture: Fixture) {
    assert_eq!(fixture.store.counter("c").await.expect("a number"), 0);
    for want in 1..=2 {
        let mut transaction = fixture.store.begin().await.expect("a transaction");
        transaction.raise("c").await.expect("raised");
        transaction.commit().await.expect("committed");
        assert_eq!(fixture.store.counter("c").await.expect("a number"), want);
    }
}

pub(crate) async fn measurements_are_added_up(fixture: Fixture) {
    let side = Side { api: "a", stage: "s", trial: "t", arm: "canary" };
    let counts = |requests| Counts { requests, server_errors: 1, durations: vec![requests, 0, 2], ..Counts::default() };
    let mut transaction = fixture.store.begin().await.expect("a transaction");
    for (node, requests) in [("n1", 5), ("n1", 10), ("n2", 3)] {
        transaction.put_measured(node, &side, &counts(requests)).await.expect("kept");
    }
    transaction.commit().await.expect("committed");
    let sum = fixture.store.measured(&side).await.expect("a sum");
    assert_eq!(sum, Counts { requests: 13, client_errors: 0, server_errors: 2, durations: vec![13, 0, 4] });
    let mut transaction = fixture.store.begin().await.expect("a transaction");
    transaction.forget_measured("a", "s").await.expect("forgotten");
    transaction.commit().await.expect("committed");
    assert_eq!(fixture.store.measured(&side).await.expect("a sum"), Counts::default());
}

/// A store with a row in every table, and its backup.
async fn filled(fixture: &Fixture) -> Vec<u8> {
    let deployment =
        Deployment { document: json!({"api": "a"}), files: [("l.lua".to_owned(), "-- é\n".to_owned())].into() };
    let mut transaction = fixture.store.begin().await.expect("a transaction");
    for index in 0..600 {
        transaction.put(setting(&format!("s{index:04}"), index), Expect::Absent).await.expect("written");
    }
    transaction.put(token("t", "aa"), Expect::Absent).await.expect("written");
    let digest = deployment.digest().expect("JSON");
    transaction.put_deployment(&digest, "a", &deployment, "m", "u").await.expect("kept");
    transaction.put_revision(Manifest::default(), "c", "u").await.expect("made");
    transaction.audit(&Entry::new(&Actor::system(), "x", "y")).await.expect("logged");
    transaction.raise("c").await.expect("raised");
    transaction.commit().await.expect("committed");
    let mut backup = Vec::new();
    let rows = fixture.store.backup(&mut backup).await.expect("a backup");
    assert_eq!(rows, 605);
    backup
}

pub(crate) async fn a_backup_restores_everything(fixture: Fixture) {
    let backup = filled(&fixture).await;
    let folder = tempfile::tempdir().expect("a folder");
    let restored = Store::open(&format!("sqlite:{}/r.db", folder.path().display())).await.expect("a store");
    assert_eq!(restored.restore(&mut Cursor::new(&backup)).await.expect("restored"), 605);
    assert_eq!(value(&restored, "s0599").await, Some(599));
    assert_eq!(restored.find::<TokenRecord>("aa").await.expect("an answer").expect("found").record.id, "t");
    assert_eq!(restored.newest_revision().await.expect("a number"), 1);
    assert_eq!(restored.verify_audit().await.expect("an answer"), fixture.store.verify_audit().await.expect("one"));
    let mut again = Vec::new();
    restored.backup(&mut again).await.expect("a backup");
    assert!(again == backup, "a backup of what was restored is the same backup");
    let twice = restored.restore(&mut Cursor::new(&backup)).await;
    assert!(matches!(twice, Err(backup::Error::NotEmpty)));
}

pub(crate) async fn a_damaged_backup_is_refused(fixture: Fixture) {
    let backup = String::from_utf8(filled(&fixture).await).expect("text");
    let lines: Vec<&str> = backup.lines().collect();
    let without_end = lines[..lines.len() - 1].join("\n") + "\n";
    let without_a_row = [&lines[..5], &lines[6..]].concat().join("\n");
    let cases = [
        ("nothing", String::new()),
        ("another file", "{}\n".to_owned()),
        ("cut off", without_end),
        ("a row missing", without_a_row),
        ("changed", backup.replace("s0007", "s000x")),
    ];
    for (name, text) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&format!("sqlite:{}/r.db", folder.path().display())).await.expect("a store");
        assert!(store.restore(&mut Cursor::new(text)).await.is_err(), "{name}");
        assert_eq!(store.newest_revision().await.expect("a number"), 0, "{name}: nothing was kept");
    }
}

pub(crate) async fn the_tables_are_made_once(fixture: Fixture) {
    put(&fixture.store, setting("a", 1), Expect::Absent).await.expect("written");
    let again = Store::open(&fixture.url).await.expect("migrations that ran are not run again");
    assert_eq!(value(&again, "a").await, Some(1));
    assert!(Store::open("mysql://user:secret@host/x").await.is_err_and(|error| !error.to_string().contains("secret")));
}

/// The URL as the driver wants it, for looking at tables behind the store's back.
fn driver_url(url: &str) -> String {
    match url.strip_prefix("sqlite:") {
        Some(path) => format!("sqlite://{}", path.replace('%', "%25").replace(' ', "%20")),
        None => url.to_owned(),
    }
}
