//! A job while it runs: progress is shown, edits and Ctrl-C are obeyed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use weir_coordinator::{CoordinatorHandle, Ending};
use weir_crds::StreamJob;
use weir_page::words::{bytes, clock_time, event_time};
use weir_protocol::control::{OperationKind, OperationReport};

use super::screen::{Ends, Screen, Totals};
use super::start::Workers;
use super::supervisor::WorkerEvent;
use super::table::Tables;
use super::watch::{self, Edit};
use super::{status_json, stdout, terminal};
use crate::exit;
use crate::monitor::Meter;

/// How often progress is shown.
const REDRAW: Duration = Duration::from_millis(200);

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

/// A job that runs.
pub(super) struct Running {
    pub(super) coordinator: CoordinatorHandle,
    pub(super) workers: Workers,
    pub(super) ends: Ends,
    pub(super) json: bool,
    pub(super) meter: Meter,
    /// Rows that are redrawn.
    pub(super) live: Option<Arc<Tables>>,
}

impl Running {
    /// Shows progress and obeys edits and Ctrl-C until the job has ended.
    pub(super) async fn follow(
        &mut self,
        manifest: &Path,
        job: StreamJob,
        screen: &mut Screen,
    ) -> Ending {
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
        let picture = self.live.as_ref().map(|tables| tables.picture(terminal::size()));
        screen.draw(&status, &totals, self.meter.out_rate(&status, &self.ends.sources), picture);
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
