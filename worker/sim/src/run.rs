//! One simulated run: a seed decides what happens, the oracle says whether it was right.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;
use weir_checkpoint::store::testing::{FaultRates, MemoryStore};
use weir_coordinator::Ending;
use weir_engine::operators::window::spec::Window;
use weir_engine::source::Assignment;

use crate::bug::InjectedBug;
use crate::cluster::{Cluster, ClusterSpec};
use crate::external::ExternalSystem;
use crate::job::{Counted, Expected, Input, Job, JobSpec};

/// Simulated time during which things go wrong.
const CHAOS: Duration = Duration::from_secs(20);
/// Simulated time after which a run that has not ended is stuck.
const LIMIT: Duration = Duration::from_secs(600);

/// Between two looks for a newly published checkpoint.
const HEAD_LOOK: Duration = Duration::from_millis(25);

/// What a run came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Faults and protocol steps, and how often each.
    pub histogram: BTreeMap<String, u64>,
}

/// A run that went wrong.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("seed {seed}: {problem}")]
pub struct Violation {
    /// Repeats the run.
    pub seed: u64,
    /// What must never happen and did.
    pub problem: String,
}

/// What one run is.
#[derive(Clone, Copy, Debug)]
pub struct RunSpec {
    /// Decides everything.
    pub seed: u64,
    /// Whether anything goes wrong.
    pub calm: bool,
    /// A bug to be found.
    pub bug: InjectedBug,
}

/// The job that a seed runs.
#[must_use]
pub fn job(seed: u64) -> JobSpec {
    // Parallelism and workers go by the seed's remainders of 2 to 4: these go by the rest.
    let input = match std::env::var("WEIR_SIM_INPUT").as_deref() {
        Ok("partitions") => Input::Partitions,
        Ok("bursts") => Input::Bursts,
        Ok("files") => Input::Files,
        _ => [Input::Files, Input::Bursts, Input::Partitions][(seed / 4 % 3) as usize],
    };
    let pull = match input {
        Input::Files => seed.is_multiple_of(3),
        Input::Bursts => true,
        Input::Partitions => false,
    };
    let window = match seed / 2 % 3 {
        0 => Window::Tumble { size: 1_000, offset: 0 },
        1 => Window::Hop { size: 1_000, slide: 500, offset: 0 },
        _ => Window::Hop { size: 1_500, slide: 500, offset: 0 },
    };
    JobSpec {
        input,
        sources: 1 + (seed / 3 % 2) as u32,
        splits: 5,
        rows: 1_500,
        // One into partitions takes a checkpoint.
        bursts: if input == Input::Partitions { 30 } else { 40 },
        keys: 40,
        batch: 20,
        pause: Duration::from_millis(if input == Input::Files { 40 } else { 10 }),
        idle_after: Duration::from_millis([30, 150, 600][(seed / 7 % 3) as usize]),
        assignment: if pull { Assignment::Pull } else { Assignment::Eager },
        window,
    }
}

/// Runs once, in a runtime of its own.
///
/// # Errors
/// When rows are lost or repeated, the external system saw what it must not see, or the job never
/// ends.
pub fn run(spec: RunSpec) -> Result<Outcome, Violation> {
    in_simulated_time(spec.seed, async {
        let external = Arc::default();
        let simulation = Simulation::run(Arc::new(job(spec.seed)), external, spec).await?;
        simulation.check(spec.seed).await
    })
}

/// Runs another job once, to its end. What is to be visible then is the caller's to say.
///
/// # Errors
/// When the external system saw what it must not see, or the job never ends.
pub fn run_job(
    job: Arc<dyn Job>,
    external: Arc<ExternalSystem>,
    spec: RunSpec,
) -> Result<Outcome, Violation> {
    in_simulated_time(spec.seed, async {
        let simulation = Simulation::run(job, external, spec).await?;
        match simulation.external.violations().first() {
            Some(problem) => Err(problem.clone()),
            None => Ok(Outcome { histogram: simulation.histogram }),
        }
    })
}

fn in_simulated_time<T>(
    seed: u64,
    run: impl Future<Output = Result<T, String>>,
) -> Result<T, Violation> {
    let violation = |problem: String| Violation { seed, problem };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|e| violation(format!("no runtime: {e}")))?;
    runtime.block_on(run).map_err(violation)
}

struct Simulation {
    cluster: Cluster,
    external: Arc<ExternalSystem>,
    histogram: BTreeMap<String, u64>,
    /// What happens at which time, beyond what is drawn at random.
    due: Vec<(Instant, Due)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Due {
    StartWorker(u32),
    StartCoordinator,
    WakeSleepers,
    WakeWorker(u32),
}

impl Simulation {
    /// Runs until the job has ended.
    async fn run(
        job: Arc<dyn Job>,
        external: Arc<ExternalSystem>,
        spec: RunSpec,
    ) -> Result<Self, String> {
        let store_faults =
            FaultRates { writes: 120, reads: 30, deletes: 60, longest: Duration::from_secs(20) };
        let cluster = ClusterSpec {
            job,
            seed: spec.seed,
            workers: 3,
            parallelism: 1 + (spec.seed % 4) as u32,
            store_faults: (!spec.calm).then_some(store_faults),
            bug: spec.bug,
        };
        let cluster = Cluster::start(cluster, Arc::new(MemoryStore::new()), Arc::clone(&external))
            .await
            .map_err(|e| e.to_string())?;
        let mut simulation =
            Self { cluster, external, histogram: BTreeMap::new(), due: Vec::new() };
        simulation.run_chaos(spec.calm).await?;
        Ok(simulation)
    }

    async fn run_chaos(&mut self, calm: bool) -> Result<(), String> {
        let began = Instant::now();
        let mut next_fault = began + Duration::from_millis(300);
        let mut next_look = began;
        let mut healed = false;
        self.external.slow_flushes(if calm { 0 } else { 12 });
        loop {
            self.burst().await;
            if let Some(ending) = self.ending().await {
                return ending;
            }
            let now = Instant::now();
            if now.duration_since(began) > LIMIT {
                return Err(format!("the job has not ended:\n  {}", self.cluster.describe()));
            }
            self.obey_clock(now).await?;
            if now >= next_look {
                next_look = now + HEAD_LOOK;
                self.cluster.note_published();
            }
            if !calm && now.duration_since(began) < CHAOS {
                if now >= next_fault {
                    next_fault =
                        now + Duration::from_millis(self.cluster.rng().random_range(50..1_500));
                    self.strike(now).await?;
                }
            } else if !healed {
                healed = true;
                self.cluster.heal();
                self.external.slow_flushes(0);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Steps tasks that want a turn, in an order that the seed decides, between turns of
    /// everything else.
    async fn burst(&mut self) {
        let turns = self.cluster.rng().random_range(1..64);
        for _ in 0..turns {
            if !self.cluster.step() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }

    /// How the job ended, if it did. A coordinator that slept may have become the job's again:
    /// any of them may bring it to its end.
    async fn ending(&mut self) -> Option<Result<(), String>> {
        let coordinators = self.cluster.coordinators();
        let newest = coordinators.len().saturating_sub(1);
        for (n, coordinator) in coordinators.into_iter().enumerate() {
            match tokio::time::timeout(Duration::ZERO, coordinator.ended()).await {
                Err(_) => {}
                Ok(Ending::Finished) => return Some(Ok(())),
                Ok(Ending::Fenced(_)) if n == newest && !self.starts_soon() => {
                    self.count("newest coordinator fenced");
                    self.cluster.kill_coordinator();
                    self.due.push((Instant::now(), Due::StartCoordinator));
                }
                Ok(Ending::Fenced(_)) => {}
                Ok(other) => return Some(Err(format!("the job ended as {other:?}"))),
            }
        }
        None
    }

    fn starts_soon(&self) -> bool {
        self.due.iter().any(|(_, due)| *due == Due::StartCoordinator)
    }

    async fn obey_clock(&mut self, now: Instant) -> Result<(), String> {
        let (due, later) = self.due.iter().copied().partition(|(at, _)| *at <= now);
        self.due = later;
        let due: Vec<(Instant, Due)> = due;
        for (_, due) in due {
            match due {
                Due::StartWorker(ordinal) => {
                    self.cluster.start_worker(ordinal).await.map_err(|e| e.to_string())?;
                }
                Due::StartCoordinator => {
                    self.cluster.start_coordinator().map_err(|e| e.to_string())?;
                }
                Due::WakeSleepers => self.cluster.wake_all(),
                Due::WakeWorker(ordinal) => self.cluster.wake_worker(ordinal),
            }
        }
        Ok(())
    }

    fn count(&mut self, what: &str) {
        *self.histogram.entry(what.to_owned()).or_default() += 1;
    }

    async fn strike(&mut self, now: Instant) -> Result<(), String> {
        let busy = self.starts_soon();
        let soon = now + Duration::from_millis(self.cluster.rng().random_range(10..2_000));
        match self.cluster.rng().random_range(0..12) {
            0..=3 => {
                let ordinal = self.cluster.rng().random_range(0..3);
                if !self.due.iter().any(|(_, due)| *due == Due::StartWorker(ordinal)) {
                    self.count("worker killed");
                    self.cluster.kill_worker(ordinal);
                    self.due.push((soon, Due::StartWorker(ordinal)));
                }
            }
            4..=5 if !busy => {
                self.count("coordinator killed");
                self.cluster.kill_coordinator();
                self.due.push((soon, Due::StartCoordinator));
            }
            6..=7 if !busy => {
                self.count("coordinator stopped and continued");
                self.cluster.put_coordinator_to_sleep();
                self.due.push((soon, Due::StartCoordinator));
                let late = Duration::from_millis(self.cluster.rng().random_range(100..30_000));
                self.due.push((soon + late, Due::WakeSleepers));
            }
            8..=9 => {
                // Longer than an attempt may take, shorter than a connection's patience: the
                // attempt fails, and what the others froze for it belongs to the next one.
                let ordinal = self.cluster.rng().random_range(0..3);
                self.count("worker stopped and continued");
                self.cluster.put_worker_to_sleep(ordinal);
                let pause = Duration::from_millis(self.cluster.rng().random_range(1_000..2_500));
                self.due.push((now + pause, Due::WakeWorker(ordinal)));
            }
            10 => {
                self.count("commit answers lost");
                self.external.lose_answers(3);
            }
            _ => {
                let parallelism = self.cluster.rng().random_range(1..=5);
                if let Some(coordinator) = self.cluster.coordinator() {
                    self.count("rescale asked");
                    tokio::spawn(async move { coordinator.rescale(parallelism).await });
                }
            }
        }
        Ok(())
    }

    async fn check(mut self, seed: u64) -> Result<Outcome, String> {
        if let Some(problem) = self.external.violations().first() {
            return Err(problem.clone());
        }
        let Expected { visible: expected, counted } = job(seed).expected();
        let visible = self.external.visible();
        compare(&expected, &visible)?;
        for (what, counts) in [
            ("the head says", self.cluster.counts_of_head().await?),
            ("the coordinator shows", self.cluster.counts_shown()),
        ] {
            let found = Counted::of(&counts);
            if found != counted {
                return Err(format!("{what} {found:?} instead of {counted:?}"));
            }
        }
        *self.histogram.entry(format!("{:?} read", job(seed).input)).or_default() += 1;
        let failed: u64 =
            self.cluster.coordinators().iter().map(|c| c.status().failed_attempts).sum();
        self.histogram.insert("attempts failed".to_owned(), failed);
        for (step, times) in self.cluster.steps() {
            *self.histogram.entry(step.to_owned()).or_default() += times;
        }
        Ok(Outcome { histogram: self.histogram })
    }
}

/// Every window once, made of exactly the rows that belong to it.
fn compare(
    expected: &BTreeMap<String, u64>,
    visible: &BTreeMap<String, u64>,
) -> Result<(), String> {
    // Results of a window begin with its key and start.
    let windows = |rows: &BTreeMap<String, u64>| {
        let mut windows: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (row, times) in rows {
            let window = row.split(' ').take(2).collect::<Vec<_>>().join(" ");
            let results = windows.entry(window).or_default();
            results.extend(std::iter::repeat_n(row.clone(), *times as usize));
        }
        windows
    };
    let (expected, visible) = (windows(expected), windows(visible));
    for (window, results) in &visible {
        let right = expected.get(window).and_then(|right| right.first());
        let right = right.ok_or_else(|| format!("window `{window}` has no rows: {results:?}"))?;
        if results.len() > 1 {
            return Err(format!("window `{window}` fired more than once: {results:?}"));
        }
        if results.first() != Some(right) {
            return Err(format!("window `{window}` came out as {results:?}, not `{right}`"));
        }
    }
    match expected.keys().find(|window| !visible.contains_key(*window)) {
        Some(window) => Err(format!("window `{window}` is missing")),
        None => Ok(()),
    }
}
