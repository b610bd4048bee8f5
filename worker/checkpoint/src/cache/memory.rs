//! Mirrors of objects in memory: pieces by their offsets.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Per object, its pieces by their first byte.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<BTreeMap<String, BTreeMap<u64, Bytes>>>);

impl Memory {
    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<u64, Bytes>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self, object: &str, offset: u64, bytes: Bytes) {
        self.objects().entry(object.to_owned()).or_default().insert(offset, bytes);
    }

    /// Each piece from whatever was kept of the object and covers it; shared, not copied.
    pub(super) fn get(&self, object: &str, pieces: &[Range<u64>]) -> Vec<Option<Bytes>> {
        let objects = self.objects();
        let Some(kept) = objects.get(object) else { return vec![None; pieces.len()] };
        let piece = |wanted: &Range<u64>| {
            // Nearest first: one that was read later may lie over one that begins behind it.
            kept.range(..=wanted.start).rev().find_map(|(first, bytes)| {
                let (start, end) = ((wanted.start - first) as usize, (wanted.end - first) as usize);
                (start <= end && end <= bytes.len()).then(|| bytes.slice(start..end))
            })
        };
        pieces.iter().map(piece).collect()
    }

    /// A copy in which the second half of every piece of a torn object is zeros.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn after_crash(&self, mut is_torn: impl FnMut(&str) -> bool) -> Self {
        let mut objects = self.objects().clone();
        for (_, pieces) in objects.iter_mut().filter(|(object, _)| is_torn(object)) {
            for piece in pieces.values_mut() {
                let mut torn = piece.slice(..piece.len() / 2).to_vec();
                torn.resize(piece.len(), 0);
                *piece = torn.into();
            }
        }
        Self(Mutex::new(objects))
    }

    pub(super) fn remove(&self, object: &str) {
        self.objects().remove(object);
    }
}
