//! GROUP BY, with GROUPING SETS, ROLLUP and CUBE.

use super::{Parsed, Parser};
use crate::ast::{Expr, GroupBy};
use crate::error::Span;

/// Most grouping sets that a query may come to.
const MOST_SETS: usize = 64;

/// Keys that stand or fall together, by their numbers.
type Element = Vec<usize>;

impl Parser {
    /// What follows GROUP BY.
    pub(super) fn group_by(&mut self, start: Span) -> Parsed<GroupBy> {
        let mut keys = Vec::new();
        // What each element comes to; a row is grouped by one choice of every element.
        let mut sets: Vec<Element> = vec![Vec::new()];
        let mut plain = true;
        loop {
            let span = self.span();
            let choices = self.grouping_element(&mut keys, &mut plain)?;
            let combine = |set: &Element| {
                let set = set.clone();
                choices
                    .iter()
                    .map(move |choice| [set.as_slice(), choice].concat())
                    .collect::<Vec<_>>()
            };
            sets = sets.iter().flat_map(combine).collect();
            if sets.len() > MOST_SETS {
                return self.error(span, format!("GROUP BY comes to more than {MOST_SETS} grouping sets; list those that are needed in GROUPING SETS"));
            }
            if !self.eat(",") {
                break;
            }
        }
        let sets = if plain { Vec::new() } else { sets };
        Ok(GroupBy { keys, sets, span: self.since(start) })
    }

    /// A key, or something in parentheses that stands for several sets of keys.
    fn grouping_element(&mut self, keys: &mut Vec<Expr>, plain: &mut bool) -> Parsed<Vec<Element>> {
        if self.eat_words(&["GROUPING", "SETS"]) {
            *plain = false;
            self.expect("(")?;
            let mut sets = Vec::new();
            loop {
                sets.extend(self.grouping_element(keys, plain)?);
                if !self.eat(",") {
                    break;
                }
            }
            self.expect(")")?;
            return Ok(sets);
        }
        for word in ["ROLLUP", "CUBE"] {
            if self.is_word(word) && self.is_sign_at(1, "(") {
                *plain = false;
                let span = self.span();
                self.next();
                let elements = self.grouping_list(keys)?;
                if word == "ROLLUP" {
                    return Ok((0..=elements.len())
                        .rev()
                        .map(|n| elements[..n].concat())
                        .collect());
                }
                if elements.len() > MOST_SETS.ilog2() as usize {
                    return self.error(span, format!("CUBE of {} columns comes to more than {MOST_SETS} grouping sets; list those that are needed in GROUPING SETS", elements.len()));
                }
                let chosen = |set: usize| {
                    let of = elements.iter().enumerate();
                    // The first column changes last.
                    let is_in = |at: usize| set & (1 << (elements.len() - 1 - at)) == 0;
                    of.filter(|(at, _)| is_in(*at)).flat_map(|(_, keys)| keys.clone()).collect()
                };
                return Ok((0..1 << elements.len()).map(chosen).collect());
            }
        }
        if self.is("(") && self.is_sign_at(1, ")") {
            *plain = false;
            self.at += 2;
            return Ok(vec![Vec::new()]);
        }
        Ok(vec![self.grouping_keys(keys)?])
    }

    /// `(a, (b, c), …)`.
    fn grouping_list(&mut self, keys: &mut Vec<Expr>) -> Parsed<Vec<Element>> {
        self.expect("(")?;
        let mut elements = vec![self.grouping_keys(keys)?];
        while self.eat(",") {
            elements.push(self.grouping_keys(keys)?);
        }
        self.expect(")")?;
        Ok(elements)
    }

    /// `a`, or `(a, b)`.
    fn grouping_keys(&mut self, keys: &mut Vec<Expr>) -> Parsed<Element> {
        let before = self.at;
        let is_query =
            ["SELECT", "WITH", "VALUES"].into_iter().any(|word| self.is_word_at(1, word));
        if !is_query && self.eat("(") {
            let mut listed = vec![self.expr()?];
            while self.eat(",") {
                listed.push(self.expr()?);
            }
            // An expression may begin with a parenthesis as well.
            if listed.len() > 1 || self.is(")") && self.ends_key_at(1) {
                self.expect(")")?;
                let first = keys.len();
                keys.extend(listed);
                return Ok((first..keys.len()).collect());
            }
            self.at = before;
        }
        keys.push(self.expr()?);
        Ok(vec![keys.len() - 1])
    }

    /// Whether a key ends in front of that token.
    fn ends_key_at(&self, ahead: usize) -> bool {
        let words = ["HAVING", "WINDOW", "QUALIFY", "UNION", "ORDER", "LIMIT", "OFFSET", "FETCH"];
        self.is_sign_at(ahead, ",")
            || self.is_sign_at(ahead, ")")
            || self.is_sign_at(ahead, ";")
            || words.iter().any(|word| self.is_word_at(ahead, word))
    }
}
