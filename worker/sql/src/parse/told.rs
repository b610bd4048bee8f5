//! Statements that tell a person something and change nothing: `EXPLAIN`, `DESCRIBE`, `SHOW`, `HELP`.

use super::{Parsed, Parser};
use crate::ast::{Ask, Listed, Matching, Statement, Told};
use crate::lex::Tok;

/// What `SHOW` lists.
const LISTS: [(&[&str], Listed); 8] = [
    (&["TABLES"], Listed::Tables),
    (&["VIEWS"], Listed::Views),
    (&["FUNCTIONS"], Listed::Functions),
    (&["CATALOGS"], Listed::Catalogs),
    (&["CURRENT", "CATALOG"], Listed::CurrentCatalog),
    (&["DATABASES"], Listed::Databases),
    (&["CURRENT", "DATABASE"], Listed::CurrentDatabase),
    (&["MODULES"], Listed::Modules),
];

impl Parser {
    pub(super) fn told(&mut self) -> Parsed<Option<Statement>> {
        let span = self.span();
        if self.eat_word("EXPLAIN") {
            let ask = Ask::Plan(self.explained()?);
            return Ok(Some(Statement::Told(Told { what: "EXPLAIN", span, ask })));
        }
        let words = ["DESCRIBE", "DESC", "SHOW", "HELP"];
        let what = words.into_iter().find(|word| self.eat_word(word)).unwrap_or("HELP");
        let after = self.at;
        let ask = match what {
            "HELP" => Ok(Ask::Help),
            "SHOW" => self.shown(),
            _ => {
                self.eat_word("EXTENDED");
                self.table_name().map(|name| Ask::Columns(name, None))
            }
        };
        // A program passes over it, whatever it asks.
        let is_whole = self.is(";") || self.peek().tok == Tok::End;
        let ask = ask.ok().filter(|_| is_whole).unwrap_or(Ask::Unknown);
        self.at = after;
        while !self.is(";") && self.peek().tok != Tok::End {
            self.next();
        }
        let span = self.since(span);
        self.end_of_statement()?;
        Ok(Some(Statement::Told(Told { what, span, ask })))
    }

    /// What is explained.
    fn explained(&mut self) -> Parsed<Vec<Statement>> {
        if !self.eat_words(&["PLAN", "FOR"]) {
            let details =
                ["ESTIMATED_COST", "CHANGELOG_MODE", "JSON_EXECUTION_PLAN", "PLAN_ADVICE"];
            while details.into_iter().any(|detail| self.eat_word(detail)) {
                self.eat(",");
            }
        }
        let mut of = Vec::new();
        if self.eat_words(&["STATEMENT", "SET"]) {
            self.expect_word("BEGIN")?;
            while !self.eat_word("END") {
                of.push(Statement::Insert(self.insert()?));
                self.expect(";")?;
            }
        } else if self.is_word("INSERT") {
            of.push(Statement::Insert(self.insert()?));
        } else {
            of.push(Statement::Query(self.query()?));
        }
        self.end_of_statement()?;
        Ok(of)
    }

    fn shown(&mut self) -> Parsed<Ask> {
        for declared in ["TABLE", "VIEW"] {
            if self.eat_words(&["CREATE", declared]) {
                return self.table_name().map(Ask::Declaration);
            }
        }
        if self.eat_word("COLUMNS") {
            if !self.eat_from() {
                return Err(self.unexpected("FROM"));
            }
            let table = self.table_name()?;
            return Ok(Ask::Columns(table, self.pattern()?));
        }
        if self.are_words(&["FULL", "MODULES"]) || self.are_words(&["USER", "FUNCTIONS"]) {
            self.next();
        }
        let list = LISTS.iter().find(|(words, _)| self.eat_words(words));
        let Some((_, names)) = list else {
            return Err(self.unexpected("what is to be shown"));
        };
        let of_database = matches!(names, Listed::Tables | Listed::Views | Listed::Functions);
        let database = match of_database && self.eat_from() {
            true => Some(self.database_name()?),
            false => None,
        };
        Ok(Ask::Names(*names, database, self.pattern()?))
    }

    fn eat_from(&mut self) -> bool {
        self.eat_word("FROM") || self.eat_word("IN")
    }

    fn pattern(&mut self) -> Parsed<Option<Matching>> {
        let negated = self.eat_word("NOT");
        let any_case = self.is_word("ILIKE");
        if !self.eat_word("LIKE") && !self.eat_word("ILIKE") {
            return if negated { Err(self.unexpected("LIKE")) } else { Ok(None) };
        }
        let (text, _) = self.text("a pattern in quotes")?;
        Ok(Some(Matching { negated, any_case, text }))
    }
}
