//! Strings taken apart into arrays and maps, and arrays joined to strings.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListBuilder, MapBuilder, MapFieldNames, StringArray, StringBuilder,
};
use arrow::datatypes::{Field, Int32Type};
use weir_engine::EngineError;

use super::access::element_of;
use crate::error::SqlError;
use crate::expr::col::{Prims, Texts};
use crate::expr::{Col, Expr};
use crate::functions::pattern::{Patterns, check, java};
use crate::functions::{Site, Want};
use crate::types::{Kind, Nested, SqlType};

fn lists(rows: impl Iterator<Item = Option<Vec<String>>>) -> ArrayRef {
    let field = Field::new("item", Kind::STRING.arrow(), true);
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(field);
    for row in rows {
        let valid = row.is_some();
        for part in row.unwrap_or_default() {
            lists.values().append_value(part);
        }
        lists.append(valid);
    }
    Arc::new(lists.finish())
}

/// The parts between separators, or every character where the separator is empty.
pub(super) fn split(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(2..=2)?;
    let args = vec![site.want(0, Want::Text)?, site.want(1, Want::Text)?];
    let nullable = args.iter().any(|arg| arg.ty.nullable);
    let ty = SqlType { kind: Nested::array(Kind::STRING), nullable };
    site.call(args, ty, false, |args, rows| {
        let (texts, separators) = (Texts::of(&args[0]), Texts::of(&args[1]));
        let one = |row: usize| {
            let (text, separator) = (texts.get(row)?, separators.get(row)?);
            Some(match separator {
                "" => text.chars().map(String::from).collect(),
                separator => text.split(separator).map(str::to_owned).collect(),
            })
        };
        Ok(lists((0..rows).map(one)))
    })
}

/// What a group of a pattern finds, each time; the first group unless said otherwise. NULL where
/// the pattern does not have the group.
pub(super) fn regexp_extract_all(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(2..=3)?;
    let mut args = vec![site.want(0, Want::Text)?, site.want(1, Want::Text)?];
    if site.args.len() == 3 {
        args.push(site.want(2, Want::Int)?);
    }
    let compile = java();
    let fallible = check(&args[1], &compile, site.expr(1)?.span)?;
    let ty = SqlType::nullable(Nested::array(Kind::STRING));
    site.call(args, ty, fallible, move |args, rows| {
        let texts = Texts::of(&args[0]);
        let groups = args.get(2).map(Prims::<Int32Type>::of);
        let mut patterns = Patterns::of(&args[1], &compile);
        let mut one = |row: usize| {
            let group = match &groups {
                Some(groups) => groups.get(row).and_then(|group| usize::try_from(group).ok()),
                None => Some(1),
            };
            let (Some(text), Some(group), Some(pattern)) =
                (texts.get(row), group, patterns.get(row)?)
            else {
                return Ok(None);
            };
            let mut found = Vec::new();
            pattern.each(text, |place| {
                let (start, end) = place.group(group).unwrap_or((0, 0));
                found.push(text[start..end].to_owned());
            });
            Ok((group <= pattern.groups()).then_some(found))
        };
        let rows = (0..rows).map(&mut one).collect::<Result<Vec<_>, EngineError>>()?;
        Ok(lists(rows.into_iter()))
    })
}

/// Pairs of a string; what stands between them, and between key and value, are patterns. Of one
/// key the last counts, and a key without a value has NULL.
pub(super) fn str_to_map(site: &mut Site) -> Result<Expr, SqlError> {
    if site.args.len() != 1 {
        site.expect_count(3..=3)?;
    }
    let args =
        (0..site.args.len()).map(|i| site.want(i, Want::Text)).collect::<Result<Vec<_>, _>>()?;
    let compile = java();
    let mut fallible = false;
    for (i, arg) in args.iter().enumerate().skip(1) {
        fallible |= check(arg, &compile, site.expr(i)?.span)?;
    }
    let ty = SqlType::nullable(Nested::Map(Kind::STRING, Kind::STRING).kind());
    site.call(args, ty, fallible, move |args, rows| {
        let texts = Texts::of(&args[0]);
        let defaults = [",", "="].map(|text| Col::Scalar(Arc::new(StringArray::from(vec![text]))));
        let pattern = |at: usize| args.get(at + 1).unwrap_or(&defaults[at]);
        let (between, inside) = (pattern(0), pattern(1));
        let (mut between, mut inside) =
            (Patterns::of(between, &compile), Patterns::of(inside, &compile));
        let names = MapFieldNames {
            entry: "entries".to_owned(),
            key: "key".to_owned(),
            value: "value".to_owned(),
        };
        let mut maps = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
        for row in 0..rows {
            let (Some(text), Some(between), Some(inside)) =
                (texts.get(row), between.get(row)?, inside.get(row)?)
            else {
                maps.append(false)?;
                continue;
            };
            let mut pairs: Vec<(&str, Option<&str>)> = Vec::new();
            for pair in between.split(text).into_iter().filter(|_| !text.is_empty()) {
                let (key, value) = match inside.find_at(pair, 0) {
                    Some(found) => (&pair[..found.start], Some(&pair[found.end..])),
                    None => (pair, None),
                };
                match pairs.iter_mut().find(|(known, _)| *known == key) {
                    Some(known) => known.1 = value,
                    None => pairs.push((key, value)),
                }
            }
            for (key, value) in pairs {
                maps.keys().append_value(key);
                maps.values().append_option(value);
            }
            maps.append(true)?;
        }
        Ok(Arc::new(maps.finish()))
    })
}

/// Elements with a separator between them; NULL is left out, unless there is a text for it.
pub(super) fn join(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(2..=3)?;
    if !element_of(site, 0)?.is_text() {
        return site.type_error(0, "an ARRAY of strings");
    }
    let mut args = vec![site.expr(0)?];
    for i in 1..site.args.len() {
        args.push(site.want(i, Want::Text)?);
    }
    let nullable = args.iter().any(|arg| arg.ty.nullable);
    site.call(args, SqlType { kind: Kind::STRING, nullable }, false, |args, rows| {
        let lists = args[0].values().as_list::<i32>();
        let texts: Vec<_> = args[1..].iter().map(Texts::of).collect();
        let one = |row: usize| {
            let separator = texts.first()?.get(row)?;
            let for_null = texts.get(1).map(|text| text.get(row));
            let at = if args[0].is_scalar() { 0 } else { row };
            if lists.is_null(at) || for_null == Some(None) {
                return None;
            }
            let list = lists.value(at);
            let parts =
                list.as_string::<i32>().iter().filter_map(|part| part.or(for_null.flatten()));
            Some(parts.collect::<Vec<_>>().join(separator))
        };
        Ok(Arc::new((0..rows).map(one).collect::<StringArray>()))
    })
}
