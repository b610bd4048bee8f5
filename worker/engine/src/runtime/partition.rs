//! The sending side of an edge: which subtask gets which rows.

use std::sync::Arc;

use arrow::array::{UInt32Array, UInt64Array};
use weir_protocol::{KeyGroup, Subtask};
use weir_state::hash::hash_columns;

use super::channel::Channel;
use crate::graph::Exchange;
use crate::operator::OutputTag;
use crate::{Batch, EngineError, Message};

/// All channels of one edge that start at one subtask.
pub(crate) struct ResultPartition {
    /// Which operator of the chain feeds it, and from which output.
    pub(crate) operator: usize,
    pub(crate) output: OutputTag,
    route: Route,
    /// By receiving subtask; exactly one for a forward edge.
    channels: Vec<Arc<Channel>>,
}

enum Route {
    /// There is only one place to go.
    One,
    Hash {
        columns: Vec<usize>,
        reuse: bool,
        owners: Owners,
    },
    RoundRobin {
        next: usize,
    },
    All,
}

/// Key group → position of the owning subtask's channel.
struct Owners {
    table: Vec<u32>,
}

impl Owners {
    fn new(parallelism: u32, max_parallelism: u32) -> Self {
        let table = (0..max_parallelism)
            .map(|g| KeyGroup(g as u16).owner(parallelism, max_parallelism).0)
            .collect();
        Self { table }
    }

    fn of(&self, hash: u64) -> u32 {
        let group = KeyGroup::of_hash(hash, self.table.len() as u32);
        self.table.get(usize::from(group.0)).copied().unwrap_or(0)
    }
}

impl ResultPartition {
    /// A partition over `channels`, which are in the order of the receiving subtasks.
    pub(crate) fn new(
        operator: usize,
        output: OutputTag,
        exchange: &Exchange,
        channels: Vec<Arc<Channel>>,
        from: Subtask,
        max_parallelism: u32,
    ) -> Self {
        let route = match exchange {
            Exchange::Forward | Exchange::Single => Route::One,
            Exchange::Hash { columns, reuse } => Route::Hash {
                columns: columns.clone(),
                reuse: *reuse,
                owners: Owners::new(channels.len() as u32, max_parallelism),
            },
            // Producers start at different places, so that short streams spread as well.
            Exchange::Rebalance => Route::RoundRobin { next: from.0 as usize },
            Exchange::Broadcast => Route::All,
        };
        Self { operator, output, route, channels }
    }

    /// Whether every channel can take one step's output.
    pub(crate) fn has_room(&self) -> bool {
        self.channels.iter().all(|c| c.has_room())
    }

    /// Sends rows where they belong.
    pub(crate) fn send(&mut self, batch: Batch) -> Result<(), EngineError> {
        match &mut self.route {
            Route::One => self.push(0, Message::Data(batch)),
            Route::Hash { columns, reuse, owners } => {
                let hashes = match batch.hashes() {
                    Some(hashes) if *reuse => hashes.clone(),
                    _ => {
                        let keys: Vec<_> = columns
                            .iter()
                            .map(|&c| Arc::clone(batch.records().column(c)))
                            .collect();
                        hash_columns(&keys, batch.num_rows())
                    }
                };
                let parts = scatter(
                    &batch.with_hashes(hashes.clone()),
                    &hashes,
                    owners,
                    self.channels.len(),
                )?;
                for (destination, part) in parts {
                    self.push(destination, Message::Data(part));
                }
            }
            Route::RoundRobin { next } => {
                let destination = *next % self.channels.len();
                *next = destination + 1;
                self.push(destination, Message::Data(batch));
            }
            Route::All => self.send_all(&Message::Data(batch)),
        }
        Ok(())
    }

    /// Sends a control message to every receiver.
    pub(crate) fn send_all(&self, message: &Message) {
        for channel in &self.channels {
            channel.push(message.clone());
        }
    }

    fn push(&self, destination: usize, message: Message) {
        if let Some(channel) = self.channels.get(destination) {
            channel.push(message);
        }
    }
}

/// Splits a batch by the owner of each row's key group: a counting sort of row numbers, then
/// one gather per destination; a batch with one destination is passed on as it is.
fn scatter(
    batch: &Batch,
    hashes: &UInt64Array,
    owners: &Owners,
    destinations: usize,
) -> Result<Vec<(usize, Batch)>, EngineError> {
    if destinations == 1 {
        return Ok(vec![(0, batch.clone())]);
    }
    let of_row: Vec<u32> = hashes.values().iter().map(|&h| owners.of(h)).collect();
    let mut ends = vec![0_u32; destinations];
    for &d in &of_row {
        ends[d as usize] += 1;
    }
    if let Some(only) = ends.iter().position(|&n| n as usize == of_row.len()) {
        return Ok(vec![(only, batch.clone())]);
    }
    let mut total = 0;
    for end in &mut ends {
        total += *end;
        *end = total - *end;
    }
    // `ends` holds starts now and becomes ends while rows are placed.
    let starts = ends.clone();
    let mut rows = vec![0_u32; of_row.len()];
    for (row, &d) in of_row.iter().enumerate() {
        let slot = &mut ends[d as usize];
        rows[*slot as usize] = row as u32;
        *slot += 1;
    }
    let rows = UInt32Array::from(rows);
    let mut parts = Vec::with_capacity(destinations);
    for (destination, (&start, &end)) in starts.iter().zip(&ends).enumerate() {
        if end > start {
            let part = batch.take(&rows.slice(start as usize, (end - start) as usize))?;
            parts.push((destination, part));
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
    use arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn every_row_reaches_the_owner_of_its_key_group_in_order() {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values((0..10_000).map(|i| i % 97)));
        let records = RecordBatch::try_from_iter([("k", Arc::clone(&column))]).expect("one column");
        let channels: Vec<_> = (0..3).map(|_| Arc::new(Channel::new(usize::MAX))).collect();
        let exchange = Exchange::Hash { columns: vec![0], reuse: false };
        let mut partition =
            ResultPartition::new(0, OutputTag::Main, &exchange, channels.clone(), Subtask(0), 720);
        partition.send(Batch::new(records)).expect("sends");

        let hashes = hash_columns(&[column], 10_000);
        let mut seen = 0;
        for (s, channel) in channels.iter().enumerate() {
            while let Some(Message::Data(batch)) = channel.pop() {
                let keys = batch.records().column(0).as_primitive::<Int64Type>();
                let carried = batch.hashes().expect("hashes travel");
                for row in 0..batch.num_rows() {
                    let hash = carried.value(row);
                    assert!(hashes.values().contains(&hash));
                    assert_eq!(KeyGroup::of_hash(hash, 720).owner(3, 720).0 as usize, s);
                    let _ = keys.value(row);
                }
                seen += batch.num_rows();
            }
        }
        assert_eq!(seen, 10_000);
    }
}
