//! Compiled expressions: common parts are computed once per batch, and what can fail is
//! computed only for the rows that need it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::kernels::zip::zip;
use arrow::compute::{and_kleene, interleave, or_kleene, take};
use weir_engine::EngineError;

use super::{Col, Expr, Kernel, Node};

/// Expressions over the columns of one schema, compiled together.
#[derive(Clone)]
pub(crate) struct Program {
    steps: Arc<Vec<Step>>,
    outputs: Vec<usize>,
}

struct Step {
    op: Op,
    fallible: bool,
}

enum Op {
    Column(usize),
    Literal(Col),
    And(usize, usize),
    Or(usize, usize),
    Case { whens: Vec<(usize, usize)>, otherwise: usize },
    Call { kernel: Kernel, args: Vec<usize>, place: String },
}

impl Program {
    /// Compiles `exprs`.
    pub(crate) fn new(exprs: &[Expr]) -> Self {
        let mut compiler = Compiler { steps: Vec::new(), known: HashMap::new() };
        let outputs = exprs.iter().map(|e| compiler.add(e)).collect();
        Self { steps: Arc::new(compiler.steps), outputs }
    }

    /// Evaluates all of them.
    pub(crate) fn evaluate(&self, records: &RecordBatch) -> Result<Vec<ArrayRef>, EngineError> {
        let mut frame = Frame::new(self, records.num_rows(), Columns::Records(records));
        self.outputs
            .iter()
            .map(|&id| {
                let col = frame.eval(id)?;
                col.to_rows(records.num_rows())
            })
            .collect()
    }
}

struct Compiler {
    steps: Vec<Step>,
    known: HashMap<String, usize>,
}

impl Compiler {
    fn add(&mut self, expr: &Expr) -> usize {
        // Two calls of RAND() are two values.
        let key =
            expr.nondeterministic().is_none().then(|| expr.canonical(&|index| format!("#{index}")));
        if let Some(known) = key.as_ref().and_then(|key| self.known.get(key)) {
            return *known;
        }
        let op = match &*expr.node {
            Node::Column(index) => Op::Column(*index),
            Node::Literal(value) => Op::Literal(Col::Scalar(value.clone())),
            Node::And(a, b) => Op::And(self.add(a), self.add(b)),
            Node::Or(a, b) => Op::Or(self.add(a), self.add(b)),
            Node::Case { whens, otherwise } => Op::Case {
                whens: whens.iter().map(|(w, t)| (self.add(w), self.add(t))).collect(),
                otherwise: self.add(otherwise),
            },
            Node::Call(call) => Op::Call {
                kernel: call.kernel.clone(),
                args: call.args.iter().map(|a| self.add(a)).collect(),
                place: expr.span.to_string(),
            },
        };
        self.steps.push(Step { op, fallible: expr.fallible() });
        let id = self.steps.len() - 1;
        if let Some(key) = key {
            self.known.insert(key, id);
        }
        id
    }
}

/// Where a frame's columns come from.
#[derive(Clone, Copy)]
enum Columns<'a> {
    Records(&'a RecordBatch),
    /// Some rows of another frame's columns.
    Rows(&'a Columns<'a>, &'a UInt32Array),
}

impl Columns<'_> {
    fn get(&self, index: usize) -> Result<ArrayRef, EngineError> {
        match self {
            Self::Records(records) => Ok(records.column(index).clone()),
            Self::Rows(parent, rows) => Ok(take(&parent.get(index)?, rows, None)?),
        }
    }
}

struct Frame<'a> {
    program: &'a Program,
    rows: usize,
    columns: Columns<'a>,
    memo: Vec<Option<Col>>,
}

impl<'a> Frame<'a> {
    fn new(program: &'a Program, rows: usize, columns: Columns<'a>) -> Self {
        Self { program, rows, columns, memo: vec![None; program.steps.len()] }
    }

    fn eval(&mut self, id: usize) -> Result<Col, EngineError> {
        if let Some(known) = &self.memo[id] {
            return Ok(known.clone());
        }
        let program = self.program;
        let value = match &program.steps[id].op {
            Op::Column(index) => Col::Array(self.columns.get(*index)?),
            Op::Literal(value) => value.clone(),
            Op::And(a, b) => self.logical(*a, *b, true)?,
            Op::Or(a, b) => self.logical(*a, *b, false)?,
            Op::Case { whens, otherwise } => self.case(whens, *otherwise)?,
            Op::Call { kernel, args, place } => {
                let args = args.iter().map(|&a| self.eval(a)).collect::<Result<Vec<_>, _>>()?;
                kernel(&args, self.rows).map_err(|e| e.at(place))?
            }
        };
        self.memo[id] = Some(value.clone());
        Ok(value)
    }

    fn booleans(&mut self, id: usize) -> Result<BooleanArray, EngineError> {
        let col = self.eval(id)?;
        Ok(col.to_rows(self.rows)?.as_boolean().clone())
    }

    /// Evaluates a step for some rows only.
    fn eval_rows(&self, id: usize, rows: &UInt32Array) -> Result<ArrayRef, EngineError> {
        let columns = Columns::Rows(&self.columns, rows);
        let mut frame = Frame::new(self.program, rows.len(), columns);
        frame.eval(id)?.to_rows(rows.len())
    }

    fn logical(&mut self, a: usize, b: usize, and: bool) -> Result<Col, EngineError> {
        let left = self.booleans(a)?;
        // Rows that the left side does not decide: for AND those that are not FALSE.
        let open: Vec<u32> = (0..left.len())
            .filter(|&row| left.is_null(row) || left.value(row) == and)
            .map(|row| row as u32)
            .collect();
        if open.is_empty() {
            return Ok(Col::Array(Arc::new(left)));
        }
        let right = if open.len() == left.len() || !self.program.steps[b].fallible {
            self.booleans(b)?
        } else {
            let some = self.eval_rows(b, &UInt32Array::from(open.clone()))?;
            let mut back: Vec<Option<u32>> = vec![None; left.len()];
            for (position, row) in open.iter().enumerate() {
                back[*row as usize] = Some(position as u32);
            }
            take(&some, &UInt32Array::from(back), None)?.as_boolean().clone()
        };
        let result = if and { and_kleene(&left, &right)? } else { or_kleene(&left, &right)? };
        Ok(Col::Array(Arc::new(result)))
    }

    fn case(&mut self, whens: &[(usize, usize)], otherwise: usize) -> Result<Col, EngineError> {
        let steps = &self.program.steps;
        let careful = whens.iter().any(|(w, t)| steps[*w].fallible || steps[*t].fallible)
            || steps[otherwise].fallible;
        if !careful {
            let mut result = self.eval(otherwise)?;
            for (when, then) in whens.iter().rev() {
                let mask = truth(&self.booleans(*when)?)?;
                let then = self.eval(*then)?;
                result = Col::Array(zip(&mask, &then, &result)?);
            }
            return Ok(result);
        }
        let mut choice: Vec<(usize, usize)> = vec![(0, 0); self.rows];
        let mut pieces: Vec<ArrayRef> = Vec::new();
        let mut left: Vec<u32> = (0..self.rows as u32).collect();
        for (when, then) in whens {
            if left.is_empty() {
                break;
            }
            let condition = self.eval_rows(*when, &UInt32Array::from(left.clone()))?;
            let condition = condition.as_boolean();
            let holds = |position: usize| condition.is_valid(position) && condition.value(position);
            let (mut taken, mut rest) = (Vec::new(), Vec::new());
            for (position, row) in left.iter().enumerate() {
                if holds(position) { taken.push(*row) } else { rest.push(*row) }
            }
            self.take_branch(*then, taken, &mut pieces, &mut choice)?;
            left = rest;
        }
        self.take_branch(otherwise, left, &mut pieces, &mut choice)?;
        if pieces.is_empty() {
            let none = UInt32Array::from(Vec::<u32>::new());
            return Ok(Col::Array(self.eval_rows(otherwise, &none)?));
        }
        let pieces: Vec<&dyn Array> = pieces.iter().map(|p| &**p).collect();
        Ok(Col::Array(interleave(&pieces, &choice)?))
    }

    fn take_branch(
        &self,
        branch: usize,
        rows: Vec<u32>,
        pieces: &mut Vec<ArrayRef>,
        choice: &mut [(usize, usize)],
    ) -> Result<(), EngineError> {
        if rows.is_empty() {
            return Ok(());
        }
        for (position, row) in rows.iter().enumerate() {
            choice[*row as usize] = (pieces.len(), position);
        }
        pieces.push(self.eval_rows(branch, &UInt32Array::from(rows))?);
        Ok(())
    }
}

/// NULL counts as false, as in WHERE and WHEN.
pub(crate) fn truth(mask: &BooleanArray) -> Result<BooleanArray, EngineError> {
    Ok(match mask.nulls() {
        // Not arrow's and_not, which mixes up where the two of them begin in their buffers.
        Some(nulls) => BooleanArray::new(mask.values() & nulls.inner(), None),
        None => mask.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_no_also_where_an_array_is_a_part_of_another() {
        let all: BooleanArray =
            (0..200).map(|row| [Some(true), None, Some(false)][row % 3]).collect();
        for offset in 0..70 {
            let part = all.slice(offset, 100);
            // Values of their own, beside the NULLs of the part.
            let own = BooleanArray::new(
                part.values().iter().map(|_| true).collect(),
                part.nulls().cloned(),
            );
            for mask in [&part, &own] {
                let wanted: Vec<bool> = mask.iter().map(|value| value == Some(true)).collect();
                assert_eq!(truth(mask).unwrap().values().iter().collect::<Vec<_>>(), wanted);
            }
        }
    }
}
