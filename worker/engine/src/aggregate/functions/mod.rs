//! All aggregate functions, each in its file: a new one is declared and listed here.

mod array_agg;
mod avg;
mod bitmap;
mod collect;
mod count;
mod counted;
mod listagg;
mod number;
mod one_of;
mod percentile;
mod sum;
mod sums;
mod variance;

use super::Function;
pub use listagg::item as listagg_item;
pub use percentile::item as percentile_item;

/// `COUNT(*)` and `COUNT(x)`.
pub const COUNT: Function = &count::Count;
/// `SUM(x)`.
pub const SUM: Function = &sum::Sum;
/// `AVG(x)`.
pub const AVG: Function = &avg::Avg;
/// `MIN(x)`.
pub const MIN: Function = &one_of::MIN;
/// `MAX(x)`.
pub const MAX: Function = &one_of::MAX;

/// `LISTAGG(x, separator)`, over what [`listagg_item`] makes of the two.
pub const LISTAGG: Function = &listagg::ListAgg;

/// `ARRAY_AGG(x)`, over `ROW(x)`.
pub const ARRAY_AGG: Function = &array_agg::ArrayAgg;
/// `COLLECT(x)`.
pub const COLLECT: Function = &collect::Collect;

/// `PERCENTILE(x, part, how often)`, over what [`percentile_item`] makes of the three.
pub const PERCENTILE: Function = &percentile::Percentile;

/// Every function, in the order in which a message names them.
pub const ALL: &[Function] = &[
    COUNT,
    SUM,
    AVG,
    MIN,
    MAX,
    &variance::VAR_POP,
    &variance::VAR_SAMP,
    &variance::STDDEV_POP,
    &variance::STDDEV_SAMP,
    &one_of::FIRST_VALUE,
    &one_of::LAST_VALUE,
    LISTAGG,
    ARRAY_AGG,
    COLLECT,
    PERCENTILE,
    &bitmap::BUILD,
    &bitmap::BUILD_CARDINALITY,
    &bitmap::OR,
    &bitmap::AND,
    &bitmap::XOR,
    &bitmap::OR_CARDINALITY,
    &bitmap::AND_CARDINALITY,
    &bitmap::XOR_CARDINALITY,
];

/// Functions of Flink that are not here, in capitals.
const ABSENT: &[&str] = &["ANY_VALUE", "GROUPING", "GROUPING_ID", "GROUP_CONCAT"];

/// The function of a name in capitals.
#[must_use]
pub fn find(name: &str) -> Option<Function> {
    ALL.iter().copied().find(|f| f.name() == name || f.synonyms().contains(&name))
}

/// Every name, synonyms among them.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().flat_map(|f| std::iter::once(f.name()).chain(f.synonyms().iter().copied()))
}

/// Whether a name in capitals is that of an aggregate function of Flink that is not here.
#[must_use]
pub fn is_absent(name: &str) -> bool {
    ABSENT.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_one_function() {
        let mut known: Vec<&str> = names().chain(ABSENT.iter().copied()).collect();
        let all = known.len();
        known.sort_unstable();
        known.dedup();
        assert_eq!(known.len(), all);
        assert!(known.iter().all(|name| *name == name.to_ascii_uppercase()));
    }
}
