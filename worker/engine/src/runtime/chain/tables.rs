//! What a chain does about its operators' state tables: rows come into memory before the work that
//! needs them, and leave it where there is too little.

use super::{Chain, Work};
use crate::EngineError;
use crate::runtime::memory::Held;
use crate::runtime::reading::{Begun, Reading};
use crate::task::Follow;

impl Chain {
    /// Whether an operator keeps state tables.
    pub(crate) fn keeps_tables(&self) -> bool {
        self.keeps_tables
    }

    /// What each operator holds with its tables.
    pub(crate) fn held(&mut self) -> impl Iterator<Item = Held> {
        let reading = self.reading.as_ref().map(|reading| (reading.at, reading.bytes));
        self.links.iter_mut().enumerate().map(move |(at, link)| {
            let mut held = Held { bytes: link.operator.state_bytes(), unpublished: 0 };
            held.bytes += reading.filter(|reading| reading.0 == at).map_or(0, |reading| reading.1);
            for memory in link.operator.tables().into_iter().map(|table| table.memory()) {
                held.bytes += memory.total();
                // With its rows goes what finds them.
                held.unpublished += memory.unpublished();
            }
            held
        })
    }

    /// Whether the rows that the work on top of the stack needs of state tables are in memory; begins
    /// to read them if not.
    pub(super) fn has_rows(&mut self) -> Result<bool, EngineError> {
        if let Some(mut reading) = self.reading.take() {
            let at = reading.at;
            let finished = reading.finish(&mut self.links[at], &self.segments);
            if finished.map_err(|e| self.named(at, e))?.is_none() {
                self.reading = Some(reading);
                return Ok(false);
            }
            return Ok(true);
        }
        let (at, keys) = match self.stack.last() {
            Some(Work::Batch { at, port, batch }) if *at < self.links.len() => {
                (*at, self.links[*at].operator.keys_of(*port, batch))
            }
            Some(Work::Resume { at, .. }) => (*at, self.links[*at].operator.keys_to_resume()),
            _ => return Ok(true),
        };
        let keys = keys.map_err(|e| self.named(at, e))?;
        if keys.is_empty() {
            return Ok(true);
        }
        let splits =
            matches!(self.stack.last(), Some(Work::Batch { batch, .. }) if batch.num_rows() > 1);
        let most = splits.then_some(self.read_bytes);
        match Reading::begin(at, &mut self.links[at], &self.segments, keys, most) {
            Ok(Begun::InMemory) => Ok(true),
            Ok(Begun::Reading(reading)) => {
                self.reading = Some(reading);
                Ok(false)
            }
            Ok(Begun::TooMuch(bytes)) => {
                self.split_batch(bytes.div_ceil(self.read_bytes));
                self.has_rows()
            }
            Err(error) => Err(self.named(at, error)),
        }
    }

    /// Makes so many of the batch on top of the stack, or as many as it has rows.
    fn split_batch(&mut self, parts: usize) {
        if let Some(Work::Batch { at, port, batch }) = self.stack.pop() {
            let rows = batch.num_rows();
            let step = rows.div_ceil(parts.max(2)).max(1);
            let starts = (0..rows).step_by(step).rev();
            self.stack.extend(starts.map(|start| {
                let batch = batch.slice(start, step.min(rows - start));
                Work::Batch { at, port, batch }
            }));
        }
    }

    /// Tells a table of the segments that hold what was frozen for an attempt, or before.
    ///
    /// # Errors
    /// When a segment has a schema that the table cannot take over, which is a bug: it was written
    /// under this one.
    pub(crate) fn follow(&mut self, follow: Follow) -> Result<(), EngineError> {
        let Follow { uid, table, layers, up_to } = follow;
        self.stuck = 0;
        let Some(link) = self.links.iter_mut().find(|link| link.cx.uid == uid) else {
            return Ok(());
        };
        let age = link.cx.age(up_to);
        match link.operator.tables().into_iter().find(|t| t.spec().name == table) {
            Some(table) => table.follow(layers, age).map_err(EngineError::internal),
            None => Ok(()),
        }
    }

    /// Drops about so many bytes of rows from memory that segments hold as they are.
    pub(crate) fn trim(&mut self, want: usize) {
        debug_assert!(self.stack.is_empty(), "rows move between batches only");
        let evictable = |chain: &mut Self| -> usize {
            let tables = chain.links.iter_mut().flat_map(|link| link.operator.tables());
            tables.map(|table| table.memory().evictable()).sum()
        };
        if evictable(self) < self.stuck + want / 4 {
            return;
        }
        let mut left = want;
        for table in self.links.iter_mut().flat_map(|link| link.operator.tables()) {
            // Moving what stays together costs more than a few rows are worth.
            if table.memory().evictable() >= left / 4 {
                left = left.saturating_sub(table.trim(left));
            }
        }
        self.stuck = if left > want / 2 { evictable(self) } else { 0 };
    }
}
