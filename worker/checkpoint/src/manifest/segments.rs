//! References to segments, and how those of one operator add up to its state.
//!
//! The order of the references is the order in which they apply. For one key group, whatever
//! stands before the last `Full` segment whose range holds the group is void, also when that
//! `Full` segment has no block for it. So ranges may differ from one reference to the next, as
//! they do after a rescale, and a reference can go once no group of it counts any more. That rule
//! is [`Newer`], and whoever looks at references asks it: what a manifest keeps, what a subtask is
//! given, and which blocks it reads.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use weir_protocol::{Blob, KeyGroup, KeyGroupRange};
use weir_state::segment::{BlockIndex, Segment, SegmentKind};

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

impl Place {
    /// The object, unless the bytes are inline.
    #[must_use]
    pub fn object(&self) -> Option<&str> {
        match self {
            Self::Inline(_) => None,
            Self::Object { path, .. } => Some(path),
        }
    }

    /// Whether it lies where this job's collector has no say: in a savepoint, or in the folder
    /// of another job.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.object().is_some_and(is_foreign)
    }
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
    /// To a segment that is stored there.
    #[must_use]
    pub fn new(segment: &Segment, place: Place) -> Self {
        Self {
            place,
            len: segment.bytes.len() as u64,
            schema: segment.schema,
            kind: segment.kind,
            range: segment.range,
            blocks: segment.blocks.clone(),
        }
    }

    /// The object that holds it, unless it is inline.
    #[must_use]
    pub fn object(&self) -> Option<&str> {
        self.place.object()
    }

    /// Whether it stands alone.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.kind == SegmentKind::Full
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty_delta(&self) -> bool {
        !self.is_full() && self.blocks.is_empty()
    }
}

/// Whether an object's name points out of `data/` of the job's own folder.
#[must_use]
pub fn is_foreign(path: &str) -> bool {
    !path.starts_with("data/")
}

/// What is newer than a reference voids of it, for the key groups of a range: the walk goes from the
/// newest reference to the oldest.
struct Newer {
    range: KeyGroupRange,
    voided: Cover,
}

impl Newer {
    fn than_none(range: KeyGroupRange) -> Self {
        Self { range, voided: Cover::default() }
    }

    /// The blocks of the next older reference that count.
    fn blocks<'a>(&'a self, older: &'a SegmentRef) -> impl Iterator<Item = &'a BlockIndex> {
        let counts = |g: KeyGroup| self.range.contains(g) && !self.voided.holds(g);
        older.blocks.iter().filter(move |block| counts(block.group))
    }

    /// Whether the next older reference counts for any group: a full one also where it holds nothing,
    /// since it voids what is older still. (Left out, slices that were given out and are gone come
    /// back from the deltas before it.)
    fn leaves(&self, older: &SegmentRef) -> bool {
        let voids = older.is_full() && {
            let range = older.range.intersection(self.range);
            !range.is_empty() && !self.voided.holds_all(range)
        };
        voids || self.blocks(older).next().is_some()
    }

    fn pass(&mut self, segment: &SegmentRef) {
        if segment.is_full() {
            self.voided.add(segment.range);
        }
    }
}

/// Those of `segments`, from the newest to the oldest, that count for groups of `range`; oldest first.
fn counting<'a>(
    segments: impl Iterator<Item = &'a SegmentRef>,
    range: KeyGroupRange,
) -> Vec<SegmentRef> {
    let mut newer = Newer::than_none(range);
    let mut kept = Vec::new();
    for segment in segments {
        if newer.leaves(segment) {
            kept.push(segment.clone());
        }
        newer.pass(segment);
    }
    kept.reverse();
    kept
}

/// What an operator's references are once a manifest publishes `new` on top of `previous`.
///
/// `new` is in the order in which the segments were frozen, for each subtask; those of
/// different subtasks never share a group.
#[must_use]
pub fn compose(previous: &[SegmentRef], new: Vec<SegmentRef>) -> Vec<SegmentRef> {
    let all = KeyGroupRange { start: 0, end: u16::MAX };
    counting(new.iter().rev().chain(previous.iter().rev()), all)
}

/// The references that a subtask with these key groups is given.
#[must_use]
pub fn share(segments: &[SegmentRef], range: KeyGroupRange) -> Vec<SegmentRef> {
    counting(segments.iter().rev(), range)
}

/// Which blocks of which references the groups in `range` are made of: pairs of a position in
/// `segments` and the groups to take from there, in the order in which they apply.
#[must_use]
pub fn plan_restore(
    segments: &[SegmentRef],
    range: KeyGroupRange,
) -> Vec<(usize, BTreeSet<KeyGroup>)> {
    let mut plan = Vec::new();
    let mut newer = Newer::than_none(range);
    for (position, segment) in segments.iter().enumerate().rev() {
        let wanted: BTreeSet<KeyGroup> = newer.blocks(segment).map(|block| block.group).collect();
        newer.pass(segment);
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
