//! What is over, once each, as traces.

use std::sync::Arc;

use weir_engine::veil;
use weir_page::traces::{Span, of_checkpoint, of_operation};
use weir_protocol::control::JobStatus;
use weir_protocol::view::CheckpointRecord;

use super::Facts;
use super::ledger::operation;

/// What of one coordinator was told.
#[derive(Debug, Default)]
pub(super) struct Traced {
    attempt: u64,
    operation: u64,
}

impl Traced {
    /// The spans of what is over since the last call; what the process covers stands in none.
    pub(super) fn news(
        &mut self,
        facts: &Facts,
        status: &JobStatus,
        checkpoints: &[Arc<CheckpointRecord>],
    ) -> Vec<Span> {
        let job = facts.job();
        let mut spans = Vec::new();
        for record in checkpoints.iter().filter(|record| record.attempt > self.attempt) {
            spans.extend(of_checkpoint(&job, record, |vertex| facts.vertex(vertex)));
        }
        for done in status.operations.iter().filter(|done| done.number > self.operation) {
            spans.extend(of_operation(&job, &operation(done, status.term)));
        }
        self.attempt = checkpoints.last().map_or(self.attempt, |record| record.attempt);
        self.operation = status.operations.last().map_or(self.operation, |done| done.number);
        for span in &mut spans {
            let texts = span.attributes.iter_mut().map(|(_, value)| value);
            for text in texts.chain([&mut span.problem]) {
                *text = veil::hide(text).into_owned();
            }
        }
        spans
    }
}

#[cfg(test)]
mod tests {
    use weir_protocol::control::OperationReport;
    use weir_protocol::view::AttemptResult;

    use super::*;

    #[test]
    fn what_is_over_is_told_once() {
        let record =
            |attempt| Arc::new(CheckpointRecord { attempt, ..CheckpointRecord::default() });
        let done = OperationReport { number: 1, ..OperationReport::default() };
        let status = JobStatus { operations: vec![done], ..JobStatus::default() };
        let (facts, mut traced) = (Facts::default(), Traced::default());
        let mut told = |checkpoints: &[Arc<CheckpointRecord>]| -> Vec<String> {
            let roots = traced.news(&facts, &status, checkpoints).into_iter();
            roots.map(|span| span.name).filter(|name| name != "publish").collect()
        };
        assert_eq!(told(&[record(1), record(2)]), ["checkpoint", "checkpoint", "operation"]);
        assert_eq!(told(&[record(2), record(3)]), ["checkpoint"]);
        assert!(told(&[record(2), record(3)]).is_empty());
    }

    #[test]
    fn what_is_covered_stands_in_no_trace() {
        veil::cover("STORE_KEY", "of-the-store-and-secret");
        let said = "the store refuses of-the-store-and-secret";
        let record = CheckpointRecord {
            attempt: 1,
            result: AttemptResult::Failed,
            problem: said.into(),
            ..CheckpointRecord::default()
        };
        let done =
            OperationReport { number: 1, message: said.into(), ..OperationReport::default() };
        let status = JobStatus { operations: vec![done], ..JobStatus::default() };
        let spans = Traced::default().news(&Facts::default(), &status, &[Arc::new(record)]);
        let shown = format!("{spans:?}");
        assert_eq!(shown.matches("refuses ${env:STORE_KEY}").count(), 2, "{shown}");
        assert!(!shown.contains("of-the-store-and-secret"), "{shown}");
    }
}
