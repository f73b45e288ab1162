//! Runs every promise on each database.

use std::future::Future;

use moongate_admin_store::Store;
use tempfile::TempDir;

use crate::{postgres, rows};

/// A store that a test may fill, and its URL for a second process's view.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) url: String,
    _folder: TempDir,
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

async fn open(url: String, folder: TempDir) -> Fixture {
    let store = Store::open(&url).await.expect("a store");
    Fixture { store, url, _folder: folder }
}

fn on_sqlite<F: Future<Output = ()>>(test: impl Fn(Fixture) -> F) {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}/a b%.db", folder.path().display());
    block_on(async { test(open(url, folder).await).await });
}

fn on_postgres<F: Future<Output = ()>>(test: impl Fn(Fixture) -> F) {
    let Some(url) = postgres::database() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    block_on(async { test(open(url, folder).await).await });
}

macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test] fn $name() { super::on_sqlite(super::rows::$name); })+
        }
        mod postgresql {
            $(#[test] fn $name() { super::on_postgres(super::rows::$name); })+
        }
    };
}

on_both!(
    a_record_is_written_read_and_removed,
    the_second_of_two_writers_gets_a_conflict,
    lists_come_in_pages_in_the_order_of_their_bytes,
    a_hash_finds_its_record_and_is_unique,
    a_dropped_transaction_leaves_nothing,
    deployments_never_change,
    revisions_are_numbered_without_gaps,
    writers_take_turns,
    the_audit_log_is_chained_and_cannot_be_changed,
    counters_grow,
    measurements_are_added_up,
    a_backup_restores_everything,
    a_damaged_backup_is_refused,
    the_tables_are_made_once,
);
