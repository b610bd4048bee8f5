//! What is in JSON: JSON_VALUE, JSON_QUERY, JSON_EXISTS, IS JSON.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, StringArray};
use arrow::datatypes::{Float64Type, Int32Type};
use weir_engine::EngineError;

use super::path::{Found, Path};
use super::value::{Json, Lazy, number, write_array};
use crate::error::SqlError;
use crate::expr::col::{Bools, Prims, Texts};
use crate::expr::{Col, Expr};
use crate::functions::{Site, Want};
use crate::types::{Kind, SqlType};

/// Paths kept of a column that holds paths.
const MAX_CACHED: usize = 64;

/// The paths of a column, each read once.
struct Paths<'a> {
    texts: Texts<'a>,
    known: HashMap<String, Path>,
}

impl<'a> Paths<'a> {
    fn of(col: &'a Col) -> Self {
        Self { texts: Texts::of(col), known: HashMap::new() }
    }

    fn get(&mut self, row: usize) -> Result<Option<&Path>, EngineError> {
        let Some(text) = self.texts.get(row) else {
            return Ok(None);
        };
        if !self.known.contains_key(text) {
            if self.known.len() >= MAX_CACHED {
                self.known.clear();
            }
            let path =
                Path::parse(text).map_err(|why| EngineError::user(unreadable(text, &why)))?;
            self.known.insert(text.to_owned(), path);
        }
        Ok(self.known.get(text))
    }
}

fn unreadable(path: &str, why: &str) -> String {
    format!("the JSON path '{path}' cannot be read: {why}")
}

/// JSON and path, the latter read where it is written in the program.
fn subject(site: &Site, words: usize) -> Result<Vec<Expr>, SqlError> {
    site.expect_count(2 + words..=2 + words)?;
    let (json, path) = (site.want(0, Want::Text)?, site.want(1, Want::Text)?);
    if let Some(value) = path.as_literal().filter(|value| value.is_valid(0)) {
        let text = value.as_string::<i32>().value(0);
        Path::parse(text).map_err(|why| SqlError::new(path.span, unreadable(text, &why)))?;
    }
    Ok(vec![json, path])
}

/// A word that the parser put among the arguments.
pub(super) fn word(site: &Site, argument: usize) -> Result<String, SqlError> {
    let expr = site.expr(argument)?;
    let text =
        expr.as_literal().filter(|value| value.is_valid(0)).and_then(|v| v.as_string_opt::<i32>());
    match text {
        Some(text) => Ok(text.value(0).to_owned()),
        None => site.count_error(),
    }
}

/// What a path found, as SQL/JSON looks at it.
enum Answer<'a> {
    Item(Json<'a>, Lazy<'a>),
    Items(Vec<Lazy<'a>>),
    Empty,
    Error(&'static str),
}

fn ask<'a>(json: &'a str, path: &Path) -> Answer<'a> {
    let Some(json) = Lazy::parse(json) else {
        // A lax path finds nothing in what is no JSON.
        return if path.lax { Answer::Empty } else { Answer::Error("the text is no JSON") };
    };
    match path.find(json) {
        Found::Missing if path.lax => Answer::Empty,
        Found::Missing => Answer::Error("the path leads nowhere"),
        Found::Several(items) => Answer::Items(items),
        Found::One(lazy) => match lazy.open() {
            Json::Null => Answer::Empty,
            json => Answer::Item(json, lazy),
        },
    }
}

/// `NULL`, `ERROR`, `DEFAULT`, …, of what is empty or an error.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Otherwise {
    Null,
    Error,
    Default,
    EmptyArray,
    EmptyObject,
    True,
    False,
}

impl Otherwise {
    fn of(site: &Site, argument: usize) -> Result<Self, SqlError> {
        Ok(match word(site, argument)?.as_str() {
            "ERROR" => Self::Error,
            "DEFAULT" => Self::Default,
            "EMPTY ARRAY" => Self::EmptyArray,
            "EMPTY OBJECT" => Self::EmptyObject,
            "TRUE" => Self::True,
            "FALSE" => Self::False,
            _ => Self::Null,
        })
    }
}

fn failed(function: &str, why: &str) -> EngineError {
    EngineError::user(format!(
        "{function}: {why}; NULL ON EMPTY, NULL ON ERROR or a default let it pass"
    ))
}

/// What a row of JSON_VALUE takes.
enum Pick {
    Value(String),
    Null,
    OnEmpty,
    OnError,
}

/// JSON_VALUE(json, path, returning, on empty, its default, on error, its default).
pub(super) fn json_value(site: &mut Site) -> Result<Expr, SqlError> {
    let mut args = subject(site, 5)?;
    let kind = match word(site, 2)?.as_str() {
        "BOOLEAN" => Kind::Boolean,
        "INT" => Kind::Int,
        "DOUBLE" => Kind::Double,
        _ => Kind::STRING,
    };
    let (on_empty, on_error) = (Otherwise::of(site, 3)?, Otherwise::of(site, 5)?);
    for default in [4, 6] {
        let expr = site.expr(default)?;
        args.push(crate::bind::expr::cast_to(expr.clone(), kind, expr.span)?);
    }
    let words = [word(site, 2)?, word(site, 3)?, word(site, 5)?].join(" ");
    let name = format!("JSON_VALUE {words}");
    site.named_call(name, args, SqlType::nullable(kind), true, move |args, rows| {
        let texts = Texts::of(&args[0]);
        let mut paths = Paths::of(&args[1]);
        let mut picks = Vec::with_capacity(rows);
        for row in 0..rows {
            let (Some(text), Some(path)) = (texts.get(row), paths.get(row)?) else {
                picks.push(Pick::Null);
                continue;
            };
            picks.push(match (ask(text, path), path.lax) {
                (Answer::Item(item, _), lax) => match scalar(item, kind) {
                    Scalar::Of(value) => Pick::Value(value),
                    Scalar::Not if lax => otherwise(on_empty, false, "the path leads to no value")?,
                    Scalar::Not => {
                        otherwise(on_error, true, "the path leads to an object or an array")?
                    }
                    Scalar::OtherType(found) => {
                        return Err(EngineError::user(format!(
                            "JSON_VALUE: {found} is no {kind}; leave RETURNING out and TRY_CAST the text"
                        )));
                    }
                },
                (Answer::Items(_), false) => {
                    otherwise(on_error, true, "the path leads to several values")?
                }
                (Answer::Items(_), true) | (Answer::Empty, _) => {
                    otherwise(on_empty, false, "the path leads to no value")?
                }
                (Answer::Error(why), _) => otherwise(on_error, true, why)?,
            });
        }
        values(&picks, kind, &args[2], &args[3])
    })
}

fn otherwise(what: Otherwise, is_error: bool, why: &str) -> Result<Pick, EngineError> {
    match what {
        Otherwise::Error => Err(failed("JSON_VALUE", why)),
        Otherwise::Default if is_error => Ok(Pick::OnError),
        Otherwise::Default => Ok(Pick::OnEmpty),
        _ => Ok(Pick::Null),
    }
}

enum Scalar {
    Of(String),
    /// An object or array.
    Not,
    /// What it is instead.
    OtherType(String),
}

/// A value's text, which [`values`] reads again. Flink takes no integer for a DOUBLE.
fn scalar(json: Json<'_>, kind: Kind) -> Scalar {
    let text = match (&json, kind) {
        (Json::Array(_) | Json::Object(_) | Json::Null, _) => return Scalar::Not,
        (Json::Bool(value), Kind::Boolean) => return Scalar::Of(value.to_string()),
        (Json::Bool(value), _) => value.to_string(),
        (Json::Number(text), Kind::STRING) => return Scalar::Of(number(text)),
        (Json::Number(text), Kind::Int) if text.parse::<i32>().is_ok() => {
            return Scalar::Of((*text).to_owned());
        }
        (Json::Number(text), Kind::Double) => return Scalar::Of((*text).to_owned()),
        (Json::Number(text), _) => (*text).to_owned(),
        (Json::Text(text), Kind::STRING) => return Scalar::Of(text.clone()),
        (Json::Text(text), _) => format!("'{}'", text.chars().take(60).collect::<String>()),
    };
    if kind == Kind::STRING { Scalar::Of(text) } else { Scalar::OtherType(text) }
}

fn values(picks: &[Pick], kind: Kind, empty: &Col, error: &Col) -> Result<ArrayRef, EngineError> {
    fn each<T>(
        picks: &[Pick],
        read: impl Fn(&str) -> Option<T>,
        empty: impl Fn(usize) -> Option<T>,
        error: impl Fn(usize) -> Option<T>,
    ) -> Vec<Option<T>> {
        let one = |(row, pick): (usize, &Pick)| match pick {
            Pick::Value(text) => read(text),
            Pick::Null => None,
            Pick::OnEmpty => empty(row),
            Pick::OnError => error(row),
        };
        picks.iter().enumerate().map(one).collect()
    }
    Ok(match kind {
        Kind::Boolean => {
            let (a, b) = (Bools::of(empty), Bools::of(error));
            let all = each(picks, |t| t.parse().ok(), |r| a.get(r), |r| b.get(r));
            Arc::new(BooleanArray::from(all))
        }
        Kind::Int => {
            let (a, b) = (Prims::<Int32Type>::of(empty), Prims::<Int32Type>::of(error));
            Arc::new(Int32Array::from(each(picks, |t| t.parse().ok(), |r| a.get(r), |r| b.get(r))))
        }
        Kind::Double => {
            let (a, b) = (Prims::<Float64Type>::of(empty), Prims::<Float64Type>::of(error));
            let all = each(picks, |t| t.parse().ok(), |r| a.get(r), |r| b.get(r));
            Arc::new(Float64Array::from(all))
        }
        _ => {
            let (a, b) = (Texts::of(empty), Texts::of(error));
            let owned = |text: Option<&str>| text.map(str::to_owned);
            let all = each(picks, |t| Some(t.to_owned()), |r| owned(a.get(r)), |r| owned(b.get(r)));
            Arc::new(StringArray::from(all))
        }
    })
}

/// JSON_QUERY(json, path, wrapper, on empty, on error).
pub(super) fn json_query(site: &mut Site) -> Result<Expr, SqlError> {
    let args = subject(site, 3)?;
    let wrapper = word(site, 2)?;
    let (on_empty, on_error) = (Otherwise::of(site, 3)?, Otherwise::of(site, 4)?);
    let name = format!("JSON_QUERY {wrapper} {} {}", word(site, 3)?, word(site, 4)?);
    let (always, sometimes) = (wrapper == "UNCONDITIONAL", wrapper == "CONDITIONAL");
    let otherwise = |what: Otherwise, why: &str| match what {
        Otherwise::Error => Err(failed("JSON_QUERY", why)),
        Otherwise::EmptyArray => Ok(Some("[]".to_owned())),
        Otherwise::EmptyObject => Ok(Some("{}".to_owned())),
        _ => Ok(None),
    };
    let fallible = true;
    site.named_call(name, args, SqlType::nullable(Kind::STRING), fallible, move |args, rows| {
        let texts = Texts::of(&args[0]);
        let mut paths = Paths::of(&args[1]);
        let one = |row: usize| {
            let (Some(text), Some(path)) = (texts.get(row), paths.get(row)?) else {
                return Ok(None);
            };
            let mut out = String::new();
            let is_array = match ask(text, path) {
                Answer::Empty => return otherwise(on_empty, "the path leads to nothing"),
                Answer::Error(why) => return otherwise(on_error, why),
                Answer::Items(items) => {
                    write_array(&items, &mut out);
                    true
                }
                Answer::Item(item, lazy) => {
                    let is_array = matches!(item, Json::Array(_));
                    if !is_array && !matches!(item, Json::Object(_)) && !always && !sometimes {
                        let what = if path.lax { on_empty } else { on_error };
                        return otherwise(what, "the path leads to no object or array");
                    }
                    lazy.write(&mut out);
                    is_array
                }
            };
            Ok(Some(if always || sometimes && !is_array { format!("[{out}]") } else { out }))
        };
        Ok(Arc::new((0..rows).map(one).collect::<Result<StringArray, EngineError>>()?))
    })
}

/// JSON_EXISTS(json, path, on error).
pub(super) fn json_exists(site: &mut Site) -> Result<Expr, SqlError> {
    let args = subject(site, 1)?;
    let on_error = Otherwise::of(site, 2)?;
    let name = format!("JSON_EXISTS {}", word(site, 2)?);
    site.named_call(name, args, SqlType::nullable(Kind::Boolean), true, move |args, rows| {
        let texts = Texts::of(&args[0]);
        let mut paths = Paths::of(&args[1]);
        let one = |row: usize| {
            let (Some(text), Some(path)) = (texts.get(row), paths.get(row)?) else {
                return Ok(None);
            };
            Ok(match ask(text, path) {
                Answer::Item(..) | Answer::Items(_) => Some(true),
                Answer::Empty => Some(false),
                Answer::Error(why) => match on_error {
                    Otherwise::Error => return Err(failed("JSON_EXISTS", why)),
                    Otherwise::True => Some(true),
                    Otherwise::False => Some(false),
                    _ => None,
                },
            })
        };
        Ok(Arc::new((0..rows).map(one).collect::<Result<BooleanArray, EngineError>>()?))
    })
}

/// IS JSON(string, VALUE | SCALAR | ARRAY | OBJECT): of NULL it is FALSE.
pub(super) fn is_json(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(2..=2)?;
    let what = word(site, 1)?;
    let args = vec![site.want(0, Want::Text)?];
    let name = format!("IS JSON {what}");
    site.named_call(name, args, SqlType::not_null(Kind::Boolean), false, move |args, rows| {
        let texts = Texts::of(&args[0]);
        let one = |row: usize| {
            let Some(json) = texts.get(row).and_then(Lazy::parse) else {
                return Some(false);
            };
            let (is_array, is_object) = match json.open() {
                Json::Array(_) => (true, false),
                Json::Object(_) => (false, true),
                _ => (false, false),
            };
            Some(match what.as_str() {
                "SCALAR" => !is_array && !is_object,
                "ARRAY" => is_array,
                "OBJECT" => is_object,
                _ => true,
            })
        };
        Ok(Arc::new((0..rows).map(one).collect::<BooleanArray>()))
    })
}
