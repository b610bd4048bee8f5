//! Operations that were asked for under an id, and what came of them.

use std::collections::BTreeMap;

use weir_protocol::control::{OperationKind, OperationOutcome, OperationReport};

use crate::master::event::{Reply, Request, RequestId};

/// Reports of finished operations that status keeps.
const MAX_REPORTS: usize = 16;

/// A request that is reported under an id.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Named {
    id: String,
    kind: OperationKind,
    began_ms: u64,
}

/// Operations under way that have an id, and reports of finished ones.
#[derive(Debug)]
pub(crate) struct Operations {
    /// What time it was (milliseconds since 1970) when the coordinator's own time was 0.
    began_at_ms: u64,
    named: BTreeMap<RequestId, Named>,
    reports: Vec<OperationReport>,
}

impl Operations {
    pub(crate) fn new(began_at_ms: u64) -> Self {
        Self { began_at_ms, named: BTreeMap::new(), reports: Vec::new() }
    }

    /// The newest reports, oldest first.
    #[must_use]
    pub(crate) fn reports(&self) -> &[OperationReport] {
        &self.reports
    }

    /// A request is to be reported under an id; under none when that is empty.
    pub(crate) fn name(&mut self, request: RequestId, what: &Request, id: String, now_ms: u64) {
        if id.is_empty() {
            return;
        }
        let kind = match what {
            Request::Rescale { .. } => OperationKind::Rescale,
            Request::Savepoint { stop: false, .. } => OperationKind::Savepoint,
            Request::Savepoint { stop: true, .. } => OperationKind::Stop,
            Request::Drain { .. } => OperationKind::Drain,
        };
        self.named.insert(request, Named { id, kind, began_ms: now_ms });
    }

    /// An operation has come to its end.
    pub(crate) fn report(&mut self, mut report: OperationReport, now_ms: u64) {
        report.number = self.reports.last().map_or(0, |newest| newest.number) + 1;
        if self.reports.len() >= MAX_REPORTS {
            self.reports.remove(0);
        }
        report.at_ms = self.began_at_ms.saturating_add(now_ms);
        self.reports.push(report);
    }

    /// A request was answered: if it has an id, that is reported.
    pub(crate) fn answered(&mut self, request: RequestId, reply: &Reply, now_ms: u64) {
        let Some(Named { id, kind, began_ms }) = self.named.remove(&request) else { return };
        let at_ms = self.began_at_ms.saturating_add(now_ms);
        // What the core has just reported by itself is the same operation.
        if !matches!(reply, Reply::Refused(_))
            && let Some(report) = self.reports.last_mut()
            && report.kind() == kind
            && report.id.is_empty()
            && report.at_ms == at_ms
        {
            report.id = id;
            return;
        }
        let (outcome, message) = match reply {
            Reply::Refused(why) => (OperationOutcome::Refused, why.clone()),
            Reply::Saved { info, .. } => {
                (OperationOutcome::Done, format!("savepoint at {}", info.path))
            }
            Reply::Rescaled { .. } => {
                (OperationOutcome::Unchanged, "nothing had to change".to_owned())
            }
        };
        let report = OperationReport {
            kind: kind.into(),
            outcome: outcome.into(),
            id,
            message,
            total_ms: now_ms - began_ms,
            ..OperationReport::default()
        };
        self.report(report, now_ms);
    }
}
