//! Functions of chance: UUID, RAND and RAND_INTEGER. Values differ from row to row, and in rows
//! that are computed again after a failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int32Array, StringArray};
use arrow::datatypes::Int32Type;
use weir_engine::{EngineError, env};

use super::math::nondeterministic;
use super::{Function, Site, Want, special};
use crate::error::SqlError;
use crate::expr::col::{Prims, rows_of};
use crate::expr::{Call, Col, Expr, Node, Style};
use crate::types::{Kind, SqlType};

const CHANCE: &str =
    "is made by chance, so that rows computed again after a failure have other values";

pub(super) const FUNCTIONS: &[Function] = &[
    special("UUID", "UUID()", uuid),
    special("RAND", "RAND([seed])", rand),
    special("RAND_INTEGER", "RAND_INTEGER([seed,] bound)", rand_integer),
];

/// The numbers of `java.util.Random`, so that a seed gives what it gives in Flink.
struct Random(AtomicU64);

/// 48 bits.
const MASK: u64 = (1 << 48) - 1;
const FACTOR: u64 = 0x5_DEEC_E66D;

impl Random {
    fn new(seed: Option<i64>) -> Self {
        let seed = seed.map_or_else(env::entropy, |seed| seed as u64);
        Self(AtomicU64::new((seed ^ FACTOR) & MASK))
    }

    /// So many bits, 32 at most.
    fn bits(&self, count: u32) -> u32 {
        let next = |state: u64| state.wrapping_mul(FACTOR).wrapping_add(11) & MASK;
        let before = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |s| Some(next(s)));
        let (Ok(before) | Err(before)) = before;
        (next(before) >> (48 - count)) as u32
    }

    /// From 0 to below 1.
    fn double(&self) -> f64 {
        let high = u64::from(self.bits(26)) << 27;
        (high + u64::from(self.bits(27))) as f64 / (1u64 << 53) as f64
    }

    /// From 0 to below `bound`, which is above 0.
    fn below(&self, bound: i32) -> i32 {
        let bits = self.bits(31) as i32;
        if bound & (bound - 1) == 0 {
            return ((i64::from(bound) * i64::from(bits)) >> 31) as i32;
        }
        let mut bits = bits;
        loop {
            let value = bits % bound;
            // The last, incomplete part of the range would make its values more likely.
            if bits.wrapping_sub(value).wrapping_add(bound - 1) >= 0 {
                return value;
            }
            bits = self.bits(31) as i32;
        }
    }
}

fn uuid(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(0..=0)?;
    Ok(nondeterministic(site, Kind::Char(36), CHANCE, |rows| {
        let one = |_| {
            // Version 4, variant 1.
            let high = env::entropy() & !0xF000 | 0x4000;
            let low = env::entropy() & (u64::MAX >> 2) | 1 << 63;
            format!(
                "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
                high >> 32,
                high >> 16 & 0xFFFF,
                high & 0xFFFF,
                low >> 48,
                low & (u64::MAX >> 16)
            )
        };
        Ok(Arc::new((0..rows).map(one).map(Some).collect::<StringArray>()))
    }))
}

fn rand(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(0..=1)?;
    let seed = if site.args.is_empty() { None } else { Some(site.want(0, Want::Int)?) };
    drawn(site, seed, None)
}

fn rand_integer(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=2)?;
    let seed = if site.args.len() == 2 { Some(site.want(0, Want::Int)?) } else { None };
    drawn(site, seed, Some(site.want(site.args.len() - 1, Want::Int)?))
}

/// A seed that is a number in the text begins one sequence, of which every row takes the next; that
/// of a row begins a sequence for it alone.
fn drawn(site: &Site, seed: Option<Expr>, bound: Option<Expr>) -> Result<Expr, SqlError> {
    let in_text = seed.as_ref().and_then(Expr::as_literal).filter(|value| value.is_valid(0));
    let first = in_text.map(|value| i64::from(value.as_primitive::<Int32Type>().value(0)));
    let by_row = seed.is_some() && first.is_none();
    let random = Random::new(first);
    let kind = if bound.is_some() { Kind::Int } else { Kind::Double };
    let seeds = seed.filter(|_| by_row);
    let args: Vec<Expr> = seeds.into_iter().chain(bound.clone()).collect();
    let nullable = args.iter().any(|arg| arg.ty.nullable);
    let has_bound = bound.is_some();
    let run = move |args: &[Col], rows: usize| -> Result<ArrayRef, EngineError> {
        let numbers: Vec<Prims<'_, Int32Type>> = args.iter().map(Prims::of).collect();
        let seeds = numbers.first().filter(|_| by_row);
        let bounds = numbers.last().filter(|_| has_bound);
        // `None`: the row has no seed, but NULL.
        let with = |row: usize| match seeds {
            None => Some(None),
            Some(seeds) => seeds.get(row).map(|seed| Some(Random::new(Some(i64::from(seed))))),
        };
        let Some(bounds) = bounds else {
            let one = |row: usize| Some(with(row)?.as_ref().unwrap_or(&random).double());
            return Ok(Arc::new((0..rows).map(one).collect::<Float64Array>()));
        };
        let one = |row: usize| match (with(row), bounds.get(row)) {
            (None, _) | (_, None) => Ok(None),
            (Some(own), Some(bound)) if bound > 0 => {
                Ok(Some(own.as_ref().unwrap_or(&random).below(bound)))
            }
            (_, Some(bound)) => {
                Err(EngineError::user(format!("the bound of RAND_INTEGER is above 0, not {bound}")))
            }
        };
        Ok(Arc::new((0..rows).map(one).collect::<Result<Int32Array, _>>()?))
    };
    let call = Call {
        name: match first {
            Some(seed) => format!("{} {seed}", site.function.name),
            None => site.function.name.to_owned(),
        },
        args,
        kind,
        // Arguments that are the same for all rows still give each a number of its own.
        kernel: Arc::new(move |args, rows| {
            Ok(Col::Array(run(args, rows.max(rows_of(args, rows)))?))
        }),
        fallible: has_bound,
        nondeterministic: Some(CHANCE),
        style: Style::Function,
    };
    Ok(Expr::new(Node::Call(call), SqlType { kind, nullable }, site.span))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_numbers_that_java_gives() {
        // new Random(42): nextInt(10) is 0, then 3; nextInt(16) and nextDouble of fresh ones.
        let random = Random::new(Some(42));
        assert_eq!([random.below(10), random.below(10)], [0, 3]);
        assert_eq!(Random::new(Some(42)).double(), 0.727_563_680_032_868_1);
    }

    #[test]
    fn numbers_stay_below_their_bound_and_reach_all_of_it() {
        let random = Random::new(None);
        for bound in [1, 2, 7, 16, i32::MAX] {
            assert!((0..1000).all(|_| (0..bound).contains(&random.below(bound))), "{bound}");
        }
        let mut seen = [false; 7];
        (0..1000).for_each(|_| seen[random.below(7) as usize] = true);
        assert_eq!(seen, [true; 7]);
    }
}
