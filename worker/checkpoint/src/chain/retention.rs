//! Rules 5 and 8: which older versions stay restorable, and what may be deleted.

use std::collections::BTreeSet;

use weir_protocol::{Term, Version};

use super::decide::{may_collect_name, may_discard_data};
use crate::manifest::{Manifest, ManifestKind, RetainedVersion, is_foreign, version_of};

/// Names remembered at most as dropped but not yet deleted. What is beyond is left to the next
/// term, whose sweep finds it by listing.
pub const MAX_DROPPED: usize = 20_000;

/// The retained set of the manifest after `before`: what was retained, and `before` itself when
/// it is a checkpoint, cut to the newest `keep`; pinned ones stay until they are unpinned.
#[must_use]
pub fn retain(before: &Manifest, keep: usize, unpinned: &BTreeSet<String>) -> Vec<RetainedVersion> {
    let mut candidates = before.retained.clone();
    if before.kind == ManifestKind::Checkpoint {
        candidates.push(RetainedVersion {
            version: before.version,
            pinned_by: before.pinned_by.clone(),
            objects: before.own_objects(),
        });
    }
    for retained in &mut candidates {
        if retained.pinned_by.as_ref().is_some_and(|pin| unpinned.contains(pin)) {
            retained.pinned_by = None;
        }
    }
    candidates.sort_by_key(|r| r.version);
    let free = candidates.iter().filter(|r| r.pinned_by.is_none()).count();
    let mut surplus = free.saturating_sub(keep);
    candidates.retain(|r| {
        let goes = r.pinned_by.is_none() && surplus > 0;
        surplus -= usize::from(goes);
        !goes
    });
    candidates
}

/// What `next` drops: everything that `before` kept alive, or had dropped and not yet deleted,
/// and `next` does not need.
#[must_use]
pub fn dropped_between(
    before: &Manifest,
    next: &Manifest,
    deleted: &BTreeSet<String>,
) -> BTreeSet<String> {
    let live = next.live_objects();
    before
        .dropped
        .iter()
        .filter(|name| !deleted.contains(*name))
        .chain(&before.live_objects())
        .filter(|name| !is_foreign(name) && !live.contains(*name))
        .take(MAX_DROPPED)
        .cloned()
        .collect()
}

/// What the holder of `held` may delete, given a listing of the chain's names.
#[must_use]
pub fn plan_collection(held: &Manifest, chain: &[String]) -> Vec<String> {
    let names = chain.iter().filter(|name| {
        version_of(name).is_some_and(|version| {
            may_collect_name(version, held.version, held.retained(version).is_some())
        })
    });
    names.chain(&held.dropped).cloned().collect()
}

/// What older terms left and `held` does not list, given a listing of `data/`.
#[must_use]
pub fn plan_sweep(held: &Manifest, data: &[String]) -> Vec<String> {
    let live = held.live_objects();
    data.iter()
        .filter(|name| {
            term_of(name)
                .is_some_and(|term| may_discard_data(term, held.term, live.contains(*name)))
        })
        .cloned()
        .collect()
}

/// The term in the name of a data object.
#[must_use]
pub fn term_of(name: &str) -> Option<Term> {
    name.strip_prefix("data/")?.split('/').next()?.parse().ok().map(Term)
}

/// What must hold between a manifest and the next one; checked before every PUT.
///
/// # Errors
/// Says which rule would be broken.
pub fn check_successor(before: &Manifest, next: &Manifest) -> Result<(), String> {
    if next.version != before.version.next() {
        return Err(format!("version {} cannot follow {}", next.version, before.version));
    }
    if next.term < before.term {
        return Err(format!("term {} cannot follow {}", next.term, before.term));
    }
    let restorable: BTreeSet<Version> =
        before.retained.iter().map(|r| r.version).chain([before.version]).collect();
    if let Some(regained) = next.retained.iter().find(|r| !restorable.contains(&r.version)) {
        return Err(format!("version {} had been dropped and is retained again", regained.version));
    }
    let live = next.live_objects();
    if let Some(name) = before.dropped.intersection(&live).next() {
        return Err(format!("{name} had been dropped and is named again"));
    }
    let known = before.live_objects();
    let stray = live.iter().find(|name| {
        !is_foreign(name) && !known.contains(*name) && term_of(name) != Some(next.term)
    });
    if let Some(name) = stray {
        return Err(format!(
            "{name} is not of term {} and not in version {}",
            next.term, before.version
        ));
    }
    if let Some(name) = next.dropped.intersection(&live).next() {
        return Err(format!("{name} is both dropped and needed"));
    }
    Ok(())
}
