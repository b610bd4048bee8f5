//! GROUPING SETS: which keys each set has, and `GROUPING(…)`.

use std::sync::Arc;

use arrow::array::{AsArray, Int64Array};
use arrow::datatypes::Int64Type;

use super::aggregate::same;
use super::{Binder, Reported};
use crate::error::Span;
use crate::expr::{Call, Col, Expr, Node, Style};
use crate::types::{Kind, SqlType};

/// The name of the call that stands for GROUPING and GROUPING_ID until the keys are known.
const GROUPING: &str = "GROUPING";

/// Most arguments of GROUPING_ID, whose result has a bit each.
const MOST: usize = 62;

/// The functions that tell grouping sets apart.
pub(super) fn is_grouping(name: &str) -> bool {
    matches!(name, "GROUPING" | "GROUPING_ID" | "GROUP_ID")
}

/// A call whose value only the grouping can say.
pub(super) fn grouping(args: Vec<Expr>, span: Span) -> Expr {
    let call = Call {
        name: GROUPING.to_owned(),
        args,
        kind: Kind::BigInt,
        kernel: Arc::new(|_, _| {
            Err(weir_engine::EngineError::internal("GROUPING was not replaced by its value"))
        }),
        fallible: true,
        // So that it is not computed before it means something.
        nondeterministic: Some(GROUPING),
        style: Style::Function,
    };
    Expr::new(Node::Call(call), SqlType::not_null(Kind::BigInt), span)
}

/// The arguments, if it is such a call.
pub(super) fn grouping_call(expr: &Expr) -> Option<&[Expr]> {
    match &*expr.node {
        Node::Call(call) if call.name == GROUPING => Some(&call.args),
        _ => None,
    }
}

/// Whether it speaks of grouping sets.
pub(super) fn is_of_groups(expr: &Expr) -> bool {
    expr.nondeterministic() == Some(GROUPING)
}

impl Binder<'_> {
    /// The sets as numbers of `plain` keys, without the window's bounds, which all must have.
    pub(super) fn grouping_sets(
        &mut self,
        keys: &[Expr],
        plain: &[Expr],
        sets: &[Vec<usize>],
        windowed: bool,
        is_bound: &impl Fn(&Expr) -> bool,
        at: Span,
    ) -> Result<Vec<Vec<usize>>, Reported> {
        let bounds = keys.iter().enumerate().filter(|(_, key)| is_bound(key));
        let bounds: Vec<usize> = bounds.map(|(number, _)| number).collect();
        let lacks = |set: &Vec<usize>| bounds.iter().any(|bound| !set.contains(bound));
        if windowed && sets.iter().any(lacks) {
            return self.fail(at, "window_start and window_end belong to every grouping set; write them in front of GROUPING SETS, ROLLUP or CUBE");
        }
        let place = |&key: &usize| plain.iter().position(|known| same(known, &keys[key]));
        Ok(sets.iter().map(|set| set.iter().filter_map(place).collect()).collect())
    }

    /// `GROUPING(a, b)`: a bit per argument, the last the lowest, set where a row is not grouped by
    /// it.
    pub(super) fn grouping(
        &mut self,
        expr: &Expr,
        args: &[Expr],
        keys: &[Expr],
        sets: &[Vec<usize>],
    ) -> Result<Expr, Reported> {
        let values: Vec<i64> = if args.is_empty() {
            // GROUP_ID(): how many sets before have the same keys.
            let sorted: Vec<std::collections::BTreeSet<&usize>> =
                sets.iter().map(|set| set.iter().collect()).collect();
            let before = |at: usize| sorted[..at].iter().filter(|set| **set == sorted[at]).count();
            (0..sets.len()).map(|at| before(at) as i64).collect()
        } else {
            self.grouping_bits(expr, args, keys, sets)?
        };
        let ty = SqlType::not_null(Kind::BigInt);
        if values.is_empty() {
            let zero = Arc::new(Int64Array::from(vec![0]));
            return Ok(Expr::literal(zero, Kind::BigInt, expr.span));
        }
        let number = Expr::column(keys.len(), ty, expr.span);
        let call = Call {
            name: format!("GROUPING{values:?}"),
            args: vec![number],
            kind: Kind::BigInt,
            kernel: Arc::new(move |args, _| {
                let numbers = args[0].values().as_primitive::<Int64Type>();
                let value = |number: i64| {
                    let number = usize::try_from(number).unwrap_or(usize::MAX);
                    values.get(number).copied().unwrap_or_default()
                };
                Ok(Col::of(Arc::new(numbers.unary::<_, Int64Type>(value)), args))
            }),
            fallible: false,
            nondeterministic: None,
            style: Style::Function,
        };
        Ok(Expr::new(Node::Call(call), ty, expr.span))
    }

    /// Per set the bits of the arguments that it leaves out.
    fn grouping_bits(
        &mut self,
        expr: &Expr,
        args: &[Expr],
        keys: &[Expr],
        sets: &[Vec<usize>],
    ) -> Result<Vec<i64>, Reported> {
        if args.len() > MOST {
            return self.fail(expr.span, format!("GROUPING takes 1 to {MOST} columns of GROUP BY"));
        }
        let mut numbers = Vec::new();
        for arg in args {
            match keys.iter().position(|key| same(key, arg)) {
                Some(number) => numbers.push(number),
                None => return self.fail(arg.span, "GROUPING takes columns of GROUP BY"),
            }
        }
        let bits = |set: &Vec<usize>| {
            numbers.iter().fold(0_i64, |bits, key| bits << 1 | i64::from(!set.contains(key)))
        };
        Ok(sets.iter().map(bits).collect())
    }
}
