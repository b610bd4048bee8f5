//! `weir run`: one job on this machine, from start to end.

mod before;
pub mod screen;
mod stdout;
mod supervisor;
mod table;
pub(crate) mod terminal;
mod watch;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Instant;
use weir_checkpoint::steps::Steps;
use weir_checkpoint::store::Store;
use weir_checkpoint::{Chain, ChainOptions, Nonces};
use weir_connectors::print::{self, Console, Printed};
use weir_coordinator::{
    Coordinator, CoordinatorConfig, CoordinatorHandle, Ending, MasterConfig, Member, MemberConfig,
    grpc,
};
use weir_crds::StreamJob;
use weir_engine::graph::JobGraph;
use weir_page::words::{bytes, clock_time, event_time, grouped};
use weir_protocol::control::{JobStatus, OperationKind, OperationReport};
use weir_protocol::{JobName, WorkerId};

use crate::cli::{Report, RunArgs};
use crate::exit;
use crate::host::EngineHost;
use crate::load::{Loaded, load};
use crate::monitor::{self, Facts, Meter, Monitor, Watched};
use crate::segments::open_cache;
use screen::{Ends, Screen, Totals};
use supervisor::{Supervisor, WorkerCommand, WorkerEvent};
use table::Tables;
use watch::Edit;

/// How often progress is shown.
const REDRAW: Duration = Duration::from_millis(200);

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
        forget(&store, &loaded.name()).await?;
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
    let watched = Watched { name: name.clone(), store: Arc::clone(&store), facts };
    let monitor = Monitor::new(&job, &graph, watched);
    if let Some(listener) = page {
        tokio::spawn(monitor::serve(listener, monitor.hub()));
    }
    let config = coordinator_config(&job, name.clone(), args);
    let (coordinator, workers) = match args.workers {
        None => {
            let handle = Coordinator::start(config, Arc::clone(&graph), Arc::clone(&store));
            let member = in_process(&job, &name, &graph, &store, args)?;
            let attachments = handle.attachments();
            tokio::spawn(async move { member.run(&attachments).await });
            (handle, Workers { _supervisor: None, events: None })
        }
        Some(n) => with_workers(config, &graph, &store, args, n).await?,
    };
    let watching = coordinator.clone();
    let watching = tokio::spawn(async move { monitor.follow(&watching).await });
    let json = args.output == Report::Json;
    let mut running = Running { coordinator, workers, ends, json, meter: Meter::default() };
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
/// a table at its end, those of a live one come above the line. Where output is piped, `print` has
/// standard output for itself.
fn take_over_output(screen: &Screen, loaded: &Loaded, args: &RunArgs) -> Option<Arc<Tables>> {
    if !screen.is_live() || !terminal::is_shared() {
        return None;
    }
    // Rows of other processes come as lines.
    if loaded.planned.bounded && args.workers.is_none() {
        let tables = Arc::new(Tables::default());
        print::take_over(Arc::clone(&tables) as Arc<dyn Console>);
        return Some(tables);
    }
    print::take_over(Arc::new(Above));
    None
}

/// Printed rows, above the progress line.
struct Above;

impl Console for Above {
    fn rows(&self, printed: &Printed<'_>) {
        terminal::above(|| {
            let mut out = std::io::stdout().lock();
            // A reader that has gone ends the job (`stdout::closed`).
            let _ = out.write_all(printed.lines).and_then(|()| out.flush());
        });
    }
}

struct Workers {
    _supervisor: Option<Supervisor>,
    events: Option<mpsc::Receiver<WorkerEvent>>,
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
fn ends(graph: &JobGraph) -> Ends {
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

fn coordinator_config(job: &StreamJob, name: JobName, args: &RunArgs) -> CoordinatorConfig {
    let mut master = MasterConfig::new(name, job.spec.parallelism);
    apply_spec(&mut master, job, args.retries);
    let mut config = CoordinatorConfig::new(master);
    config.chain = ChainOptions {
        retained: job.spec.state.checkpoint.retained as usize,
        ..ChainOptions::default()
    };
    config
}

/// What a manifest says about checkpoints and restarts; after `retries` errors of the user's in a
/// row the job fails for good, 0: never.
pub(crate) fn apply_spec(master: &mut MasterConfig, job: &StreamJob, retries: u32) {
    let spec = &job.spec;
    master.checkpoint_interval_ms = spec.state.checkpoint.interval.as_millis() as u64;
    master.checkpoint_timeout_ms = spec.state.checkpoint.timeout.as_millis() as u64;
    master.allow_dropped_state.clone_from(&spec.state.allow_dropped_state);
    master.restart.initial_ms = spec.restart.backoff.initial.as_millis() as u64;
    master.restart.max_ms = spec.restart.backoff.max.as_millis() as u64;
    master.restart.reset_after_ms = spec.restart.reset_after.as_millis() as u64;
    master.restart.max_user_errors = (retries > 0).then_some(retries);
}

fn in_process(
    job: &StreamJob,
    name: &JobName,
    graph: &Arc<JobGraph>,
    store: &Arc<dyn Store>,
    args: &RunArgs,
) -> anyhow::Result<Member> {
    let chain = Chain::attach(Arc::clone(store), name, ChainOptions::default());
    let config = MemberConfig {
        worker: WorkerId(0),
        incarnation: uuid::Uuid::new_v4().to_string(),
        exchange_address: String::new(),
        control_address: String::new(),
        slots: slots(job),
        nonces: Nonces::random(),
        steps: Steps::none(),
    };
    let host = Arc::new(EngineHost::start(None, args.memory.as_deref())?);
    let cache = open_cache(&state_root(job, &args.state), None, args.memory.as_deref());
    Ok(Member::new(config, Arc::clone(graph), host, Arc::clone(chain.store())).with_cache(cache))
}

async fn with_workers(
    mut config: CoordinatorConfig,
    graph: &Arc<JobGraph>,
    store: &Arc<dyn Store>,
    args: &RunArgs,
    workers: u32,
) -> anyhow::Result<(CoordinatorHandle, Workers)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on loopback")?;
    let address = listener.local_addr()?.to_string();
    config.address.clone_from(&address);
    config.master.least_workers = workers;
    let handle = Coordinator::start(config, Arc::clone(graph), Arc::clone(store));
    let serving = handle.clone();
    tokio::spawn(async move {
        if let Err(error) = grpc::serve(listener, serving).await {
            tracing::error!(%error, "the control service has ended");
        }
    });
    let manifest = args.manifest.to_str().context("the manifest's path is not UTF-8")?;
    let mut worker_args = vec!["worker".to_owned(), manifest.to_owned()];
    for (flag, value) in [
        ("--workers", workers.to_string()),
        ("--coordinator", address),
        ("--state", args.state.clone()),
    ] {
        worker_args.extend([flag.to_owned(), value]);
    }
    if let Some(memory) = &args.memory {
        worker_args.extend(["--memory".to_owned(), memory.clone()]);
    }
    let command = WorkerCommand { program: program()?, args: worker_args };
    let shares = terminal::is_shared() && !args.no_color && args.output == Report::Text;
    let (supervisor, events) =
        Supervisor::start(&command, workers, shares).context("cannot start worker processes")?;
    Ok((handle, Workers { _supervisor: Some(supervisor), events: Some(events) }))
}

fn program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("cannot find the weir program itself")
}

/// Deletes a job's folder: `--fresh`.
async fn forget(store: &Arc<dyn Store>, job: &JobName) -> anyhow::Result<()> {
    let names = store.list(job.as_str(), None).await?;
    for name in names {
        store.delete(&name).await?;
    }
    if !store.list(job.as_str(), None).await?.is_empty() {
        bail!(
            "{}: the state of {job} is still being written; stop the job that writes it",
            store.address()
        );
    }
    Ok(())
}

/// What has been said of a running job.
#[derive(Default)]
struct Said {
    /// Number of the last operation.
    operation: u64,
    restarts: u64,
    /// Checkpoints fail.
    has_problem: bool,
    /// When a problem was last told.
    at: Option<Instant>,
}

/// A problem that stays is told again after so long: a terminal scrolls.
const TOLD_AGAIN_AFTER: Duration = Duration::from_secs(60);

impl Said {
    /// What to say of checkpoints that fail, at once and again from time to time; and that they
    /// work again. `newest_ms` is when the last one was published, since 1970; 0 for none.
    fn problem(&mut self, problem: &str, newest_ms: u64) -> Option<String> {
        if problem.is_empty() {
            let over = std::mem::take(&mut self.has_problem);
            self.at = None;
            return over.then(|| "  checkpoints are published again".to_owned());
        }
        if self.at.is_some_and(|at| at.elapsed() < TOLD_AGAIN_AFTER) {
            return None;
        }
        (self.has_problem, self.at) = (true, Some(Instant::now()));
        let since = match i64::try_from(newest_ms) {
            Ok(ms) if ms > 0 => format!(" since {} UTC", clock_time(ms)),
            _ => String::new(),
        };
        Some(format!("  no checkpoint{since}: {problem}"))
    }
}

struct Running {
    coordinator: CoordinatorHandle,
    workers: Workers,
    ends: Ends,
    json: bool,
    meter: Meter,
}

impl Running {
    /// Shows progress and obeys edits and Ctrl-C until the job has ended.
    async fn follow(&mut self, manifest: &Path, job: StreamJob, screen: &mut Screen) -> Ending {
        let (edits, mut edited) = mpsc::channel(8);
        let path = manifest.to_path_buf();
        let watching = tokio::spawn(async move { watch::follow(&path, job, edits).await });
        let mut redraw = tokio::time::interval(REDRAW);
        let coordinator = self.coordinator.clone();
        let mut said = Said::default();
        let ending = loop {
            tokio::select! {
                ending = coordinator.ended() => break ending,
                _ = redraw.tick() => self.show(screen, &mut said),
                Some(edit) = edited.recv() => self.edit(edit, screen),
                event = next_event(&mut self.workers.events) => {
                    if let Some(ending) = worker_event(event, screen) {
                        // The coordinator knows best why its workers ended; give it a moment.
                        let patience = Duration::from_secs(5);
                        break tokio::time::timeout(patience, coordinator.ended()).await.unwrap_or(ending);
                    }
                }
                _ = tokio::signal::ctrl_c() => break self.stop(screen).await,
                () = stdout::closed() => {
                    coordinator.step_down().await;
                    screen.say("nobody reads standard output any more: stopped; run it again to go on from the newest checkpoint");
                    break Ending::Stopped { savepoint: String::new() };
                }
            }
        };
        self.show(screen, &mut said);
        watching.abort();
        ending
    }

    /// Draws progress, and says what has happened since the last time.
    fn show(&mut self, screen: &mut Screen, said: &mut Said) {
        let status = self.coordinator.status();
        self.meter.take(&status);
        let totals = Totals::of(&status, &self.ends);
        if self.json {
            eprintln!("{}", status_json(&status, &totals));
            return;
        }
        if status.restarts > said.restarts && !status.failure.is_empty() {
            screen.say(&format!("  restarting: {}", status.failure));
        }
        said.restarts = status.restarts;
        let report = self.coordinator.report();
        if let Some(problem) = said.problem(&report.checkpoint_problem, report.checkpoint_at_ms) {
            screen.say(&problem);
        }
        for operation in status.operations.iter().filter(|o| o.number > said.operation) {
            screen.say(&format!("  {} {}", ended(operation), operation.message));
        }
        if let Some(newest) = status.operations.last() {
            said.operation = newest.number;
        }
        screen.draw(&status, &totals, self.meter.out_rate(&status, &self.ends.sources));
    }

    fn edit(&self, edit: Edit, screen: &mut Screen) {
        match edit {
            Edit::Say(text) => screen.say(&format!("  {text}")),
            Edit::Rescale(parallelism) => {
                let coordinator = self.coordinator.clone();
                // What came of it is shown as an operation; a refusal only here.
                tokio::spawn(async move {
                    if let Err(why) = coordinator.rescale(parallelism).await {
                        terminal::above(|| eprintln!("  not rescaled: {why}"));
                    }
                });
            }
        }
    }

    /// Ctrl-C: a savepoint, then the end; a second Ctrl-C ends at once, and loses nothing
    /// either, since the newest checkpoint stays.
    async fn stop(&self, screen: &mut Screen) -> Ending {
        screen.say("^C stopping with a savepoint …");
        let name = format!("stop-{}", weir_engine::env::Clock::System.now_ms());
        let saving = async {
            let saved = self.coordinator.savepoint(&name, true).await;
            // Until then the chain is being told what of the output is committed.
            match &saved {
                Ok(_) => drop(self.coordinator.ended().await),
                Err(_) => self.coordinator.step_down().await,
            }
            saved
        };
        tokio::select! {
            saved = saving => match saved {
                Ok(saved) => {
                    screen.say(&format!(
                        "saved at event time {} (epoch {}, {})\n  run it again to go on from there; `--fresh` starts over",
                        saved.watermark.map_or_else(|| "-".to_owned(), event_time),
                        saved.epoch,
                        bytes(saved.info.bytes)
                    ));
                    Ending::Stopped { savepoint: saved.info.path }
                }
                Err(why) => {
                    screen.say(&format!("no savepoint: {why}\n  run it again to go on from the newest checkpoint"));
                    Ending::Stopped { savepoint: String::new() }
                }
            },
            _ = tokio::signal::ctrl_c() => {
                screen.say("stopped at once; run it again to go on from the newest checkpoint");
                Ending::Stopped { savepoint: String::new() }
            }
        }
    }
}

async fn next_event(events: &mut Option<mpsc::Receiver<WorkerEvent>>) -> WorkerEvent {
    let received = match events {
        Some(events) => events.recv().await,
        None => None,
    };
    match received {
        Some(event) => event,
        None => std::future::pending().await,
    }
}

/// Says what happened to a worker; an ending when the job cannot go on without it.
fn worker_event(event: WorkerEvent, screen: &mut Screen) -> Option<Ending> {
    match event {
        WorkerEvent::Restarted { ordinal, status } => {
            screen.say(&format!("  worker {ordinal} ended ({status}) and was started again"));
            None
        }
        WorkerEvent::Ended { code: exit::DONE, .. } => None,
        WorkerEvent::Ended { ordinal, code } => Some(Ending::Failed(format!(
            "worker {ordinal} ended with code {code}; its message is above"
        ))),
    }
}

/// What became of an operation, in front of its message.
fn ended(operation: &OperationReport) -> String {
    let kind = operation.kind();
    if operation.refused().is_some() {
        return format!("{} refused:", kind.name().to_lowercase());
    }
    let word = match kind {
        OperationKind::Rescale => "rescaled",
        OperationKind::Savepoint => "savepoint",
        OperationKind::Stop => "stopped",
        OperationKind::Drain => "drained",
        OperationKind::Recovery => "recovered",
        OperationKind::Unspecified => "done:",
    };
    word.to_owned()
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
