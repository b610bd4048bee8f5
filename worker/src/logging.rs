//! Logs: to standard error, quiet for people, JSON on request.

use tracing_subscriber::EnvFilter;

/// Starts logging; `WEIR_LOG` chooses levels (`info,weir_coordinator=debug`), `WEIR_LOG_FORMAT=json`
/// the form. Without it only warnings are shown.
pub(crate) fn start() {
    let filter = EnvFilter::try_from_env("WEIR_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let json = std::env::var("WEIR_LOG_FORMAT").is_ok_and(|format| format == "json");
    // A second start (in tests) keeps the first one's settings.
    let _ = if json { builder.json().try_init() } else { builder.with_target(false).try_init() };
}
