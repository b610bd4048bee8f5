//! Tokens → statements. A recursive-descent parser of Flink's dialect: every refusal stands at
//! the token that it is about. After an error the parser goes on behind the next semicolon, so
//! that one run names the errors of all statements.

mod alter;
mod ddl;
mod expr;
mod grouping;
mod hints;
mod join;
mod json;
mod over;
mod pattern;
mod query;
mod rows;
mod session;
mod state;
mod told;
mod window;

pub(crate) use expr::children;
pub(crate) use rows::row;

use crate::ast::{Ident, Insert, Statement};
use crate::database;
use crate::error::{Span, SqlError, did_you_mean};
use crate::lex::{HINT, Tok, Token, tokenize_from};

pub(crate) type Parsed<T> = Result<T, SqlError>;

/// Highest tree of nested expressions or queries: what a thread's stack surely takes.
const MAX_HEIGHT: u16 = 200;
/// How many levels of an expression a query or a type within another weighs: each takes as much
/// more of the stack, here and in all that walks it later.
const WEIGHT: u16 = 4;

/// Words that end an expression or a table reference, so that they are no alias.
pub(crate) const RESERVED: [&str; 49] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "HAVING",
    "UNION",
    "ALL",
    "INTERSECT",
    "EXCEPT",
    "MINUS",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "FETCH",
    "ON",
    "JOIN",
    "INNER",
    "LEFT",
    "RIGHT",
    "FULL",
    "CROSS",
    "NATURAL",
    "USING",
    "AS",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "AND",
    "OR",
    "NOT",
    "IN",
    "IS",
    "LIKE",
    "BETWEEN",
    "INSERT",
    "INTO",
    "VALUES",
    "WITH",
    "WINDOW",
    "QUALIFY",
    "TABLE",
    "DISTINCT",
    "CREATE",
    "EXISTS",
    "MATCH_RECOGNIZE",
    "FOR",
    "TABLESAMPLE",
];

/// Statements that Flink knows and that are not here, with what to do instead.
const STATEMENTS: [(&str, &str); 13] = [
    (
        "EXECUTE",
        "EXECUTE stands in front of STATEMENT SET BEGIN … END;, of INSERT INTO or of SELECT",
    ),
    ("BEGIN", "BEGIN stands in front of STATEMENT SET; INSERT INTO …; END;"),
    ("END", "END closes a STATEMENT SET, and none is open here"),
    (
        "COMPILE",
        "COMPILE PLAN is not supported: a job goes on from its state whatever its plan; leave it out, and write INSERT INTO for EXECUTE PLAN",
    ),
    ("UNLOAD", "UNLOAD MODULE is not supported: all functions are built in"),
    ("REMOVE", "REMOVE JAR is not supported: connectors are built in"),
    ("DELETE", "DELETE is not supported: a stream is changed by what is inserted"),
    ("UPDATE", "UPDATE is not supported: a stream is changed by what is inserted"),
    ("TRUNCATE", "TRUNCATE is not supported"),
    ("LOAD", "LOAD MODULE is not supported: all functions are built in"),
    ("ADD", "ADD JAR is not supported: connectors are built in"),
    ("ANALYZE", "ANALYZE is not supported"),
    ("CALL", "CALL is not supported: there are no procedures"),
];

/// Where Flink keeps what a program declares.
pub(crate) const CATALOG: &str = "default_catalog";
pub(crate) const DATABASE: &str = "default_database";

/// What runs as one: a statement, or all of a STATEMENT SET.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Unit {
    /// None where a statement is only about how things are (`USE`).
    pub(crate) statements: Vec<Statement>,
    /// With the semicolon.
    pub(crate) span: Span,
}

/// Parses a whole program.
pub(crate) fn parse(sql: &str) -> (Vec<Statement>, Vec<SqlError>) {
    let (units, errors) = parse_units(sql, 1);
    (units.into_iter().flat_map(|unit| unit.statements).collect(), errors)
}

/// Parses a text whose first line has this number.
pub(crate) fn parse_units(sql: &str, line: u32) -> (Vec<Unit>, Vec<SqlError>) {
    let tokens = match tokenize_from(sql, line) {
        Ok(tokens) => tokens,
        Err(error) => return (Vec::new(), vec![error]),
    };
    let mut parser = Parser { tokens, at: 0, depth: 0, in_set: None, part_not_null: false };
    let mut units: Vec<Unit> = Vec::new();
    let mut errors = Vec::new();
    loop {
        while parser.eat(";") {}
        if parser.peek().tok == Tok::End {
            break;
        }
        let (start, inside) = (parser.span(), parser.in_set.is_some());
        match parser.statement() {
            Ok(statement) => {
                let span = parser.since(start);
                match units.last_mut().filter(|_| inside) {
                    Some(set) => {
                        set.statements.extend(statement);
                        set.span = set.span.to(span);
                    }
                    None => units.push(Unit { statements: statement.into_iter().collect(), span }),
                }
            }
            Err(error) => {
                errors.push(error);
                parser.depth = 0;
                parser.skip_statement();
            }
        }
    }
    if let Some(span) = parser.in_set.filter(|_| errors.is_empty()) {
        errors.push(SqlError::new(span, "the STATEMENT SET that begins here has no END"));
    }
    (units, errors)
}

/// Parses one expression, for tests.
#[cfg(test)]
pub(crate) fn parse_expr(sql: &str) -> Parsed<crate::ast::Expr> {
    let tokens = tokenize_from(sql, 1)?;
    let mut parser = Parser { tokens, at: 0, depth: 0, in_set: None, part_not_null: false };
    let expr = parser.expr()?;
    match parser.peek().tok {
        Tok::End => Ok(expr),
        _ => Err(parser.unexpected("the end of the expression")),
    }
}

pub(crate) struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: u16,
    in_set: Option<Span>,
    /// A part of a type that was read is NOT NULL.
    part_not_null: bool,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> &Token {
        // The last token is always `End`, and there is always one.
        &self.tokens[(self.at + ahead).min(self.tokens.len() - 1)]
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        if self.at < self.tokens.len() - 1 {
            self.at += 1;
        }
        token
    }

    fn span(&self) -> Span {
        self.peek().span
    }

    /// From `start` to the token that was taken last.
    fn since(&self, start: Span) -> Span {
        start.to(self.tokens[self.at.saturating_sub(1)].span)
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek().tok, Tok::Sign(s) if s == sign)
    }

    fn eat(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        if found {
            self.next();
        }
        found
    }

    fn expect(&mut self, sign: &str) -> Parsed<Span> {
        let span = self.span();
        if self.eat(sign) { Ok(span) } else { Err(self.unexpected(&format!("'{sign}'"))) }
    }

    fn is_word(&self, word: &str) -> bool {
        self.is_word_at(0, word)
    }

    fn is_word_at(&self, ahead: usize, word: &str) -> bool {
        matches!(&self.peek_at(ahead).tok,
            Tok::Word { text, quoted: false } if text.eq_ignore_ascii_case(word))
    }

    fn is_sign_at(&self, ahead: usize, sign: &str) -> bool {
        matches!(self.peek_at(ahead).tok, Tok::Sign(s) if s == sign)
    }

    fn are_words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(i, word)| self.is_word_at(i, word))
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.next();
        }
        found
    }

    fn eat_words(&mut self, words: &[&str]) -> bool {
        let found = self.are_words(words);
        if found {
            self.at += words.len();
        }
        found
    }

    fn expect_word(&mut self, word: &str) -> Parsed<Span> {
        let span = self.span();
        if self.eat_word(word) { Ok(span) } else { Err(self.unexpected(word)) }
    }

    fn unexpected(&self, wanted: &str) -> SqlError {
        let token = self.peek();
        if token.tok == Tok::Sign(HINT) {
            return SqlError::new(
                token.span,
                "a hint has no place here; OPTIONS('key' = 'value') stands right behind the name of a table, and a comment begins with /* and no +",
            );
        }
        SqlError::new(token.span, format!("expected {wanted}, found {}", token.describe()))
    }

    fn error<T>(&self, span: Span, message: impl Into<String>) -> Parsed<T> {
        Err(SqlError::new(span, message))
    }

    /// A name, which must not be a reserved word unless quoted.
    fn ident(&mut self, what: &str) -> Parsed<Ident> {
        let token = self.peek().clone();
        match token.tok {
            Tok::Word { text, quoted } => {
                if !quoted && is_reserved(&text) {
                    return self.error(
                        token.span,
                        format!("expected {what}, found the keyword '{text}'; a name like this is written `{text}`"),
                    );
                }
                self.next();
                Ok(Ident { text, span: token.span })
            }
            _ => Err(self.unexpected(what)),
        }
    }

    /// A table's name. In front of it may stand the name of its database, and that of the catalog.
    fn table_name(&mut self) -> Parsed<Ident> {
        let mut parts = vec![self.ident("a table's name")?];
        while self.eat(".") {
            parts.push(self.ident("a table's name")?);
        }
        match parts.as_slice() {
            [name] => Ok(name.clone()),
            [of, name] => {
                let span = self.since(of.span);
                Ok(Ident::in_database(&database::of_current_catalog(&of.text), name, span))
            }
            [catalog, of, name] => {
                let span = self.since(catalog.span);
                Ok(Ident::in_database(&database::path(&catalog.text, &of.text), name, span))
            }
            [first, ..] => {
                let message = "a table's name has three parts at most: catalog.database.table";
                self.error(self.since(first.span), message)
            }
            [] => Err(self.unexpected("a table's name")),
        }
    }

    /// A database's name, which may stand behind that of its catalog.
    fn database_name(&mut self) -> Parsed<Ident> {
        let first = self.ident("a database's name")?;
        if !self.eat(".") {
            return Ok(Ident { text: database::of_current_catalog(&first.text), span: first.span });
        }
        let name = self.ident("a database's name")?;
        let span = self.since(first.span);
        Ok(Ident { text: database::path(&first.text, &name.text), span })
    }

    fn text(&mut self, what: &str) -> Parsed<(String, Span)> {
        let token = self.peek().clone();
        match token.tok {
            Tok::Text(text) => {
                self.next();
                Ok((text, token.span))
            }
            _ => Err(self.unexpected(what)),
        }
    }

    fn whole_number(&mut self, what: &str) -> Parsed<(u32, Span)> {
        let token = self.peek().clone();
        if let Tok::Number(text) = &token.tok
            && let Ok(number) = text.parse()
        {
            self.next();
            return Ok((number, token.span));
        }
        Err(self.unexpected(what))
    }

    /// `(a, b, …)`.
    fn names(&mut self, what: &str) -> Parsed<Vec<Ident>> {
        self.expect("(")?;
        let mut names = vec![self.ident(what)?];
        while self.eat(",") {
            names.push(self.ident(what)?);
        }
        self.expect(")")?;
        Ok(names)
    }

    /// Runs `parse` one level deeper.
    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let way_out = "split the query with CREATE VIEW";
        self.deeper_by(1, way_out, parse)
    }

    /// Runs `parse` so many levels deeper; of what there can be less, it says how to write it.
    fn deeper_by<T>(
        &mut self,
        levels: u16,
        way_out: &str,
        parse: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<T> {
        self.depth += levels;
        if self.depth > MAX_HEIGHT {
            let (span, most) = (self.span(), MAX_HEIGHT / levels);
            return self.error(span, format!("nested deeper than {most} levels; {way_out}"));
        }
        let result = parse(self);
        self.depth -= levels;
        result
    }

    fn skip_statement(&mut self) {
        while self.peek().tok != Tok::End && !self.eat(";") {
            self.next();
        }
    }

    fn statement(&mut self) -> Parsed<Option<Statement>> {
        let start = self.span();
        if self.eat_words(&["EXECUTE", "STATEMENT", "SET"]) {
            self.expect_word("BEGIN")?;
            return self.begin_set(start);
        }
        if self.eat_words(&["BEGIN", "STATEMENT", "SET"]) {
            self.expect(";")?;
            return self.begin_set(start);
        }
        if self.in_set.is_some() && self.eat_word("END") {
            self.in_set = None;
            self.end_of_statement()?;
            return Ok(None);
        }
        if self.is_word("CREATE") || self.are_words(&["REPLACE", "TABLE"]) {
            return self.create().map(Some);
        }
        let runs = ["INSERT", "SELECT", "WITH", "VALUES"];
        if self.is_word("EXECUTE") && runs.into_iter().any(|word| self.is_word_at(1, word)) {
            self.next();
        }
        if self.is_word("INSERT") {
            let insert = self.insert()?;
            self.end_of_statement()?;
            return Ok(Some(Statement::Insert(insert)));
        }
        if ["SELECT", "WITH", "VALUES"].into_iter().any(|word| self.is_word(word)) || self.is("(") {
            let query = self.query()?;
            self.end_of_statement()?;
            return Ok(Some(Statement::Query(query)));
        }
        let token = self.peek();
        let word = token.keyword().unwrap_or_default();
        match word.as_str() {
            "SET" => return self.set(),
            "RESET" => return self.reset().map(Some),
            "DROP" => return self.drop_statement(),
            "ALTER" => return self.alter().map(Some),
            "USE" => return self.use_statement(),
            "EXPLAIN" | "DESCRIBE" | "DESC" | "SHOW" | "HELP" | "CLEAR" | "QUIT" | "EXIT" => {
                return self.told();
            }
            _ => {}
        }
        if let Some((_, message)) = STATEMENTS.iter().find(|(known, _)| *known == word) {
            return self.error(token.span, *message);
        }
        let hint =
            did_you_mean(&word, ["CREATE", "INSERT", "SELECT", "SET", "EXECUTE", "BEGIN"], '\'');
        self.error(
            token.span,
            format!("expected a statement (CREATE TABLE, CREATE VIEW, INSERT INTO, SELECT, SET, EXECUTE STATEMENT SET), found {}{hint}", token.describe()),
        )
    }

    fn begin_set(&mut self, start: Span) -> Parsed<Option<Statement>> {
        if self.in_set.is_some() {
            return self.error(
                start,
                "a STATEMENT SET cannot stand inside another; close the first with END",
            );
        }
        self.in_set = Some(self.since(start));
        Ok(None)
    }

    fn end_of_statement(&mut self) -> Parsed<()> {
        if self.eat(";") || self.peek().tok == Tok::End {
            return Ok(());
        }
        Err(self.unexpected("';' or the end of the statement"))
    }

    fn insert(&mut self) -> Parsed<Insert> {
        self.expect_word("INSERT")?;
        let span = self.span();
        let overwrites = self.eat_word("OVERWRITE").then_some(span);
        if overwrites.is_none() {
            self.expect_word("INTO")?;
        }
        let table = self.table_name()?;
        let mut options = self.table_hints()?;
        let mut partition = Vec::new();
        if self.eat_word("PARTITION") {
            self.expect("(")?;
            loop {
                let column = self.ident("a column's name")?;
                // Without a value, it is one of the query's columns.
                if self.eat("=") {
                    partition.push((column, self.expr()?));
                }
                if !self.eat(",") {
                    break;
                }
            }
            self.expect(")")?;
        }
        let queries = ["SELECT", "WITH", "VALUES", "TABLE"];
        let is_query = self.is_sign_at(1, "(")
            || self.peek_at(1).keyword().is_some_and(|word| queries.contains(&word.as_str()));
        let columns = match self.is("(") && !is_query {
            true => self.names("a column's name")?,
            false => Vec::new(),
        };
        if options.is_empty() {
            options = self.table_hints()?;
        }
        let query = self.query()?;
        Ok(Insert { overwrites, table, options, partition, columns, query })
    }
}

pub(crate) fn is_reserved(word: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(word))
}
