//! Functions of JSON, whose arguments are written with words: see `functions/json/mod.rs` for what
//! they become.

use super::{Parsed, Parser};
use crate::ast::{Call, Expr, ExprKind, Ident};
use crate::error::Span;
use crate::lex::Tok;
use crate::types::Kind;

/// Functions that are read here, in capitals.
pub(super) fn is_json(name: &str) -> bool {
    ["JSON_VALUE", "JSON_QUERY", "JSON_EXISTS", "JSON_OBJECT", "JSON_ARRAY"].contains(&name)
        || is_json_aggregate(name)
}

pub(super) fn is_json_aggregate(name: &str) -> bool {
    ["JSON_OBJECTAGG", "JSON_ARRAYAGG"].iter().any(|known| known.eq_ignore_ascii_case(name))
}

impl Parser {
    /// `IS JSON` with what may follow, of `of`.
    pub(super) fn json_test(&mut self, start: Span, of: Expr) -> Parsed<Expr> {
        let span = self.span();
        let kinds = ["VALUE", "SCALAR", "ARRAY", "OBJECT"];
        let kind = kinds.into_iter().find(|word| self.eat_word(word)).unwrap_or("VALUE");
        let args = vec![of, self.said(kind, span)?];
        let name = Ident { text: "IS JSON".to_owned(), span };
        let call = Call::of(name, args);
        self.node(start, ExprKind::Call(Box::new(call)))
    }

    /// What stands between the parentheses of the call.
    pub(super) fn json_arguments(&mut self, call: &mut Call) -> Parsed<()> {
        match call.name.text.to_ascii_uppercase().as_str() {
            "JSON_VALUE" => self.json_value(call),
            "JSON_QUERY" => self.json_query(call),
            "JSON_EXISTS" => self.json_exists(call),
            "JSON_OBJECT" => self.json_object(call),
            "JSON_OBJECTAGG" => self.json_member(call),
            "JSON_ARRAYAGG" => self.json_item(call),
            _ => self.json_array(call),
        }
    }

    fn said(&self, word: &str, span: Span) -> Parsed<Expr> {
        self.node(span, ExprKind::Text(word.to_owned()))
    }

    fn json_and_path(&mut self, call: &mut Call) -> Parsed<()> {
        call.args.push(self.expr()?);
        self.expect(",")?;
        call.args.push(self.expr()?);
        Ok(())
    }

    /// `RETURNING type`, one of `kinds`.
    fn returning(&mut self, kinds: &[Kind]) -> Parsed<Kind> {
        if !self.eat_word("RETURNING") {
            return Ok(Kind::STRING);
        }
        let span = self.span();
        let kind = self.kind()?;
        let kind = if kind.is_text() { Kind::STRING } else { kind };
        if kinds.contains(&kind) {
            return Ok(kind);
        }
        let names: Vec<String> = kinds.iter().map(Kind::to_string).collect();
        self.error(span, format!("RETURNING takes {} here; CAST the result", names.join(", ")))
    }

    /// Behaviours such as `NULL ON EMPTY DEFAULT 1 ON ERROR`, in any order: for each of `events`
    /// the word and the default, NULL where there is none.
    fn behaviours(&mut self, words: &[&str], events: &[&str]) -> Parsed<Vec<(Expr, Expr)>> {
        let start = self.span();
        let mut found: Vec<Option<(Expr, Expr)>> = events.iter().map(|_| None).collect();
        while !self.is(")") {
            let span = self.span();
            let word = words.iter().find(|word| {
                let parts: Vec<&str> = word.split(' ').collect();
                self.eat_words(&parts)
            });
            let Some(word) = word else {
                return Err(self.unexpected(&format!("')' or one of {}", words.join(", "))));
            };
            let default = if *word == "DEFAULT" { self.expr()? } else { self.nothing(span)? };
            let said = self.said(word, span)?;
            self.expect_word("ON")?;
            let at = self.span();
            let event = events.iter().position(|event| self.eat_word(event));
            let Some(slot) = event.and_then(|event| found.get_mut(event)) else {
                return Err(self.unexpected(&events.join(" or ")));
            };
            if slot.replace((said, default)).is_some() {
                return self.error(at, "this is said twice");
            }
        }
        let mut all = Vec::new();
        for behaviour in found {
            all.push(match behaviour {
                Some(behaviour) => behaviour,
                None => (self.said("", start)?, self.nothing(start)?),
            });
        }
        Ok(all)
    }

    fn nothing(&self, span: Span) -> Parsed<Expr> {
        self.node(span, ExprKind::Null)
    }

    fn json_value(&mut self, call: &mut Call) -> Parsed<()> {
        self.json_and_path(call)?;
        let span = self.span();
        let kind = self.returning(&[Kind::STRING, Kind::Boolean, Kind::Int, Kind::Double])?;
        call.args.push(self.said(&kind.to_string(), span)?);
        for (word, default) in
            self.behaviours(&["NULL", "ERROR", "DEFAULT"], &["EMPTY", "ERROR"])?
        {
            call.args.extend([word, default]);
        }
        Ok(())
    }

    fn json_query(&mut self, call: &mut Call) -> Parsed<()> {
        self.json_and_path(call)?;
        self.returning(&[Kind::STRING])?;
        let span = self.span();
        let wrapper = if self.eat_word("WITH") {
            if self.eat_word("CONDITIONAL") {
                "CONDITIONAL"
            } else {
                self.eat_word("UNCONDITIONAL");
                "UNCONDITIONAL"
            }
        } else if self.eat_word("WITHOUT") {
            "WITHOUT"
        } else {
            ""
        };
        if !wrapper.is_empty() {
            self.eat_word("ARRAY");
            self.expect_word("WRAPPER")?;
        }
        call.args.push(self.said(wrapper, span)?);
        let words = ["NULL", "ERROR", "EMPTY ARRAY", "EMPTY OBJECT"];
        for (word, _) in self.behaviours(&words, &["EMPTY", "ERROR"])? {
            call.args.push(word);
        }
        Ok(())
    }

    fn json_exists(&mut self, call: &mut Call) -> Parsed<()> {
        self.json_and_path(call)?;
        let is_said = !self.is(")");
        let span = self.span();
        let said = self.behaviours(&["TRUE", "FALSE", "UNKNOWN", "ERROR"], &["ERROR"])?;
        for (word, _) in said {
            call.args.push(if is_said { word } else { self.said("FALSE", span)? });
        }
        Ok(())
    }

    /// `[NULL | ABSENT] ON NULL` at the end.
    fn on_null(&mut self, otherwise: &str) -> Parsed<Expr> {
        let span = self.span();
        let words = ["NULL", "ABSENT"];
        let said = words.into_iter().find(|word| self.eat_words(&[word, "ON", "NULL"]));
        self.said(said.unwrap_or(otherwise), span)
    }

    fn is_on_null(&self) -> bool {
        ["NULL", "ABSENT"].iter().any(|word| self.are_words(&[word, "ON", "NULL"]))
    }

    /// Aggregates of JSON list texts: JSON_ARRAYAGG(x) is JSON LIST(LISTAGG(JSON ITEM(x), ',')).
    pub(super) fn json_aggregate(&mut self, start: Span, mut call: Call) -> Parsed<Expr> {
        let span = call.name.span;
        let is_object = call.name.text.eq_ignore_ascii_case("JSON_OBJECTAGG");
        let (part, whole) =
            if is_object { ("JSON MEMBER", "JSON MEMBERS") } else { ("JSON ITEM", "JSON LIST") };
        let named = |text: &str| Ident { text: text.to_owned(), span };
        let part = Call::of(named(part), std::mem::take(&mut call.args));
        call.args.push(self.node(start, ExprKind::Call(Box::new(part)))?);
        call.args.push(self.said(",", span)?);
        call.name = named("LISTAGG");
        let listed = self.node(start, ExprKind::Call(Box::new(call)))?;
        let whole = Call::of(named(whole), vec![listed]);
        self.node(start, ExprKind::Call(Box::new(whole)))
    }

    /// `[KEY] k VALUE v`: what of NULL, key, RAW or VALUE, value.
    fn json_member(&mut self, call: &mut Call) -> Parsed<()> {
        // KEY may be a column's name.
        if !self.is_word_at(1, "VALUE") && !self.is_sign_at(1, ":") {
            self.eat_word("KEY");
        }
        let mut member = vec![self.expr()?];
        if !self.eat(":") {
            self.expect_word("VALUE")?;
        }
        self.json_part(&mut member)?;
        call.args.push(self.on_null("NULL")?);
        call.args.extend(member);
        Ok(())
    }

    fn json_item(&mut self, call: &mut Call) -> Parsed<()> {
        call.distinct = self.eat_word("DISTINCT");
        let mut item = Vec::new();
        self.json_part(&mut item)?;
        call.args.push(self.on_null("ABSENT")?);
        call.args.extend(item);
        Ok(())
    }

    /// A value, and before it whether it is JSON already.
    fn json_part(&mut self, into: &mut Vec<Expr>) -> Parsed<()> {
        let span = self.span();
        let value = self.expr()?;
        let builders = ["JSON", "JSON_OBJECT", "JSON_ARRAY"];
        let is_raw = matches!(&value.kind, ExprKind::Call(call)
            if builders.iter().any(|name| call.name.text.eq_ignore_ascii_case(name)));
        into.push(self.said(if is_raw { "RAW" } else { "VALUE" }, span)?);
        into.push(value);
        Ok(())
    }

    fn json_object(&mut self, call: &mut Call) -> Parsed<()> {
        let mut members = Vec::new();
        while !self.is(")") && !self.is_on_null() {
            if matches!(self.peek_at(1).tok, Tok::Text(_)) {
                self.eat_word("KEY");
            }
            members.push(self.expr()?);
            if !self.eat(":") {
                self.expect_word("VALUE")?;
            }
            self.json_part(&mut members)?;
            if !self.eat(",") {
                break;
            }
        }
        call.args.push(self.on_null("NULL")?);
        call.args.extend(members);
        Ok(())
    }

    fn json_array(&mut self, call: &mut Call) -> Parsed<()> {
        let mut items = Vec::new();
        while !self.is(")") && !self.is_on_null() {
            self.json_part(&mut items)?;
            if !self.eat(",") {
                break;
            }
        }
        call.args.push(self.on_null("ABSENT")?);
        call.args.extend(items);
        Ok(())
    }
}
