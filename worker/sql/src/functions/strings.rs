//! Functions of strings. Characters are Unicode code points, positions count from 1.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, StringArray};
use arrow::datatypes::Int32Type;
use weir_engine::EngineError;

use super::{Function, Site, Want, optional, simple, special};
use crate::error::SqlError;
use crate::expr::col::{Prims, Texts};
use crate::expr::{Col, Expr, Style};
use crate::types::{Kind, SqlType};

type Array = Result<ArrayRef, EngineError>;
const STRING: Kind = Kind::STRING;
use Want::{Int, Text};

pub(super) const FUNCTIONS: &[Function] = &[
    simple("UPPER", "UPPER(string)", &[Text], STRING, |a, n| map(a, n, |s| Some(s.to_uppercase()))),
    simple("LOWER", "LOWER(string)", &[Text], STRING, |a, n| map(a, n, |s| Some(s.to_lowercase()))),
    optional(
        "TRIM",
        "TRIM([BOTH | LEADING | TRAILING] [characters FROM] string)",
        &[Text, Text],
        1,
        STRING,
        |a, n| trim(a, n, true, true),
    ),
    optional("BTRIM", "BTRIM(string [, characters])", &[Text, Text], 1, STRING, |a, n| {
        trim(a, n, true, true)
    }),
    optional(
        "TRIM_LEADING",
        "TRIM(LEADING [characters FROM] string)",
        &[Text, Text],
        1,
        STRING,
        |a, n| trim(a, n, true, false),
    ),
    optional(
        "TRIM_TRAILING",
        "TRIM(TRAILING [characters FROM] string)",
        &[Text, Text],
        1,
        STRING,
        |a, n| trim(a, n, false, true),
    ),
    optional("LTRIM", "LTRIM(string [, characters])", &[Text, Text], 1, STRING, |a, n| {
        trim(a, n, true, false)
    }),
    optional("RTRIM", "RTRIM(string [, characters])", &[Text, Text], 1, STRING, |a, n| {
        trim(a, n, false, true)
    }),
    simple("CHAR_LENGTH", "CHAR_LENGTH(string)", &[Text], Kind::Int, length),
    simple("CHARACTER_LENGTH", "CHARACTER_LENGTH(string)", &[Text], Kind::Int, length),
    special("CONCAT", "CONCAT(string, string, …)", concat),
    special("||", "string || string", concat),
    special("CONCAT_WS", "CONCAT_WS(separator, string, …)", concat_ws),
    optional(
        "SUBSTRING",
        "SUBSTRING(string, from [, length])",
        &[Text, Int, Int],
        1,
        STRING,
        substring,
    ),
    optional("SUBSTR", "SUBSTR(string, from [, length])", &[Text, Int, Int], 1, STRING, substring),
    simple("POSITION", "POSITION(string IN string)", &[Text, Text], Kind::Int, |a, n| {
        position(&a[1], &a[0], n)
    }),
    simple("INSTR", "INSTR(string, searched)", &[Text, Text], Kind::Int, |a, n| {
        position(&a[0], &a[1], n)
    }),
    special("LOCATE", "LOCATE(searched, string [, from])", locate),
    simple(
        "REPLACE",
        "REPLACE(string, searched, replacement)",
        &[Text, Text, Text],
        STRING,
        replace,
    ),
    optional(
        "SPLIT_INDEX",
        "SPLIT_INDEX(string, separator, index from 0)",
        &[Text, Text, Int],
        0,
        STRING,
        split_index,
    ),
    optional("LPAD", "LPAD(string, length, padding)", &[Text, Int, Text], 0, STRING, |a, n| {
        pad(a, n, true)
    }),
    optional("RPAD", "RPAD(string, length, padding)", &[Text, Int, Text], 0, STRING, |a, n| {
        pad(a, n, false)
    }),
    simple("REVERSE", "REVERSE(string)", &[Text], STRING, |a, n| {
        map(a, n, |s| Some(s.chars().rev().collect()))
    }),
    simple("INITCAP", "INITCAP(string)", &[Text], STRING, |a, n| map(a, n, |s| Some(initcap(s)))),
    simple("LEFT", "LEFT(string, length)", &[Text, Int], STRING, |a, n| {
        with_int(a, n, |s, k| Some(s.chars().take(k.max(0) as usize).collect()))
    }),
    simple("RIGHT", "RIGHT(string, length)", &[Text, Int], STRING, |a, n| {
        with_int(a, n, |s, k| {
            let skip = s.chars().count().saturating_sub(k.max(0) as usize);
            Some(s.chars().skip(skip).collect())
        })
    }),
    Function {
        name: "REPEAT",
        usage: "REPEAT(string, times)",
        body: super::Body::Simple(super::Simple {
            wants: &[Text, Int],
            optional: 0,
            variadic: false,
            ret: STRING,
            may_be_null: false,
            fallible: true,
            run: repeat,
        }),
    },
    simple("ASCII", "ASCII(string)", &[Text], Kind::Int, |a, n| {
        let texts = Texts::of(&a[0]);
        let first = |s: &str| s.bytes().next().map_or(0, |b| i32::from(b as i8));
        Ok(Arc::new((0..n).map(|r| texts.get(r).map(first)).collect::<Int32Array>()))
    }),
    simple("CHR", "CHR(integer)", &[Int], STRING, |a, n| {
        let codes = Prims::<Int32Type>::of(&a[0]);
        let one = |code: i32| {
            if code < 0 { " ".to_owned() } else { char::from((code & 0xff) as u8).to_string() }
        };
        Ok(Arc::new((0..n).map(|r| codes.get(r).map(one)).collect::<StringArray>()))
    }),
    simple("STARTSWITH", "STARTSWITH(string, start)", &[Text, Text], Kind::Boolean, |a, n| {
        test(a, n, |s, t| s.starts_with(t))
    }),
    simple("ENDSWITH", "ENDSWITH(string, end)", &[Text, Text], Kind::Boolean, |a, n| {
        test(a, n, |s, t| s.ends_with(t))
    }),
];

fn map(args: &[Col], rows: usize, f: impl Fn(&str) -> Option<String>) -> Array {
    let texts = Texts::of(&args[0]);
    Ok(Arc::new((0..rows).map(|r| f(texts.get(r)?)).collect::<StringArray>()))
}

fn with_int(args: &[Col], rows: usize, f: impl Fn(&str, i32) -> Option<String>) -> Array {
    let (texts, ints) = (Texts::of(&args[0]), Prims::<Int32Type>::of(&args[1]));
    Ok(Arc::new((0..rows).map(|r| f(texts.get(r)?, ints.get(r)?)).collect::<StringArray>()))
}

fn test(args: &[Col], rows: usize, f: impl Fn(&str, &str) -> bool) -> Array {
    let (a, b) = (Texts::of(&args[0]), Texts::of(&args[1]));
    Ok(Arc::new((0..rows).map(|r| Some(f(a.get(r)?, b.get(r)?))).collect::<BooleanArray>()))
}

fn trim(args: &[Col], rows: usize, start: bool, end: bool) -> Array {
    let texts = Texts::of(&args[0]);
    let sets = args.get(1).map(Texts::of);
    let result: StringArray = (0..rows)
        .map(|r| {
            let set = match &sets {
                Some(sets) => sets.get(r)?,
                None => " ",
            };
            let mut text = texts.get(r)?;
            let in_set = |c: char| set.contains(c);
            if start {
                text = text.trim_start_matches(in_set);
            }
            if end {
                text = text.trim_end_matches(in_set);
            }
            Some(text)
        })
        .collect();
    Ok(Arc::new(result))
}

fn length(args: &[Col], rows: usize) -> Array {
    let texts = Texts::of(&args[0]);
    Ok(Arc::new(
        (0..rows).map(|r| texts.get(r).map(|s| s.chars().count() as i32)).collect::<Int32Array>(),
    ))
}

/// All arguments as strings; what is none is refused, as Flink does.
fn strings(site: &Site) -> Result<Vec<Expr>, SqlError> {
    (0..site.args.len())
        .map(|i| {
            let expr = site.expr(i)?;
            if !expr.kind().is_text() && expr.kind() != Kind::Null {
                return Err(SqlError::new(
                    expr.span,
                    format!(
                        "{} joins strings, and this is {}; write CAST(… AS STRING)",
                        site.function.name,
                        expr.kind()
                    ),
                ));
            }
            site.cast(expr, STRING)
        })
        .collect()
}

fn concat(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=usize::MAX)?;
    let args = strings(site)?;
    let ty = SqlType { kind: STRING, nullable: args.iter().any(|a| a.ty.nullable) };
    let run = |args: &[Col], rows: usize| -> Array {
        let texts: Vec<_> = args.iter().map(Texts::of).collect();
        let mut joined = String::new();
        let result: StringArray = (0..rows)
            .map(|r| {
                joined.clear();
                for text in &texts {
                    joined.push_str(text.get(r)?);
                }
                Some(joined.clone())
            })
            .collect();
        Ok(Arc::new(result))
    };
    if site.function.name != "||" {
        return site.call(args, ty, false, run);
    }
    let kernel = Arc::new(move |args: &[Col], rows: usize| {
        let rows = crate::expr::col::rows_of(args, rows);
        Ok(Col::of(run(args, rows)?, args))
    });
    crate::bind::expr::call("||", args, kernel, ty, Style::Infix, site.span)
}

fn concat_ws(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(2..=usize::MAX)?;
    let args = strings(site)?;
    let ty = SqlType { kind: STRING, nullable: args[0].ty.nullable };
    site.call(args, ty, false, |args, rows| {
        let texts: Vec<_> = args.iter().map(Texts::of).collect();
        let result: StringArray = (0..rows)
            .map(|r| {
                let separator = texts[0].get(r)?;
                // NULL is left out together with its separator.
                let parts: Vec<&str> = texts[1..].iter().filter_map(|t| t.get(r)).collect();
                Some(parts.join(separator))
            })
            .collect();
        Ok(Arc::new(result))
    })
}

fn substring(args: &[Col], rows: usize) -> Array {
    let (texts, from) = (Texts::of(&args[0]), Prims::<Int32Type>::of(&args[1]));
    let lengths = args.get(2).map(Prims::<Int32Type>::of);
    let result: StringArray = (0..rows)
        .map(|r| {
            let (text, from) = (texts.get(r)?, i64::from(from.get(r)?));
            let length = match &lengths {
                Some(lengths) => i64::from(lengths.get(r)?),
                None => i64::from(i32::MAX),
            };
            if length < 0 {
                return None;
            }
            let count = text.chars().count() as i64;
            // A negative position counts from the end; 0 is the beginning, as 1 is.
            let start = match from {
                1.. => from - 1,
                0 => 0,
                _ => count + from,
            };
            if start < 0 || start >= count {
                return Some(String::new());
            }
            Some(text.chars().skip(start as usize).take(length as usize).collect())
        })
        .collect();
    Ok(Arc::new(result))
}

fn position(text: &Col, searched: &Col, rows: usize) -> Array {
    let (texts, searched) = (Texts::of(text), Texts::of(searched));
    let result: Int32Array = (0..rows)
        .map(|r| {
            let (text, searched) = (texts.get(r)?, searched.get(r)?);
            Some(text.find(searched).map_or(0, |at| text[..at].chars().count() as i32 + 1))
        })
        .collect();
    Ok(Arc::new(result))
}

fn locate(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(2..=3)?;
    let mut args = vec![site.want(0, Text)?, site.want(1, Text)?];
    if site.args.len() == 3 {
        args.push(site.want(2, Int)?);
    }
    let ty = SqlType { kind: Kind::Int, nullable: args.iter().any(|a| a.ty.nullable) };
    site.call(args, ty, false, |args, rows| {
        let Some(from) = args.get(2).map(Prims::<Int32Type>::of) else {
            return position(&args[1], &args[0], rows);
        };
        let (searched, texts) = (Texts::of(&args[0]), Texts::of(&args[1]));
        let one = |r: usize| {
            let (searched, text) = (searched.get(r)?, texts.get(r)?);
            if searched.is_empty() {
                return Some(1);
            }
            let skipped = from.get(r)?.saturating_sub(1).max(0) as usize;
            let start = text.char_indices().nth(skipped).map_or(text.len(), |(at, _)| at);
            let found = text[start..].find(searched);
            Some(found.map_or(0, |at| text[..start + at].chars().count() as i32 + 1))
        };
        Ok(Arc::new((0..rows).map(one).collect::<Int32Array>()))
    })
}

fn replace(args: &[Col], rows: usize) -> Array {
    let (texts, from, to) = (Texts::of(&args[0]), Texts::of(&args[1]), Texts::of(&args[2]));
    let result: StringArray = (0..rows)
        .map(|r| {
            let (text, from, to) = (texts.get(r)?, from.get(r)?, to.get(r)?);
            // An empty `from` is found around every character.
            Some(text.replace(from, to))
        })
        .collect();
    Ok(Arc::new(result))
}

fn split_index(args: &[Col], rows: usize) -> Array {
    let (texts, separators) = (Texts::of(&args[0]), Texts::of(&args[1]));
    let indices = Prims::<Int32Type>::of(&args[2]);
    let result: StringArray = (0..rows)
        .map(|r| {
            let (text, separator) = (texts.get(r)?, separators.get(r)?);
            let index = usize::try_from(indices.get(r)?).ok()?;
            // An empty string has no parts, not one that is empty.
            if text.is_empty() {
                return None;
            }
            if separator.is_empty() {
                return text.split_whitespace().nth(index).map(str::to_owned);
            }
            text.split(separator).nth(index).map(str::to_owned)
        })
        .collect();
    Ok(Arc::new(result))
}

fn pad(args: &[Col], rows: usize, left: bool) -> Array {
    let (texts, lengths) = (Texts::of(&args[0]), Prims::<Int32Type>::of(&args[1]));
    let padding = Texts::of(&args[2]);
    let result = (0..rows)
        .map(|r| {
            let (Some(text), Some(length), Some(padding)) =
                (texts.get(r), lengths.get(r), padding.get(r))
            else {
                return Ok(None);
            };
            let Ok(length) = usize::try_from(length) else {
                return Ok(None);
            };
            if padding.is_empty() {
                return Ok(None);
            }
            if length > MAX_MADE {
                return Err(too_long(length));
            }
            let count = text.chars().count();
            let mut result: String = text.chars().take(length).collect();
            let filling: String =
                padding.chars().cycle().take(length.saturating_sub(count)).collect();
            if left {
                result.insert_str(0, &filling);
            } else {
                result.push_str(&filling);
            }
            Ok(Some(result))
        })
        .collect::<Result<Vec<Option<String>>, EngineError>>()?;
    Ok(Arc::new(StringArray::from(result)))
}

/// Longest string that LPAD, RPAD and REPEAT make: one value must not exhaust the memory.
const MAX_MADE: usize = 1 << 20;

fn too_long(length: usize) -> EngineError {
    let mut message = String::new();
    let _ = write!(
        message,
        "a string of {length} characters is longer than the {MAX_MADE} that can be made"
    );
    EngineError::user(message)
}

fn repeat(args: &[Col], rows: usize) -> Array {
    let (texts, times) = (Texts::of(&args[0]), Prims::<Int32Type>::of(&args[1]));
    let result = (0..rows)
        .map(|r| match (texts.get(r), times.get(r)) {
            (Some(text), Some(times)) => {
                let times = times.max(0) as usize;
                let length = text.len().saturating_mul(times);
                if length > MAX_MADE { Err(too_long(length)) } else { Ok(Some(text.repeat(times))) }
            }
            _ => Ok(None),
        })
        .collect::<Result<Vec<Option<String>>, EngineError>>()?;
    Ok(Arc::new(StringArray::from(result)))
}

/// The first letter of each word in capitals, the others small. Words are ASCII letters and digits,
/// as for Flink; other characters part words and stay.
fn initcap(text: &str) -> String {
    let mut inside = false;
    text.chars()
        .map(|c| {
            let first = !std::mem::replace(&mut inside, c.is_ascii_alphanumeric());
            if first { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
        })
        .collect()
}
