//! `moongate plugin digest` and `docs`: what a plugin's files are and say.

use std::process::ExitCode;

use anyhow::Context as _;
use moongate_plugins::Plugin;

use crate::cli::plugin::Named;
use crate::folder;
use crate::output;

/// The plugin of that name: the project's own before the bundled one.
fn find(named: &Named) -> anyhow::Result<Plugin> {
    let root = std::fs::canonicalize(&named.folder)
        .with_context(|| format!("the project's folder `{}`", named.folder.display()))?;
    let (sources, _) = folder::read(&root)?;
    let own = Plugin::in_project(&sources.files, &named.name)?;
    own.or_else(|| Plugin::bundled(&named.name)).with_context(|| {
        let bundled = moongate_plugins::bundled_names().collect::<Vec<_>>().join(", ");
        format!("there is no plugin `{}`; bundled are {bundled}", named.name)
    })
}

pub(super) fn digest(named: &Named) -> anyhow::Result<ExitCode> {
    output::line(&find(named)?.digest());
    Ok(ExitCode::SUCCESS)
}

pub(super) fn docs(named: &Named) -> anyhow::Result<ExitCode> {
    let plugin = find(named)?;
    let schema = serde_json::to_string_pretty(&plugin.schema)?;
    let readme =
        if plugin.readme.is_empty() { format!("# {}\n\n{}.\n", plugin.name, plugin.summary) } else { plugin.readme };
    output::line(&format!("{}\n\n## JSON Schema of the settings\n\n```json\n{schema}\n```", readme.trim_end()));
    Ok(ExitCode::SUCCESS)
}
