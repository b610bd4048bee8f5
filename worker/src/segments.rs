//! Where this worker keeps segments: see [`SegmentCache`].

use std::path::Path;

use weir_checkpoint::SegmentCache;

use crate::memory;

/// The folder of segments in a worker's local directory.
const FOLDER: &str = "segments";

/// A cache in the worker's local directory, where it has one; else in memory, unless the job's
/// state lies on this machine anyway.
pub(crate) fn open_cache(root: &str, local: Option<&Path>, asked: Option<&str>) -> SegmentCache {
    match local {
        Some(local) => {
            // Twice what the state may take: what the head lists, and what replaces it.
            let budget = memory::state_bytes(asked).map_or(0, |state| 2 * state as u64);
            let folder = local.join(FOLDER);
            SegmentCache::in_folder(&folder, budget).unwrap_or_else(|error| {
                tracing::warn!(%error, folder = %folder.display(), "no segments are cached");
                SegmentCache::none()
            })
        }
        None if is_local(root) => SegmentCache::none(),
        None => SegmentCache::in_memory(memory::cache_bytes()),
    }
}

fn is_local(root: &str) -> bool {
    root.starts_with("file://") || !root.contains("://")
}
