//! What people see of a job that this process coordinates, once a second: a snapshot for the page,
//! what happened for the ledger.
//!
//! Read-only, beside the job: nothing waits for it, and nothing here counts. It reads the status and
//! the report of the coordinator, which others read too.

mod ledger;
mod measure;
mod traced;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, timeout};
use weir_checkpoint::Store;
use weir_coordinator::CoordinatorHandle;
use weir_coordinator::master::Ending;
use weir_crds::StreamJob;
use weir_engine::env::Clock;
use weir_engine::graph::JobGraph;
use weir_page::traces::Exporter;
use weir_page::{Hub, Program};
use weir_protocol::JobName;
use weir_protocol::control::Look;

use crate::cluster::Known;
use ledger::Keeper;
pub(crate) use measure::{Facts, Meter};
use traced::Traced;

/// How often people see something new.
const EVERY: Duration = Duration::from_secs(1);
/// What happened at the end gets so long to be stored.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The job that is looked at; what of it never changes.
pub(crate) struct Watched {
    pub(crate) name: JobName,
    /// The folder of all jobs.
    pub(crate) store: Arc<dyn Store>,
    pub(crate) facts: Facts,
    /// Whether the page may show rows: they are data of the user's.
    pub(crate) shows_rows: bool,
}

/// Looks at a job for the page.
pub(crate) struct Monitor {
    hub: Arc<Hub>,
    watched: Watched,
    /// Where traces go, if anywhere.
    traces: Option<Exporter>,
}

impl Monitor {
    /// Nothing is looked at yet.
    pub(crate) fn new(job: &StreamJob, graph: &JobGraph, watched: Watched) -> Self {
        let operators = graph.vertices.iter().flat_map(|v| &v.chain);
        let details = operators.map(|(info, _)| {
            let mut details = info.details.clone();
            details
                .extend(info.nondeterministic.clone().map(|why| ("nondeterministic".into(), why)));
            (info.uid.0.clone(), details)
        });
        let sql = weir_engine::veil::hide(&job.spec.sql).into_owned();
        let program = Program {
            plan: weir_sql::explain::text(graph),
            details: details.collect(),
            places: watched.facts.places(&sql),
            shows_rows: watched.shows_rows,
            sql,
        };
        let traces = Exporter::from_env("weir").unwrap_or_else(|error| {
            tracing::warn!(error, "the job runs without traces");
            None
        });
        Self { hub: Hub::new(program), watched, traces }
    }

    /// What the page shows.
    pub(crate) fn hub(&self) -> Arc<Hub> {
        Arc::clone(&self.hub)
    }

    /// Looks at one coordinator until its work has ended, and once more then.
    pub(crate) async fn follow(&self, coordinator: &CoordinatorHandle) {
        let mut looking = Looking::new(&self.watched);
        let mut due = tokio::time::interval(EVERY);
        // Looks that were missed would see the same once more.
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let ending = tokio::select! {
                _ = due.tick() => None,
                ending = coordinator.ended() => Some(ending),
            };
            looking.look(&self.hub, coordinator, ending.as_ref(), self.traces.as_ref());
            if ending.is_some() {
                timeout(LAST_WORDS, looking.keeper.settle()).await.ok();
                return;
            }
        }
    }

    /// Looks at whichever coordinator this process has, for as long as the process lives.
    pub(crate) async fn keep(
        &self,
        coordinator: impl Fn() -> Option<CoordinatorHandle>,
        other: impl Fn() -> Known,
    ) {
        loop {
            match coordinator() {
                Some(handle) => {
                    self.follow(&handle).await;
                    // It stays to say how the job has ended, unless another takes the role.
                    while coordinator().is_some() {
                        tokio::time::sleep(EVERY).await;
                    }
                }
                None => {
                    let why = match other().address.as_str() {
                        "" => {
                            "this worker does not coordinate the job, and knows nobody who does yet"
                                .to_owned()
                        }
                        address => format!(
                            "the job is coordinated by another worker ({address}); `kubectl weir ui \
                             JOB` opens its page"
                        ),
                    };
                    self.hub.elsewhere(&why);
                    tokio::time::sleep(EVERY).await;
                }
            }
        }
    }
}

/// One coordinator, as seen so far.
struct Looking<'a> {
    facts: &'a Facts,
    meter: Meter,
    keeper: Keeper,
    traced: Traced,
    began_at_ms: u64,
    /// Lines of the log that the page has.
    lines: u64,
    /// What the coordinator knows that people look at.
    looks: Vec<weir_page::Look>,
}

impl<'a> Looking<'a> {
    fn new(watched: &'a Watched) -> Self {
        Self {
            facts: &watched.facts,
            meter: Meter::default(),
            keeper: Keeper::start(Arc::clone(&watched.store), &watched.name),
            traced: Traced::default(),
            began_at_ms: now_ms(),
            lines: 0,
            looks: Vec::new(),
        }
    }

    fn look(
        &mut self,
        hub: &Hub,
        coordinator: &CoordinatorHandle,
        ending: Option<&Ending>,
        traces: Option<&Exporter>,
    ) {
        let (report, checkpoints) = (coordinator.report(), coordinator.checkpoints());
        let Some(status) = &report.status else { return };
        self.meter.take(status);
        let now = now_ms();
        let (seen, lines) = crate::logging::since(self.lines);
        self.lines = seen;
        lines.iter().for_each(|line| hub.log(line));
        let mut snapshot =
            measure::snapshot(self.facts, &self.meter, (&report, status), &checkpoints, now);
        snapshot.job.began_at_ms = self.began_at_ms;
        snapshot.job.ending = ending.map(words).unwrap_or_default();
        self.show(hub, coordinator, now);
        hub.publish(snapshot, checkpoints.clone());
        if let Some(traces) = traces {
            traces.send(self.traced.news(self.facts, status, &checkpoints));
        }
        if let Some(ledger) = self.keeper.note(status, &checkpoints, ending, now) {
            hub.happened(ledger);
        }
    }
}

impl Looking<'_> {
    /// Has workers show what people look at, and people see what workers show.
    fn show(&mut self, hub: &Hub, coordinator: &CoordinatorHandle, now_ms: u64) {
        let looks = hub.looks();
        if looks != self.looks {
            let wanted =
                looks.iter().map(|look| Look { uid: look.uid.clone(), rows: look.rows }).collect();
            if coordinator.look(wanted) {
                self.looks.clone_from(&looks);
            }
        }
        if looks.is_empty() {
            return;
        }
        let shown = coordinator.shown();
        for look in &looks {
            if let Some(groups) = measure::key_groups(self.facts, &look.uid, &shown, now_ms) {
                hub.show_groups(groups);
            }
            if let Some(rows) = measure::newest_rows(&look.uid, &shown).filter(|_| look.rows) {
                hub.show_rows(rows);
            }
        }
    }
}

/// How the work has ended, in words.
fn words(ending: &Ending) -> String {
    match ending {
        Ending::Finished => "every source has ended and every result is written".to_owned(),
        Ending::Stopped { savepoint } if savepoint.is_empty() => String::new(),
        Ending::Stopped { savepoint } => format!("with savepoint {savepoint}"),
        Ending::Failed(message) | Ending::Fenced(message) => message.clone(),
        Ending::SteppedDown => "this process hands the job over".to_owned(),
    }
}

/// Milliseconds since 1970.
fn now_ms() -> u64 {
    u64::try_from(Clock::System.now_ms()).unwrap_or(0)
}

/// Where the page is looked for first: the next free port of these is taken.
const PORTS: std::ops::Range<u16> = 8081..8100;

/// A listener for the page: at the address asked for, or at the first port that is free.
///
/// # Errors
/// When the address asked for cannot be had, or is not this machine's alone.
pub(crate) async fn listen(asked: Option<&str>) -> std::io::Result<TcpListener> {
    if let Some(address) = asked {
        let listener = TcpListener::bind(address).await?;
        if !listener.local_addr()?.ip().is_loopback() {
            return Err(std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                "the page is for this machine alone; give an address such as 127.0.0.1:8081, and \
                 forward a port to it from elsewhere (ssh -L)",
            ));
        }
        return Ok(listener);
    }
    for port in PORTS {
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)).await {
            return Ok(listener);
        }
    }
    TcpListener::bind("127.0.0.1:0").await
}

/// Serves a page; without one the job runs as well.
pub(crate) async fn serve(listener: TcpListener, hub: Arc<Hub>) {
    if let Err(error) = weir_page::serve(listener, hub).await {
        tracing::warn!(%error, "the job's page is no longer served");
    }
}
