//! Starting a coordinator, and what others do with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use weir_checkpoint::chain::{Authority, SealRequest, Start};
use weir_checkpoint::manifest::{Assignment, Member, chain_name};
use weir_checkpoint::{ChainOptions, Store};
use weir_engine::env::Clock;
use weir_engine::graph::JobGraph;
use weir_protocol::control::{CoordinatorReport, JobStatus, Look, OperatorShown};
use weir_protocol::view::CheckpointRecord;
use weir_protocol::{Epoch, Version, WorkerId};

use super::config::MasterConfig;
use super::driver::{CheckpointRecords, Driver, Input, Shown};
use super::event::{Ending, Event, Reply, Request, SavepointInfo};
use super::manifest_writer::ManifestWriter;
use super::owner::JobMaster;
use super::plan::Plan;
use crate::link::Attachments;

/// Everything that may wait for the driver at a time.
const INPUTS: usize = 1024;
/// Tasks that may wait for the chain: acknowledgements, mostly.
const KEEPER_TASKS: usize = 4096;

/// How a coordinator is started.
#[derive(Clone, Debug)]
pub struct CoordinatorConfig {
    /// Settings of the job.
    pub master: MasterConfig,
    /// The worker whose process this is, and where it can be reached.
    pub worker: WorkerId,
    /// `host:port` of its control service; empty within one process.
    pub address: String,
    /// UID of the Kubernetes object; absent outside Kubernetes.
    pub job_uid: Option<String>,
    /// UID of the deleted job whose state may be taken over.
    pub adopt: Option<String>,
    /// The revision of the job.
    pub revision: String,
    /// On whose word the coordinator acts.
    pub authority: Authority,
    /// Which state it starts from.
    pub start: Start,
    /// The job has published before, so its chain cannot be empty.
    pub must_exist: bool,
    /// How the chain is kept.
    pub chain: ChainOptions,
    /// For times that people read.
    pub clock: Clock,
}

impl CoordinatorConfig {
    /// A coordinator that goes on from the newest checkpoint, outside Kubernetes.
    #[must_use]
    pub fn new(master: MasterConfig) -> Self {
        Self {
            master,
            worker: WorkerId(0),
            address: String::new(),
            job_uid: None,
            adopt: None,
            revision: String::new(),
            authority: Authority::Own,
            start: Start::Latest,
            must_exist: false,
            chain: ChainOptions::default(),
            clock: Clock::System,
        }
    }
}

/// The job's coordinator, running.
#[derive(Debug)]
pub struct Coordinator;

impl Coordinator {
    /// Starts the coordinator of a job on the current runtime. `store` is the state root.
    #[must_use]
    pub fn start(
        config: CoordinatorConfig,
        graph: Arc<JobGraph>,
        store: Arc<dyn Store>,
    ) -> CoordinatorHandle {
        let plan = Plan::of(&graph);
        let place = format!("{}/{}", store.address(), config.master.job);
        let mut settings = config.master;
        settings.began_at_ms = u64::try_from(config.clock.now_ms()).unwrap_or(0);
        let (events, inputs) = mpsc::channel(INPUTS);
        let request = SealRequest {
            job_uid: config.job_uid,
            adopt: config.adopt,
            revision: config.revision,
            authority: config.authority,
            plan_hash: plan.hash.clone(),
            coordinator: Member {
                worker: config.worker,
                control: String::new(),
                address: config.address,
            },
            assignment: Assignment::default(),
            max_parallelism: plan.max_parallelism,
            start: config.start,
            must_exist: config.must_exist,
            acknowledged: BTreeSet::new(),
            created_ms: 0,
        };
        let manifest_writer = ManifestWriter {
            store,
            job: settings.job.clone(),
            options: config.chain,
            graph: graph.clone(),
            request,
            clock: config.clock,
            events: events.clone(),
        };
        let (tasks, from_driver) = mpsc::channel(KEEPER_TASKS);
        tokio::spawn(manifest_writer.run(from_driver));
        let committers = graph.committers.keys().cloned().collect();
        let master = JobMaster::new(settings, plan, committers);
        let (status, watched) = watch::channel(master.status());
        let (report, reported) = watch::channel(master.coordinator_report());
        let (checkpoints, attempted) = watch::channel((0, Vec::new()));
        let (operators, looked_at) = watch::channel(Vec::new());
        let (steps, taken) = watch::channel(BTreeMap::new());
        let (ended, ending) = watch::channel(None);
        let driver = Driver::new(
            master,
            graph,
            (events.clone(), inputs),
            tasks,
            Shown { status, report, checkpoints, operators, steps },
        );
        let (attachments, mut attached) = Attachments::new();
        let inputs = events.clone();
        tokio::spawn(async move {
            while let Some(link) = attached.recv().await {
                if inputs.send(Input::Attached(link)).await.is_err() {
                    return;
                }
            }
        });
        tokio::spawn(async move {
            let ending = driver.run().await;
            ended.send_replace(Some(ending));
        });
        CoordinatorHandle {
            status: watched,
            report: reported,
            checkpoints: attempted,
            operators: looked_at,
            place,
            steps: taken,
            inputs: events,
            attachments,
            ending,
        }
    }
}

/// A complete savepoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Saved {
    /// The checkpoint that it is a copy of.
    pub epoch: Epoch,
    /// Bytes and place.
    pub info: SavepointInfo,
    /// The smallest watermark of the sources at it, in milliseconds.
    pub watermark: Option<i64>,
}

/// A rescale that is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rescaled {
    /// From the request to the running job, in milliseconds.
    pub total_ms: u64,
    /// From the frozen cut to the running job, in milliseconds.
    pub pause_ms: u64,
    /// Key groups that changed their task.
    pub groups_moved: u32,
}

/// A request that was not carried out; says why and what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotDone(pub String);

/// What others do with a running coordinator. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CoordinatorHandle {
    status: watch::Receiver<JobStatus>,
    report: watch::Receiver<CoordinatorReport>,
    checkpoints: watch::Receiver<CheckpointRecords>,
    operators: watch::Receiver<Vec<OperatorShown>>,
    /// URL of the job's folder.
    place: String,
    steps: watch::Receiver<BTreeMap<&'static str, u64>>,
    inputs: mpsc::Sender<Input>,
    attachments: Attachments,
    ending: watch::Receiver<Option<Ending>>,
}

impl CoordinatorHandle {
    /// The job as it is now.
    #[must_use]
    pub fn status(&self) -> JobStatus {
        self.status.borrow().clone()
    }

    /// What it says of the job and of its chain's head; still there after the end.
    #[must_use]
    pub fn report(&self) -> CoordinatorReport {
        let mut report = self.report.borrow().clone();
        let status = self.status();
        if status.epoch > 0 {
            let name = chain_name(Version(status.epoch));
            report.checkpoint_path = format!("{}/{name}", self.place);
        }
        report.status = Some(status);
        report
    }

    /// The newest attempts at a checkpoint that are over, oldest first.
    #[must_use]
    pub fn checkpoints(&self) -> Vec<Arc<CheckpointRecord>> {
        self.checkpoints.borrow().1.clone()
    }

    /// Says what people look at from now on, in the place of what they looked at before: tasks show
    /// of it what they have, about once a second ([`CoordinatorHandle::shown`]). `false`: it has too
    /// much to do, or has ended; nothing changes.
    #[must_use]
    pub fn look(&self, looks: Vec<Look>) -> bool {
        self.inputs.try_send(Input::Event(Box::new(Event::Look { looks }))).is_ok()
    }

    /// What tasks show of what people look at, the newest of each task.
    #[must_use]
    pub fn shown(&self) -> Vec<OperatorShown> {
        self.operators.borrow().clone()
    }

    /// Begins an operation; what came of it stands in the status, under `id`.
    ///
    /// # Errors
    /// When the coordinator has ended.
    pub async fn begin(&self, id: &str, request: Request) -> Result<(), NotDone> {
        let asked = Input::Asked { request, operation: id.to_owned(), answer: None };
        self.inputs.send(asked).await.map_err(|_| NotDone("the coordinator has ended".to_owned()))
    }

    /// Changes of the job's status.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<JobStatus> {
        self.status.clone()
    }

    /// How often each protocol step was taken: which paths a run has covered.
    #[must_use]
    pub fn steps(&self) -> BTreeMap<&'static str, u64> {
        self.steps.borrow().clone()
    }

    /// Whether it ever held the job: its first seal counted.
    #[must_use]
    pub fn was_leader(&self) -> bool {
        self.report.borrow().led
    }

    /// Where members of the same process connect.
    #[must_use]
    pub fn attachments(&self) -> Attachments {
        self.attachments.clone()
    }

    /// Takes a savepoint; with `stop`, the job stops behind it.
    ///
    /// # Errors
    /// When it was not taken; the job goes on.
    pub async fn savepoint(&self, name: &str, stop: bool) -> Result<Saved, NotDone> {
        match self.ask(Request::Savepoint { name: name.to_owned(), stop }).await? {
            Reply::Saved { epoch, info, watermark } => Ok(Saved { epoch, info, watermark }),
            other => Err(not_done(other)),
        }
    }

    /// Runs the job at another parallelism.
    ///
    /// # Errors
    /// When it does not; the job goes on at the old parallelism.
    pub async fn rescale(&self, parallelism: u32) -> Result<Rescaled, NotDone> {
        match self.ask(Request::Rescale { parallelism }).await? {
            Reply::Rescaled { total_ms, pause_ms, groups_moved } => {
                Ok(Rescaled { total_ms, pause_ms, groups_moved })
            }
            other => Err(not_done(other)),
        }
    }

    /// Hands the role over, since the process is about to end: what is on its way into the chain
    /// gets there, the workers are told that the role is free, and the coordinator ends. Returns
    /// once it has, within two seconds.
    pub async fn step_down(&self) {
        // An error says that it has ended already.
        self.inputs.send(Input::Event(Box::new(Event::StepDown))).await.ok();
        self.ended().await;
    }

    /// Waits for the end of the coordinator's work.
    pub async fn ended(&self) -> Ending {
        let mut ending = self.ending.clone();
        let ended = ending.wait_for(Option::is_some).await;
        let ended = ended.ok().and_then(|e| e.clone());
        ended.unwrap_or_else(|| Ending::Failed("the coordinator's task was ended".to_owned()))
    }

    async fn ask(&self, request: Request) -> Result<Reply, NotDone> {
        let (answer, reply) = oneshot::channel();
        let gone = || NotDone("the coordinator has ended".to_owned());
        let asked = Input::Asked { request, operation: String::new(), answer: Some(answer) };
        self.inputs.send(asked).await.map_err(|_| gone())?;
        reply.await.map_err(|_| gone())
    }
}

fn not_done(reply: Reply) -> NotDone {
    match reply {
        Reply::Refused(why) => NotDone(why),
        other => NotDone(format!("an answer to another question: {other:?}")),
    }
}
