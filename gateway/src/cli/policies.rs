//! `moongate policies [NAME]`: which built-in policies there are, and the manual of one.

use std::process::ExitCode;

use clap::Args;
use moongate_policy::registry;

use crate::output;

#[derive(Args)]
pub(super) struct Arguments {
    /// A policy's name: prints its manual and the JSON Schema of its settings
    name: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Some(name) = &arguments.name else {
        for policy in registry::POLICIES {
            output::line(&format!("{:<12} {}", policy.name, policy.summary));
        }
        return Ok(ExitCode::SUCCESS);
    };
    let Some(policy) = registry::find(name) else {
        anyhow::bail!("there is no policy `{name}`; `moongate policies` lists them");
    };
    let schema = serde_json::to_string_pretty(&(policy.schema)())?;
    output::line(&format!("{}\n## JSON Schema of the settings\n\n{schema}", policy.readme));
    Ok(ExitCode::SUCCESS)
}
