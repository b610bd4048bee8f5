//! Functions that Flink has built in and that are not here: named as such, since the nearest name
//! that is here means something else (RAND is no ROUND).

/// Flink's scalar and table functions that are not here, in the order of the alphabet.
const OF_FLINK: [&str; 27] = [
    "BITMAP_AND",
    "BITMAP_ANDNOT",
    "BITMAP_BUILD",
    "BITMAP_CARDINALITY",
    "BITMAP_FROM_BYTES",
    "BITMAP_OR",
    "BITMAP_TO_ARRAY",
    "BITMAP_TO_BYTES",
    "BITMAP_TO_STRING",
    "BITMAP_XOR",
    "CONVERT_TZ",
    "CURRENT_DATABASE",
    "CURRENT_WATERMARK",
    "FROM_CHANGELOG",
    "ML_EVALUATE",
    "ML_PREDICT",
    "OBJECT_OF",
    "OBJECT_UPDATE",
    "PRINTF",
    "RAND",
    "RAND_INTEGER",
    "SOURCE_WATERMARK",
    "STREAMRECORD_TIMESTAMP",
    "TO_CHANGELOG",
    "TYPEOF",
    "UUID",
    "VECTOR_SEARCH",
];

/// Whether Flink has the function, in capitals, though it is not here.
pub(super) fn flink_has(upper: &str) -> bool {
    OF_FLINK.binary_search(&upper).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_is_sorted_and_not_here() {
        assert!(OF_FLINK.is_sorted());
        let here: Vec<&str> = super::super::all().map(|f| f.name).collect();
        let both: Vec<_> = OF_FLINK.iter().filter(|name| here.contains(name)).collect();
        assert!(both.is_empty(), "{both:?}");
    }
}
