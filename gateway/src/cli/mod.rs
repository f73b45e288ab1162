//! The command line: one file per command.
//!
//! Exit codes: 0 done, 1 failed, 2 there is a difference, 64 wrong usage, 65 invalid configuration, 69 nobody answers,
//! 77 not allowed (as in BSD's `sysexits.h`).

mod dev;
mod explain;
mod export;
mod function;
mod import;
mod plugin;
mod policies;
mod remote;
mod routes;
mod run;
mod schema;
mod validate;
mod vtl;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

/// The configuration has errors.
const INVALID_CONFIGURATION: u8 = 65;
/// The command line is wrong.
const WRONG_USAGE: u8 = 64;

/// A self-hosted API gateway that people script in Lua.
#[derive(Parser)]
#[command(name = "moongate", version, about, max_term_width = 100, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a project on this machine and reload it whenever a file changes.
    Dev(dev::Arguments),
    /// Serve a project in production.
    #[command(visible_alias = "serve")]
    Run(run::Arguments),
    /// Check a project and say everything that is wrong with it.
    Validate(validate::Arguments),
    /// Bring an OpenAPI document, or an export of AWS API Gateway, into a project.
    Import(import::Arguments),
    /// Write an API as an OpenAPI document.
    Export(export::Arguments),
    /// List a project's routes, or take a request through one and show every stage.
    Routes(routes::Arguments),
    /// Print the JSON Schema of configuration documents.
    Schema,
    /// Make a function, or run one once.
    Function(function::Arguments),
    /// List the built-in policies, or print the manual of one.
    Policies(policies::Arguments),
    /// List Lua plugins, pin them, and read their manuals.
    #[command(subcommand)]
    Plugin(plugin::Command),
    /// Say what an error or warning code means.
    Explain(explain::Arguments),
    /// Translate mapping templates of AWS API Gateway, and check the translation.
    Vtl(vtl::Arguments),
    /// Apply a project's folder to a control plane.
    Apply(remote::apply::Apply),
    /// Compare a project's folder with what a control plane serves; exit code 2 when they differ.
    Diff(remote::apply::Diff),
    /// Deploy an API's draft to a stage, or to a share of its requests.
    Deploy(remote::deploy::Deploy),
    /// Put a stage back to what it ran before.
    Rollback(remote::deploy::Rollback),
    /// Follow, change, promote or roll back a canary.
    Canary(remote::canary::Arguments),
    /// List stages and what each runs.
    Stages(remote::show::Stages),
    /// List revisions, or say what one changed.
    Revisions(remote::show::Revisions),
    /// Make, list and revoke API keys.
    Keys(remote::keys::Arguments),
    /// Write everything that a control plane has into a folder, or print an API of it as OpenAPI.
    Pull(remote::pull::Arguments),
    /// Make, list and revoke tokens of the management API.
    Token(remote::token::Arguments),
    /// List the audit log, or verify it.
    Audit(remote::audit::Arguments),
    /// Write the whole store into a file.
    Backup(remote::backup::Backup),
    /// Put a backup into an empty store.
    Restore(remote::backup::Restore),
}

/// Parses the command line and runs the command.
pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let is_question = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // A closed pipe is nobody's fault.
            let _ = error.print();
            return if is_question { ExitCode::SUCCESS } else { ExitCode::from(WRONG_USAGE) };
        }
    };
    let outcome = match cli.command {
        Command::Dev(arguments) => dev::run(arguments),
        Command::Run(arguments) => run::run(arguments),
        Command::Validate(arguments) => validate::run(arguments),
        Command::Import(arguments) => import::run(arguments),
        Command::Export(arguments) => export::run(arguments),
        Command::Routes(arguments) => routes::run(arguments),
        Command::Schema => schema::run(),
        Command::Function(arguments) => function::run(arguments),
        Command::Policies(arguments) => policies::run(&arguments),
        Command::Plugin(command) => plugin::run(command),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Vtl(arguments) => vtl::run(&arguments),
        Command::Apply(arguments) => remote::ended(remote::apply::apply(&arguments)),
        Command::Diff(arguments) => remote::ended(remote::apply::diff(&arguments)),
        Command::Deploy(arguments) => remote::ended(remote::deploy::deploy(&arguments)),
        Command::Rollback(arguments) => remote::ended(remote::deploy::rollback(&arguments)),
        Command::Canary(arguments) => remote::ended(remote::canary::run(&arguments)),
        Command::Stages(arguments) => remote::ended(remote::show::stages(&arguments)),
        Command::Revisions(arguments) => remote::ended(remote::show::revisions(&arguments)),
        Command::Keys(arguments) => remote::ended(remote::keys::run(&arguments)),
        Command::Pull(arguments) => remote::ended(remote::pull::run(&arguments)),
        Command::Token(arguments) => remote::ended(remote::token::run(&arguments)),
        Command::Audit(arguments) => remote::ended(remote::audit::run(&arguments)),
        Command::Backup(arguments) => remote::backup::backup(&arguments),
        Command::Restore(arguments) => remote::backup::restore(&arguments),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("moongate: {error:#}");
        ExitCode::FAILURE
    })
}
