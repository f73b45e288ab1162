//! `moongate vtl`: templates of AWS API Gateway as Lua, and whether the translation does what the original does.

mod check;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use moongate_vtl::{Content, Template, Translation};

use crate::cli::INVALID_CONFIGURATION;
use crate::output;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the Lua script that a template becomes when it is imported
    Translate {
        /// The template
        file: PathBuf,
    },
    /// Render a template and its translation on sample inputs, and show any difference
    Check {
        /// The template
        file: PathBuf,
        /// A JSON file with a sample, or a list of them: `body`, `path`, `querystring`, `header`, `context`, `stageVariables`
        #[arg(long, value_name = "FILE")]
        input: Option<PathBuf>,
        /// Treat it as a template of a response
        #[arg(long)]
        response: bool,
        /// Print what the template renders, too
        #[arg(long)]
        print: bool,
    },
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::Translate { file } => {
            let Some((_, translation)) = read(file)? else { return Ok(ExitCode::from(INVALID_CONFIGURATION)) };
            match translation.content {
                Content::Lua(script) => print!("{script}"),
                Content::Text(text) => {
                    eprintln!("{}: nothing in it is carried out; it is used as the text it is", file.display());
                    print!("{text}");
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Check { file, input, response, print } => {
            let Some((template, translation)) = read(file)? else { return Ok(ExitCode::from(INVALID_CONFIGURATION)) };
            let samples = match input {
                Some(input) => check::read_samples(input)?,
                None => check::own_samples(),
            };
            check::run(&template, &translation, &samples, *response, *print)
        }
    }
}

/// Reads and translates a template. What is wrong with it is said, and `None` answered.
fn read(file: &Path) -> anyhow::Result<Option<(Template, Translation)>> {
    let name = file.display();
    let text = std::fs::read(file).with_context(|| format!("the template `{name}`"))?;
    let text = String::from_utf8(text).with_context(|| format!("the template `{name}`"))?;
    let template = match moongate_vtl::parse(&text) {
        Ok(template) => template,
        Err(error) => {
            eprintln!("error: {name}:{}: {}", error.line, error.what);
            return Ok(None);
        }
    };
    match moongate_vtl::translate(&template) {
        Ok(translation) => {
            for note in &translation.notes {
                eprintln!("warning: {name}:{}: {}", note.line, note.what);
            }
            Ok(Some((template, translation)))
        }
        Err(problems) => {
            for problem in problems {
                eprintln!("error: {name}:{}: cannot be translated: {}", problem.line, problem.what);
            }
            Ok(None)
        }
    }
}

/// Prints a line.
fn say(text: &str) {
    output::line(text);
}
