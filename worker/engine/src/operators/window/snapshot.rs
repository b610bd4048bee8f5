//! Windows as stored: frozen tables become segments, segments become tables.
//!
//! A block holds, for one key group: the plan's fingerprint (u64), then sections until it ends.
//! A section is its length in bytes (u32, without itself), `slice_end` and `visible_from`
//! (i64), a kind (0 rows, 1 gone), and for rows their number (u32) and the columns: keys, then
//! partial results. A later section of the same slice and key replaces an earlier one; a slice
//! that is gone voids all of its earlier sections in the group.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use weir_protocol::{KeyGroup, KeyGroupRange};
use weir_state::codec::{
    CodecError, decode_column, encode_column, take_array, take_bytes, take_u32,
};
use weir_state::hash::hash_columns;
use weir_state::key_table::FrozenKeys;
use weir_state::segment::{Segment, SegmentBuilder, SegmentKind};

use super::plan::Plan;
use super::slices::SliceId;
use super::table::{FrozenTable, Table};
use crate::operator::Frozen;
use crate::operators::passed::done_of;
use crate::{EngineError, EventTime, OperatorError, Watermark};

/// Version of the blocks' encoding.
pub(super) const VERSION: u32 = 1;

const ROWS: u8 = 0;
const GONE: u8 = 1;

/// A slice that earlier snapshots hold and that is no more, with the keys it had.
pub(super) struct Tombstone {
    pub(super) id: SliceId,
    pub(super) keys: FrozenKeys,
}

/// The global half's state at a barrier.
pub(super) struct FrozenWindows {
    pub(super) plan: Arc<Plan>,
    pub(super) full: bool,
    pub(super) range: KeyGroupRange,
    pub(super) max_parallelism: u32,
    pub(super) tables: Vec<(SliceId, FrozenTable)>,
    pub(super) tombstones: Vec<Tombstone>,
}

impl Frozen for FrozenWindows {
    fn encode(self: Box<Self>) -> Result<Vec<Segment>, EngineError> {
        let mut blocks: BTreeMap<KeyGroup, Vec<u8>> = BTreeMap::new();
        let fingerprint = self.plan.fingerprint.to_le_bytes();
        let mut section = |group, id: SliceId, kind, body: &[u8]| {
            let block = blocks.entry(group).or_insert_with(|| fingerprint.to_vec());
            block.extend_from_slice(&(17 + body.len() as u32).to_le_bytes());
            block.extend_from_slice(&id.end.to_le_bytes());
            block.extend_from_slice(&id.visible_from.to_le_bytes());
            block.push(kind);
            block.extend_from_slice(body);
        };
        // A full segment voids what was before it anyway.
        for tombstone in self.tombstones.iter().filter(|_| !self.full) {
            let slots: Vec<u32> = (0..tombstone.keys.len() as u32).collect();
            let keys = tombstone.keys.keys(&slots).map_err(OperatorError::internal)?;
            for (group, _) in self.by_group(&keys, &slots)? {
                section(group, tombstone.id, GONE, &[]);
            }
        }
        for (id, table) in &self.tables {
            let slots = table.slots();
            let keys = table.keys.keys(&slots).map_err(OperatorError::internal)?;
            let groups = self.by_group(&keys, &slots)?;
            let sorted: Vec<u32> = groups.iter().flat_map(|(_, slots)| slots).copied().collect();
            let mut columns = table.keys.keys(&sorted).map_err(OperatorError::internal)?;
            columns.extend(table.partial(&sorted)?);
            let mut start = 0;
            for (group, slots) in &groups {
                let mut body = (slots.len() as u32).to_le_bytes().to_vec();
                for column in &columns {
                    encode_column(column.slice(start, slots.len()).as_ref(), &mut body)
                        .map_err(OperatorError::internal)?;
                }
                section(*group, *id, ROWS, &body);
                start += slots.len();
            }
        }
        let kind = if self.full { SegmentKind::Full } else { SegmentKind::Delta };
        let mut segment = SegmentBuilder::new(kind, self.range, VERSION);
        for (group, block) in blocks {
            segment.push(group, &block);
        }
        Ok(vec![segment.finish()])
    }
}

impl FrozenWindows {
    /// The slots of each key group, in the groups' order.
    fn by_group(
        &self,
        keys: &[ArrayRef],
        slots: &[u32],
    ) -> Result<Vec<(KeyGroup, Vec<u32>)>, OperatorError> {
        let hashes = hash_columns(keys, slots.len());
        let mut groups: Vec<Vec<u32>> = vec![Vec::new(); self.range.len()];
        for (&hash, &slot) in hashes.values().iter().zip(slots) {
            let group = KeyGroup::of_hash(hash, self.max_parallelism);
            if !self.range.contains(group) {
                return Err(OperatorError::internal(format!(
                    "a key of group {} arrived at the owner of groups {} to {}",
                    group.0, self.range.start, self.range.end
                )));
            }
            groups[usize::from(group.0 - self.range.start)].push(slot);
        }
        let numbered = groups.into_iter().enumerate().filter(|(_, slots)| !slots.is_empty());
        Ok(numbered.map(|(i, slots)| (KeyGroup(self.range.start + i as u16), slots)).collect())
    }
}

/// A section of a block.
struct Section<'a> {
    id: SliceId,
    kind: u8,
    body: &'a [u8],
}

fn next_section<'a>(bytes: &mut &'a [u8]) -> Result<Section<'a>, CodecError> {
    let length = take_u32(bytes)? as usize;
    let mut body = take_bytes(bytes, length)?;
    let end = i64::from_le_bytes(take_array(&mut body)?);
    let visible_from = i64::from_le_bytes(take_array(&mut body)?);
    let [kind] = take_array(&mut body)?;
    Ok(Section { id: SliceId { visible_from, end }, kind, body })
}

/// Windows as they come from segments.
#[derive(Default)]
pub(super) struct Stored {
    pub(super) tables: BTreeMap<SliceId, Table>,
    /// Slices that are kept under another name now.
    pub(super) tombstones: Vec<Tombstone>,
}

/// The tables of the key groups in `range`. Windows up to `done` were given out by all of them,
/// and those up to `ahead` by some.
pub(super) fn restore(
    plan: &Plan,
    range: KeyGroupRange,
    segments: &[Segment],
    done: EventTime,
    ahead: &[(KeyGroupRange, Watermark)],
) -> Result<Stored, OperatorError> {
    if let Some(other) = segments.iter().find(|s| s.schema != VERSION) {
        return Err(OperatorError::internal(format!(
            "stored windows have version {}, this program reads version {VERSION}; restore with \
             the version of Weir that wrote them",
            other.schema
        )));
    }
    // The last full segment of each group: what came before it is void.
    let mut base: HashMap<KeyGroup, usize> = HashMap::new();
    for (number, segment) in segments.iter().enumerate() {
        if segment.kind == SegmentKind::Full {
            let start = segment.range.start.max(range.start);
            let end = segment.range.end.min(range.end);
            base.extend((start..end).map(|group| (KeyGroup(group), number)));
        }
    }
    let mut blocks = Vec::new();
    for (number, segment) in segments.iter().enumerate() {
        for block in segment.blocks_in(range) {
            let (group, block) = block.map_err(OperatorError::internal)?;
            if base.get(&group).is_none_or(|&base| base <= number) {
                blocks.push((number, group, block));
            }
        }
    }
    // Where each slice was last gone.
    let mut gone: HashMap<(KeyGroup, SliceId), usize> = HashMap::new();
    for (number, group, block) in &blocks {
        each_section(plan, *group, block, |section| {
            if section.kind == GONE {
                gone.insert((*group, section.id), *number);
            }
            Ok(())
        })?;
    }
    let mut tables: BTreeMap<SliceId, Table> = BTreeMap::new();
    // What counts in later windows only than the rest of its slice does: from where to where.
    let mut moving: BTreeMap<(SliceId, Option<EventTime>), Table> = BTreeMap::new();
    let mut slots = Vec::new();
    for (number, group, block) in &blocks {
        each_section(plan, *group, block, |section| {
            // A slice that comes back in the segment that voids it is newer than its end.
            let void = gone.get(&(*group, section.id)).is_some_and(|at| number < at);
            if section.kind != ROWS || void {
                return Ok(());
            }
            let next = |done| plan.slices.next_window(section.id, done);
            let own = next(done_of(*group, done, ahead));
            let table = if own == next(done) {
                table_of(plan, &mut tables, section.id)?
            } else {
                table_of(plan, &mut moving, (section.id, own))?
            };
            let mut body = section.body;
            let (rows, columns) =
                decode(plan, &mut body).map_err(|e| damaged(*group, &e.to_string()))?;
            let (keys, partial) = columns.split_at(plan.keys.len());
            table.restore(keys, partial, rows, &mut slots)
        })?;
    }
    tables.values_mut().for_each(Table::restored);
    let mut tombstones = Vec::new();
    for ((id, next), mut table) in moving {
        table.restored();
        if let Some(visible_from) = next {
            let all: Vec<u32> = (0..table.len() as u32).collect();
            let (keys, partial) = (table.keys(&all)?, table.partial(&all)?);
            let into = table_of(plan, &mut tables, SliceId { visible_from, end: id.end })?;
            into.merge(&keys, &partial, all.len(), &mut slots)?;
        }
        tombstones.extend(table.tombstone().map(|keys| Tombstone { id, keys }));
    }
    Ok(Stored { tables, tombstones })
}

fn table_of<'a, K: Ord>(
    plan: &Plan,
    tables: &'a mut BTreeMap<K, Table>,
    key: K,
) -> Result<&'a mut Table, OperatorError> {
    Ok(match tables.entry(key) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => entry.insert(Table::new(plan, 0)?),
    })
}

fn each_section(
    plan: &Plan,
    group: KeyGroup,
    block: &[u8],
    mut each: impl FnMut(Section<'_>) -> Result<(), OperatorError>,
) -> Result<(), OperatorError> {
    let mut bytes = block;
    let short = |e: CodecError| damaged(group, &e.to_string());
    if u64::from_le_bytes(take_array(&mut bytes).map_err(short)?) != plan.fingerprint {
        return Err(OperatorError::user(
            "stored windows have other keys or aggregates than the program, or the same in another \
             order; write them as they were",
        ));
    }
    while !bytes.is_empty() {
        each(next_section(&mut bytes).map_err(short)?)?;
    }
    Ok(())
}

fn decode(plan: &Plan, body: &mut &[u8]) -> Result<(usize, Vec<ArrayRef>), CodecError> {
    let rows = take_u32(body)? as usize;
    let fields = plan.intermediate.fields().iter().enumerate();
    let stored = fields.filter(|(i, _)| *i < plan.keys.len() || plan.partials().contains(i));
    let columns = stored
        .map(|(_, field)| decode_column(field.data_type(), rows, body))
        .collect::<Result<_, _>>()?;
    Ok((rows, columns))
}

fn damaged(group: KeyGroup, problem: &str) -> OperatorError {
    OperatorError::internal(format!(
        "stored windows of key group {} are damaged: {problem}",
        group.0
    ))
}
