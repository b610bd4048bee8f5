//! How often values are there, less than never for what went before it came.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, ListArray};
use arrow::compute::kernels::numeric::neg_wrapping;

use crate::OperatorError;
use crate::aggregate::malformed;

/// Counts of values; one that is there as often as it went is not kept.
pub(super) type Counts<K> = BTreeMap<K, i64>;

/// Adds to how often a value is there, and to the number of values that are kept; `None` if that is
/// more often than a BIGINT holds.
pub(super) fn count<K: Ord>(
    counts: &mut Counts<K>,
    value: K,
    by: i64,
    kept: &mut usize,
) -> Option<()> {
    match counts.entry(value) {
        Entry::Occupied(mut entry) => {
            let count = entry.get().checked_add(by)?;
            *entry.get_mut() = count;
            if count == 0 {
                entry.remove();
                *kept -= 1;
            }
        }
        Entry::Vacant(entry) => {
            entry.insert(by);
            *kept += 1;
        }
    }
    Some(())
}

/// Lists of counts that take away what these add; `of` is the aggregate, for people.
pub(super) fn negated(counts: &ArrayRef, of: &str) -> Result<ArrayRef, OperatorError> {
    let counts = counts.as_list_opt::<i32>().ok_or_else(|| malformed(of))?;
    let (field, offsets, items, nulls) = counts.clone().into_parts();
    Ok(Arc::new(ListArray::try_new(field, offsets, neg_wrapping(&items)?, nulls)?))
}
