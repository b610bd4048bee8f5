//! Exactly once, whatever fails: real processes killed and stopped, a real S3 server that
//! refuses, answers late, loses answers and applies writes 20 seconds later.
//!
//! `WEIR_E2E_KILLS` (20) and `WEIR_E2E_SEED` choose the length and the course of the fire;
//! `cargo test -p weir-e2e --test exactly_once -- --nocapture` shows the histogram.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rustix::process::Signal;
use tokio::time::Instant;
use weir_e2e::cache::tail;
use weir_e2e::chaos::{Histogram, Pace, Stage, Weather};
use weir_e2e::job::{Run, Summary};
use weir_e2e::process::{signal, wait_for};
use weir_e2e::testbed::proxy::{Fault, Moment, Step};

const WORKERS: u32 = 3;
const INTERVAL: Duration = Duration::from_millis(500);
const ROWS: usize = 200_000;
/// Steps at which a process is killed on the spot; those that decide whether rows are lost.
const DEADLY: [Step; 6] = [
    Step::ChainCreate,
    Step::DataWrite,
    Step::SinkStage,
    Step::SinkCommit,
    Step::Collect,
    Step::ChainRead,
];

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[test]
fn a_calm_run_holds_every_row_once() -> Result<()> {
    let stage = Stage::new(ROWS, 40, INTERVAL)?;
    let summary = stage.job.run_to_end(WORKERS, Duration::from_secs(120))?;
    ensure!(summary == stage.summary(), "{summary:?} instead of {:?}", stage.summary());
    stage.check()
}

#[test]
fn twenty_kills_a_lying_store_and_three_rescales_change_no_row() -> Result<()> {
    let kills = setting("WEIR_E2E_KILLS", 20);
    let seed = setting("WEIR_E2E_SEED", 1);
    let mut fire = Fire::start(kills, seed)?;
    let outcome = fire.burn();
    println!("seed {seed}: {} kills, {} new starts of weir run", fire.kills, fire.restarts);
    println!("{}", fire.histogram());
    outcome.with_context(|| format!("with WEIR_E2E_SEED={seed}"))?;
    fire.stage.check().with_context(|| format!("with WEIR_E2E_SEED={seed}"))?;
    let summary = Summary::find(&fire.run.log()).context("it says nothing at its end")?;
    let right = fire.stage.summary();
    ensure!(summary == right, "{summary:?} instead of {right:?} with WEIR_E2E_SEED={seed}");
    ensure!(fire.kills >= kills, "only {} of {kills} kills happened", fire.kills);
    Ok(())
}

/// One run under fire.
struct Fire {
    stage: Stage,
    run: Run,
    weather: Arc<Mutex<Weather>>,
    rng: StdRng,
    histogram: Histogram,
    wanted: u64,
    kills: u64,
    restarts: u64,
    started: Instant,
}

impl Fire {
    fn start(kills: u64, seed: u64) -> Result<Self> {
        // Input arrives over the time that the kills take, a file every 250 ms.
        let files = usize::try_from(kills * 14)?.max(80);
        let stage = Stage::new(ROWS, files, INTERVAL)?;
        let mut weather = Weather::new(seed, Some(Pace::new(Duration::from_millis(250))));
        weather.close_gate(u32::try_from(files)? - 4);
        let weather = Arc::new(Mutex::new(weather));
        let deciding = weather.clone();
        stage.proxy.set_policy(move |call| {
            deciding.lock().unwrap_or_else(PoisonError::into_inner).decide(call)
        });
        let run = stage.job.start(WORKERS)?;
        stage.proxy.watch(vec![run.process.id()]);
        Ok(Self {
            stage,
            run,
            weather,
            rng: StdRng::seed_from_u64(seed),
            histogram: Histogram::default(),
            wanted: kills,
            kills: 0,
            restarts: 0,
            started: Instant::now(),
        })
    }

    fn weather(&self) -> MutexGuard<'_, Weather> {
        self.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn histogram(&self) -> Histogram {
        let mut all = self.histogram.clone();
        all.add_all(&self.stage.proxy.done());
        all
    }

    /// Kills until enough were killed, rescales on the way, then lets the job end.
    fn burn(&mut self) -> Result<()> {
        let limit = Duration::from_secs(300 + 15 * self.wanted);
        let mut rescales = vec![3, 2, 4];
        let mut wanted = None;
        let mut at_steps = 0;
        loop {
            ensure!(self.started.elapsed() < limit, "not done after {limit:?}:\n{}", self.tail());
            let rest = Duration::from_millis(self.rng.random_range(500..3000));
            if self.ended_within(rest)? {
                return Ok(());
            }
            self.kills -= at_steps;
            at_steps = self.killed_at_steps();
            self.kills += at_steps;
            let passed = self.kills * 4 / self.wanted.max(1);
            // Each rescale comes to its end, under fire, before the next is asked for.
            let rescaling = wanted.is_some() && wanted != self.stage.parallelism();
            if !rescaling
                && rescales.len() as u64 > 3 - passed.min(3)
                && let Some(parallelism) = rescales.pop()
            {
                self.stage.job.set_parallelism(parallelism)?;
                wanted = Some(u64::from(parallelism));
                continue;
            }
            if self.kills >= self.wanted && !rescaling && rescales.is_empty() {
                self.weather().open_gate();
                self.stage.proxy.release();
                continue;
            }
            if self.rng.random_bool(0.4) {
                let step = DEADLY.choose(&mut self.rng).copied().unwrap_or(Step::ChainCreate);
                let moment = if self.rng.random_bool(0.5) { Moment::Before } else { Moment::After };
                self.weather().arm(step, moment);
            } else {
                self.kill_someone()?;
            }
        }
    }

    fn killed_at_steps(&self) -> u64 {
        let done = self.stage.proxy.done();
        done.iter()
            .filter(|done| matches!(done.fault, Fault::Kill(_)) && done.process.is_some())
            .count() as u64
    }

    /// A random process of the job: the coordinator's more often than another's, and now and
    /// then the one that watches over them all.
    fn kill_someone(&mut self) -> Result<()> {
        let workers = self.run.process.descendants();
        let (role, victim) = match self.rng.random_range(0..10) {
            0 => ("supervisor", Some(self.run.process.id())),
            1..=4 => ("coordinator", self.run.worker(0)),
            _ => ("worker", workers.choose(&mut self.rng).copied()),
        };
        let Some(victim) = victim else { return Ok(()) };
        let step = self.stage.proxy.step_of(victim);
        // It may have ended between the look and the kill.
        if signal(victim, Signal::KILL).is_ok() {
            self.histogram.add(step, &format!("{role} killed"));
            self.kills += 1;
        }
        Ok(())
    }

    /// Watches the job; if its supervisor was killed, `weir run` is started again, beside whatever is
    /// still alive of the old term.
    fn ended_within(&mut self, time: Duration) -> Result<bool> {
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            match self.run.process.poll()? {
                None => {}
                Some(status) if status.success() => return Ok(true),
                Some(status) => {
                    use std::os::unix::process::ExitStatusExt;
                    if status.signal() != Some(9) {
                        bail!(
                            "weir run ended with {status}, which nobody asked for:\n{}",
                            self.tail()
                        );
                    }
                    self.restarts += 1;
                    let next = self.stage.job.start(WORKERS)?;
                    self.stage.proxy.watch(vec![self.run.process.id(), next.process.id()]);
                    // Dropping the old run kills what is left of it: half of the time at once,
                    // else only after the new term has begun beside it.
                    if self.rng.random_bool(0.5) {
                        std::thread::sleep(Duration::from_millis(1500));
                    }
                    self.run = next;
                }
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(false)
    }

    fn tail(&self) -> String {
        tail(&self.run.log())
    }
}

/// Stops the process that sends the first request of `step` (after a few checkpoints) for longer
/// than all retained checkpoints live and 30 s, lets a successor take over, then lets the old
/// one go on.
fn stopped_and_continued(step: Step, moment: Moment) -> Result<()> {
    let retained = 3;
    let asleep = INTERVAL * retained + Duration::from_secs(31);
    let mut stage = Stage::new(ROWS, 240, INTERVAL)?;
    stage.job.set_parallelism(2)?;
    let pace = Pace::new(Duration::from_millis(250));
    let armed = Arc::new(Mutex::new(0u32));
    let weather = Mutex::new(Weather::calm(pace));
    stage.proxy.set_policy(move |call| {
        if call.step == step {
            let mut seen = armed.lock().unwrap_or_else(PoisonError::into_inner);
            *seen += 1;
            if *seen == 8 {
                return Fault::Stop(moment);
            }
        }
        weather.lock().unwrap_or_else(PoisonError::into_inner).decide(call)
    });
    let mut old = stage.job.start(WORKERS)?;
    stage.proxy.watch(vec![old.process.id()]);
    wait_for("the stop", Duration::from_secs(60), || {
        if let Some(status) = old.process.poll()? {
            bail!("the job ended with {status} before it came to {step}:\n{}", tail(&old.log()));
        }
        Ok(stage.proxy.done().iter().any(|done| matches!(done.fault, Fault::Stop(_))))
    })?;
    let stopped = Instant::now();
    // Whoever sent the request, its coordinator and supervisor sleep too, so that nobody can
    // tell the successor anything but what the store holds.
    for id in [Some(old.process.id()), old.worker(0)].into_iter().flatten() {
        signal(id, Signal::STOP)?;
    }

    let mut new = stage.job.start(WORKERS)?;
    wait_for("the successor's checkpoints", Duration::from_secs(60), || {
        if let Some(status) = new.process.poll()? {
            ensure!(status.success(), "the successor ended with {status}:\n{}", tail(&new.log()));
        }
        Ok(stopped.elapsed() > Duration::from_secs(10) && stage.visible_rows()? > 0)
    })?;
    let left = asleep.saturating_sub(stopped.elapsed());
    std::thread::sleep(left);

    for id in [old.worker(0), Some(old.process.id())].into_iter().flatten() {
        signal(id, Signal::CONT)?;
    }
    stage.proxy.release();
    let status = old
        .process
        .wait(Duration::from_secs(60))
        .with_context(|| format!("a fenced coordinator must end:\n{}", tail(&old.log())))?;
    ensure!(!status.success(), "a fenced coordinator called it a success:\n{}", tail(&old.log()));
    new.finish(Duration::from_secs(180))?;
    stage.check()
}

#[test]
fn a_coordinator_stopped_after_the_acks_harms_nothing() -> Result<()> {
    stopped_and_continued(Step::ChainCreate, Moment::Before)
}

#[test]
fn a_coordinator_stopped_after_the_put_harms_nothing() -> Result<()> {
    stopped_and_continued(Step::ChainCreate, Moment::After)
}

#[test]
fn a_coordinator_stopped_before_a_commit_harms_nothing() -> Result<()> {
    stopped_and_continued(Step::SinkCommit, Moment::Before)
}

#[test]
fn a_coordinator_stopped_inside_collection_harms_nothing() -> Result<()> {
    stopped_and_continued(Step::Collect, Moment::Before)
}
