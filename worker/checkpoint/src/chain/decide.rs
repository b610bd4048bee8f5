//! Who holds a name, and what follows from it: rules 2, 3, 4 and 5 as functions of values.
//!
//! These are generic where the model check in `tests/model.rs` explores them over numbers and
//! the driver runs them over manifests: the same code decides in both.

use weir_protocol::{Term, Version};

/// Who was seen to hold the name of an undecided manifest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Occupant {
    /// Nobody, when it was read. A PUT on its way may still land.
    Nobody,
    /// The manifest that was put.
    Mine,
    /// The void manifest that was put to give it up.
    MyVoid,
    /// Another writer.
    Another,
}

/// Tells the occupant from what was found under the name.
pub fn occupant<N: PartialEq>(found: Option<&N>, mine: &N, void: Option<&N>) -> Occupant {
    match found {
        None => Occupant::Nobody,
        Some(found) if found == mine => Occupant::Mine,
        Some(found) if Some(found) == void => Occupant::MyVoid,
        Some(_) => Occupant::Another,
    }
}

/// What a listing that began after the occupant was seen shows above the name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Above {
    /// The name is the head.
    Nothing,
    /// A later head exists, so the name may have been collected and written again.
    Something,
}

/// What an undecided publication does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum PublicationStep {
    /// Put the same bytes again.
    PutAgain,
    /// Put the void manifest, again if need be.
    PutVoid,
    /// The manifest counts.
    Published,
    /// The void manifest counts: what was frozen is handed on to the next attempt.
    Voided,
    /// A later term holds the chain. Nothing may be deleted: the manifest may have been published,
    /// adopted and collected before this look.
    Fenced,
}

/// Rules 2 and 4. `giving_up` stays set once a void manifest was put.
pub fn decide_publication(seen: Occupant, above: Above, giving_up: bool) -> PublicationStep {
    match (seen, above) {
        (_, Above::Something) | (Occupant::Another, _) => PublicationStep::Fenced,
        (Occupant::Mine, Above::Nothing) => PublicationStep::Published,
        (Occupant::MyVoid, Above::Nothing) => PublicationStep::Voided,
        (Occupant::Nobody, Above::Nothing) if giving_up => PublicationStep::PutVoid,
        (Occupant::Nobody, Above::Nothing) => PublicationStep::PutAgain,
    }
}

/// What an undecided seal does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum SealStep {
    /// Put the same bytes again.
    PutAgain,
    /// The term has begun.
    Sealed,
    /// Another took over first, or the name had been collected.
    Lost,
}

/// Rule 3.
pub fn decide_seal(seen: Occupant, above: Above) -> SealStep {
    match (seen, above) {
        (_, Above::Something) | (Occupant::Another | Occupant::MyVoid, _) => SealStep::Lost,
        (Occupant::Mine, Above::Nothing) => SealStep::Sealed,
        (Occupant::Nobody, Above::Nothing) => SealStep::PutAgain,
    }
}

/// Whether the writer of the counting manifest `held` may delete the name of version `name`.
/// The head is never below `held`, so it is never deleted, however late the delete arrives.
#[must_use]
pub fn may_collect_name(name: Version, held: Version, retained: bool) -> bool {
    name < held && !retained
}

/// Whether the holder of `own` may delete data written in term `written` that its manifest does
/// or does not list. Data of the own term may still be on its way into a manifest.
#[must_use]
pub fn may_discard_data(written: Term, own: Term, listed: bool) -> bool {
    written < own && !listed
}

/// Rule 7: what a manifest lists as not yet known to be committed.
pub fn carry_pending<P: Clone>(
    before: &[P],
    acknowledged: impl Fn(&P) -> bool,
    new: impl IntoIterator<Item = P>,
) -> Vec<P> {
    before.iter().filter(|p| !acknowledged(p)).cloned().chain(new).collect()
}
