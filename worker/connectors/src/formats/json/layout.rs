//! A predicted layout: the punctuation and names that rows of one producer have in common.
//!
//! Between the values of two rows, the same bytes usually stand: `,"bidder":` and so on. A
//! layout is learnt from a row that was walked in full. To match another row is to compare
//! these gaps, sixteen bytes at a time, at places that the [`Index`] of quotes gives without
//! reading the values. A row that matches is well-formed if its bare values and escapes are,
//! which is checked too. A row that does not match is walked in full: a layout only ever saves
//! time.
//!
//! Why a match is a proof: gaps hold every quote and newline of the row that the index lists,
//! in order, so that no value contains one; the brackets and commas are those of a row that
//! the full walk accepted.

use super::scan::{Kind, Notes, Token, bare, escapes};
use super::simd::Index;
use crate::formats::number::{load16, plain_integer};

const MAX_SCALARS: usize = 256;
const MAX_GAP: usize = 1_024;

/// A fixed byte string, compared in chunks of 16.
struct Gap {
    length: usize,
    bytes: Box<[u8]>,
    first: (u128, u128),
    rest: Vec<(u128, u128)>,
}

impl Gap {
    fn new(bytes: &[u8]) -> Self {
        let mut chunks = bytes.chunks(16).map(|chunk| {
            let mut value = [0; 16];
            let mut mask = [0; 16];
            value[..chunk.len()].copy_from_slice(chunk);
            mask[..chunk.len()].fill(0xff);
            (u128::from_le_bytes(value), u128::from_le_bytes(mask))
        });
        let first = chunks.next().unwrap_or((0, 0));
        Self { length: bytes.len(), bytes: bytes.into(), first, rest: chunks.collect() }
    }

    /// Whether these bytes stand at `at`.
    #[inline(always)]
    fn is_at(&self, data: &[u8], at: usize) -> bool {
        let Some(bytes) = load16(data, at) else { return self.is_near_end(data, at) };
        if (bytes ^ self.first.0) & self.first.1 != 0 {
            return false;
        }
        self.rest.is_empty() || self.rest_is_at(data, at)
    }

    fn rest_is_at(&self, data: &[u8], start: usize) -> bool {
        for (number, &(value, mask)) in self.rest.iter().enumerate() {
            match load16(data, start + 16 * (number + 1)) {
                Some(bytes) if (bytes ^ value) & mask == 0 => {}
                Some(_) => return false,
                None => return self.is_near_end(data, start),
            }
        }
        true
    }

    /// As [`Self::is_at`] where 16 bytes cannot be loaded.
    fn is_near_end(&self, data: &[u8], at: usize) -> bool {
        data.get(at..at + self.length) == Some(&*self.bytes)
    }
}

/// One value and the gap before it.
struct Step {
    gap: Gap,
    /// Which of the row's index entries is the first behind the value's start.
    entry: usize,
    /// How far before that entry the value ends.
    back: usize,
    text: bool,
    /// The wanted field, `usize::MAX` for none: stored into a token that nobody reads.
    slot: usize,
}

/// The common part of rows.
pub(super) struct Layout {
    steps: Vec<Step>,
    tail: Gap,
    /// Index entries of a row, its newline included.
    entries: usize,
    /// Slots of objects: their braces stand in the gaps.
    objects: Vec<usize>,
}

impl Layout {
    /// Learns from the row at `start` of the window, which was walked in full. `first` is the
    /// number of its first index entry, `newline` its end. `None` where the row cannot be
    /// described.
    pub(super) fn learn(
        window: &[u8],
        index: &Index,
        first: usize,
        (start, newline): (usize, usize),
        notes: &Notes,
    ) -> Option<Self> {
        if notes.unfit || notes.scalars.is_empty() || notes.scalars.len() > MAX_SCALARS {
            return None;
        }
        let entries = index.entries.get(first..)?;
        let entry_at = |number: usize| entries.get(number).map(|&at| at as usize);
        let mut steps = Vec::with_capacity(notes.scalars.len());
        let (mut at, mut passed) = (start, 0);
        for (number, scalar) in notes.scalars.iter().enumerate() {
            let (value, end) = (start + scalar.token.start, start + scalar.token.end);
            let gap = window.get(at..value).filter(|gap| gap.len() <= MAX_GAP)?;
            // Entries inside the gap are passed; none may stand inside the value.
            while entry_at(passed)? < value {
                passed += 1;
            }
            let entry = entry_at(passed)?;
            // The value's end is told by an entry that stands in the gap behind it.
            let gap_end = match notes.scalars.get(number + 1) {
                Some(next) => start + next.token.start,
                None => newline + 1,
            };
            if entry < end || entry >= gap_end {
                return None;
            }
            steps.push(Step {
                gap: Gap::new(gap),
                entry: passed,
                back: entry - end,
                text: matches!(scalar.token.kind, Kind::Text | Kind::Escaped),
                slot: scalar.slot.unwrap_or(usize::MAX),
            });
            at = end;
        }
        let tail = Gap::new(window.get(at..newline).filter(|tail| tail.len() <= MAX_GAP)?);
        while entry_at(passed)? < newline {
            passed += 1;
        }
        Some(Self { steps, tail, entries: passed + 1, objects: notes.objects.clone() })
    }

    /// Tries the row at `start`, whose first entry is number `first`. On a match `tokens` has
    /// the wanted values, relative to the window; the result is the number of the entry that is
    /// the row's newline. `None` says nothing about the row.
    #[inline]
    pub(super) fn find(
        &self,
        window: &[u8],
        index: &Index,
        first: usize,
        start: usize,
        tokens: &mut [Token],
    ) -> Option<usize> {
        let entries = index.entries.get(first..first + self.entries)?;
        let newline = *entries.last()? as usize;
        tokens.fill(Token::MISSING);
        // One token more than there are wanted fields, for values that nobody wants.
        let nobody = tokens.len() - 1;
        let mut at = start;
        for step in &self.steps {
            if !step.gap.is_at(window, at) {
                return None;
            }
            let value = at + step.gap.length;
            let end = (*entries.get(step.entry)? as usize).wrapping_sub(step.back);
            // Also false where the subtraction wrapped: then `end` is huge, and beyond `newline`.
            if end < value || end > newline {
                return None;
            }
            let kind = if step.text {
                if index.has_backslash(value, end) {
                    escapes(window.get(value..end)?).ok()?;
                    Kind::Escaped
                } else {
                    Kind::Text
                }
            } else if plain_integer(window, value, end) == Some(true) {
                Kind::Number
            } else {
                bare(window.get(value..end)?)?
            };
            *tokens.get_mut(step.slot.min(nobody))? = Token { kind, start: value, end };
            at = end;
        }
        let ends = self.tail.is_at(window, at)
            && at + self.tail.length == newline
            // A message ends without one, at the window's end.
            && window.get(newline).is_none_or(|&byte| byte == b'\n');
        for &slot in &self.objects {
            // What counts of it are its fields, which have tokens of their own.
            *tokens.get_mut(slot)? = Token { kind: Kind::Object, start, end: newline };
        }
        ends.then_some(first + self.entries - 1)
    }
}
