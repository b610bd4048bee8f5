//! What rows that came or went meet on the other side, a block of pairs at a time.
//!
//! All that went is dealt with before all that came, so that nothing that is taken back is behind
//! what takes its place. Rows of one key are joined with the other side's rows of that key in
//! blocks of these, each read once.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::Schema;
use weir_state::key_table::ABSENT;

use super::emit::Given;
use super::fold::{Folded, Moved};
use super::plan::{Plan, Side};
use super::spec::JoinKind;
use super::store::{Cursor, Store};
use crate::operators::rows::{BatchKeys, take_all};
use crate::{Batch, OperatorError, RowKind};

/// Pairs that are looked at in one step, unless one row has more.
const PAIRS: usize = 8_192;

/// Rows of a batch that came or went, by key.
#[derive(Debug)]
struct Pass {
    came: bool,
    columns: Vec<ArrayRef>,
    times: Vec<i64>,
    kinds: Vec<RowKind>,
    slots: Vec<u32>,
    keys: Vec<Key>,
}

/// The rows of one key.
#[derive(Debug)]
struct Key {
    rows: Range<usize>,
    /// Its slot on the other side.
    other: u32,
    /// Whether this side now has rows of it and had none before, or the other way around, where
    /// somebody has to know.
    turns: bool,
}

/// What is left to do for a batch.
#[derive(Debug)]
pub(super) struct Probe {
    /// The side that the batch came to.
    side: usize,
    /// The last one is next.
    passes: Vec<Pass>,
    /// The next key, and where reading its rows stands.
    key: usize,
    cursor: Option<Cursor>,
    /// How many matches each of the key's rows has so far.
    matched: Vec<i64>,
}

/// Rows of the other side, and pairs of rows of this one with them.
#[derive(Default)]
pub(super) struct Pairs {
    pub(super) slots: Vec<u32>,
    /// Per pair a row of this side, and the position of a slot.
    pub(super) own: Vec<u32>,
    pub(super) other: Vec<u32>,
}

/// Pairs of rows of some keys of a pass.
#[derive(Default)]
struct Block {
    pairs: Pairs,
    parts: Vec<Part>,
}

/// The rows of one key in a block.
struct Part {
    key: usize,
    slots: Range<usize>,
    pairs: Range<usize>,
    /// Whether the key is done with.
    last: bool,
    /// The key has rows, which is all that is asked.
    found: bool,
}

/// What has to be known of the other side's rows of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Each of them.
    Each,
    /// Whether there is one.
    Any,
    /// Nothing.
    None,
}

/// What is known of a batch beside what it comes to, per row of it.
pub(super) struct Around {
    /// The keys' slots on the other side.
    pub(super) other: Vec<u32>,
    /// Whether this side had rows of the key before, and has now; empty where nobody asks.
    pub(super) had: Vec<bool>,
    pub(super) has: Vec<bool>,
}

impl Probe {
    pub(super) fn new(
        plan: &Plan,
        side: usize,
        keys: &[ArrayRef],
        rows: usize,
        around: &Around,
        folded: Folded,
    ) -> Result<Self, OperatorError> {
        let BatchKeys { numbers, .. } = BatchKeys::number(keys, rows)?;
        let presence = plan.sides[1 - side].alone && plan.sides[1 - side].matches.is_none();
        let pass = |moved: Moved, came: bool| -> Result<Option<Pass>, OperatorError> {
            if moved.len() == 0 {
                return Ok(None);
            }
            let mut by_key: Vec<u32> = (0..moved.len() as u32).collect();
            let number = |&at: &u32| numbers[moved.like[at as usize] as usize];
            by_key.sort_by_key(number);
            let mut keys: Vec<Key> = Vec::new();
            for (position, at) in by_key.iter().enumerate() {
                let same = position > 0 && number(at) == number(&by_key[position - 1]);
                match keys.last_mut().filter(|_| same) {
                    Some(key) => key.rows.end += 1,
                    None => {
                        let like = moved.like[*at as usize] as usize;
                        // What comes to an empty side, and what leaves it empty.
                        let turns = presence
                            && around.had[like] != around.has[like]
                            && around.has[like] == came;
                        let rows = position..position + 1;
                        keys.push(Key { rows, other: around.other[like], turns });
                    }
                }
            }
            let sorted = UInt32Array::from(by_key);
            let at = |at: &u32| *at as usize;
            Ok(Some(Pass {
                came,
                columns: take_all(&moved.columns, &sorted)?,
                times: sorted.values().iter().map(|i| moved.times[at(i)]).collect(),
                kinds: sorted.values().iter().map(|i| moved.kinds[at(i)]).collect(),
                slots: sorted.values().iter().map(|i| moved.slots[at(i)]).collect(),
                keys,
            }))
        };
        let passes = [pass(folded.came, true)?, pass(folded.went, false)?];
        let passes = passes.into_iter().flatten().collect();
        Ok(Self { side, passes, key: 0, cursor: None, matched: Vec::new() })
    }

    pub(super) fn is_done(&self) -> bool {
        self.passes.is_empty()
    }

    /// What the next pairs come to; `None` once there are none.
    pub(super) fn step(
        &mut self,
        plan: &Plan,
        stores: &mut [Store; 2],
    ) -> Result<Option<Vec<Batch>>, OperatorError> {
        let Some(pass) = self.passes.last() else { return Ok(None) };
        let (own, other) = (&plan.sides[self.side], &plan.sides[1 - self.side]);
        let block = block(
            pass,
            &mut self.key,
            &mut self.cursor,
            |key| look(plan, own, other, pass.came, key),
            &stores[1 - self.side],
        );
        let work = Work { plan, side: self.side, pass, block: &block };
        let given = work.join(&mut self.matched, stores)?;
        if self.key == pass.keys.len() {
            self.passes.pop();
            self.key = 0;
        }
        Ok(Some(given))
    }
}

fn look(plan: &Plan, own: &Side, other: &Side, came: bool, key: &Key) -> Look {
    let turned = other.alone && (other.matches.is_some() || key.turns);
    let counted = own.alone && (plan.condition.is_some() || (own.matches.is_some() && came));
    if key.other == ABSENT {
        Look::None
    } else if plan.kind.gives_pairs() || turned || counted {
        Look::Each
    } else if own.alone {
        Look::Any
    } else {
        Look::None
    }
}

/// The next keys of a pass with the other side's rows.
fn block(
    pass: &Pass,
    next: &mut usize,
    cursor: &mut Option<Cursor>,
    look: impl Fn(&Key) -> Look,
    store: &Store,
) -> Block {
    let mut block = Block::default();
    while block.pairs.own.len() < PAIRS && block.parts.len() < PAIRS {
        let Some(key) = pass.keys.get(*next) else { break };
        let (slots, pairs) = (block.pairs.slots.len(), block.pairs.own.len());
        let (mut more, mut found) = (false, false);
        match look(key) {
            Look::Each => {
                let mut at = cursor.take().unwrap_or_else(|| Cursor::new(key.other));
                let limit = ((PAIRS - pairs) / key.rows.len()).max(1);
                more = store.scan(&mut at, limit, &mut block.pairs.slots);
                *cursor = more.then_some(at);
                for row in key.rows.clone() {
                    for slot in slots..block.pairs.slots.len() {
                        block.pairs.own.push(row as u32);
                        block.pairs.other.push(slot as u32);
                    }
                }
            }
            Look::Any => found = store.has_rows(key.other),
            Look::None => {}
        }
        block.parts.push(Part {
            key: *next,
            slots: slots..block.pairs.slots.len(),
            pairs: pairs..block.pairs.own.len(),
            last: !more,
            found,
        });
        if more {
            break;
        }
        *next += 1;
    }
    block
}

/// A block of a pass.
struct Work<'a> {
    plan: &'a Plan,
    side: usize,
    pass: &'a Pass,
    block: &'a Block,
}

impl Work<'_> {
    fn join(
        &self,
        matched: &mut Vec<i64>,
        stores: &mut [Store; 2],
    ) -> Result<Vec<Batch>, OperatorError> {
        let Self { plan, pass, block, .. } = *self;
        let (own, other) = (&plan.sides[self.side], &plan.sides[1 - self.side]);
        let pairs = &block.pairs;
        let kept = pairs.test(plan, self.side, &pass.columns, &stores[1 - self.side])?;
        let is_kept = |pair: usize| kept.as_ref().is_none_or(|kept| kept[pair]);
        let times = stores[1 - self.side].counts(other.count, &pairs.slots)?;
        let before = stores[1 - self.side].counts(other.matches, &pairs.slots)?;
        let mut after = before.clone();
        let mut counted = Vec::new();
        let mut given = Given::default();
        let gives_pairs = plan.kind.gives_pairs();
        for part in &block.parts {
            let key = &pass.keys[part.key];
            if matched.is_empty() {
                matched.resize(key.rows.len(), if part.found { 1 } else { 0 });
            }
            for pair in part.pairs.clone().filter(|&pair| is_kept(pair)) {
                let (row, slot) = (pairs.own[pair] as usize, pairs.other[pair] as usize);
                matched[row - key.rows.start] += times[slot];
                let by = if pass.came { pass.times[row] } else { -pass.times[row] };
                after[slot] = (after[slot] + by).max(0);
            }
            let turned = |slot: &usize| {
                other.alone
                    && match other.matches {
                        Some(_) => (before[*slot] == 0) != (after[*slot] == 0),
                        None => key.turns,
                    }
            };
            // A row that has matches now is not given for having none, and the other way around.
            let of_matched = plan.kind == JoinKind::Semi;
            let kind = if of_matched == pass.came { RowKind::Insert } else { RowKind::Delete };
            let alone = |given: &mut Given| {
                for slot in part.slots.clone().filter(turned) {
                    given.push(kind, times[slot], None, Some(slot as u32));
                }
            };
            if pass.came {
                alone(&mut given);
            }
            if gives_pairs {
                for pair in part.pairs.clone().filter(|&pair| is_kept(pair)) {
                    let (row, slot) = (pairs.own[pair], pairs.other[pair]);
                    let times = pass.times[row as usize] * times[slot as usize];
                    given.push(pass.kinds[row as usize], times, Some(row), Some(slot));
                }
            }
            if !pass.came {
                alone(&mut given);
            }
            if part.last {
                for row in key.rows.clone().filter(|_| own.alone) {
                    let matched = matched[row - key.rows.start];
                    if (matched > 0) == of_matched {
                        given.push(pass.kinds[row], pass.times[row], Some(row as u32), None);
                    }
                    counted.push((pass.slots[row], matched));
                }
                matched.clear();
            }
        }
        if let (Some(column), true) = (own.matches, pass.came) {
            stores[self.side].set_counts(column, counted.into_iter())?;
        }
        if let Some(column) = other.matches {
            let changed = (0..pairs.slots.len()).filter(|&slot| before[slot] != after[slot]);
            let changed = changed.map(|slot| (pairs.slots[slot], after[slot]));
            stores[1 - self.side].set_counts(column, changed)?;
        }
        given.batches(plan, self.side, &pass.columns, || {
            stores[1 - self.side].rows(other, &pairs.slots)
        })
    }
}

impl Pairs {
    /// Per pair whether the condition holds; `None` where there is none. `own` are the columns of
    /// side `side`, the other one's rows are in `store`.
    pub(super) fn test(
        &self,
        plan: &Plan,
        side: usize,
        own: &[ArrayRef],
        store: &Store,
    ) -> Result<Option<Vec<bool>>, OperatorError> {
        let Some(condition) = &plan.condition else { return Ok(None) };
        if self.own.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let width = plan.widths[0];
        let other = store.rows(&plan.sides[1 - side], &self.slots)?;
        let own_rows = UInt32Array::from(self.own.clone());
        let other_rows = UInt32Array::from(self.other.clone());
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for &column in &condition.columns {
            let (of, column) = if column < width { (0, column) } else { (1, column - width) };
            fields.push(plan.sides[of].schema.field(column).clone().with_nullable(true));
            columns.push(if of == side {
                take(&own[column], &own_rows, None)?
            } else {
                take(&other[column], &other_rows, None)?
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.own.len()));
        let schema = Arc::new(Schema::new(fields));
        let pairs = RecordBatch::try_new_with_options(schema, columns, &options)?;
        let holds = (condition.test)(&pairs)?;
        Ok(Some((0..holds.len()).map(|i| holds.is_valid(i) && holds.value(i)).collect()))
    }
}
