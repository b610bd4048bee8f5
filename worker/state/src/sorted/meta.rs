//! What a segment says about its table: schema, clock and expiry bounds, as JSON.
//!
//! JSON, because it is read once per segment, must outlive versions, and can be looked at with
//! any tool.

use serde::{Deserialize, Serialize};

use super::{Place, SegmentError};
use crate::table::{Bounds, TableSpec};

/// What a segment says about its table.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Meta {
    /// The table as it was when its rows were written.
    pub table: TableSpec,
    /// Key groups of the job, which the group of a key depends on.
    pub groups: u32,
    /// The table's clock when its rows were frozen, in seconds: what had expired by then has.
    pub clock: u32,
    /// Rows of which the order is below are gone.
    #[serde(default, skip_serializing_if = "Bounds::is_empty")]
    pub bounds: Bounds,
}

impl Meta {
    /// The bytes of the section, padded with spaces to a multiple of 8.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Names and numbers in structs and lists: there is nothing in it that JSON cannot hold.
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.resize(bytes.len().next_multiple_of(8), b' ');
        bytes
    }

    pub(crate) fn read(bytes: &[u8], crc: u32, segment: u128) -> Result<Self, SegmentError> {
        let damaged = |problem| SegmentError::Damaged { segment, place: Place::Meta, problem };
        if crc32c::crc32c(bytes) != crc {
            return Err(damaged("its checksum differs"));
        }
        serde_json::from_slice(bytes)
            .map_err(|_| damaged("a version that is newer wrote what this one does not know"))
    }
}
