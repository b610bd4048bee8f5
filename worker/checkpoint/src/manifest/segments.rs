//! References to segments, and how those of one operator add up to its state.
//!
//! The order of the references is the order in which they apply. For one key group, whatever
//! stands before the last `Full` segment whose range holds the group is void, also when that
//! `Full` segment has no block for it. So ranges may differ from one reference to the next, as
//! they do after a rescale, and a reference can go once no group of it counts any more.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use weir_protocol::{KeyGroup, KeyGroupRange};
use weir_state::segment::{BlockIndex, SegmentKind};

use super::encoding::Blob;

/// State up to this many bytes per worker and attempt travels inside the manifest.
pub const INLINE_LIMIT: usize = 64 * 1024;

/// More deltas than this on top of each other are worth a full segment.
pub const MAX_DELTA_DEPTH: usize = 8;

/// Where a segment's bytes are.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Place {
    /// In the reference itself.
    Inline(Blob),
    /// In an object.
    Object {
        /// Name below the job's folder, or, only until the first checkpoint of a job that was
        /// started from elsewhere, an absolute URL.
        path: String,
        /// First byte of the segment in the object.
        offset: u64,
    },
}

/// A piece of keyed state, in the store or inline.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentRef {
    /// Where its bytes are.
    pub place: Place,
    /// Length in bytes.
    pub len: u64,
    /// Version of the encoding of the blocks; owned by the operator.
    pub schema: u32,
    /// Whether it stands alone or builds on those before it.
    pub kind: SegmentKind,
    /// The key groups of the subtask that wrote it.
    pub range: KeyGroupRange,
    /// Its blocks in key-group order, offsets relative to the segment.
    #[serde(with = "packed_blocks")]
    pub blocks: Vec<BlockIndex>,
}

impl SegmentRef {
    /// The object that holds it, unless it is inline.
    #[must_use]
    pub fn object(&self) -> Option<&str> {
        match &self.place {
            Place::Inline(_) => None,
            Place::Object { path, .. } => Some(path),
        }
    }

    /// Whether it lies where this job's collector has no say: in a savepoint, or in the folder
    /// of another job.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.object().is_some_and(is_foreign)
    }

    /// Whether it stands alone.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.kind == SegmentKind::Full
    }
}

/// Whether an object's name points out of `data/` of the job's own folder.
#[must_use]
pub fn is_foreign(path: &str) -> bool {
    !path.starts_with("data/")
}

/// What an operator's references are once a manifest publishes `new` on top of `previous`.
///
/// `new` is in the order in which the segments were frozen, for each subtask; those of
/// different subtasks never share a group.
#[must_use]
pub fn compose(previous: &[SegmentRef], new: Vec<SegmentRef>) -> Vec<SegmentRef> {
    let mut kept: Vec<SegmentRef> = Vec::with_capacity(previous.len() + new.len());
    // From the newest to the oldest: `covered` holds the ranges that later full segments void.
    let mut covered = Cover::default();
    for segment in new.into_iter().rev().chain(previous.iter().rev().cloned()) {
        let counts = match segment.kind {
            SegmentKind::Full => !covered.holds_all(segment.range),
            SegmentKind::Delta => segment.blocks.iter().any(|b| !covered.holds(b.group)),
        };
        if segment.kind == SegmentKind::Full {
            covered.add(segment.range);
        }
        if counts {
            kept.push(segment);
        }
    }
    kept.reverse();
    kept
}

/// Which blocks of which references the groups in `range` are made of: pairs of a position in
/// `segments` and the groups to take from there, in the order in which they apply.
#[must_use]
pub fn plan_restore(
    segments: &[SegmentRef],
    range: KeyGroupRange,
) -> Vec<(usize, BTreeSet<KeyGroup>)> {
    let mut plan = Vec::new();
    let mut covered = Cover::default();
    for (position, segment) in segments.iter().enumerate().rev() {
        let wanted: BTreeSet<KeyGroup> = segment
            .blocks
            .iter()
            .map(|block| block.group)
            .filter(|group| range.contains(*group) && !covered.holds(*group))
            .collect();
        if segment.kind == SegmentKind::Full {
            covered.add(segment.range);
        }
        if !wanted.is_empty() {
            plan.push((position, wanted));
        }
    }
    plan.reverse();
    plan
}

/// Whether the operator should write all of its state at the next attempt: some group has more
/// than [`MAX_DELTA_DEPTH`] deltas, or the deltas hold more than half of what the base holds.
///
/// Without a full segment the first reference counts as the base, since an operator's first
/// snapshot holds everything there is.
#[must_use]
pub fn should_compact(segments: &[SegmentRef]) -> bool {
    let (full, deltas): (Vec<&SegmentRef>, Vec<&SegmentRef>) =
        segments.iter().partition(|s| s.kind == SegmentKind::Full);
    let depth = {
        // +1 where a delta's range begins, -1 where it ends; the running sum is the depth.
        let mut edges: Vec<(u16, i32)> =
            deltas.iter().flat_map(|s| [(s.range.start, 1), (s.range.end, -1)]).collect();
        edges.sort_unstable();
        edges
            .iter()
            .scan(0_i32, |depth, (_, change)| {
                *depth += change;
                Some(*depth)
            })
            .max()
            .unwrap_or(0)
    };
    if depth > MAX_DELTA_DEPTH as i32 {
        return true;
    }
    let total: u64 = deltas.iter().map(|s| s.len).sum();
    let (base, on_top) = if full.is_empty() {
        // One first snapshot per subtask: every delta that overlaps no earlier one.
        let mut seen: Vec<KeyGroupRange> = Vec::new();
        let mut base = 0;
        for delta in &deltas {
            if !seen.iter().any(|r| r.overlaps(delta.range)) {
                base += delta.len;
                seen.push(delta.range);
            }
        }
        (base, total - base)
    } else {
        (full.iter().map(|s| s.len).sum(), total)
    };
    on_top > base / 2 && on_top > INLINE_LIMIT as u64
}

/// A set of key groups, as disjoint ranges in order.
#[derive(Default)]
struct Cover(Vec<(u16, u16)>);

impl Cover {
    fn add(&mut self, range: KeyGroupRange) {
        if range.is_empty() {
            return;
        }
        let (mut start, mut end) = (range.start, range.end);
        self.0.retain(|&(s, e)| {
            let touches = s <= end && start <= e;
            if touches {
                start = start.min(s);
                end = end.max(e);
            }
            !touches
        });
        let at = self.0.partition_point(|&(s, _)| s < start);
        self.0.insert(at, (start, end));
    }

    fn holds(&self, group: KeyGroup) -> bool {
        self.0.iter().any(|&(s, e)| s <= group.0 && group.0 < e)
    }

    fn holds_all(&self, range: KeyGroupRange) -> bool {
        range.is_empty() || self.0.iter().any(|&(s, e)| s <= range.start && range.end <= e)
    }
}

/// Blocks as `[group, offset, len, crc]`: a manifest holds one per key group and segment.
mod packed_blocks {
    use serde::{Deserialize, Deserializer, Serializer};
    use weir_protocol::KeyGroup;
    use weir_state::segment::BlockIndex;

    pub(super) fn serialize<S: Serializer>(
        blocks: &[BlockIndex],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(blocks.iter().map(|b| (b.group.0, b.offset, b.len, b.crc)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<BlockIndex>, D::Error> {
        let packed = Vec::<(u16, u64, u64, u32)>::deserialize(deserializer)?;
        Ok(packed
            .into_iter()
            .map(|(group, offset, len, crc)| BlockIndex {
                group: KeyGroup(group),
                offset,
                len,
                crc,
            })
            .collect())
    }
}

/// The same reference as the control protocol sends it.
#[cfg(feature = "rpc")]
mod rpc {
    use weir_protocol::{KeyGroup, KeyGroupRange, control};
    use weir_state::segment::{BlockIndex, SegmentKind};

    use super::{Place, SegmentRef};

    impl From<SegmentRef> for control::SegmentRef {
        fn from(segment: SegmentRef) -> Self {
            let (path, offset, inline) = match segment.place {
                Place::Inline(bytes) => (String::new(), 0, bytes.0.to_vec()),
                Place::Object { path, offset } => (path, offset, Vec::new()),
            };
            Self {
                path,
                offset,
                len: segment.len,
                schema: segment.schema,
                full: segment.kind == SegmentKind::Full,
                range_start: u32::from(segment.range.start),
                range_end: u32::from(segment.range.end),
                blocks: segment
                    .blocks
                    .iter()
                    .map(|b| control::BlockRef {
                        group: u32::from(b.group.0),
                        offset: b.offset,
                        len: b.len,
                        crc: b.crc,
                    })
                    .collect(),
                inline,
            }
        }
    }

    impl From<control::SegmentRef> for SegmentRef {
        fn from(segment: control::SegmentRef) -> Self {
            // Key groups fit in 16 bits (MAX_KEY_GROUPS).
            Self {
                place: if segment.path.is_empty() {
                    Place::Inline(segment.inline.into())
                } else {
                    Place::Object { path: segment.path, offset: segment.offset }
                },
                len: segment.len,
                schema: segment.schema,
                kind: if segment.full { SegmentKind::Full } else { SegmentKind::Delta },
                range: KeyGroupRange {
                    start: segment.range_start as u16,
                    end: segment.range_end as u16,
                },
                blocks: segment
                    .blocks
                    .iter()
                    .map(|b| BlockIndex {
                        group: KeyGroup(b.group as u16),
                        offset: b.offset,
                        len: b.len,
                        crc: b.crc,
                    })
                    .collect(),
            }
        }
    }
}
