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

/// What `SHOW` lists of which there is nothing here, and how Flink calls the columns of the list.
const NONE: [(&[&str], &[&str]); 8] = [
    (&["USER", "FUNCTIONS"], &["function name"]),
    (&["JARS"], &["jars"]),
    (&["JOBS"], &["job id", "job name", "status", "start time"]),
    (&["PARTITIONS"], &["partition name"]),
    (&["PROCEDURES"], &["procedure name"]),
    (&["MODELS"], &["model name"]),
    (&["MATERIALIZED", "TABLES"], &["materialized table name"]),
    (&["CONNECTIONS"], &["connection name"]),
];

impl Parser {
    pub(super) fn told(&mut self) -> Parsed<Option<Statement>> {
        let span = self.span();
        if self.eat_word("EXPLAIN") {
            let ask = Ask::Plan(self.explained()?);
            return Ok(Some(Statement::Told(Told { what: "EXPLAIN", span, ask })));
        }
        let words = ["DESCRIBE", "DESC", "SHOW", "HELP", "CLEAR", "QUIT", "EXIT"];
        let what = words.into_iter().find(|word| self.eat_word(word)).unwrap_or("HELP");
        let after = self.at;
        let ask = match what {
            "HELP" => Ok(Ask::Help),
            "CLEAR" => Ok(Ask::Clear),
            "QUIT" | "EXIT" => Ok(Ask::Quit),
            "SHOW" => self.shown(),
            _ => self.described(),
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

    /// Behind DESCRIBE.
    fn described(&mut self) -> Parsed<Ask> {
        let kinds = ["FUNCTION", "DATABASE", "CATALOG"];
        let is_kind = !self.is_sign_at(1, ";") && !self.is_sign_at(1, ".");
        let is_kind = is_kind && self.peek_at(1).tok != Tok::End;
        let kind = kinds.into_iter().find(|word| is_kind && self.eat_word(word));
        self.eat_word("EXTENDED");
        match kind {
            Some("FUNCTION") => self.ident("a function's name").map(Ask::Function),
            Some("DATABASE") => self.database_name().map(Ask::Database),
            Some(_) => self.ident("a catalog's name").map(Ask::Catalog),
            None => self.table_name().map(|name| Ask::Columns(name, None)),
        }
    }

    fn shown(&mut self) -> Parsed<Ask> {
        for declared in ["TABLE", "VIEW"] {
            if self.eat_words(&["CREATE", declared]) {
                return self.table_name().map(Ask::Declaration);
            }
        }
        if self.eat_words(&["CREATE", "CATALOG"]) {
            return self.ident("a catalog's name").map(Ask::DeclaredCatalog);
        }
        if self.eat_word("COLUMNS") {
            if !self.eat_from() {
                return Err(self.unexpected("FROM"));
            }
            let table = self.table_name()?;
            return Ok(Ask::Columns(table, self.pattern()?));
        }
        if let Some((words, columns)) = NONE.iter().find(|(words, _)| self.eat_words(words)) {
            if words.contains(&"PARTITIONS") {
                self.table_name()?;
            } else if self.eat_from() {
                self.database_name()?;
            }
            self.pattern()?;
            return Ok(Ask::None(columns));
        }
        if self.are_words(&["FULL", "MODULES"]) {
            self.next();
        }
        let list = LISTS.iter().find(|(words, _)| self.eat_words(words));
        let Some((_, names)) = list else {
            return Err(self.unexpected("what is to be shown"));
        };
        let of_database = matches!(names, Listed::Tables | Listed::Views | Listed::Functions);
        let of_catalog = *names == Listed::Databases;
        let database = match (of_database || of_catalog) && self.eat_from() {
            true if of_catalog => Some(self.ident("a catalog's name")?),
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
