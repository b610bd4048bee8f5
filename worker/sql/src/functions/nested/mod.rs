//! Values that are made of others: ARRAY, MAP, ROW, what is taken out of them, and functions of them.

mod access;
mod arrays;
mod maps;
mod pool;
mod split;

use super::{Function, special};

pub(super) const FUNCTIONS: &[Function] = &[
    special("ARRAY[]", "ARRAY[value, …]", access::array),
    special("MAP[]", "MAP[key, value, …]", access::map),
    special("ROW", "ROW(value, …)", access::row),
    special("[]", "array[index from 1], map[key], or variant[either]", access::item),
    special(".", "row.field", access::field),
    special("CARDINALITY", "CARDINALITY(array, map or multiset)", access::cardinality),
    special("ELEMENT", "ELEMENT(array of one)", access::element),
    special("ARRAY_APPEND", "ARRAY_APPEND(array, element)", arrays::append),
    special("ARRAY_PREPEND", "ARRAY_PREPEND(array, element)", arrays::prepend),
    special("ARRAY_CONTAINS", "ARRAY_CONTAINS(array, element)", arrays::contains),
    special("ARRAY_POSITION", "ARRAY_POSITION(array, element)", arrays::position),
    special("ARRAY_REMOVE", "ARRAY_REMOVE(array, element)", arrays::remove),
    special("ARRAY_DISTINCT", "ARRAY_DISTINCT(array)", arrays::distinct),
    special("ARRAY_REVERSE", "ARRAY_REVERSE(array)", arrays::reverse),
    special("ARRAY_SLICE", "ARRAY_SLICE(array, from [, to])", arrays::slice),
    special("ARRAY_SORT", "ARRAY_SORT(array [, ascending [, nulls first]])", arrays::sort),
    special("ARRAY_UNION", "ARRAY_UNION(array, array)", arrays::union),
    special("ARRAY_CONCAT", "ARRAY_CONCAT(array, …)", arrays::concat),
    special("ARRAY_EXCEPT", "ARRAY_EXCEPT(array, array)", arrays::except),
    special("ARRAY_INTERSECT", "ARRAY_INTERSECT(array, array)", arrays::intersect),
    special("ARRAY_MAX", "ARRAY_MAX(array)", arrays::max),
    special("ARRAY_MIN", "ARRAY_MIN(array)", arrays::min),
    special("ARRAY_JOIN", "ARRAY_JOIN(array of strings, separator [, for NULL])", split::join),
    special("MAP_KEYS", "MAP_KEYS(map)", maps::keys),
    special("MAP_VALUES", "MAP_VALUES(map)", maps::values),
    special("MAP_ENTRIES", "MAP_ENTRIES(map)", maps::entries),
    special("MAP_FROM_ARRAYS", "MAP_FROM_ARRAYS(keys, values)", maps::from_arrays),
    special("MAP_UNION", "MAP_UNION(map, …)", maps::union),
    special("SPLIT", "SPLIT(string, separator)", split::split),
    special(
        "STR_TO_MAP",
        "STR_TO_MAP(string [, between pairs, between key and value])",
        split::str_to_map,
    ),
    special(
        "REGEXP_EXTRACT_ALL",
        "REGEXP_EXTRACT_ALL(string, regular expression [, group])",
        split::regexp_extract_all,
    ),
];
