//! `moongate backup` and `moongate restore`: the whole store as a file. They work on the database itself, whether or not a control plane runs.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use moongate_admin::store::Store;

use crate::output;

#[derive(Args)]
pub(crate) struct Backup {
    /// The file to write
    file: PathBuf,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
pub(crate) struct Restore {
    /// The file to read
    file: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// Which store.
#[derive(Args)]
struct Place {
    /// The store: `sqlite:FILE` or `postgres://USER:PASSWORD@HOST/DATABASE` [default: SQLite in .moongate]
    #[arg(long, env = "MOONGATE_STORE", value_name = "URL", hide_env_values = true)]
    store: Option<String>,
}

impl Place {
    fn url(&self) -> String {
        self.store.clone().unwrap_or_else(|| "sqlite:.moongate/store.db".to_owned())
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

pub(crate) fn backup(arguments: &Backup) -> anyhow::Result<ExitCode> {
    let url = arguments.place.url();
    // Opening makes a store where there is none: backing that up would be a backup of nothing.
    if let Some(path) = url.strip_prefix("sqlite:") {
        anyhow::ensure!(std::path::Path::new(path).exists(), "there is no store at `{path}`");
    }
    let draft = arguments.file.with_extension("part");
    let file = File::create(&draft).with_context(|| format!("`{}` cannot be written", draft.display()))?;
    let rows = runtime()?.block_on(async {
        let store = Store::open(&url).await?;
        let mut out = BufWriter::new(file);
        let rows = store.backup(&mut out).await?;
        out.into_inner().map_err(|error| error.into_error())?.sync_all()?;
        store.close().await;
        anyhow::Ok(rows)
    })?;
    std::fs::rename(&draft, &arguments.file)?;
    output::line(&format!("{rows} rows in {}", arguments.file.display()));
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn restore(arguments: &Restore) -> anyhow::Result<ExitCode> {
    let file = File::open(&arguments.file).with_context(|| format!("`{}` cannot be read", arguments.file.display()))?;
    let url = arguments.place.url();
    if let Some(folder) = url.strip_prefix("sqlite:").and_then(|path| std::path::Path::new(path).parent()) {
        std::fs::create_dir_all(folder)?;
    }
    let rows = runtime()?.block_on(async {
        let store = Store::open(&url).await?;
        let rows = store.restore(&mut BufReader::new(file)).await?;
        store.close().await;
        anyhow::Ok(rows)
    })?;
    output::line(&format!("{rows} rows restored"));
    Ok(ExitCode::SUCCESS)
}
