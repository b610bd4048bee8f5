//! Arithmetic with Flink's meaning: integers keep the wider type and wrap, their division
//! truncates and fails on zero; DECIMAL follows Calcite's precision rules and gives NULL where
//! a result has too many digits.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, Decimal128Array, PrimitiveArray};
use arrow::compute::kernels::numeric::{add_wrapping, mul_wrapping, sub_wrapping};
use arrow::datatypes::{
    Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, i256,
};
use weir_engine::EngineError;

use super::Kernel;
use super::col::{Col, Prims, binary, rows_of};
use crate::ast::BinaryOp;
use crate::types::Kind;

/// Result type of an operator, given its operands' types; `None` when it has none.
pub(crate) fn result_kind(op: BinaryOp, a: Kind, b: Kind) -> Option<Kind> {
    if !a.is_numeric() || !b.is_numeric() {
        return None;
    }
    let decimal = matches!(a, Kind::Decimal(..)) || matches!(b, Kind::Decimal(..));
    if decimal && !a.is_approximate() && !b.is_approximate() {
        let ((p1, s1), (p2, s2)) = (a.as_decimal()?, b.as_decimal()?);
        let (p1, s1, p2, s2) = (i32::from(p1), i32::from(s1), i32::from(p2), i32::from(s2));
        let (p, s) = match op {
            BinaryOp::Add | BinaryOp::Subtract => {
                let s = s1.max(s2);
                ((p1 - s1).max(p2 - s2) + s + 1, s)
            }
            // One digit more than the product can have, as Flink derives it.
            BinaryOp::Multiply => (p1 + p2 + 1, s1 + s2),
            BinaryOp::Divide => {
                let s = (s1 + p2 + 1).max(6);
                (p1 - s1 + s2 + s, s)
            }
            BinaryOp::Modulo => {
                let s = s1.max(s2);
                ((p1 - s1).min(p2 - s2) + s, s)
            }
            _ => return None,
        };
        let (p, s) = adjust(p, s);
        return Some(Kind::Decimal(p, s));
    }
    if op == BinaryOp::Modulo && a.is_integer() && b.is_integer() {
        return Some(b);
    }
    a.common(b)
}

/// Fits a DECIMAL into 38 digits; digits before the point go first, but at least 6 (or all)
/// stay behind it.
fn adjust(p: i32, s: i32) -> (u8, u8) {
    if p <= 38 {
        return (p as u8, s as u8);
    }
    let digits = p - s;
    let scale = (38 - digits).max(s.min(6));
    (38, scale as u8)
}

/// The kernel of an operator whose operands have been cast: to the result's type, or for
/// DECIMAL to decimals of their own scale.
pub(crate) fn kernel(op: BinaryOp, result: Kind, a: Kind, b: Kind) -> Option<Kernel> {
    Some(match result {
        Kind::TinyInt => integer::<Int8Type>(op, i8::wrapping_div, i8::wrapping_rem)?,
        Kind::SmallInt => integer::<Int16Type>(op, i16::wrapping_div, i16::wrapping_rem)?,
        Kind::Int => integer::<Int32Type>(op, i32::wrapping_div, i32::wrapping_rem)?,
        Kind::BigInt => integer::<Int64Type>(op, i64::wrapping_div, i64::wrapping_rem)?,
        Kind::Float => float::<Float32Type>(op, |a, b| a / b, |a, b| a % b)?,
        Kind::Double => float::<Float64Type>(op, |a, b| a / b, |a, b| a % b)?,
        Kind::Decimal(p, s) => {
            let ((_, s1), (_, s2)) = (a.as_decimal()?, b.as_decimal()?);
            decimal(op, p, s, s1, s2)?
        }
        _ => return None,
    })
}

fn division_by_zero() -> EngineError {
    EngineError::user("division by zero; guard it with NULLIF(divisor, 0) or CASE")
}

fn arrow_kernel(
    f: fn(
        &dyn arrow::array::Datum,
        &dyn arrow::array::Datum,
    ) -> Result<ArrayRef, arrow::error::ArrowError>,
) -> Kernel {
    Arc::new(move |args, _| Ok(Col::of(f(&args[0], &args[1])?, args)))
}

fn integer<T>(
    op: BinaryOp,
    div: fn(T::Native, T::Native) -> T::Native,
    rem: fn(T::Native, T::Native) -> T::Native,
) -> Option<Kernel>
where
    T: ArrowPrimitiveType,
{
    let checked = move |f: fn(T::Native, T::Native) -> T::Native| -> Kernel {
        Arc::new(move |args, rows| {
            let zero = T::Native::default();
            let result: PrimitiveArray<T> = binary::<T, T, T>(args, rows, |a, b| {
                if b == zero { Err(division_by_zero()) } else { Ok(f(a, b)) }
            })?;
            Ok(Col::of(Arc::new(result), args))
        })
    };
    Some(match op {
        BinaryOp::Add => arrow_kernel(add_wrapping),
        BinaryOp::Subtract => arrow_kernel(sub_wrapping),
        BinaryOp::Multiply => arrow_kernel(mul_wrapping),
        BinaryOp::Divide => checked(div),
        BinaryOp::Modulo => checked(rem),
        _ => return None,
    })
}

fn float<T>(
    op: BinaryOp,
    div: fn(T::Native, T::Native) -> T::Native,
    rem: fn(T::Native, T::Native) -> T::Native,
) -> Option<Kernel>
where
    T: ArrowPrimitiveType,
{
    let plain = move |f: fn(T::Native, T::Native) -> T::Native| -> Kernel {
        Arc::new(move |args, rows| {
            let result: PrimitiveArray<T> = binary::<T, T, T>(args, rows, |a, b| Ok(f(a, b)))?;
            Ok(Col::of(Arc::new(result), args))
        })
    };
    Some(match op {
        BinaryOp::Add => arrow_kernel(add_wrapping),
        BinaryOp::Subtract => arrow_kernel(sub_wrapping),
        BinaryOp::Multiply => arrow_kernel(mul_wrapping),
        BinaryOp::Divide => plain(div),
        BinaryOp::Modulo => plain(rem),
        _ => return None,
    })
}

/// 10^n, for n up to 76.
pub(crate) fn power_of_ten(n: u32) -> i256 {
    (0..n).fold(i256::ONE, |value, _| value.wrapping_mul(i256::from_i128(10)))
}

/// Divides, rounding half away from zero.
pub(crate) fn divide_half_up(a: i256, b: i256) -> Option<i256> {
    let quotient = a.checked_div(b)?;
    let rest = a.checked_sub(quotient.checked_mul(b)?)?;
    if rest.wrapping_abs().checked_mul(i256::from_i128(2))? >= b.wrapping_abs() {
        let away = if (a < i256::ZERO) == (b < i256::ZERO) { i256::ONE } else { i256::MINUS_ONE };
        return quotient.checked_add(away);
    }
    Some(quotient)
}

/// A value with `from` digits behind the point as one with `to`, rounded half up.
pub(crate) fn rescale(value: i256, from: i32, to: i32) -> Option<i256> {
    if to >= from {
        value.checked_mul(power_of_ten((to - from) as u32))
    } else {
        divide_half_up(value, power_of_ten((from - to) as u32))
    }
}

/// The value if it has at most `precision` digits.
pub(crate) fn fit(value: i256, precision: u8) -> Option<i128> {
    let value = value.to_i128()?;
    (value.unsigned_abs() < 10u128.pow(u32::from(precision))).then_some(value)
}

fn decimal(op: BinaryOp, p: u8, s: u8, s1: u8, s2: u8) -> Option<Kernel> {
    let (r, s1, s2) = (i32::from(s), i32::from(s1), i32::from(s2));
    let compute: Box<dyn Fn(i256, i256) -> Option<i256> + Send + Sync> = match op {
        BinaryOp::Add | BinaryOp::Subtract => Box::new(move |a, b| {
            let common = s1.max(s2);
            let (a, b) = (rescale(a, s1, common)?, rescale(b, s2, common)?);
            let sum = if op == BinaryOp::Add { a.checked_add(b)? } else { a.checked_sub(b)? };
            rescale(sum, common, r)
        }),
        BinaryOp::Multiply => Box::new(move |a, b| rescale(a.checked_mul(b)?, s1 + s2, r)),
        BinaryOp::Divide => Box::new(move |a, b| {
            // a / 10^s1 ÷ (b / 10^s2) with r digits behind the point.
            let shift = r + s2 - s1;
            if shift >= 0 {
                divide_half_up(a.checked_mul(power_of_ten(shift as u32))?, b)
            } else {
                divide_half_up(a, b.checked_mul(power_of_ten((-shift) as u32))?)
            }
        }),
        BinaryOp::Modulo => Box::new(move |a, b| {
            let common = s1.max(s2);
            let (a, b) = (rescale(a, s1, common)?, rescale(b, s2, common)?);
            rescale(a.checked_rem(b)?, common, r)
        }),
        _ => return None,
    };
    let divides = matches!(op, BinaryOp::Divide | BinaryOp::Modulo);
    Some(Arc::new(move |args, rows| {
        let (a, b) = (Prims::<Decimal128Type>::of(&args[0]), Prims::<Decimal128Type>::of(&args[1]));
        let result = (0..rows_of(args, rows))
            .map(|row| match (a.get(row), b.get(row)) {
                (Some(_), Some(0)) if divides => Err(division_by_zero()),
                (Some(a), Some(b)) => {
                    Ok(compute(i256::from_i128(a), i256::from_i128(b)).and_then(|v| fit(v, p)))
                }
                _ => Ok(None),
            })
            .collect::<Result<Decimal128Array, _>>()?
            .with_precision_and_scale(p, s as i8)?;
        Ok(Col::of(Arc::new(result), args))
    }))
}
