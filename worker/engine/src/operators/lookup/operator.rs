//! The operator: a batch is asked for, and leaves once it is answered.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::ask::{Answer, Question, ask, missing};
use super::pairs::Answered;
use super::spec::LookupJoin as Spec;
use crate::aggregate::InputRows;
use crate::lookup::{Found, Lookup};
use crate::operators::rows::gone;
use crate::{Batch, Context, Operator, OperatorError, Output, Progress};

type Result<T, E = OperatorError> = std::result::Result<T, E>;

/// A lookup join, of one subtask.
pub(super) struct LookupJoin {
    spec: Arc<Spec>,
    output: SchemaRef,
    table: Arc<dyn Lookup>,
    work: Work,
}

enum Work {
    None,
    /// A batch waits for its answer.
    Asked {
        batch: Batch,
        question: Question,
        answer: Answer,
    },
    /// It leaves.
    Leaves(Box<Answered>),
}

impl LookupJoin {
    pub(super) fn new(spec: Arc<Spec>, output: SchemaRef, table: Arc<dyn Lookup>) -> Self {
        Self { spec, output, table, work: Work::None }
    }

    /// What is known without asking anybody.
    fn at_once(&self, question: &Question) -> Result<Option<Found>> {
        if question.len == 0 {
            let rows = RecordBatch::new_empty(self.spec.table.schema());
            return Ok(Some(Found { rows, of: Vec::new() }));
        }
        let found = self.table.at_once(&question.keys, question.len)?;
        let again =
            |found: &Found| self.spec.retry.is_some() && !missing(found, question.len).is_empty();
        Ok(found.filter(|found| !again(found)))
    }

    fn go_on(&mut self, out: &mut Output) -> Result<Progress> {
        self.work = match std::mem::replace(&mut self.work, Work::None) {
            Work::None => return Ok(Progress::Done),
            Work::Asked { batch, question, answer } => match answer.take() {
                None => Work::Asked { batch, question, answer },
                Some(found) => {
                    let (of_row, len) = (&question.of_row, question.len);
                    Work::Leaves(Box::new(Answered::new(batch, of_row, len, found?)))
                }
            },
            Work::Leaves(mut answered) => {
                out.push(answered.step(&self.spec, &self.output)?);
                if answered.is_done() {
                    return Ok(Progress::Done);
                }
                Work::Leaves(answered)
            }
        };
        Ok(Progress::More)
    }
}

impl Operator for LookupJoin {
    fn on_batch(
        &mut self,
        cx: &mut Context,
        _input: usize,
        batch: Batch,
        out: &mut Output,
    ) -> Result<Progress> {
        gone(&batch, InputRows::Appended)?;
        let question = Question::of(&batch, &self.spec.keys)?;
        self.work = match self.at_once(&question)? {
            Some(found) => {
                let (of_row, len) = (&question.of_row, question.len);
                Work::Leaves(Box::new(Answered::new(batch, of_row, len, found)))
            }
            None => {
                let keys = question.keys.clone();
                let answer = ask(cx, &self.spec, &self.table, keys, question.len);
                Work::Asked { batch, question, answer }
            }
        };
        if let Work::Leaves(_) = self.work { self.go_on(out) } else { Ok(Progress::More) }
    }

    fn can_resume(&mut self, _: &mut Context) -> bool {
        match &self.work {
            Work::Asked { answer, .. } => answer.is_there(),
            Work::None | Work::Leaves(_) => true,
        }
    }

    fn resume(&mut self, _: &mut Context, out: &mut Output) -> Result<Progress> {
        self.go_on(out)
    }

    fn state_bytes(&self) -> usize {
        match &self.work {
            Work::Asked { batch, .. } => batch.bytes(),
            Work::None | Work::Leaves(_) => 0,
        }
    }
}
