//! Runs the jobs of a session in this process. Their state lives as long as they do.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use weir_checkpoint::SegmentCache;
use weir_checkpoint::store::{Store, StoreOptions, open};
use weir_coordinator::{CoordinatorConfig, CoordinatorHandle, Ending, MasterConfig};
use weir_protocol::JobName;
use weir_protocol::control::JobStatus;
use weir_sql::Planned;

use super::stdio::Inbox;
use crate::host::EngineHost;
use crate::local;
use crate::monitor::Meter;
use crate::rows::results::Results;
use crate::run::screen::{Ends, Screen, Totals, progress};
use crate::run::{ends, stdout, terminal};

/// How often progress is shown.
pub(super) const REDRAW: Duration = Duration::from_millis(100);
/// From one checkpoint to the next: output of tables becomes visible with it.
const CHECKPOINT_MS: u64 = 2_000;

/// See the module.
pub(super) struct Engine {
    host: Option<Arc<EngineHost>>,
    memory: Option<String>,
    folder: PathBuf,
    jobs: u64,
}

/// How a job has ended.
pub(super) enum Ended {
    /// It has read everything; that many rows were written.
    Finished(u64),
    /// Ctrl-C, behind a savepoint: what was read until then is written.
    Stopped,
    /// Ctrl-C at once: what was read until the last checkpoint is written.
    LeftOff,
    /// It cannot go on.
    Failed(String),
    /// Nobody reads standard output any more.
    Unread,
}

impl Engine {
    pub(super) fn new(memory: Option<&str>) -> Self {
        let folder = std::env::temp_dir().join(format!("weir-sql-{}", uuid::Uuid::new_v4()));
        Self { host: None, memory: memory.map(str::to_owned), folder, jobs: 0 }
    }

    /// The name of the next job: no other job of anybody has it.
    pub(super) fn next_job(&mut self) -> String {
        self.jobs += 1;
        let folder = self.folder.file_name().unwrap_or_default().to_string_lossy();
        format!("{folder}/{}", self.jobs)
    }

    /// Starts a job; `writes`: what it has written when it is ended counts.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(
        &mut self,
        job: &str,
        planned: Planned,
        parallelism: u32,
        writes: bool,
    ) -> anyhow::Result<Running> {
        let host = match &self.host {
            Some(host) => Arc::clone(host),
            None => {
                let host = Arc::new(EngineHost::start(None, self.memory.as_deref())?);
                self.host = Some(Arc::clone(&host));
                host
            }
        };
        let place = self.folder.to_string_lossy().into_owned();
        let store: Arc<dyn Store> = open(&place, &StoreOptions::default())
            .with_context(|| format!("no state can be kept in {place}; set TMPDIR"))?;
        let graph = Arc::new(planned.graph);
        let ends = ends(&graph);
        let mut master = MasterConfig::new(JobName(job.to_owned()), parallelism);
        master.checkpoint_interval_ms = CHECKPOINT_MS;
        master.restart.max_user_errors = Some(1);
        // Rows that were shown cannot be shown once more.
        master.restart.once = !writes;
        let slots = graph.max_parallelism;
        let config = CoordinatorConfig::new(master);
        let handle = local::start(config, &graph, &store, &host, SegmentCache::none(), slots);
        let folder = self.folder.join(job);
        Ok(Running { handle, ends, folder, writes, meter: Meter::default() })
    }
}

/// A job that was started.
pub(super) struct Running {
    handle: CoordinatorHandle,
    ends: Ends,
    folder: PathBuf,
    writes: bool,
    meter: Meter,
}

impl Running {
    /// Follows a job to its end, or until Ctrl-C. Where it writes, what it wrote until then counts.
    pub(super) async fn watched(mut self, results: Option<&Results>, screen: &mut Screen) -> Ended {
        let mut redraw = tokio::time::interval(REDRAW);
        let ending = loop {
            tokio::select! {
                ending = self.handle.ended() => break ending,
                _ = redraw.tick() => {
                    let picture = results.and_then(|results| results.picture(terminal::size()));
                    self.draw(screen, picture);
                    if let Some(results) = results {
                        results.tick();
                    }
                }
                () = ctrl_c() => break stop(&self.handle, self.writes, ctrl_c()).await,
                () = stdout::closed() => {
                    stop(&self.handle, self.writes, ctrl_c()).await;
                    screen.clear();
                    return Ended::Unread;
                }
            }
        };
        screen.clear();
        self.over(ending).await
    }

    /// Follows a job to its end, until another program interrupts it, or until `enough` says so of
    /// the line that tells how far it is. Where it writes, what it wrote until then counts.
    pub(super) async fn asked(
        mut self,
        inbox: &mut Inbox,
        mut enough: impl FnMut(&str) -> bool,
    ) -> Ended {
        let mut redraw = tokio::time::interval(REDRAW);
        let ending = loop {
            tokio::select! {
                ending = self.handle.ended() => break ending,
                _ = redraw.tick() => {
                    let (status, totals, rate) = self.figures();
                    if enough(&progress(&status, &totals, rate)) {
                        break stop(&self.handle, self.writes, inbox.interrupted()).await;
                    }
                }
                () = inbox.interrupted() => {
                    break stop(&self.handle, self.writes, inbox.interrupted()).await;
                }
                () = stdout::closed() => {
                    stop(&self.handle, self.writes, inbox.interrupted()).await;
                    return Ended::Unread;
                }
            }
        };
        self.over(ending).await
    }

    /// Follows a job to its end, or until it is to be stopped. How much it has read and written, and
    /// how many rows it reads a second, is told from time to time.
    pub(super) async fn followed(
        mut self,
        stopped: impl Future<Output = ()>,
        mut tell: impl FnMut(Totals, f64),
    ) -> Ended {
        let mut due = tokio::time::interval(REDRAW);
        tokio::pin!(stopped);
        loop {
            let over = tokio::select! {
                ending = self.handle.ended() => Some(ending),
                _ = due.tick() => None,
                () = &mut stopped => return self.stopped().await,
            };
            let (_, totals, rate) = self.figures();
            tell(totals, rate);
            if let Some(ending) = over {
                return self.over(ending).await;
            }
        }
    }

    /// Draws how far it is.
    pub(super) fn draw(&mut self, screen: &mut Screen, picture: Option<String>) {
        let (status, totals, rate) = self.figures();
        screen.draw(&status, &totals, rate, picture);
    }

    /// Its status, sums of it, and the rate in rows read a second.
    fn figures(&mut self) -> (JobStatus, Totals, f64) {
        let status = self.handle.status();
        self.meter.take(&status);
        let rate = self.meter.out_rate(&status, &self.ends.sources);
        let totals = Totals::of(&status, &self.ends);
        (status, totals, rate)
    }

    /// How it has ended, if it has.
    pub(super) async fn ended(&self) -> Option<Ending> {
        tokio::time::timeout(Duration::ZERO, self.handle.ended()).await.ok()
    }

    /// Ends it, as Ctrl-C does.
    pub(super) async fn stopped(self) -> Ended {
        let ending = stop(&self.handle, self.writes, ctrl_c()).await;
        self.over(ending).await
    }

    /// What has come of it. Its state is of no use any more.
    pub(super) async fn over(self, ending: Ending) -> Ended {
        let written = Totals::of(&self.handle.status(), &self.ends).rows_out;
        let folder = self.folder;
        tokio::task::spawn_blocking(move || remove(&folder)).await.ok();
        match ending {
            Ending::Finished => Ended::Finished(written),
            Ending::Stopped { .. } => Ended::Stopped,
            Ending::SteppedDown => Ended::LeftOff,
            Ending::Failed(why) | Ending::Fenced(why) => Ended::Failed(why),
        }
    }
}

impl Engine {
    /// Removes the state of all jobs, which have ended.
    pub(super) fn clear(&self) {
        remove(&self.folder);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Removes state that is of no use to anybody any more. A job that has ended may still write a last
/// hint: then once more.
fn remove(folder: &Path) {
    for _ in 0..5 {
        std::fs::remove_dir_all(folder).ok();
        std::thread::sleep(Duration::from_millis(5));
        if !folder.exists() {
            return;
        }
    }
}

async fn ctrl_c() {
    tokio::signal::ctrl_c().await.ok();
}

/// Ends a job that was interrupted. One that `writes` is stopped behind a savepoint, so that
/// everything it has read counts; unless it is interrupted once more.
async fn stop(handle: &CoordinatorHandle, writes: bool, again: impl Future<Output = ()>) -> Ending {
    if writes {
        let saving = async {
            handle.savepoint("stop", true).await.ok()?;
            Some(handle.ended().await)
        };
        tokio::select! {
            saved = saving => if let Some(ending) = saved {
                return ending;
            },
            () = again => {}
        }
    }
    handle.step_down().await;
    // It may have failed before.
    handle.ended().await
}
