//! What workers and sources say, and what is said to them.

use weir_engine::Fault;
use weir_engine::source::Split;
use weir_protocol::control::{self, FromWorker, ToWorker, from_worker, to_worker};
use weir_protocol::{Attempt, CONTROL_VERSION, Epoch, Subtask, VertexId, WorkerId};

use super::commits::Outcome;
use super::event::{Action, Ending, Found, LinkId};
use super::failure::Cause;
use super::machine::JobMaster;
use super::place::SlotAssignment;
use super::splits::ToReader;
use super::state::{Phase, State, Worker};
use crate::wire::decode_all;

impl JobMaster {
    pub(super) fn on_message(&mut self, link: LinkId, message: FromWorker) {
        let Some(kind) = message.kind else { return };
        if let from_worker::Kind::Hello(hello) = kind {
            self.on_hello(link, hello);
            return;
        }
        let Some(id) = self.links.get(&link).copied() else {
            return;
        };
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        worker.heard_ms = self.now;
        if let from_worker::Kind::Leaving(_) = kind {
            self.lose(id, "its process was told to end");
            return;
        }
        if let from_worker::Kind::Stopped(_) = kind {
            self.stopping.remove(&id);
            return;
        }
        // Of whatever term: it tells the worker that somebody listens.
        if let from_worker::Kind::Heartbeat(_) = kind {
            let state = self.run_state().into();
            self.send(id, to_worker::Kind::Heard(control::Heard { state }));
        }
        if message.term != self.term().0 {
            return;
        }
        match kind {
            from_worker::Kind::Heartbeat(heartbeat) => {
                if let Some(worker) = self.workers.get_mut(&id) {
                    worker.stats = heartbeat.tasks;
                    worker.state_bytes = heartbeat.state_bytes;
                }
            }
            from_worker::Kind::Deployed(_) => {
                if let State::Changing { phase: Phase::Deploying { waiting, .. }, .. } =
                    &mut self.state
                {
                    waiting.remove(&id);
                }
            }
            from_worker::Kind::Ack(ack) => self.on_ack(&ack),
            from_worker::Kind::Declined(declined) => {
                let task = self.task_name(VertexId(declined.vertex), Subtask(declined.subtask));
                let reason = format!("{task} declined: {}", declined.reason);
                self.abandon(Attempt(declined.attempt), &reason);
            }
            from_worker::Kind::SplitRequest(request) => {
                let vertex = VertexId(request.vertex);
                let returned: Vec<Split> = match decode_all(&request.returned_json) {
                    Ok(returned) => returned,
                    Err(error) => {
                        let message = format!(
                            "{}: a split that was given back cannot be read: {error}",
                            self.source_name(vertex)
                        );
                        let cause = Cause::Error { fault: Fault::Internal, blamed: None };
                        return self.fail_tasks(message, cause);
                    }
                };
                if let Some(splits) = self.splits.get_mut(&vertex) {
                    let told = splits.requested(Subtask(request.subtask), returned.clone());
                    if !returned.is_empty() {
                        self.out.push(Action::TakeBack { vertex, splits: returned });
                    }
                    self.tell_readers(vertex, told);
                }
            }
            from_worker::Kind::TaskFinished(task) => {
                self.finished.insert((VertexId(task.vertex), Subtask(task.subtask)));
            }
            from_worker::Kind::Failed(failed) => {
                let fault = match failed.fault() {
                    control::Fault::User => Fault::User,
                    control::Fault::Internal => Fault::Internal,
                    control::Fault::External | control::Fault::Unspecified => Fault::External,
                };
                let blamed = failed.peer.map(WorkerId);
                self.fail_tasks(failed.message, Cause::Error { fault, blamed });
            }
            from_worker::Kind::Committed(committed) => self.on_committed(id, committed),
            from_worker::Kind::Prefetched(prefetched) => self.on_prefetched(id, &prefetched),
            from_worker::Kind::Hello(_)
            | from_worker::Kind::Stopped(_)
            | from_worker::Kind::Leaving(_) => {}
        }
    }

    fn on_hello(&mut self, link: LinkId, hello: control::Hello) {
        let id = WorkerId(hello.worker);
        if hello.plan_hash != self.plan.hash {
            let reason = format!(
                "worker {id} built plan {}, the coordinator {}; run the same program and options \
                 in every process of the job",
                short(&hello.plan_hash),
                short(&self.plan.hash)
            );
            return self.turn_away(link, reason);
        }
        if hello.version != CONTROL_VERSION {
            let reason = format!(
                "worker {id} speaks version {} of the control protocol, the coordinator version \
                 {CONTROL_VERSION}; run the same version of Weir in every process of the job",
                hello.version
            );
            return self.turn_away(link, reason);
        }
        if self.has_successor(id, &hello.incarnation) {
            let reason = format!("another process has taken the place of worker {id}");
            return self.turn_away(link, reason);
        }
        if let Some(before) = self.workers.get(&id)
            && before.link != link
        {
            let why = if before.incarnation == hello.incarnation {
                "it connected again"
            } else {
                "its process was started anew"
            };
            self.lose(id, why);
        }
        self.incarnations.attached(id, &hello.incarnation);
        let worker = Worker {
            link,
            incarnation: hello.incarnation,
            address: hello.exchange_address,
            control: hello.control_address,
            slots: hello.slots.max(1),
            heard_ms: self.now,
            stats: Vec::new(),
            state_bytes: 0,
        };
        self.links.insert(link, id);
        self.workers.insert(id, worker);
        let welcome = control::Welcome {
            job: self.config.job.0.clone(),
            lineage: self.head.manifest.lineage.0.clone(),
        };
        self.send(id, to_worker::Kind::Welcome(welcome));
        if let State::Starting { since_ms: since_ms @ None } = &mut self.state {
            *since_ms = Some(self.now);
        }
    }

    /// Whether another process of the same worker came after that one, and is there. Without this
    /// question a pod that still lives when its replacement comes, and the replacement, would take
    /// each other's place again and again.
    fn has_successor(&self, id: WorkerId, incarnation: &str) -> bool {
        let there = self.workers.get(&id).is_some_and(|worker| worker.incarnation != incarnation);
        there && self.incarnations.knows(id, incarnation)
    }

    /// Lets a process go that is not wanted.
    fn turn_away(&mut self, link: LinkId, reason: String) {
        let kind = to_worker::Kind::Shutdown(control::Shutdown { reason, end: None });
        let message = ToWorker { term: self.term().0, kind: Some(kind) };
        self.out.push(Action::Send { link, message });
        self.out.push(Action::Disconnect { link });
    }

    fn on_committed(&mut self, worker: WorkerId, committed: control::Committed) {
        let outcomes = committed.results.into_iter().map(|result| {
            let outcome = if !result.lost.is_empty() {
                Outcome::Lost(result.lost)
            } else if !result.retry.is_empty() {
                Outcome::Retry(result.retry)
            } else {
                Outcome::Committed
            };
            (result.index, outcome)
        });
        let epoch = Epoch(committed.epoch);
        match self.commits.answered(worker, epoch, outcomes.collect(), self.now) {
            Ok(indices) if indices.is_empty() => {}
            Ok(indices) => {
                self.step("commits acknowledged");
                self.out.push(Action::Acknowledged { epoch, indices });
            }
            Err(lost) => {
                let sink = self.plan.operator(&lost.sink).map(|(_, o)| o.name.clone());
                let sink = sink.unwrap_or_else(|| lost.sink.0.clone());
                self.end(Ending::Failed(format!(
                    "sink \"{sink}\": output of checkpoint {epoch} can no longer be made visible: \
                     {}; the checkpoint still lists it",
                    lost.why
                )));
            }
        }
    }

    pub(super) fn on_discovered(
        &mut self,
        vertex: VertexId,
        result: Result<Found, weir_engine::EngineError>,
    ) {
        match result {
            Ok(found) => {
                self.stats.source_problem.remove(&vertex);
                self.stats.total += found.splits.iter().map(|s| s.size).sum::<u64>();
                if let Some(splits) = self.splits.get_mut(&vertex) {
                    let told = splits.discovered(found);
                    self.tell_readers(vertex, told);
                }
            }
            Err(error) => {
                let name = self.source_name(vertex);
                let cause = Cause::Error { fault: error.fault, blamed: None };
                self.fail_tasks(format!("source \"{name}\": {error}"), cause);
            }
        }
    }

    /// Kept until the source has looked with success, also through a restart of the job.
    pub(super) fn note_source_problem(&mut self, vertex: VertexId, message: &str) {
        let name = self.source_name(vertex);
        let message = format!("source \"{name}\": {message}");
        self.stats.source_problem.insert(vertex, message);
    }

    fn source_name(&self, vertex: VertexId) -> String {
        let name = self.plan.vertices.get(vertex.0 as usize).map(|v| v.name.clone());
        name.unwrap_or_default()
    }

    pub(super) fn dispatch_commits(&mut self) {
        let may = match &self.state {
            State::Changing { phase, .. } => !matches!(phase, Phase::Sealing { .. }),
            State::Running(_) | State::Rescaling { .. } | State::Stopping { .. } => true,
            _ => false,
        };
        if !may {
            return;
        }
        let workers: Vec<WorkerId> = self.workers.keys().copied().collect();
        for sent in self.commits.dispatch(&workers, self.now) {
            let committables = sent.items.iter().map(|item| {
                serde_json::to_vec(item).unwrap_or_default() // names and bytes always encode
            });
            let commit = control::Commit {
                epoch: sent.epoch.0,
                committables: committables.collect(),
                lineage: sent.lineage,
            };
            self.step("commit dispatched");
            self.send(sent.worker, to_worker::Kind::Commit(commit));
        }
    }

    pub(super) fn tell_readers(&mut self, vertex: VertexId, told: Vec<ToReader>) {
        let Some(assigned) = &self.assigned else { return };
        let addressed: Vec<_> =
            told.into_iter().filter_map(|(s, a)| Some((assigned.worker(s)?, s, a))).collect();
        for (worker, subtask, assignment) in addressed {
            let assign = control::AssignSplits {
                vertex: vertex.0,
                subtask: subtask.0,
                // Names, numbers and bytes always encode.
                assignment_json: serde_json::to_vec(&assignment).unwrap_or_default(),
            };
            self.send(worker, to_worker::Kind::AssignSplits(assign));
        }
    }

    pub(super) fn send(&mut self, worker: WorkerId, kind: to_worker::Kind) {
        if let Some(w) = self.workers.get(&worker) {
            let message = ToWorker { term: self.term().0, kind: Some(kind) };
            self.out.push(Action::Send { link: w.link, message });
        }
    }

    /// Sends to every worker that has tasks.
    pub(super) fn broadcast(&mut self, kind: &to_worker::Kind) {
        let workers = self.assigned.as_ref().map(SlotAssignment::workers).unwrap_or_default();
        for worker in workers {
            self.send(worker, kind.clone());
        }
    }
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
