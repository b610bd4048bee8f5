//! Functions that Flink has built in and that are not here: named as such, since the nearest name
//! that is here means something else (RAND is no ROUND).

/// Flink's scalar and table functions that are not here, in the order of the alphabet.
const OF_FLINK: [&str; 9] = [
    "FROM_CHANGELOG",
    "ML_EVALUATE",
    "ML_PREDICT",
    "OBJECT_OF",
    "OBJECT_UPDATE",
    "SOURCE_WATERMARK",
    "STREAMRECORD_TIMESTAMP",
    "TO_CHANGELOG",
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
