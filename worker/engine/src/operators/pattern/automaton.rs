//! A pattern as steps, as machines for regular expressions have them.
//!
//! The steps are tried in the order in which the standard prefers matches: of alternatives the left
//! one first, of a greedy repetition another time, of a reluctant one its end. A greedy repetition
//! of one variable takes every row that fits it, as in Flink: what follows it never gets such a
//! row. That is [`Step::Choose`], which leaves no other way to be tried later. A variable that is
//! there at most once (`?`) is tried without its row first, as Flink's shortest way does.

use super::spec::Shape;
use crate::OperatorError;

/// Most steps of a pattern: repetitions with a number are written out.
pub(super) const MOST_STEPS: usize = 1 << 14;

/// A step; it goes on with the next one unless it says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// A row of this variable.
    Take(Taken),
    /// A row of this variable if there is one; otherwise it goes on there.
    Choose(Taken, usize),
    /// The first, and if that fails the second.
    Split(usize, usize),
    Jump(usize),
    /// A match.
    Accept,
}

/// What a row is taken as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Taken {
    pub(super) variable: usize,
    pub(super) excluded: bool,
}

/// The steps of a shape.
pub(super) fn compile(shape: &Shape) -> Result<Vec<Step>, OperatorError> {
    let mut compiler = Compiler { steps: Vec::new() };
    compiler.add(shape)?;
    compiler.push(Step::Accept)?;
    Ok(compiler.steps)
}

struct Compiler {
    steps: Vec<Step>,
}

impl Compiler {
    fn push(&mut self, step: Step) -> Result<usize, OperatorError> {
        if self.steps.len() >= MOST_STEPS {
            return Err(OperatorError::user(format!(
                "the PATTERN has more than {MOST_STEPS} steps when its repetitions are written out; use smaller numbers in {{n,m}}"
            )));
        }
        self.steps.push(step);
        Ok(self.steps.len() - 1)
    }

    /// Lets steps that left open where they go on do so at the next one.
    fn land(&mut self, open: &[usize]) {
        let here = self.steps.len();
        for &at in open {
            self.steps[at] = match self.steps[at] {
                Step::Choose(taken, _) => Step::Choose(taken, here),
                Step::Split(first, usize::MAX) => Step::Split(first, here),
                Step::Split(_, second) => Step::Split(here, second),
                Step::Jump(_) => Step::Jump(here),
                step => step,
            };
        }
    }

    fn add(&mut self, shape: &Shape) -> Result<(), OperatorError> {
        match shape {
            Shape::Variable { variable, excluded } => {
                let taken = Taken { variable: *variable, excluded: *excluded };
                self.push(Step::Take(taken))?;
            }
            Shape::Sequence(parts) => parts.iter().try_for_each(|part| self.add(part))?,
            Shape::Choice(parts) => {
                let mut ends = Vec::new();
                for (at, part) in parts.iter().enumerate() {
                    if at + 1 == parts.len() {
                        self.add(part)?;
                        break;
                    }
                    let split = self.push(Step::Split(self.steps.len() + 1, usize::MAX))?;
                    self.add(part)?;
                    ends.push(self.push(Step::Jump(usize::MAX))?);
                    self.land(&[split]);
                }
                self.land(&ends);
            }
            Shape::Repeat { of, least, most, reluctant } => {
                for _ in 0..*least {
                    self.add(of)?;
                }
                let mut ends = Vec::new();
                let is_variable = matches!(**of, Shape::Variable { .. });
                let reluctant = *reluctant || is_variable && (*least, *most) == (0, Some(1));
                match most {
                    None => {
                        let start = self.steps.len();
                        ends.push(self.once_more(of, reluctant)?);
                        self.push(Step::Jump(start))?;
                    }
                    Some(most) => {
                        for _ in *least..*most {
                            ends.push(self.once_more(of, reluctant)?);
                        }
                    }
                }
                self.land(&ends);
            }
        }
        Ok(())
    }

    /// The shape, if it is there; gives the step that has to be told where to go on otherwise.
    fn once_more(&mut self, of: &Shape, reluctant: bool) -> Result<usize, OperatorError> {
        if let (Shape::Variable { variable, excluded }, false) = (of, reluctant) {
            let taken = Taken { variable: *variable, excluded: *excluded };
            return self.push(Step::Choose(taken, usize::MAX));
        }
        let body = self.steps.len() + 1;
        let split = match reluctant {
            true => Step::Split(usize::MAX - 1, body),
            false => Step::Split(body, usize::MAX),
        };
        let split = self.push(split)?;
        self.add(of)?;
        Ok(split)
    }
}

/// Whether a match may be known only when it is sure that no row follows: then some leave long
/// after their last row.
pub(super) fn waits_for_the_end(steps: &[Step]) -> bool {
    let others = |step: &Step| matches!(step, Step::Split(first, second) if first < second);
    let behind = |(at, step): (usize, &Step)| {
        matches!(step, Step::Take(_) | Step::Choose(..)) && accepts_after_row(steps, at + 1)
    };
    steps.iter().any(others) || steps.iter().enumerate().any(behind)
}

/// Whether a step asks for a row before it accepts without one.
fn accepts_after_row(steps: &[Step], from: usize) -> bool {
    let (mut asks, mut open) = (false, vec![from]);
    let mut seen = vec![false; steps.len()];
    while let Some(at) = open.pop() {
        if std::mem::replace(&mut seen[at], true) {
            continue;
        }
        match steps[at] {
            Step::Accept => return asks,
            Step::Take(_) => asks = true,
            Step::Choose(_, exit) => {
                asks = true;
                open.push(exit);
            }
            Step::Split(first, second) => open.extend([second, first]),
            Step::Jump(to) => open.push(to),
        }
    }
    false
}
