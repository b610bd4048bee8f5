//! Functions of JSON.
//!
//! The parser writes what is said in words into arguments, in the order that the functions here
//! name: `JSON_VALUE(x, p DEFAULT 'a' ON EMPTY)` is JSON_VALUE(x, p, returning, on empty, its
//! default, on error, its default).

mod build;
mod path;
mod query;
mod value;
mod variant;

pub(super) use variant::item as variant_item;

use super::{Function, Want, simple, special};
use crate::types::Kind;

pub(super) const FUNCTIONS: &[Function] = &[
    special(
        "JSON_VALUE",
        "JSON_VALUE(json, path [RETURNING type] [NULL | ERROR | DEFAULT value ON EMPTY] [NULL | ERROR | DEFAULT value ON ERROR])",
        query::json_value,
    ),
    special(
        "JSON_QUERY",
        "JSON_QUERY(json, path [WITH | WITHOUT [CONDITIONAL] WRAPPER] [NULL | ERROR | EMPTY ARRAY | EMPTY OBJECT ON EMPTY] [… ON ERROR])",
        query::json_query,
    ),
    special(
        "JSON_EXISTS",
        "JSON_EXISTS(json, path [TRUE | FALSE | UNKNOWN | ERROR ON ERROR])",
        query::json_exists,
    ),
    special("IS JSON", "string IS [NOT] JSON [VALUE | SCALAR | ARRAY | OBJECT]", query::is_json),
    special("JSON_STRING", "JSON_STRING(value)", build::json_string),
    special(
        "JSON_OBJECT",
        "JSON_OBJECT([[KEY] key VALUE value, …] [NULL | ABSENT ON NULL])",
        build::json_object,
    ),
    special("JSON_ARRAY", "JSON_ARRAY([value, …] [NULL | ABSENT ON NULL])", build::json_array),
    // What JSON_ARRAYAGG and JSON_OBJECTAGG are made of, with LISTAGG between them.
    special("JSON ITEM", "JSON_ARRAYAGG(value [NULL | ABSENT ON NULL])", build::json_item),
    special(
        "JSON MEMBER",
        "JSON_OBJECTAGG([KEY] key VALUE value [NULL | ABSENT ON NULL])",
        build::json_member,
    ),
    special("JSON LIST", "JSON_ARRAYAGG(value)", build::json_list),
    special("JSON MEMBERS", "JSON_OBJECTAGG(key VALUE value)", build::json_members),
    special(
        "PARSE_JSON",
        "PARSE_JSON(string [, whether members may be there twice])",
        variant::parse_json,
    ),
    special(
        "TRY_PARSE_JSON",
        "TRY_PARSE_JSON(string [, whether members may be there twice])",
        variant::try_parse_json,
    ),
    special("JSON", "JSON(string), inside JSON_OBJECT or JSON_ARRAY", build::json),
    simple("JSON_QUOTE", "JSON_QUOTE(string)", &[Want::Text], Kind::STRING, build::json_quote),
    simple(
        "JSON_UNQUOTE",
        "JSON_UNQUOTE(string)",
        &[Want::Text],
        Kind::STRING,
        build::json_unquote,
    ),
];
