//! What workers say, and what readers are told.

use weir_engine::Fault;
use weir_engine::source::Split;
use weir_protocol::control::{self, FromWorker, ToWorker, from_worker, to_worker};
use weir_protocol::{Attempt, Subtask, VertexId, WorkerId};

use super::JobMaster;
use crate::master::event::{Action, LinkId};
use crate::master::lifecycle::{self, Cause};
use crate::master::sources::ToReader;
use crate::master::workers::{self, Greeting};
use crate::master::{checkpoints, commits, placement, requests, sources};
use crate::wire::decode_all;

impl JobMaster {
    pub(super) fn on_message(&mut self, link: LinkId, message: FromWorker) {
        let Some(kind) = message.kind else { return };
        if let from_worker::Kind::Hello(hello) = kind {
            return self.on_hello(link, hello);
        }
        let Some(worker) = self.workers.of_link(link) else {
            return;
        };
        self.tell_workers(workers::Event::Heard(worker));
        let is_current = message.term == self.term().0;
        match kind {
            from_worker::Kind::Hello(_) => {}
            from_worker::Kind::Leaving(_) => self.lose(worker, "its process was told to end"),
            from_worker::Kind::Stopped(_) => self.tell_workers(workers::Event::Stopped(worker)),
            from_worker::Kind::Heartbeat(heartbeat) => {
                // Of whatever term: it tells the worker that somebody listens.
                let state = self.run_state().into();
                let looks = self.notes.looks.clone();
                self.send(worker, to_worker::Kind::Heard(control::Heard { state, looks }));
                if is_current {
                    let control::Heartbeat { tasks, shown, .. } = heartbeat;
                    self.tell_workers(workers::Event::Counted { worker, tasks, shown });
                }
            }
            // Everything else is about tasks of the term.
            _ if !is_current => {}
            from_worker::Kind::Deployed(_) => {
                self.tell_lifecycle(lifecycle::Event::Deployed(worker));
            }
            from_worker::Kind::CheckpointWanted(_) => {
                self.tell_checkpoints(checkpoints::Event::Wanted);
            }
            from_worker::Kind::Ack(ack) => {
                self.tell_checkpoints(checkpoints::Event::Acknowledged(ack));
            }
            from_worker::Kind::Declined(declined) => {
                let (vertex, subtask) = (VertexId(declined.vertex), Subtask(declined.subtask));
                let task = self.plan.task_name(vertex, subtask);
                let why = format!("{task} declined: {}", declined.reason);
                let attempt = Attempt(declined.attempt);
                self.tell_checkpoints(checkpoints::Event::Failed { attempt, why });
            }
            from_worker::Kind::SplitRequest(request) => self.on_split_request(&request),
            from_worker::Kind::TaskFinished(task) => {
                let task = (VertexId(task.vertex), Subtask(task.subtask));
                self.placement.on(placement::Event::Finished(task));
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
            from_worker::Kind::Committed(committed) => {
                self.tell_commits(commits::Event::Answered { worker, committed });
            }
            from_worker::Kind::Prefetched(prefetched) => {
                let id = prefetched.id;
                self.tell_requests(requests::Event::Prefetched { worker, id });
            }
        }
    }

    fn on_split_request(&mut self, request: &control::SplitRequest) {
        let (vertex, subtask) = (VertexId(request.vertex), Subtask(request.subtask));
        match decode_all::<Split>(&request.returned_json) {
            Ok(returned) => {
                self.tell_sources(sources::Event::Requested { vertex, subtask, returned });
            }
            Err(error) => {
                let name = self.plan.vertex_name(vertex);
                let message =
                    format!("{name}: a split that was given back cannot be read: {error}");
                self.fail_tasks(message, Cause::error(Fault::Internal));
            }
        }
    }

    fn on_hello(&mut self, link: LinkId, hello: control::Hello) {
        let worker = WorkerId(hello.worker);
        match self.workers.decide_greeting(link, &hello, &self.plan.hash) {
            Greeting::TurnAway(reason) => return self.turn_away(link, reason),
            Greeting::Attach { replaces: Some(why) } => self.lose(worker, why),
            Greeting::Attach { replaces: None } => {}
        }
        self.tell_workers(workers::Event::Attached { link, hello });
        let welcome = control::Welcome {
            job: self.config.job.0.clone(),
            lineage: self.head.manifest.lineage.0.clone(),
        };
        self.send(worker, to_worker::Kind::Welcome(welcome));
        self.tell_lifecycle(lifecycle::Event::WorkerCame);
    }

    /// Lets a process go that is not wanted.
    fn turn_away(&mut self, link: LinkId, reason: String) {
        let kind = to_worker::Kind::Shutdown(control::Shutdown { reason, end: None });
        let message = ToWorker { term: self.term().0, kind: Some(kind) };
        self.out.push(Action::Send { link, message });
        self.out.push(Action::Disconnect { link });
    }

    pub(super) fn tell_readers(&mut self, vertex: VertexId, told: Vec<ToReader>) {
        let Some(slots) = self.placement.slots() else { return };
        let addressed: Vec<_> =
            told.into_iter().filter_map(|(s, a)| Some((slots.worker(s)?, s, a))).collect();
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
}
