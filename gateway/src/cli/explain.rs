//! `moongate explain E014`: what a code means.

use std::process::ExitCode;

use clap::Args;

use crate::explain;

#[derive(Args)]
pub(super) struct Arguments {
    /// The code, such as E014 or W101.
    code: String,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let code = arguments.code.trim().to_ascii_uppercase();
    let Some(text) = explain::code(&code) else {
        anyhow::bail!("there is no code `{code}`; codes stand in brackets behind `error` and `warning`");
    };
    println!("{code}\n\n{text}");
    Ok(ExitCode::SUCCESS)
}
