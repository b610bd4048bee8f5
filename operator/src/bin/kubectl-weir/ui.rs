//! `ui`: a job's page over a way that `kubectl` opens, or the page of all jobs.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use weir_operator::clock::Clock;
use weir_page::fleet::{Fleet, FleetMoment, FleetRow, Tone};
use weir_protocol::view::{Severity, Snapshot};

use crate::ask::{Cluster, Forwarded};
use crate::jobs::{Job, Verdict};
use crate::list::{Live, jobs};
use crate::out::{first_line, print};

/// Between two looks at the cluster, while somebody has the page open.
const EACH: Duration = Duration::from_secs(2);
/// While nobody has.
const SELDOM: Duration = Duration::from_millis(250);
/// Jobs that are asked themselves: the worst ones.
const ASKED: usize = 24;

/// `ui`.
#[derive(Debug, Args)]
pub(crate) struct UiArgs {
    /// Its name; without one a page of all jobs is served.
    #[arg(value_parser = crate::ask::job_name)]
    job: Option<String>,
    /// Jobs of all namespaces.
    #[arg(short = 'A', long, conflicts_with = "job")]
    all_namespaces: bool,
    /// Where the page is then, on 127.0.0.1.
    #[arg(long, default_value_t = 8081)]
    port: u16,
}

pub(crate) fn run(cluster: &Cluster, args: &UiArgs) -> anyhow::Result<u8> {
    let Some(job) = &args.job else { return fleet(cluster, args) };
    let way = cluster.page_of(job, Some(args.port))?;
    print(&format!("http://{}/   (Ctrl-C closes the way to it)\n", way.address()))?;
    way.wait()?;
    Ok(0)
}

/// A job's namespace and name.
type Of = (String, String);
/// The name of the pod that coordinates it.
type Pod = String;

/// Ways to jobs' pages, one a job, kept open for as long as its coordinator is the same.
#[derive(Debug)]
struct Ways {
    cluster: Cluster,
    open: Mutex<HashMap<Of, (Pod, Arc<Forwarded>)>>,
}

impl Ways {
    /// The way to the job's page.
    fn to(&self, job: &Job) -> anyhow::Result<Arc<Forwarded>> {
        let pod = job.page_pod();
        let pod = pod.with_context(|| format!("{}: nobody coordinates it now", job.name))?;
        if let Some((_, way)) = self.known().get(&of(job)).filter(|(of, _)| of == pod) {
            return Ok(Arc::clone(way));
        }
        let way = Arc::new(self.cluster.within(&job.namespace).page_of_pod(pod)?);
        self.known().insert(of(job), (pod.to_owned(), Arc::clone(&way)));
        Ok(way)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Of, (Pod, Arc<Forwarded>)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is read over the way to the job's page; a way that leads nowhere is given up.
    fn over<T>(
        &self,
        job: &Job,
        read: impl Fn(&Forwarded) -> anyhow::Result<T>,
    ) -> anyhow::Result<(Arc<Forwarded>, T)> {
        let way = self.to(job)?;
        let said = read(&way);
        if said.is_err() {
            self.known().remove(&of(job));
        }
        said.map(|said| (way, said))
    }

    /// Gives up ways to jobs that have no page any more.
    fn keep(&self, jobs: &[Job]) {
        let wanted: HashSet<Of> =
            jobs.iter().filter(|job| job.page_pod().is_some()).map(of).collect();
        self.known().retain(|job, _| wanted.contains(job));
    }

    /// Where the job's page is, which answers there.
    fn address(&self, job: &Job) -> anyhow::Result<String> {
        // A way that was open may have closed: then another is opened.
        let answers = || self.over(job, |way| way.get("/v1/snapshot").map(drop));
        let (way, ()) = answers().or_else(|_| answers())?;
        Ok(format!("http://{}/", way.address()))
    }

    /// What the job says itself.
    fn live(&self, job: &Job) -> Option<Live> {
        let said = self.over(job, |way| way.read::<Snapshot>("/v1/snapshot"));
        said.ok().map(|(_, snapshot)| Live::of(&snapshot))
    }
}

fn of(job: &Job) -> Of {
    (job.namespace.clone(), job.name.clone())
}

/// A job as the page shows it.
fn row(job: &Job, live: Option<&Live>) -> FleetRow {
    let found = live.and_then(|live| live.finding.as_ref());
    let severity = found.map(|(severity, _)| *severity);
    let (tone, verdict) = match (job.verdict, severity) {
        (Verdict::Stalled | Verdict::Degraded | Verdict::Unsaved, _) => {
            (Tone::Bad, job.verdict.word())
        }
        (Verdict::Well, Some(Severity::Critical)) => (Tone::Bad, "in trouble"),
        (Verdict::Well, Some(Severity::Warning)) => (Tone::Busy, "not at its best"),
        (Verdict::Well, _) => (Tone::Good, job.verdict.word()),
        (Verdict::Changing, _) => (Tone::Busy, job.verdict.word()),
        (Verdict::AtRest, _) => (Tone::Calm, job.verdict.word()),
    };
    let why = Some(job.reason.clone()).filter(|why| !why.is_empty());
    FleetRow {
        namespace: job.namespace.clone(),
        name: job.name.clone(),
        tone,
        verdict: verdict.to_owned(),
        state: job.state(),
        parallelism: job.parallelism(),
        restarts: job.status.restarts.unwrap_or(0),
        checkpoint_age_s: job.checkpoint_age(Clock::system().now()),
        in_rate: live.map(|live| live.in_rate),
        behind_s: live.and_then(|live| live.behind_s),
        why: why.or(found.map(|(_, text)| text.clone())).unwrap_or_default(),
        has_page: job.page_pod().is_some(),
    }
}

/// Jobs in trouble first, then those that are not at their best.
fn order(row: &FleetRow) -> u8 {
    match row.tone {
        Tone::Bad => 0,
        Tone::Busy => 1,
        Tone::Good => 2,
        Tone::Calm => 3,
    }
}

fn look(ways: &Ways, args: &UiArgs, live: bool) -> anyhow::Result<Vec<FleetRow>> {
    let jobs = jobs(&ways.cluster, args.all_namespaces, None)?;
    ways.keep(&jobs);
    let asked = if live { ASKED } else { 0 };
    let said: Vec<Option<Live>> = std::thread::scope(|scope| {
        let ask = |job| scope.spawn(move || ways.live(job));
        let asking: Vec<_> = jobs
            .iter()
            .enumerate()
            .map(|(at, job)| {
                Some(job).filter(|job| at < asked && job.page_pod().is_some()).map(ask)
            })
            .collect();
        asking.into_iter().map(|thread| thread?.join().ok().flatten()).collect()
    });
    let mut rows: Vec<FleetRow> =
        jobs.iter().zip(&said).map(|(job, live)| row(job, live.as_ref())).collect();
    rows.sort_by_key(order);
    Ok(rows)
}

fn fleet(cluster: &Cluster, args: &UiArgs) -> anyhow::Result<u8> {
    let ways = Arc::new(Ways { cluster: cluster.clone(), open: Mutex::default() });
    let place = if args.all_namespaces { "all namespaces".to_owned() } else { cluster.place() };
    let now = || u64::try_from(Clock::system().now().as_millisecond()).unwrap_or(0);
    let moment =
        |rows| FleetMoment { at_ms: now(), place: place.clone(), rows, ..FleetMoment::default() };
    let rows = look(&ways, args, false)?;
    let fleet = Fleet::new(moment(rows));
    let opens = {
        let (ways, all) = (Arc::clone(&ways), args.all_namespaces);
        Arc::new(move |namespace: &str, name: &str| -> Result<String, String> {
            let open = || {
                // As it is now: who coordinates it may be another than when the page was drawn.
                let jobs = jobs(&ways.cluster, all, None)?;
                let job = jobs.iter().find(|job| job.namespace == namespace && job.name == name);
                ways.address(job.with_context(|| format!("{name}: no such job is there any more"))?)
            };
            let why = |error| {
                format!("{error:#}\n`kubectl weir -n {namespace} status {name}` may tell more")
            };
            open().map_err(why)
        })
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let listener =
        runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)));
    let listener = listener.with_context(|| {
        format!("127.0.0.1:{} cannot be listened at; choose another --port", args.port)
    })?;
    print(&format!("http://{}/   (Ctrl-C ends it)\n", listener.local_addr()?))?;
    let router = fleet.router(opens);
    let served = runtime.spawn(async move { axum::serve(listener, router).await });
    while !served.is_finished() {
        if !fleet.is_watched() {
            std::thread::sleep(SELDOM);
            continue;
        }
        match look(&ways, args, true) {
            Ok(rows) => fleet.show(moment(rows)),
            Err(error) => fleet.is_silent(&first_line(&format!("{error:#}"), 300)),
        }
        std::thread::sleep(EACH);
    }
    let ended = runtime.block_on(served).map_err(|error| anyhow!("the page has ended: {error}"))?;
    ended.context("the page has ended")?;
    Ok(0)
}
