//! Messages of the process: `tracing` to standard error, and Pingora's `log` records with it.

use tracing_subscriber::EnvFilter;

use crate::output;
use crate::settings::Output;

/// What is shown unless `MOONGATE_LOG` says otherwise. Pingora tells of every service that starts and of every TLS handshake that a
/// scanner breaks off: neither is news.
const DEFAULT: &str = "info,pingora_core=off,notify=off";

/// Starts printing messages. Call once.
pub(crate) fn start(output: Output) {
    let filter = EnvFilter::try_from_env("MOONGATE_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(output::has_color());
    // A second start (in tests) keeps the first.
    let _ = match output {
        Output::Text => subscriber.compact().try_init(),
        Output::Json => subscriber.json().try_init(),
    };
}
