//! What the process says about itself: for people, or a JSON object per line for programs.

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use moongate_config::issue::render::{Report, render, reports};
use moongate_config::{Issue, Sources};
use moongate_proxy::Addresses;
use serde::Serialize;

use crate::explain;
use crate::follow::{Change, Loaded};
use crate::settings::Output;

/// An event for programs.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event {
    Listening {
        api: String,
        api_tls: Option<String>,
        health: String,
        admin: Option<String>,
    },
    /// The management API is ready; the token is the first administrator's, shown this once.
    Admin {
        url: String,
        token: Option<String>,
    },
    Reloaded {
        revision: u64,
        ms: f64,
        issues: Vec<Report>,
    },
    ReloadFailed {
        ms: f64,
        issues: Vec<Report>,
    },
}

/// Prints messages in one form.
#[derive(Clone, Copy)]
pub(crate) struct Printer {
    form: Output,
    color: bool,
}

impl Printer {
    /// A printer for a form.
    pub(crate) fn new(form: Output) -> Self {
        Self { form, color: has_color() }
    }

    /// Prints problems.
    pub(crate) fn issues(self, issues: &[Issue], sources: &Sources) {
        if !issues.is_empty() {
            eprint!("{}", render(issues, sources, self.color));
        }
    }

    /// Says that all listeners accept.
    pub(crate) fn listening(self, addresses: Addresses, admin: Option<SocketAddr>) {
        if self.form == Output::Json {
            let api_tls = addresses.https.map(|address| address.to_string());
            let admin = admin.map(|address| address.to_string());
            event(&Event::Listening {
                api: addresses.http.to_string(),
                api_tls,
                health: addresses.health.to_string(),
                admin,
            });
        }
    }

    /// Says that the management API is ready.
    pub(crate) fn admin(self, url: &str, token: Option<String>) {
        if self.form == Output::Json {
            event(&Event::Admin { url: url.to_owned(), token });
        } else if let Some(token) = token {
            line(&format!("  Token    {token}   (the first administrator's, shown once)\n"));
        }
    }

    /// Says what became of a change of the project.
    pub(crate) fn change(self, change: &Change<'_>) {
        match change {
            Change::Published(revision, loaded) => self.published(*revision, loaded),
            Change::Refused(loaded) => self.refused(loaded),
            Change::Failed(error) => {
                tracing::error!(%error, "the project's folder cannot be read, still serving the last good configuration");
            }
        }
    }

    fn published(self, revision: u64, loaded: &Loaded) {
        if self.form == Output::Json {
            return event(&Event::Reloaded {
                revision,
                ms: millis(loaded.took),
                issues: reports(&loaded.issues, loaded.sources()),
            });
        }
        let size = loaded.size;
        line(&format!("reloaded in {:.0} ms: {} routes, {} scripts", millis(loaded.took), size.routes, size.scripts));
        self.issues(&loaded.issues, loaded.sources());
    }

    fn refused(self, loaded: &Loaded) {
        if self.form == Output::Json {
            return event(&Event::ReloadFailed {
                ms: millis(loaded.took),
                issues: reports(&loaded.issues, loaded.sources()),
            });
        }
        line(&format!("not loaded ({}), still serving the last good configuration", explain::count(&loaded.issues)));
        self.issues(&loaded.issues, loaded.sources());
    }
}

/// Whether messages on standard error have colours: on terminals only, and never where `NO_COLOR` is set.
pub(crate) fn has_color() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn event(event: &Event) {
    line(&serde_json::to_string(event).unwrap_or_default());
}

/// A line on standard output, whole even when other threads print.
pub(crate) fn line(text: &str) {
    // A closed pipe is nobody's fault.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}
