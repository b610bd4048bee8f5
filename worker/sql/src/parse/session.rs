//! Statements about the session: `SET`, `RESET`, `USE`.

use super::{CATALOG, DATABASE, Parsed, Parser, texts};
use crate::ast::{Ask, Statement, Told};
use crate::error::Span;
use crate::lex::Tok;

impl Parser {
    /// `USE`, which may only name what is used anyway.
    pub(super) fn use_statement(&mut self) -> Parsed<()> {
        let start = self.span();
        self.expect_word("USE")?;
        let kind = ["CATALOG", "MODULES"].into_iter().find(|word| self.eat_word(word));
        let mut parts = vec![self.ident("a name")?];
        while self.eat(".") {
            parts.push(self.ident("a name")?);
        }
        let known: &[&[&str]] = match kind {
            None => &[&[DATABASE], &[CATALOG, DATABASE]],
            Some("CATALOG") => &[&[CATALOG]],
            Some(_) => &[&["core"]],
        };
        if !known.contains(&&texts(&parts)[..]) {
            let span = self.since(start);
            return self.error(
                span,
                format!("there is one catalog and one database, {CATALOG}.{DATABASE}, made of the program's own tables; leave USE out"),
            );
        }
        self.end_of_statement()
    }

    /// `RESET`.
    pub(super) fn reset(&mut self) -> Parsed<Statement> {
        self.expect_word("RESET")?;
        let bare = self.is(";") || self.peek().tok == Tok::End;
        let key = if bare { None } else { Some(self.setting()?) };
        self.end_of_statement()?;
        Ok(Statement::Reset { key })
    }

    /// `SET`.
    pub(super) fn set(&mut self) -> Parsed<Option<Statement>> {
        let start = self.span();
        self.expect_word("SET")?;
        if self.is(";") || self.peek().tok == Tok::End {
            self.end_of_statement()?;
            let span = self.since(start);
            return Ok(Some(Statement::Told(Told { what: "SET", span, ask: Ask::Settings })));
        }
        let (key, span) = self.setting()?;
        self.expect("=")?;
        let value = match &self.peek().tok {
            Tok::Text(_) => self.text("the option's value in quotes")?.0,
            _ => self.bare(|parser| parser.is(";")),
        };
        self.end_of_statement()?;
        Ok(Some(Statement::Set { key, value, span }))
    }

    /// The name of a setting, in quotes or not.
    fn setting(&mut self) -> Parsed<(String, Span)> {
        match &self.peek().tok {
            Tok::Word { quoted: false, .. } => {
                let start = self.span();
                let key = self.bare(|parser| parser.is("=") || parser.is(";"));
                Ok((key, self.since(start)))
            }
            _ => self.text("an option's name, as in SET 'key' = 'value'"),
        }
    }

    /// What stands there, as it stands there but for spaces.
    fn bare(&mut self, is_end: impl Fn(&Self) -> bool) -> String {
        let mut text = String::new();
        while !is_end(self) && self.peek().tok != Tok::End {
            match self.next().tok {
                Tok::Word { text: word, .. } => text.push_str(&word),
                Tok::Number(number) => text.push_str(&number),
                Tok::Text(quoted) => text.push_str(&quoted),
                Tok::Sign(sign) => text.push_str(sign),
                Tok::End => {}
            }
        }
        text
    }
}
