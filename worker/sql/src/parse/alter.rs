//! `ALTER` and `DROP`, and what `CREATE TABLE … LIKE` says of the other table.

use super::{Parsed, Parser};
use crate::ast::{
    Alter, Change, CreateTable, Feature, Ident, Like, LikeRule, Merging, Place, Statement,
};
use crate::error::Span;

/// What is altered or dropped besides tables and views, with what to do instead.
const OTHERS: [(&str, &str); 5] = [
    ("FUNCTION", "functions of your own are not available in SQL"),
    ("SYSTEM", "functions of your own are not available in SQL"),
    ("CATALOG", "a catalog stays as it was made; DROP CATALOG and CREATE CATALOG make another one"),
    ("MODEL", "models are not available"),
    ("MATERIALIZED", "write into a table with INSERT INTO"),
];

impl Parser {
    /// `DROP [TEMPORARY] [SYSTEM] FUNCTION IF EXISTS f`, which does nothing: there is none.
    fn dropped_function(&mut self) -> Parsed<bool> {
        let words = ["TEMPORARY", "SYSTEM"];
        let mut at = 0;
        while words.into_iter().any(|word| self.is_word_at(at, word)) {
            at += 1;
        }
        let wanted = ["FUNCTION", "IF", "EXISTS"];
        if !wanted.into_iter().enumerate().all(|(i, word)| self.is_word_at(at + i, word)) {
            return Ok(false);
        }
        self.at += at + 3;
        self.table_name()?;
        self.end_of_statement()?;
        Ok(true)
    }

    /// `TABLE` or `VIEW` behind `ALTER` or `DROP`; answers whether it is a view.
    fn is_view(&mut self, verb: &str) -> Parsed<bool> {
        if self.eat_word("TABLE") {
            return Ok(false);
        }
        if self.eat_word("VIEW") {
            return Ok(true);
        }
        let token = self.peek();
        let what = token.keyword().unwrap_or_default();
        match OTHERS.iter().find(|(known, _)| *known == what) {
            Some((_, why)) => {
                self.error(token.span, format!("{verb} {what} is not supported: {why}"))
            }
            None => Err(self.unexpected("TABLE or VIEW")),
        }
    }

    pub(super) fn drop_statement(&mut self) -> Parsed<Option<Statement>> {
        self.expect_word("DROP")?;
        if self.dropped_function()? {
            return Ok(None);
        }
        if self.eat_word("DATABASE") {
            let if_exists = self.eat_words(&["IF", "EXISTS"]);
            let name = self.database_name()?;
            let cascade = self.eat_word("CASCADE");
            if !cascade {
                self.eat_word("RESTRICT");
            }
            self.end_of_statement()?;
            return Ok(Some(Statement::DropDatabase { name, if_exists, cascade }));
        }
        if self.eat_word("CATALOG") {
            let if_exists = self.eat_words(&["IF", "EXISTS"]);
            let name = self.ident("a catalog's name")?;
            self.end_of_statement()?;
            return Ok(Some(Statement::DropCatalog { name, if_exists }));
        }
        let temporary = self.eat_word("TEMPORARY");
        let is_view = self.is_view("DROP")?;
        let if_exists = self.eat_words(&["IF", "EXISTS"]);
        let name = self.table_name()?;
        self.end_of_statement()?;
        Ok(Some(Statement::Drop { is_view, temporary, name, if_exists }))
    }

    pub(super) fn alter(&mut self) -> Parsed<Statement> {
        self.expect_word("ALTER")?;
        if self.eat_word("DATABASE") {
            let name = self.database_name()?;
            self.expect_word("SET")?;
            self.option_list()?;
            self.end_of_statement()?;
            return Ok(Statement::AlterDatabase(name));
        }
        self.eat_word("TEMPORARY");
        let is_view = self.is_view("ALTER")?;
        let if_exists = self.eat_words(&["IF", "EXISTS"]);
        let name = self.table_name()?;
        let change = match is_view {
            true => self.change_of_view()?,
            false => self.change_of_table(&name)?,
        };
        self.end_of_statement()?;
        Ok(Statement::Alter(Alter { is_view, name, if_exists, change }))
    }

    fn change_of_view(&mut self) -> Parsed<Change> {
        if self.eat_words(&["RENAME", "TO"]) {
            return Ok(Change::Rename(self.table_name()?));
        }
        if self.eat_word("AS") {
            return Ok(Change::Query(self.query()?));
        }
        Err(self.unexpected("RENAME TO or AS"))
    }

    fn change_of_table(&mut self, name: &Ident) -> Parsed<Change> {
        if self.eat_words(&["RENAME", "TO"]) {
            return Ok(Change::Rename(self.table_name()?));
        }
        if self.eat_word("RENAME") {
            let from = self.ident("a column's name")?;
            self.expect_word("TO")?;
            return Ok(Change::RenameColumn { from, to: self.ident("the column's new name")? });
        }
        if self.eat_word("SET") {
            return Ok(Change::SetOptions(self.option_list()?));
        }
        if self.eat_word("RESET") {
            self.expect("(")?;
            let mut keys = vec![self.text("an option's name in quotes")?];
            while self.eat(",") {
                keys.push(self.text("an option's name in quotes")?);
            }
            self.expect(")")?;
            return Ok(Change::ResetOptions(keys));
        }
        let at = self.span();
        if self.eat_word("ADD") {
            self.refuse_partitions(at)?;
            let (part, places) = self.declared(name)?;
            return Ok(Change::Add { part, places });
        }
        if self.eat_word("MODIFY") {
            self.refuse_partitions(at)?;
            let (part, places) = self.declared(name)?;
            return Ok(Change::Modify { part, places });
        }
        if self.eat_word("DROP") {
            self.refuse_partitions(at)?;
            return self.dropped();
        }
        Err(self.unexpected("RENAME, SET, RESET, ADD, MODIFY or DROP"))
    }

    fn refuse_partitions(&self, at: Span) -> Parsed<()> {
        if self.is_word("DISTRIBUTION") {
            return self.error(
                at.to(self.span()),
                "a distribution is not added, changed or dropped: how rows are spread over writers is parallelism, and 'sink.partitioner' where the connector has it",
            );
        }
        if self.is_word("PARTITION") || self.is_word("IF") {
            return self.error(
                at.to(self.span()),
                "partitions are not added or dropped here: they are what is written",
            );
        }
        Ok(())
    }

    fn dropped(&mut self) -> Parsed<Change> {
        if self.is("(") {
            return Ok(Change::DropColumns(self.names("a column's name")?));
        }
        let span = self.span();
        if self.eat_words(&["PRIMARY", "KEY"]) {
            return Ok(Change::DropPrimaryKey(span));
        }
        if self.is_word("CONSTRAINT") && !self.is_sign_at(1, ";") {
            self.next();
            self.ident("the constraint's name")?;
            return Ok(Change::DropPrimaryKey(span));
        }
        if self.eat_word("WATERMARK") {
            return Ok(Change::DropWatermark(span));
        }
        Ok(Change::DropColumns(vec![self.ident("a column's name")?]))
    }

    /// Columns, a key, a watermark: one, or several in parentheses; and where columns are put.
    fn declared(&mut self, name: &Ident) -> Parsed<(CreateTable, Vec<(Ident, Place)>)> {
        let mut part = CreateTable::named(name.clone());
        let mut places = Vec::new();
        let several = self.eat("(");
        loop {
            let columns = part.columns.len();
            self.table_element(&mut part)?;
            if let Some(column) = part.columns.get(columns) {
                let column = column.name.clone();
                if self.eat_word("FIRST") {
                    places.push((column, Place::First));
                } else if self.eat_word("AFTER") {
                    places.push((column, Place::After(self.ident("a column's name")?)));
                }
            }
            if !(several && self.eat(",")) {
                break;
            }
        }
        if several {
            self.expect(")")?;
        }
        Ok((part, places))
    }

    /// Behind `LIKE`.
    pub(super) fn like(&mut self) -> Parsed<Like> {
        let of = self.table_name()?;
        let mut rules: Vec<LikeRule> = Vec::new();
        if self.eat("(") {
            while !self.is(")") {
                let rule = self.like_rule()?;
                if rules.iter().any(|known| known.feature == rule.feature) {
                    return self.error(rule.span, "this is said twice; keep one");
                }
                rules.push(rule);
                self.eat(",");
            }
            self.expect(")")?;
        }
        Ok(Like { of, rules })
    }

    fn like_rule(&mut self) -> Parsed<LikeRule> {
        let start = self.span();
        let merging = match self.peek().keyword().unwrap_or_default().as_str() {
            "INCLUDING" => Merging::Including,
            "EXCLUDING" => Merging::Excluding,
            "OVERWRITING" => Merging::Overwriting,
            _ => return Err(self.unexpected("INCLUDING, EXCLUDING or OVERWRITING")),
        };
        self.next();
        let feature = match self.peek().keyword().unwrap_or_default().as_str() {
            "ALL" => Feature::All,
            "CONSTRAINTS" => Feature::Constraints,
            "DISTRIBUTION" => Feature::Distribution,
            "PARTITIONS" => Feature::Partitions,
            "OPTIONS" => Feature::Options,
            "GENERATED" => Feature::Generated,
            "METADATA" => Feature::Metadata,
            "WATERMARKS" => Feature::Watermarks,
            _ => {
                return Err(self.unexpected(
                    "ALL, CONSTRAINTS, PARTITIONS, OPTIONS, GENERATED, METADATA or WATERMARKS",
                ));
            }
        };
        self.next();
        let span = self.since(start);
        let overwrites = matches!(
            feature,
            Feature::Options | Feature::Generated | Feature::Metadata | Feature::Watermarks
        );
        if merging == Merging::Overwriting && !overwrites {
            return self.error(
                span,
                "only OPTIONS, GENERATED, METADATA and WATERMARKS can be overwritten; write EXCLUDING and declare your own",
            );
        }
        Ok(LikeRule { merging, feature, span })
    }
}
