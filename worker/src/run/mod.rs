//! `weir run`: one job on this machine, from start to end.

mod before;
mod follow;
pub mod screen;
mod start;
pub(crate) mod stdout;
mod supervisor;
mod table;
pub(crate) mod terminal;
mod watch;

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use tokio::net::TcpListener;
use tokio::time::Instant;
use weir_connectors::print::{Console, Printed};
use weir_coordinator::Ending;
use weir_crds::StreamJob;
use weir_engine::graph::JobGraph;
use weir_page::words::grouped;
use weir_protocol::control::JobStatus;

use crate::cli::{Report, RunArgs};
use crate::exit;
use crate::load::{Loaded, load};
use crate::monitor::{self, Facts, Meter, Monitor, Watched};
use follow::Running;
use screen::{Ends, Screen, Totals};
pub(crate) use start::apply_spec;
use table::{Live, Tables};

/// Where a job's state is: the manifest's word, else the command line's.
#[must_use]
pub fn state_root(job: &StreamJob, asked: &str) -> String {
    job.spec.state.root.clone().unwrap_or_else(|| asked.to_owned())
}

/// Subtasks of a vertex that one worker takes. On one machine any number fits: workers are
/// processes, not machines, and threads are shared.
#[must_use]
pub fn slots(job: &StreamJob) -> u32 {
    job.spec.max_parallelism
}

/// Runs a job to its end; the exit code says how it ended.
///
/// # Errors
/// What is wrong with the manifest or its surroundings; nothing was started then.
pub async fn run(args: &RunArgs) -> anyhow::Result<u8> {
    let loaded = load(&args.manifest)?;
    let root = state_root(&loaded.job, &args.state);
    let store = before::open_state(&loaded.job, &root)?;
    if args.fresh {
        start::forget(&store, &loaded.name()).await?;
    }
    let newest = before::newest(&store, &loaded.job, &loaded.name(), &root).await?;
    if let Some(head) = newest
        && let Some(finished) = before::finished(&head, &loaded.planned.graph)
    {
        eprintln!("{}", finished.message);
        return Ok(if finished.same { exit::DONE } else { exit::REFUSED });
    }
    let mut screen = Screen::new(args.no_color || args.output == Report::Json);
    let ends = ends(&loaded.planned.graph);
    let page = open_page(args).await?;
    if args.output == Report::Text {
        screen.say(&header(&loaded, &root, page.as_ref()));
        for warning in &loaded.planned.warnings {
            screen.say(&format!("  warning: {warning}"));
        }
    }
    let tables = take_over_output(&screen, &loaded, args);
    let began = Instant::now();
    let name = loaded.name();
    let job = loaded.job;
    let graph = Arc::new(loaded.planned.graph);
    let facts = Facts::of(&job, &graph)
        .with_manifest(&args.manifest)
        .with_state_limit(args.memory.as_deref());
    // The page is on loopback: everybody with an account on this machine may see rows there.
    let watched =
        Watched { name: name.clone(), store: Arc::clone(&store), facts, shows_rows: true };
    let monitor = Monitor::new(&job, &graph, watched);
    if let Some(listener) = page {
        tokio::spawn(monitor::serve(listener, monitor.hub()));
    }
    let (coordinator, workers) = start::start(&job, &name, &graph, &store, args).await?;
    let watching = coordinator.clone();
    let watching = tokio::spawn(async move { monitor.follow(&watching).await });
    let json = args.output == Report::Json;
    let live = tables.clone().filter(|_| !loaded.planned.bounded);
    let mut running = Running { coordinator, workers, ends, json, meter: Meter::default(), live };
    let ending = running.follow(&args.manifest, job, &mut screen).await;
    screen.clear();
    // Only what happened at the end is waited for, and not when the job is left behind.
    if !matches!(ending, Ending::Stopped { .. }) {
        tokio::time::timeout(Duration::from_secs(2), watching).await.ok();
    }
    let status = running.coordinator.status();
    let totals = Totals::of(&status, &running.ends);
    if let Some(tables) = tables {
        print!("{}", tables.show(terminal::size()));
    }
    if running.json {
        eprintln!("{}", status_json(&status, &totals));
    }
    Ok(conclude(&ending, &totals, began.elapsed(), running.json))
}

/// On a terminal, printed rows and the progress line share the screen: rows of a job that ends are
/// a table at its end; those of a live one come above the line, or are a table that is redrawn where
/// they are corrected. Where output is piped, `print` has standard output for itself.
fn take_over_output(screen: &Screen, loaded: &Loaded, args: &RunArgs) -> Option<Arc<Tables>> {
    if !screen.is_live() || !terminal::is_shared() {
        return None;
    }
    // Rows of other processes come as lines.
    if args.workers.is_some() {
        loaded.printed.set(Arc::new(Above));
        return None;
    }
    let tables = Arc::new(Tables::default());
    let console: Arc<dyn Console> = match loaded.planned.bounded {
        true => tables.clone(),
        false => Arc::new(Live::new(loaded.planned.corrected.clone(), tables.clone())),
    };
    loaded.printed.set(console);
    Some(tables)
}

/// Printed rows, above the progress line.
pub(crate) struct Above;

impl Console for Above {
    fn rows(&self, printed: &Printed<'_>) -> Result<(), String> {
        terminal::above(|| {
            let mut out = std::io::stdout().lock();
            // A reader that has gone ends the job (`stdout::closed`).
            let _ = out.write_all(printed.lines).and_then(|()| out.flush());
        });
        Ok(())
    }
}

/// Where the page listens; none when it was not wanted, or is not to be had anywhere.
async fn open_page(args: &RunArgs) -> anyhow::Result<Option<TcpListener>> {
    if args.no_page {
        return Ok(None);
    }
    match (monitor::listen(args.page.as_deref()).await, &args.page) {
        (Ok(listener), _) => Ok(Some(listener)),
        (Err(error), Some(address)) => {
            bail!("--page {address}: the job's page cannot listen there: {error}")
        }
        (Err(error), None) => {
            tracing::warn!(%error, "the job's page is not served");
            Ok(None)
        }
    }
}

fn header(loaded: &Loaded, root: &str, page: Option<&TcpListener>) -> String {
    let place = root.trim_end_matches('/');
    let page = page.and_then(|page| page.local_addr().ok());
    let page = page.map_or_else(String::new, |at| format!("  page http://{at}"));
    format!(
        "{}  parallelism {}  state {place}/{}{page}\n\n{}",
        loaded.job.metadata.name,
        loaded.job.spec.parallelism,
        loaded.name(),
        weir_sql::explain::flow(&loaded.planned.graph)
    )
}

/// Operators whose counters are rows in and rows out.
pub(crate) fn ends(graph: &JobGraph) -> Ends {
    let mut ends = Ends::default();
    for (info, _) in graph.vertices.iter().flat_map(|v| &v.chain) {
        match info.kind {
            "source" => ends.sources.push(info.uid.0.clone()),
            "sink" => ends.sinks.push(info.uid.0.clone()),
            _ => {}
        }
    }
    ends
}

fn status_json(status: &JobStatus, totals: &Totals) -> String {
    serde_json::json!({
        "state": status.state().name(),
        "term": status.term,
        "parallelism": status.parallelism,
        "workers": status.workers,
        "restarts": status.restarts,
        "epoch": status.epoch,
        "checkpointBytes": status.checkpoint_bytes,
        "checkpointMs": status.checkpoint_ms,
        "failedAttempts": status.failed_attempts,
        "rowsIn": totals.rows_in,
        "rowsOut": totals.rows_out,
        "late": totals.late,
        "malformed": totals.malformed,
        "watermark": totals.watermark,
        "failure": status.failure,
    })
    .to_string()
}

fn conclude(ending: &Ending, totals: &Totals, took: Duration, json: bool) -> u8 {
    match ending {
        Ending::Finished => {
            if !json {
                eprintln!(
                    "finished in {:.1} s: {} rows in, {} out, {} late, {} malformed",
                    took.as_secs_f64(),
                    grouped(totals.rows_in),
                    grouped(totals.rows_out),
                    grouped(totals.late),
                    grouped(totals.malformed)
                );
            }
            exit::DONE
        }
        // A process on its own steps down only as it ends.
        Ending::Stopped { .. } | Ending::SteppedDown => exit::DONE,
        Ending::Failed(message) => {
            eprintln!("{message}");
            exit::FAILED
        }
        Ending::Fenced(message) => {
            eprintln!("{message}");
            exit::FENCED
        }
    }
}
