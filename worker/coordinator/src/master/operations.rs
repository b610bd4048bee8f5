//! Operations that were asked for under an id, and what came of them.

use weir_protocol::control::{self, OperationKind, OperationOutcome};

use super::event::{Action, Reply, Request, RequestId};
use super::machine::JobMaster;

/// Reports of finished operations that status keeps.
const MAX_REPORTS: usize = 16;

/// A request that is reported under an id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Named {
    id: String,
    kind: OperationKind,
    began_ms: u64,
}

impl JobMaster {
    /// Milliseconds since 1970, for display.
    pub(super) fn wall_ms(&self) -> u64 {
        self.config.began_at_ms.saturating_add(self.now)
    }

    pub(super) fn name_operation(&mut self, request: RequestId, what: &Request, id: String) {
        if id.is_empty() {
            return;
        }
        let kind = match what {
            Request::Rescale { .. } => OperationKind::Rescale,
            Request::Savepoint { stop: false, .. } => OperationKind::Savepoint,
            Request::Savepoint { stop: true, .. } => OperationKind::Stop,
            Request::Drain { .. } => OperationKind::Drain,
        };
        self.named.insert(request, Named { id, kind, began_ms: self.now });
    }

    pub(super) fn push_report(&mut self, mut report: control::OperationReport) {
        report.number = self.stats.operations.last().map_or(0, |newest| newest.number) + 1;
        if self.stats.operations.len() >= MAX_REPORTS {
            self.stats.operations.remove(0);
        }
        report.at_ms = self.wall_ms();
        self.stats.operations.push(report);
    }

    /// Reports the operations that this event has brought to their end.
    pub(super) fn note_operations(&mut self) {
        let replies = self.out.iter().filter_map(|action| match action {
            Action::Reply { id, reply } => Some((*id, reply.clone())),
            _ => None,
        });
        for (request, reply) in replies.collect::<Vec<_>>() {
            let Some(Named { id, kind, began_ms }) = self.named.remove(&request) else { continue };
            let now = self.wall_ms();
            // What the core has just reported by itself is the same operation.
            let mine = self.stats.operations.last_mut();
            if !matches!(reply, Reply::Refused(_))
                && let Some(report) = mine
                && report.kind() == kind
                && report.id.is_empty()
                && report.at_ms == now
            {
                report.id = id;
                continue;
            }
            let mut report = control::OperationReport {
                kind: kind.into(),
                id,
                total_ms: self.now - began_ms,
                ..control::OperationReport::default()
            };
            let (outcome, message) = match reply {
                Reply::Refused(why) => (OperationOutcome::Refused, why),
                Reply::Saved { info, .. } => {
                    (OperationOutcome::Done, format!("savepoint at {}", info.path))
                }
                Reply::Rescaled { .. } => {
                    (OperationOutcome::Unchanged, "nothing had to change".to_owned())
                }
            };
            report.set_outcome(outcome);
            report.message = message;
            self.push_report(report);
        }
    }
}
