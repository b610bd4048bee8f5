//! From a rule's text to what it means.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use regex::Regex;

use super::cel::{Expr, Relation};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'t> {
    Name(&'t str),
    Number(i64),
    Text(&'t str),
    Sign(&'t str),
}

/// Longer signs before those that they begin with.
const SIGNS: [&str; 15] =
    ["&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ",", "."];

const RELATIONS: [(&str, Relation); 6] = [
    ("==", Relation::Equal),
    ("!=", Relation::Unequal),
    ("<", Relation::Less),
    ("<=", Relation::AtMost),
    (">", Relation::More),
    (">=", Relation::AtLeast),
];

/// Reads a rule.
///
/// # Errors
/// Where it leaves the part of CEL that is known here.
pub(super) fn parse(text: &str) -> Result<Expr, String> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0 };
    let rule = parser.either()?;
    match parser.next() {
        None => Ok(rule),
        Some(token) => Err(format!("expected the end of the rule, found {token:?}")),
    }
}

fn tokens(text: &str) -> Result<Vec<Token<'_>>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = |rest: &str| rest.len() - rest.trim_start_matches(is_of_word).len();
        let (token, length) = if first.is_ascii_digit() {
            let length = word(rest);
            let number = rest[..length].parse();
            (Token::Number(number.map_err(|_| format!("no number: {rest}"))?), length)
        } else if is_of_word(first) {
            (Token::Name(&rest[..word(rest)]), word(rest))
        } else if first == '\'' {
            let end = rest[1..].find('\'').ok_or_else(|| format!("a text without end: {rest}"))?;
            let inside = &rest[1..=end];
            if inside.contains('\\') {
                return Err(format!("escapes are not known: {inside}"));
            }
            (Token::Text(inside), end + 2)
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
            let sign = sign.ok_or_else(|| format!("no sign is known here: {rest}"))?;
            (Token::Sign(sign), sign.len())
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The pattern. Many rules have the same, and each takes longer than all else in a rule.
fn understood(pattern: &str) -> Result<Regex, String> {
    static KNOWN: Mutex<BTreeMap<String, Regex>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = known.get(pattern) {
        return Ok(known.clone());
    }
    let understood = Regex::new(pattern).map_err(|error| error.to_string())?;
    known.insert(pattern.to_owned(), understood.clone());
    Ok(understood)
}

struct Parser<'t> {
    tokens: Vec<Token<'t>>,
    at: usize,
}

impl<'t> Parser<'t> {
    fn next(&mut self) -> Option<Token<'t>> {
        let token = self.tokens.get(self.at).copied();
        self.at += 1;
        token
    }

    fn takes(&mut self, token: Token<'_>) -> bool {
        let found = self.tokens.get(self.at) == Some(&token);
        self.at += usize::from(found);
        found
    }

    fn sign(&mut self, sign: &str) -> Result<(), String> {
        match self.takes(Token::Sign(sign)) {
            true => Ok(()),
            false => Err(format!("expected {sign}, found {:?}", self.tokens.get(self.at))),
        }
    }

    fn name(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Name(name)) => Ok(name.to_owned()),
            other => Err(format!("expected a name, found {other:?}")),
        }
    }

    fn either(&mut self) -> Result<Expr, String> {
        let mut left = self.both()?;
        while self.takes(Token::Sign("||")) {
            left = Expr::Either(Box::new(left), Box::new(self.both()?));
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<Expr, String> {
        let mut left = self.comparison()?;
        while self.takes(Token::Sign("&&")) {
            left = Expr::Both(Box::new(left), Box::new(self.comparison()?));
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Result<Expr, String> {
        let left = Box::new(self.negation()?);
        if self.takes(Token::Name("in")) {
            return Ok(Expr::In(left, Box::new(self.negation()?)));
        }
        for (sign, relation) in RELATIONS {
            if self.takes(Token::Sign(sign)) {
                return Ok(Expr::Compare(left, relation, Box::new(self.negation()?)));
            }
        }
        Ok(*left)
    }

    fn negation(&mut self) -> Result<Expr, String> {
        match self.takes(Token::Sign("!")) {
            true => Ok(Expr::Not(Box::new(self.negation()?))),
            false => self.member(),
        }
    }

    fn member(&mut self) -> Result<Expr, String> {
        let mut value = self.primary()?;
        while self.takes(Token::Sign(".")) {
            let name = self.name()?;
            value = match self.takes(Token::Sign("(")) {
                true => self.method(value, &name)?,
                false => Expr::Field(Box::new(value), name),
            };
        }
        Ok(value)
    }

    fn method(&mut self, of: Expr, method: &str) -> Result<Expr, String> {
        let of = Box::new(of);
        let called = match method {
            "matches" => match self.next() {
                Some(Token::Text(pattern)) => Expr::Matches(of, understood(pattern)?),
                other => return Err(format!("expected a pattern, found {other:?}")),
            },
            "startsWith" => Expr::StartsWith(of, Box::new(self.either()?)),
            "all" | "exists" => {
                let name = self.name()?;
                self.sign(",")?;
                let holds = Box::new(self.either()?);
                Expr::Each { every: method == "all", list: of, name, holds }
            }
            _ => return Err(format!("the method {method} is not known")),
        };
        self.sign(")")?;
        Ok(called)
    }

    fn primary(&mut self) -> Result<Expr, String> {
        match self.next() {
            Some(Token::Text(text)) => Ok(Expr::Text(text.to_owned())),
            Some(Token::Number(number)) => Ok(Expr::Number(number)),
            Some(Token::Sign("(")) => {
                let inside = self.either()?;
                self.sign(")")?;
                Ok(inside)
            }
            Some(Token::Sign("[")) => {
                let mut items = vec![self.either()?];
                while self.takes(Token::Sign(",")) {
                    items.push(self.either()?);
                }
                self.sign("]")?;
                Ok(Expr::List(items))
            }
            Some(Token::Name(name)) if self.takes(Token::Sign("(")) => {
                let argument = self.either()?;
                self.sign(")")?;
                match (name, argument) {
                    ("size", of) => Ok(Expr::Size(Box::new(of))),
                    ("duration", of) => Ok(Expr::Duration(Box::new(of))),
                    ("has", Expr::Field(of, field)) => Ok(Expr::Has(of, field)),
                    _ => Err(format!("the function {name} is not known")),
                }
            }
            Some(Token::Name(name)) => Ok(Expr::Name(name.to_owned())),
            other => Err(format!("expected a value, found {other:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::cel::Unanswered;
    use super::parse;

    #[test]
    fn what_is_not_known_is_an_error_of_the_rule() {
        for rule in [
            "self.size()",
            "size(self",
            "self.all(1, true)",
            "has(self)",
            "self + 1",
            "self == 'a' 'b'",
            "self.matches(self)",
            "self.matches('[')",
            "self == 'a\\n'",
            "self == 'a",
            "",
        ] {
            assert!(parse(rule).is_err(), "{rule}");
        }
    }

    #[test]
    fn one_side_that_decides_is_enough_whatever_the_other_is() {
        let value = json!({"one": 1, "faulty": null, "list": [1, 2]});
        let holds = |rule: &str| parse(rule).unwrap().holds(&value);
        assert_eq!(holds("self.one == 2 && self.gone == 1"), Ok(false));
        assert_eq!(holds("self.gone == 1 && self.one == 2"), Ok(false));
        assert_eq!(holds("self.gone == 1 || self.one == 1"), Ok(true));
        assert_eq!(holds("self.gone == 1 || self.one == 2"), Err(Unanswered::Broken));
        assert_eq!(holds("self.one == 1 && self.faulty == 1"), Err(Unanswered::Faulty));
        assert_eq!(holds("has(self.faulty) && !has(self.gone)"), Ok(true));
        assert_eq!(holds("self.list.exists(x, x == 2) && !self.list.all(x, x == 2)"), Ok(true));
        assert_eq!(holds("self.one in [1, 3] && size(self.list) >= 2"), Ok(true));
        assert_eq!(holds("self.one == 'a'"), Err(Unanswered::Broken));
    }
}
