//! Functions of numbers.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array};
use arrow::datatypes::{Decimal128Type, Float64Type, Int32Type, i256};
use weir_engine::EngineError;

use super::{Function, Site, Want, simple, special};
use crate::ast::{BinaryOp, Unit};
use crate::bind::expr::arithmetic;
use crate::error::SqlError;
use crate::expr::arith::{fit, power_of_ten, rescale};
use crate::expr::cast::decimal;
use crate::expr::col::Prims;
use crate::expr::{Call, Col, Expr, Style};
use crate::types::{Kind, SqlType};
use crate::zone::Zone;

const DOUBLE: Kind = Kind::Double;
use Want::Double;

pub(super) const FUNCTIONS: &[Function] = &[
    special("ABS", "ABS(number)", |site| same_type(site, i64::wrapping_abs, f64::abs, i128::abs)),
    special("SIGN", "SIGN(number)", sign),
    special("MOD", "MOD(number, number)", modulo),
    special("CEIL", "CEIL(number) or CEIL(time TO unit)", |site| whole(site, true)),
    special("CEILING", "CEILING(number) or CEILING(time TO unit)", |site| whole(site, true)),
    special("FLOOR", "FLOOR(number) or FLOOR(time TO unit)", |site| whole(site, false)),
    special("ROUND", "ROUND(number [, digits])", |site| round(site, true)),
    special("TRUNCATE", "TRUNCATE(number [, digits])", |site| round(site, false)),
    simple("POWER", "POWER(number, exponent)", &[Double, Double], DOUBLE, |a, n| {
        two(a, n, f64::powf)
    }),
    simple("SQRT", "SQRT(number)", &[Double], DOUBLE, |a, n| one(a, n, f64::sqrt)),
    simple("LN", "LN(number)", &[Double], DOUBLE, |a, n| one(a, n, f64::ln)),
    simple("LOG10", "LOG10(number)", &[Double], DOUBLE, |a, n| one(a, n, f64::log10)),
    simple("LOG2", "LOG2(number)", &[Double], DOUBLE, |a, n| one(a, n, f64::log2)),
    special("LOG", "LOG([base,] number)", log),
    simple("EXP", "EXP(number)", &[Double], DOUBLE, |a, n| one(a, n, f64::exp)),
    simple("SIN", "SIN(number)", &[Double], DOUBLE, |a, n| one(a, n, f64::sin)),
    simple("COS", "COS(number)", &[Double], DOUBLE, |a, n| one(a, n, f64::cos)),
    simple("TAN", "TAN(number)", &[Double], DOUBLE, |a, n| one(a, n, f64::tan)),
    simple("SINH", "SINH(number)", &[Double], DOUBLE, |a, n| one(a, n, f64::sinh)),
    simple("COSH", "COSH(number)", &[Double], DOUBLE, |a, n| one(a, n, f64::cosh)),
    simple("TANH", "TANH(number)", &[Double], DOUBLE, |a, n| one(a, n, f64::tanh)),
    simple("COT", "COT(number)", &[Double], DOUBLE, |a, n| one(a, n, |x| 1.0 / x.tan())),
    simple("ASIN", "ASIN(number)", &[Double], DOUBLE, |a, n| one(a, n, f64::asin)),
    simple("ACOS", "ACOS(number)", &[Double], DOUBLE, |a, n| one(a, n, f64::acos)),
    simple("ATAN", "ATAN(number)", &[Double], DOUBLE, |a, n| one(a, n, f64::atan)),
    simple("ATAN2", "ATAN2(y, x)", &[Double, Double], DOUBLE, |a, n| two(a, n, f64::atan2)),
    simple("DEGREES", "DEGREES(number)", &[Double], DOUBLE, |a, n| one(a, n, f64::to_degrees)),
    simple("RADIANS", "RADIANS(number)", &[Double], DOUBLE, |a, n| one(a, n, f64::to_radians)),
    special("PI", "PI()", |site| constant(site, std::f64::consts::PI)),
    special("E", "E()", |site| constant(site, std::f64::consts::E)),
];

fn one(args: &[Col], _: usize, f: fn(f64) -> f64) -> Result<ArrayRef, EngineError> {
    Ok(Arc::new(args[0].values().as_primitive::<Float64Type>().unary::<_, Float64Type>(f)))
}

fn two(args: &[Col], rows: usize, f: fn(f64, f64) -> f64) -> Result<ArrayRef, EngineError> {
    let (a, b) = (Prims::<Float64Type>::of(&args[0]), Prims::<Float64Type>::of(&args[1]));
    Ok(Arc::new((0..rows).map(|r| Some(f(a.get(r)?, b.get(r)?))).collect::<Float64Array>()))
}

fn constant(site: &mut Site, value: f64) -> Result<Expr, SqlError> {
    site.expect_count(0..=0)?;
    Ok(Expr::literal(Arc::new(Float64Array::from(vec![value])), DOUBLE, site.span))
}

fn log(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=2)?;
    let args = (0..site.args.len()).map(|i| site.want(i, Double)).collect::<Result<Vec<_>, _>>()?;
    let ty = SqlType { kind: DOUBLE, nullable: args.iter().any(|a| a.ty.nullable) };
    site.call(args, ty, false, |args, rows| {
        if args.len() == 1 {
            one(args, rows, f64::ln)
        } else {
            two(args, rows, |base, x| x.ln() / base.ln())
        }
    })
}

/// Also of DOUBLE, which Flink refuses.
fn modulo(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(2..=2)?;
    arithmetic(site.expr(0)?, BinaryOp::Modulo, site.expr(1)?, site.span)
}

fn number(site: &Site, i: usize) -> Result<Expr, SqlError> {
    let expr = site.expr(i)?;
    match expr.kind() {
        Kind::Null => Ok(Expr::null(Kind::Int, expr.span)),
        kind if kind.is_numeric() => Ok(expr),
        _ => site.type_error(i, "a number"),
    }
}

/// A function whose result has its argument's type.
fn same_type(
    site: &mut Site,
    integer: fn(i64) -> i64,
    float: fn(f64) -> f64,
    fixed: fn(i128) -> i128,
) -> Result<Expr, SqlError> {
    site.expect_count(1..=1)?;
    let arg = number(site, 0)?;
    let ty = arg.ty;
    let kind = ty.kind;
    site.call(vec![arg], ty, false, move |args, rows| {
        by_type(&args[0], kind, rows, integer, float, fixed)
    })
}

fn by_type(
    col: &Col,
    kind: Kind,
    rows: usize,
    integer: impl Fn(i64) -> i64,
    float: impl Fn(f64) -> f64,
    fixed: impl Fn(i128) -> i128,
) -> Result<ArrayRef, EngineError> {
    use arrow::array::{Float32Array, Int8Array, Int16Array, Int32Array, Int64Array};
    let values = || crate::expr::cast::widen(col, kind, rows).into_iter();
    Ok(match kind {
        Kind::Float => {
            let values = col.values().as_primitive::<arrow::datatypes::Float32Type>();
            Arc::new(
                values
                    .iter()
                    .map(|v| v.map(|v| float(f64::from(v)) as f32))
                    .collect::<Float32Array>(),
            )
        }
        Kind::Double => {
            Arc::new(col.values().as_primitive::<Float64Type>().unary::<_, Float64Type>(float))
        }
        Kind::Decimal(p, s) => {
            let values = col.values().as_primitive::<Decimal128Type>();
            Arc::new(values.unary::<_, Decimal128Type>(fixed).with_precision_and_scale(p, s as i8)?)
        }
        // The result wraps in the type's own width.
        Kind::TinyInt => {
            Arc::new(values().map(|v| v.map(|v| integer(v) as i8)).collect::<Int8Array>())
        }
        Kind::SmallInt => {
            Arc::new(values().map(|v| v.map(|v| integer(v) as i16)).collect::<Int16Array>())
        }
        Kind::Int => {
            Arc::new(values().map(|v| v.map(|v| integer(v) as i32)).collect::<Int32Array>())
        }
        _ => Arc::new(values().map(|v| v.map(&integer)).collect::<Int64Array>()),
    })
}

fn sign(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=1)?;
    let arg = number(site, 0)?;
    let ty = arg.ty;
    let kind = ty.kind;
    let one = match kind {
        Kind::Decimal(_, s) => 10i128.pow(u32::from(s)),
        _ => 1,
    };
    let float = |x: f64| {
        if x == 0.0 || x.is_nan() { x } else { x.signum() }
    };
    site.call(vec![arg], ty, false, move |args, rows| {
        by_type(&args[0], kind, rows, i64::signum, float, |v| v.signum() * one)
    })
}

/// CEIL and FLOOR of numbers and of times.
fn whole(site: &mut Site, up: bool) -> Result<Expr, SqlError> {
    site.expect_count(1..=2)?;
    if site.args.len() == 2 {
        let (unit, span) = site.unit(1)?;
        if unit == Unit::Epoch
            || unit == Unit::IsoYear
            || unit == Unit::DayOfYear
            || unit == Unit::DayOfWeek
            || unit == Unit::IsoDayOfWeek
        {
            return Err(SqlError::new(
                span,
                format!(
                    "{} cannot cut a time to this unit; YEAR, QUARTER, MONTH, WEEK, DAY, HOUR, MINUTE and SECOND it can",
                    site.function.name
                ),
            ));
        }
        return super::times::cut(site, unit, up);
    }
    let kind = site.expr(0)?.kind();
    if kind.is_temporal() {
        let name = site.function.name;
        return Err(SqlError::new(
            site.span,
            format!("{name} of a time needs a unit: {name}(t TO HOUR)"),
        ));
    }
    let arg = number(site, 0)?;
    let nullable = arg.ty.nullable;
    match arg.kind() {
        Kind::Decimal(p, s) => {
            let ty = SqlType { kind: Kind::Decimal(p, 0), nullable };
            let unit = 10i128.pow(u32::from(s));
            site.call(vec![arg], ty, false, move |args, _| {
                let values = args[0].values().as_primitive::<Decimal128Type>();
                let cut = move |v: i128| {
                    if up { -(-v).div_euclid(unit) } else { v.div_euclid(unit) }
                };
                Ok(Arc::new(values.unary::<_, Decimal128Type>(cut).with_precision_and_scale(p, 0)?))
            })
        }
        kind => {
            let float = if up { f64::ceil } else { f64::floor };
            site.call(vec![arg], SqlType { kind, nullable }, false, move |args, rows| {
                by_type(&args[0], kind, rows, |v| v, float, |v| v)
            })
        }
    }
}

/// Digits behind the point: a value known now, or one per row.
fn literal_digits(expr: &Expr) -> Option<i32> {
    let value = expr.as_literal().filter(|v| v.is_valid(0) && expr.kind() == Kind::Int)?;
    Some(value.as_primitive::<Int32Type>().value(0))
}

/// ROUND (half away from zero) and TRUNCATE (towards zero).
fn round(site: &mut Site, half_up: bool) -> Result<Expr, SqlError> {
    site.expect_count(1..=2)?;
    let arg = number(site, 0)?;
    let digits = if site.args.len() == 2 {
        site.want(1, Want::Int)?
    } else {
        Expr::literal(Arc::new(arrow::array::Int32Array::from(vec![0])), Kind::Int, site.span)
    };
    let known = literal_digits(&digits);
    let kind = arg.kind();
    let result = match (kind, known) {
        (Kind::Decimal(p, s), Some(n)) if n < i32::from(s) => {
            if n < 0 {
                Kind::Decimal((1 + p - s).min(38), 0)
            } else {
                Kind::Decimal((1 + p - s + n as u8).min(38), n as u8)
            }
        }
        (kind, _) => kind,
    };
    let nullable = arg.ty.nullable || digits.ty.nullable || matches!(kind, Kind::Decimal(..));
    let ty = SqlType { kind: result, nullable };
    site.call(vec![arg, digits], ty, false, move |args, rows| {
        let digits = Prims::<Int32Type>::of(&args[1]);
        match (kind, result) {
            (Kind::Decimal(_, s), Kind::Decimal(p, to)) => {
                let values = Prims::<Decimal128Type>::of(&args[0]);
                let one = |r: usize| {
                    let cut = cut_digits(
                        i256::from_i128(values.get(r)?),
                        i32::from(s),
                        digits.get(r)?,
                        half_up,
                    )?;
                    fit(rescale(cut, i32::from(s), i32::from(to))?, p)
                };
                Ok(Arc::new(
                    (0..rows)
                        .map(one)
                        .collect::<Decimal128Array>()
                        .with_precision_and_scale(p, to as i8)?,
                ))
            }
            (Kind::Float | Kind::Double, _) => {
                let doubles =
                    crate::expr::cast::convert(&args[0], kind, DOUBLE, rows, false, Zone::Utc)?;
                let doubles = doubles.as_primitive::<Float64Type>();
                let rounded: Float64Array = (0..rows)
                    .map(|r| {
                        Some(round_double(
                            doubles.is_valid(r).then(|| doubles.value(r))?,
                            digits.get(r)?,
                            half_up,
                        ))
                    })
                    .collect();
                crate::expr::cast::convert(
                    &Col::Array(Arc::new(rounded)),
                    DOUBLE,
                    kind,
                    rows,
                    false,
                    Zone::Utc,
                )
            }
            _ => {
                let values = crate::expr::cast::widen(&args[0], kind, rows);
                let rounded: arrow::array::Int64Array = (0..rows)
                    .map(|r| {
                        let cut = cut_digits(
                            i256::from_i128(i128::from(values[r]?)),
                            0,
                            digits.get(r)?,
                            half_up,
                        )?;
                        cut.to_i128().map(|v| v as i64)
                    })
                    .collect();
                crate::expr::cast::convert(
                    &Col::Array(Arc::new(rounded)),
                    Kind::BigInt,
                    kind,
                    rows,
                    false,
                    Zone::Utc,
                )
            }
        }
    })
}

/// Sets all digits behind the `digits`-th to zero; the scale stays.
fn cut_digits(value: i256, scale: i32, digits: i32, half_up: bool) -> Option<i256> {
    if digits >= scale {
        return Some(value);
    }
    let drop = scale.saturating_sub(digits);
    if drop > 70 {
        return Some(i256::ZERO);
    }
    let unit = power_of_ten(drop as u32);
    let whole = if half_up {
        crate::expr::arith::divide_half_up(value, unit)?
    } else {
        value.checked_div(unit)?
    };
    whole.checked_mul(unit)
}

/// Through the shortest decimal text, as `BigDecimal.valueOf(double)` does.
fn round_double(value: f64, digits: i32, half_up: bool) -> f64 {
    if !value.is_finite() || digits > 30 {
        return value;
    }
    let text = format!("{value:e}");
    // Enough digits to hold the number exactly as written; others are too large to have a fraction.
    let Some(fixed) = decimal(&text, 38, 18) else {
        return value;
    };
    let Some(cut) = cut_digits(i256::from_i128(fixed), 18, digits, half_up) else {
        return value;
    };
    if digits > 18 {
        return value;
    }
    cut.to_i128().map_or(value, |v| crate::expr::render::decimal(v, 18).parse().unwrap_or(value))
}

/// A different value per row: never folded, never shared.
pub(super) fn nondeterministic(
    site: &Site,
    kind: Kind,
    reason: &'static str,
    run: impl Fn(usize) -> Result<ArrayRef, EngineError> + Send + Sync + 'static,
) -> Expr {
    let call = Call {
        name: site.function.name.to_owned(),
        args: Vec::new(),
        kind,
        kernel: Arc::new(move |_, rows| Ok(Col::Array(run(rows)?))),
        fallible: false,
        nondeterministic: Some(reason),
        style: Style::Function,
    };
    Expr::new(crate::expr::Node::Call(call), SqlType::not_null(kind), site.span)
}
