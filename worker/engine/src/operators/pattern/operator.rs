//! The operator: rows wait for the watermark, and are searched in order.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, UInt32Array};
use weir_protocol::Counter;
use weir_state::key_table::ABSENT;
use weir_state::table::{Groups, Keyed, Ordered, Table, TableError, Timers};

use super::Delay;
use super::masks::masks;
use super::matches::{MatchedRow, Matches};
use super::plan::{BEFORE, MATCHES, Plan};
use super::search::{Found, Search, Seen};
use super::spec::{Of, Pattern, Skip};
use crate::aggregate::InputRows;
use crate::operator::{OutputTag, Restored, TableKeys};
use crate::operators::in_order::read_key;
use crate::operators::passed::Passed;
use crate::operators::rows::{BatchKeys, gone, take_all};
use crate::{Batch, Context, EventTime, Operator, OperatorError, Output, Progress, Watermark};

type Result<T, E = OperatorError> = std::result::Result<T, E>;

/// Keys whose rows are searched together.
const KEYS: usize = 1_024;
/// Rows of matches whose results are computed together.
const ROWS: usize = 1 << 16;

/// MATCH_RECOGNIZE, of one subtask.
#[derive(Debug)]
pub(super) struct PatternRows {
    plan: Plan,
    rows: Ordered,
    due: Timers,
    known: Option<Keyed>,
    passed: Passed,
    /// Keys whose rows are searched next.
    searched: Option<(Vec<ArrayRef>, usize)>,
}

/// A key that is searched.
struct Key {
    /// Its rows that the watermark has passed.
    span: Range<usize>,
    /// When the next row is due.
    next: Option<EventTime>,
    /// How many rows stand before the search, and how many matches there were.
    before: usize,
    matches: i64,
}

impl PatternRows {
    pub(super) fn new(spec: &Pattern, groups: Groups) -> Result<Self> {
        let plan = Plan::new(spec)?;
        let known = plan.known.clone().map(|known| Keyed::new(known, groups));
        Ok(Self {
            rows: Ordered::new(plan.layout.rows.clone(), groups).map_err(OperatorError::user)?,
            due: Timers::new(plan.layout.due.clone(), groups).map_err(OperatorError::user)?,
            known: known.transpose().map_err(OperatorError::user)?,
            passed: Passed::default(),
            searched: None,
            plan,
        })
    }

    /// Rows in memory, for tests.
    #[cfg(test)]
    pub(super) fn rows_kept(&self) -> usize {
        self.rows.all().count()
    }

    /// The last time that the watermark has passed.
    fn time(&self) -> EventTime {
        Watermark(self.passed.done()).last_passed()
    }

    /// Takes in rows, whose keys are in memory; gives which are late.
    fn take_in(&mut self, batch: &Batch, groups: u32) -> Result<Option<BooleanArray>> {
        gone(batch, InputRows::Appended)?;
        let times = self.plan.layout.times(batch)?;
        let keys = BatchKeys::number(&self.plan.layout.keys(batch), batch.num_rows())?;
        let done = self.passed.of(&keys.keys, keys.len, groups);
        let is_late = |(row, time): (usize, &EventTime)| {
            let done = done[keys.numbers[row] as usize];
            let behind = batch.behind().is_some_and(|behind| behind.is_valid(row));
            behind || *time < done || done == EventTime::MAX
        };
        let late: Vec<bool> = times.iter().enumerate().map(is_late).collect();
        let wait: UInt32Array =
            (0..).zip(&late).filter(|(_, late)| !**late).map(|(row, _)| row).collect();
        if !wait.is_empty() {
            self.plan.layout.put(&mut self.rows, &mut self.due, batch, &keys, &wait)?;
        }
        Ok(late.contains(&true).then(|| late.into()))
    }

    fn has_due(&self) -> bool {
        self.due.next().is_some_and(|time| time <= self.time())
    }

    fn progress(&self) -> Progress {
        if self.has_due() { Progress::More } else { Progress::Done }
    }

    /// Searches the rows of keys that the watermark has passed.
    fn search(&mut self, keys: &[ArrayRef], len: usize, out: &mut Output) -> Result<()> {
        // A key may have been due several times.
        let keys = BatchKeys::number(keys, len)?;
        let (mut searched, slots, times) = self.read(&keys)?;
        let records = self.plan.layout.read(&self.rows, &slots)?;
        let spans: Vec<Range<usize>> = searched.iter().map(|key| key.span.clone()).collect();
        let masks = masks(&self.plan, &records, &spans)?;
        let mut search = Search::new(&self.plan, &records, &times, &masks)?;
        let mut matches = Matches::default();
        let (mut gone, mut timers) = (Vec::new(), NextTimers::default());
        for (number, key) in (0_u32..).zip(&mut searched) {
            let end = self.search_key(key, &times, &mut search, |search, key, start| {
                matches.add(start, search.matched(), &key.span, key.matches);
                if matches.len() >= ROWS {
                    out.push(Batch::new(matches.give(&self.plan, &records)?));
                    matches = Matches::default();
                }
                Ok(())
            })?;
            let kept = end.saturating_sub(self.plan.back).max(key.span.start);
            gone.extend_from_slice(&slots[key.span.start..kept]);
            key.before = end - kept;
            timers.add(number, key, end, &times, &self.plan, self.time());
        }
        out.push(Batch::new(matches.give(&self.plan, &records)?));
        drop(search);
        self.rows.remove_slots(&gone);
        self.remember(&keys, &searched)?;
        let [set, unset] = [timers.set, timers.unset]
            .map(|(keys, times)| (UInt32Array::from(keys), Int64Array::from(times)));
        self.due.set(&take_all(&keys.keys, &set.0)?, &set.1)?;
        Ok(self.due.cancel(&take_all(&keys.keys, &unset.0)?, &unset.1)?)
    }

    /// The keys with their rows: slots and times of all.
    fn read(&mut self, keys: &BatchKeys) -> Result<(Vec<Key>, Vec<u32>, Vec<EventTime>)> {
        let mut key_slots = Vec::new();
        self.rows.lookup(&keys.keys, keys.len, &mut key_slots)?;
        let passed = self.time();
        let (mut searched, mut slots, mut times) = (Vec::new(), Vec::new(), Vec::new());
        for key in key_slots {
            let start = slots.len();
            let next = match key {
                ABSENT => None,
                key => read_key(&self.rows, key, passed, &mut slots, &mut times),
            };
            searched.push(Key { span: start..slots.len(), next, before: 0, matches: 0 });
        }
        if let Some(known) = &mut self.known {
            let mut known_slots = Vec::new();
            known.lookup(&keys.keys, keys.len, &mut known_slots)?;
            let before = known.column::<i64>(BEFORE).map_err(TableError::from)?;
            let matches = known.column::<i64>(MATCHES).map_err(TableError::from)?;
            for (key, slot) in searched.iter_mut().zip(known_slots) {
                if slot != ABSENT {
                    let rows = before.get(slot).unwrap_or_default();
                    key.before = usize::try_from(rows).unwrap_or_default().min(key.span.len());
                    key.matches = matches.get(slot).unwrap_or_default();
                }
            }
        }
        Ok((searched, slots, times))
    }

    /// Gives the matches of a key to `found`, and where its next search begins.
    fn search_key(
        &self,
        key: &mut Key,
        times: &[EventTime],
        search: &mut Search<'_>,
        mut found: impl FnMut(&Search<'_>, &Key, usize) -> Result<()>,
    ) -> Result<usize> {
        // Where the end decides nothing by itself, what is open stays so, as in Flink.
        let ended = self.plan.ends && self.passed.done() == EventTime::MAX;
        let to = match ended {
            true => key.span.end,
            false => key.span.end.saturating_sub(self.plan.ahead).max(key.span.start),
        };
        let mut at = key.span.start + key.before;
        while at < to {
            let limit = self.plan.spec.within.map(|within| times[at].saturating_add(within));
            let is_over = |limit: EventTime| self.plan.ahead == 0 && self.time() >= limit - 1;
            let seen = Seen {
                span: key.span.clone(),
                to,
                limit,
                closed: ended || limit.is_some_and(is_over),
                number: key.matches + 1,
            };
            match search.run(at, &seen)? {
                Found::Open => break,
                Found::Nothing => at += 1,
                Found::Match => {
                    key.matches += 1;
                    found(search, key, at)?;
                    at += self.skipped(search.matched(), times[at])?;
                }
            }
        }
        Ok(at)
    }

    /// How many rows behind the first row of a match the next search begins.
    fn skipped(&self, matched: &[MatchedRow], time: EventTime) -> Result<usize> {
        let (variables, word) = match &self.plan.spec.skip {
            Skip::PastLastRow => return Ok(matched.len()),
            Skip::ToNextRow => return Ok(1),
            Skip::ToFirst(variables) => (variables, "FIRST"),
            Skip::ToLast(variables) => (variables, "LAST"),
        };
        let of = Of::Variables(variables.clone());
        let named = |row: &MatchedRow| of.has(row.variable);
        let to = match word {
            "FIRST" => matched.iter().position(named),
            _ => matched.iter().rposition(named),
        };
        if let Some(rows) = to.filter(|rows| *rows > 0) {
            return Ok(rows);
        }
        let names: Vec<&str> =
            variables.iter().map(|&v| self.plan.spec.variables[v].name.as_str()).collect();
        let name = names.join(", ");
        let why = match to {
            None => format!("has no row of {name}; let PATTERN demand one"),
            Some(_) => {
                "begins with it, and would be found for ever; skip to a later row".to_owned()
            }
        };
        Err(OperatorError::user(format!(
            "AFTER MATCH SKIP TO {word} {name}: the match that begins at event time {time} ms {why}, or write SKIP TO NEXT ROW"
        )))
    }

    /// Writes down what is known of keys.
    fn remember(&mut self, keys: &BatchKeys, searched: &[Key]) -> Result<()> {
        let Some(known) = &mut self.known else { return Ok(()) };
        let mut slots = Vec::new();
        known.resolve(&keys.keys, keys.len, &mut slots)?;
        let before = searched.iter().map(|key| key.before as i64);
        let before: ArrayRef = std::sync::Arc::new(Int64Array::from_iter_values(before));
        let matches = searched.iter().map(|key| key.matches);
        let matches: ArrayRef = std::sync::Arc::new(Int64Array::from_iter_values(matches));
        known.write(BEFORE, &slots, &before)?;
        Ok(known.write(MATCHES, &slots, &matches)?)
    }
}

/// When keys are due again, and when no more.
#[derive(Default)]
struct NextTimers {
    set: (Vec<u32>, Vec<EventTime>),
    unset: (Vec<u32>, Vec<EventTime>),
}

impl NextTimers {
    /// A key whose next search begins at `end`.
    fn add(
        &mut self,
        number: u32,
        key: &Key,
        end: usize,
        times: &[EventTime],
        plan: &Plan,
        passed: EventTime,
    ) {
        let mut set = |time: EventTime| {
            self.set.0.push(number);
            self.set.1.push(time);
        };
        if let Some(next) = key.next {
            set(next);
        }
        let is_open = end < key.span.end;
        if is_open && let Some(within) = plan.spec.within {
            // The rows are freed then, whether others come or not.
            let over = times[end].saturating_add(within).saturating_sub(1);
            if over > passed {
                set(over);
            }
        }
        if !plan.ends || passed == EventTime::MAX {
            return;
        }
        if is_open {
            set(EventTime::MAX);
        } else {
            self.unset.0.push(number);
            self.unset.1.push(EventTime::MAX);
        }
    }
}

impl Operator for PatternRows {
    fn tables(&mut self) -> Vec<&mut dyn Table> {
        let mut tables: Vec<&mut dyn Table> = vec![&mut self.rows, &mut self.due];
        if let Some(known) = &mut self.known {
            tables.push(known);
        }
        tables
    }

    fn restore(&mut self, _cx: &mut Context, state: Restored) -> Result<()> {
        self.passed = Passed::restore(state);
        Ok(())
    }

    fn keys_of(&mut self, _input: usize, batch: &Batch) -> Result<Vec<TableKeys>> {
        let keys = self.plan.layout.keys(batch);
        Ok(vec![TableKeys { table: 0, keys, rows: batch.num_rows() }])
    }

    fn on_batch(
        &mut self,
        cx: &mut Context,
        _input: usize,
        batch: Batch,
        out: &mut Output,
    ) -> Result<Progress> {
        if let Some(late) = self.take_in(&batch, cx.max_parallelism)? {
            cx.metrics.add(Counter::Late, late.true_count());
            out.push_to(OutputTag::Late, batch.filter(late.values())?);
        }
        Ok(Progress::Done)
    }

    fn on_watermark(
        &mut self,
        _cx: &mut Context,
        mark: Watermark,
        _out: &mut Output,
    ) -> Result<Progress> {
        self.passed.advance(mark);
        Ok(self.progress())
    }

    fn outgoing(&self, mark: Watermark) -> Watermark {
        match self.plan.delay {
            Delay::Bounded(delay) if mark != Watermark::MAX => {
                Watermark(mark.0.saturating_sub(delay))
            }
            _ => mark,
        }
    }

    fn keys_to_resume(&mut self) -> Result<Vec<TableKeys>> {
        if self.searched.is_none() && self.has_due() {
            let (keys, times) = self.due.due(self.time(), KEYS)?;
            self.searched = Some((keys, times.len()));
        }
        let Some((keys, rows)) = &self.searched else { return Ok(Vec::new()) };
        let table = |table: usize| TableKeys { table, keys: keys.clone(), rows: *rows };
        Ok([0].into_iter().chain(self.known.is_some().then_some(2)).map(table).collect())
    }

    fn resume(&mut self, _cx: &mut Context, out: &mut Output) -> Result<Progress> {
        if let Some((keys, rows)) = self.searched.take() {
            self.search(&keys, rows, out)?;
        }
        Ok(self.progress())
    }
}
