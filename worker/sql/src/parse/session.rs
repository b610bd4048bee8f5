//! Statements about the session: `SET`, `RESET`, `USE`.

use super::{Parsed, Parser};
use crate::ast::{Ask, Statement, Told};
use crate::error::Span;
use crate::lex::Tok;

impl Parser {
    /// `USE`: of a database, of a catalog; of modules, those that are used anyway.
    pub(super) fn use_statement(&mut self) -> Parsed<Option<Statement>> {
        self.expect_word("USE")?;
        if self.eat_word("CATALOG") {
            let catalog = self.ident("a catalog's name")?;
            self.end_of_statement()?;
            return Ok(Some(Statement::UseCatalog(catalog)));
        } else if self.eat_word("MODULES") {
            loop {
                let module = self.ident("a module's name")?;
                if module.text != "core" {
                    let message = format!(
                        "there is no module \"{}\": all functions are those of 'core'",
                        module.text
                    );
                    return self.error(module.span, message);
                }
                if !self.eat(",") {
                    break;
                }
            }
        } else {
            let database = self.database_name()?;
            self.end_of_statement()?;
            return Ok(Some(Statement::Use(database)));
        }
        self.end_of_statement()?;
        Ok(None)
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
