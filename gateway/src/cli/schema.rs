//! `moongate schema`: the JSON Schema that editors complete and check documents with.

use std::io::Write as _;
use std::process::ExitCode;

pub(super) fn run() -> anyhow::Result<ExitCode> {
    let text = serde_json::to_string_pretty(&moongate_config::schema::json_schema())?;
    // A closed pipe is nobody's fault.
    let _ = writeln!(std::io::stdout(), "{text}");
    Ok(ExitCode::SUCCESS)
}
