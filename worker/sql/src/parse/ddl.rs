//! `CREATE TABLE`, `CREATE VIEW`, `CREATE DATABASE` and `CREATE CATALOG`.

use super::{Parsed, Parser, WEIGHT};
use crate::ast::{
    ColumnDef, ColumnKind, CreateCatalog, CreateTable, CreateView, Ident, OptionDef, Replaces,
    Statement, Unit, WatermarkDef,
};
use crate::error::{Span, did_you_mean};
use crate::lex::Tok;
use crate::types::{Kind, Nested, STRING_LENGTH, SqlType};

const TYPES: [&str; 28] = [
    "TINYINT",
    "SMALLINT",
    "INT",
    "INTEGER",
    "BIGINT",
    "FLOAT",
    "DOUBLE",
    "DECIMAL",
    "DEC",
    "NUMERIC",
    "BOOLEAN",
    "CHAR",
    "VARCHAR",
    "STRING",
    "BYTES",
    "BINARY",
    "VARBINARY",
    "DATE",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMP_LTZ",
    "ROW",
    "ARRAY",
    "MAP",
    "MULTISET",
    "VARIANT",
    "INTERVAL",
    "BITMAP",
];

impl Parser {
    pub(super) fn create(&mut self) -> Parsed<Statement> {
        let start = self.span();
        let replaces = if self.eat_word("REPLACE") {
            Some(Replaces::One)
        } else {
            self.expect_word("CREATE")?;
            self.eat_words(&["OR", "REPLACE"]).then_some(Replaces::Any)
        };
        let replace = self.since(start);
        let temporary = replaces.is_none() && self.eat_word("TEMPORARY");
        if self.eat_word("TABLE") {
            let table = CreateTable { temporary, replaces, ..self.create_table()? };
            if replaces.is_some() && table.query.is_none() {
                return self.error(replace, "only a table made of a query replaces another, with AS SELECT; write DROP TABLE IF EXISTS in front of CREATE TABLE");
            }
            self.end_of_statement()?;
            return Ok(Statement::CreateTable(table));
        }
        if replaces.is_some() {
            return self.error(replace, "OR REPLACE is for tables made of a query; write ALTER VIEW … AS for a view, and DROP in front of CREATE for anything else");
        }
        if self.eat_word("VIEW") {
            let view = CreateView { temporary, ..self.create_view()? };
            self.end_of_statement()?;
            return Ok(Statement::CreateView(view));
        }
        if self.eat_word("DATABASE") {
            let if_not_exists = self.if_not_exists();
            let name = self.database_name()?;
            self.comment_of()?;
            if self.eat_word("WITH") {
                self.option_list()?;
            }
            self.end_of_statement()?;
            return Ok(Statement::CreateDatabase { name, if_not_exists });
        }
        if self.eat_word("CATALOG") {
            return self.create_catalog();
        }
        let token = self.peek();
        let what = token.keyword().unwrap_or_default();
        match what.as_str() {
            "FUNCTION" | "SYSTEM" => self.error(
                token.span,
                "CREATE FUNCTION is not supported: functions of your own are not available in SQL",
            ),
            "MODEL" => self.error(token.span, "CREATE MODEL is not supported"),
            "MATERIALIZED" => self.error(
                token.span,
                "MATERIALIZED tables are not supported; write into a table with INSERT INTO",
            ),
            _ => Err(self.unexpected("TABLE or VIEW")),
        }
    }

    fn create_catalog(&mut self) -> Parsed<Statement> {
        let if_not_exists = self.if_not_exists();
        let name = self.ident("a catalog's name")?;
        let comment = self.comment_of()?;
        let options = match self.eat_word("WITH") {
            true => self.option_list()?,
            false => Vec::new(),
        };
        self.end_of_statement()?;
        Ok(Statement::CreateCatalog(CreateCatalog { name, if_not_exists, comment, options }))
    }

    fn if_not_exists(&mut self) -> bool {
        self.eat_words(&["IF", "NOT", "EXISTS"])
    }

    fn create_view(&mut self) -> Parsed<CreateView> {
        let if_not_exists = self.if_not_exists();
        let name = self.table_name()?;
        let columns = if self.is("(") { self.names("a column's name")? } else { Vec::new() };
        self.comment_of()?;
        self.expect_word("AS")?;
        let query = self.query()?;
        Ok(CreateView { name, temporary: false, if_not_exists, columns, query })
    }

    fn create_table(&mut self) -> Parsed<CreateTable> {
        let if_not_exists = self.if_not_exists();
        let name = self.table_name()?;
        let mut table = CreateTable { if_not_exists, ..CreateTable::named(name) };
        if self.eat("(") {
            while !self.is(")") {
                self.table_element(&mut table)?;
                if !self.eat(",") {
                    break;
                }
            }
            self.expect(")")?;
        }
        let behind_columns = self.span();
        self.comment_of()?;
        if self.is_word("DISTRIBUTED") {
            let span = self.span();
            return self.error(span, "DISTRIBUTED BY is not supported; leave it out");
        }
        if self.eat_words(&["PARTITIONED", "BY"]) {
            table.partitioned_by = self.names("a column's name")?;
        }
        let has_options = self.is_word("WITH") && self.is_sign_at(1, "(");
        if has_options {
            self.next();
            self.options(&mut table)?;
        }
        if self.eat_word("LIKE") {
            table.like = Some(self.like()?);
        } else if self.eat_word("AS") {
            table.query = Some(self.query()?);
        } else if table.columns.is_empty() && has_options {
            let name = table.name.shown();
            return self.error(
                behind_columns,
                format!(
                    "table \"{name}\" has no columns; declare them before WITH: CREATE TABLE {name} (name TYPE, …) WITH (…)"
                ),
            );
        } else if table.columns.is_empty() {
            return Err(self.unexpected("'('"));
        }
        Ok(table)
    }

    fn options(&mut self, table: &mut CreateTable) -> Parsed<()> {
        for option in self.option_list()? {
            if table.options.iter().any(|o| o.key == option.key) {
                let message = format!("option '{}' is given twice; keep one", option.key);
                return self.error(option.key_span, message);
            }
            table.options.push(option);
        }
        Ok(())
    }

    /// `('key' = 'value', …)`.
    pub(super) fn option_list(&mut self) -> Parsed<Vec<OptionDef>> {
        let mut options = Vec::new();
        self.expect("(")?;
        while !self.is(")") {
            let (key, key_span) =
                self.text("an option's name in quotes, as in 'connector' = 'kafka'")?;
            self.expect("=")?;
            let (value, value_span) = self.text("the option's value in quotes")?;
            options.push(OptionDef { key, value, key_span, value_span });
            if !self.eat(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(options)
    }

    pub(super) fn table_element(&mut self, table: &mut CreateTable) -> Parsed<()> {
        let start = self.span();
        if self.is_word("WATERMARK") && self.is_word_at(1, "FOR") {
            self.at += 2;
            let column = self.ident("the event-time column's name")?;
            if self.is(".") {
                let span = self.span();
                return self.error(span, "WATERMARK FOR a nested field is not supported; declare a computed column for it");
            }
            self.expect_word("AS")?;
            let expr = self.expr()?;
            if table.watermark.is_some() {
                return self.error(start, "a table has one WATERMARK; leave the second out");
            }
            table.watermark = Some(WatermarkDef { column, expr });
            return Ok(());
        }
        if self.eat_word("CONSTRAINT") {
            self.ident("the constraint's name")?;
            if !self.is_word("PRIMARY") {
                return Err(self.unexpected("PRIMARY KEY"));
            }
        }
        if self.is_word("PRIMARY") && self.is_word_at(1, "KEY") {
            self.at += 2;
            let columns = self.names("a column's name")?;
            return self.primary_key(table, columns, start);
        }
        if self.is_word("UNIQUE") {
            return self.error(start, "UNIQUE is not supported; use PRIMARY KEY (…) NOT ENFORCED");
        }
        let name = self.ident("a column's name")?;
        if let Some(first) = table.columns.iter().find(|c| c.name.text == name.text) {
            let message = format!(
                "column \"{}\" is declared twice, first at {}:{}",
                name.text, first.name.span.line, first.name.span.column
            );
            return self.error(name.span, message);
        }
        if self.eat_word("AS") {
            let expr = self.expr()?;
            let comment = self.comment_of()?;
            table.columns.push(ColumnDef {
                name,
                kind: ColumnKind::Computed(expr),
                part_not_null: false,
                comment,
            });
            return Ok(());
        }
        if self.is(",") || self.is(")") {
            table.columns.push(ColumnDef {
                name,
                kind: ColumnKind::OfQuery,
                part_not_null: false,
                comment: None,
            });
            return Ok(());
        }
        self.part_not_null = false;
        let ty = self.data_type()?;
        let part_not_null = self.part_not_null;
        let mut kind = ColumnKind::Physical(ty);
        if self.eat_word("METADATA") {
            let key = if self.eat_word("FROM") {
                Some(self.text("a metadata key in quotes")?.0)
            } else {
                None
            };
            kind = ColumnKind::Metadata { ty, key, is_virtual: self.eat_word("VIRTUAL") };
        }
        let at = self.span();
        if self.eat_word("CONSTRAINT") {
            self.ident("the constraint's name")?;
            if !self.are_words(&["PRIMARY", "KEY"]) {
                return Err(self.unexpected("PRIMARY KEY"));
            }
        }
        if self.eat_words(&["PRIMARY", "KEY"]) {
            self.primary_key(table, vec![name.clone()], at)?;
        }
        if self.is_word("DEFAULT") {
            let span = self.span();
            return self.error(span, "DEFAULT is not supported; compute the value in the query, with COALESCE for example");
        }
        let comment = self.comment_of()?;
        table.columns.push(ColumnDef { name, kind, part_not_null, comment });
        Ok(())
    }

    fn comment_of(&mut self) -> Parsed<Option<String>> {
        match self.eat_word("COMMENT") {
            true => Ok(Some(self.text("a comment in quotes")?.0)),
            false => Ok(None),
        }
    }

    fn primary_key(
        &mut self,
        table: &mut CreateTable,
        columns: Vec<Ident>,
        start: Span,
    ) -> Parsed<()> {
        if !table.primary_key.is_empty() {
            return self.error(start, "a table has one PRIMARY KEY; list all of its columns there");
        }
        if !self.eat_words(&["NOT", "ENFORCED"]) {
            let span = self.since(start);
            return self.error(span, "a PRIMARY KEY is not checked, so it must say NOT ENFORCED");
        }
        table.primary_key = columns;
        Ok(())
    }

    /// A type with its nullability.
    pub(super) fn data_type(&mut self) -> Parsed<SqlType> {
        let kind = self.kind()?;
        if self.eat_words(&["NOT", "NULL"]) {
            return Ok(SqlType::not_null(kind));
        }
        self.eat_word("NULL");
        Ok(SqlType::nullable(kind))
    }

    /// The type of a part of another type. Whether that part may be NULL is no part of the whole
    /// one; it is only remembered that one may not.
    fn part_type(&mut self) -> Parsed<Kind> {
        let of = self.data_type()?;
        self.part_not_null |= !of.nullable;
        Ok(of.kind)
    }

    pub(super) fn kind(&mut self) -> Parsed<Kind> {
        self.deeper_by(WEIGHT, "read such a column as STRING", Self::kind_inner)
    }

    fn kind_inner(&mut self) -> Parsed<Kind> {
        let token = self.peek().clone();
        let Some(word) = token.keyword() else {
            return Err(self.unexpected("a type such as INT or STRING"));
        };
        if matches!(token.tok, Tok::Word { quoted: true, .. }) {
            return Err(self.unexpected("a type such as INT or STRING"));
        }
        self.next();
        let kind = match word.as_str() {
            "TINYINT" => Kind::TinyInt,
            "SMALLINT" => Kind::SmallInt,
            "INT" | "INTEGER" => Kind::Int,
            "BIGINT" => Kind::BigInt,
            "FLOAT" => Kind::Float,
            "DOUBLE" => {
                self.eat_word("PRECISION");
                Kind::Double
            }
            "DECIMAL" | "DEC" | "NUMERIC" => self.decimal()?,
            "BOOLEAN" => Kind::Boolean,
            "CHAR" => Kind::Char(self.length("CHAR", 1)?),
            "VARCHAR" => Kind::VarChar(self.length("VARCHAR", 1)?),
            "STRING" => Kind::STRING,
            "BYTES" => Kind::Bytes,
            "BINARY" | "VARBINARY" => {
                self.length(&word, 1)?;
                Kind::Bytes
            }
            "DATE" => Kind::Date,
            "TIME" => {
                let precision = self.precision("TIME", 0)?;
                self.zone(false)?;
                Kind::Time(precision)
            }
            "TIMESTAMP" => {
                let precision = self.precision("TIMESTAMP", 6)?;
                if self.zone(true)? {
                    Kind::TimestampLtz(precision)
                } else {
                    Kind::Timestamp(precision)
                }
            }
            "TIMESTAMP_LTZ" => Kind::TimestampLtz(self.precision("TIMESTAMP_LTZ", 6)?),
            "ARRAY" => {
                self.expect("<")?;
                let of = self.part_type()?;
                self.expect(">")?;
                Nested::array(of)
            }
            "MAP" => {
                self.expect("<")?;
                let key = self.part_type()?;
                self.expect(",")?;
                let value = self.part_type()?;
                self.expect(">")?;
                Nested::Map(key, value).kind()
            }
            "ROW" => self.row()?,
            "MULTISET" => {
                self.expect("<")?;
                let of = self.part_type()?;
                self.expect(">")?;
                Nested::Multiset(of).kind()
            }
            "VARIANT" => Kind::Variant,
            "BITMAP" => Kind::Bitmap,
            "RAW" | "STRUCTURED" => {
                return self.error(
                    token.span,
                    format!("the type {word} is not supported; declare the fields you need as columns of their own, or read the whole as STRING"),
                );
            }
            "INTERVAL" => self.interval_type()?,
            _ => {
                let hint = did_you_mean(&word, TYPES, '\'');
                let hint = match word.as_str() {
                    "TEXT" => "; did you mean 'STRING'?".to_owned(),
                    "LONG" | "INT8" | "INT64" => "; did you mean 'BIGINT'?".to_owned(),
                    "BOOL" => "; did you mean 'BOOLEAN'?".to_owned(),
                    "DATETIME" => "; did you mean 'TIMESTAMP(3)'?".to_owned(),
                    "REAL" => "; did you mean 'FLOAT'?".to_owned(),
                    _ => hint,
                };
                return self
                    .error(token.span, format!("the type {} is unknown{hint}", token.describe()));
            }
        };
        if self.eat_word("ARRAY") {
            return Ok(Nested::array(kind));
        }
        if self.eat_word("MULTISET") {
            return Ok(Nested::Multiset(kind).kind());
        }
        Ok(kind)
    }

    /// Behind INTERVAL: `DAY`, `DAY(3) TO SECOND(6)`, `YEAR TO MONTH`.
    fn interval_type(&mut self) -> Parsed<Kind> {
        let span = self.span();
        let from = self.unit("an interval's unit, such as HOUR")?;
        self.digits()?;
        let mut units = vec![from];
        if self.eat_word("TO") {
            units.push(self.unit("the interval's last unit")?);
            self.digits()?;
        }
        let of_months = [Unit::Year, Unit::Month];
        let of_time = [Unit::Day, Unit::Hour, Unit::Minute, Unit::Second];
        let is_range =
            |known: &[Unit]| units.iter().all(|unit| known.contains(unit)) && units.is_sorted();
        match (is_range(&of_months), is_range(&of_time)) {
            (true, _) => Ok(Kind::IntervalMonths),
            (_, true) => Ok(Kind::IntervalMillis),
            _ => self.error(
                span,
                "an INTERVAL is of YEAR, MONTH or YEAR TO MONTH, or of DAY, HOUR, MINUTE, SECOND or DAY TO SECOND",
            ),
        }
    }

    fn decimal(&mut self) -> Parsed<Kind> {
        let (mut precision, mut scale) = (10, 0);
        if self.eat("(") {
            let (digits, span) = self.whole_number("the number of digits")?;
            if !(1..=38).contains(&digits) {
                return self.error(span, format!("DECIMAL has 1 to 38 digits, not {digits}"));
            }
            precision = digits;
            if self.eat(",") {
                let (digits, span) = self.whole_number("the number of digits behind the point")?;
                if digits > precision {
                    return self.error(span, format!("DECIMAL({precision}, …) has 0 to {precision} digits behind the point, not {digits}"));
                }
                scale = digits;
            }
            self.expect(")")?;
        }
        Ok(Kind::Decimal(precision as u8, scale as u8))
    }

    /// `<a t 'comment', …>` or the same in parentheses, of ROW.
    fn row(&mut self) -> Parsed<Kind> {
        let end = if self.eat("(") {
            ")"
        } else {
            self.expect("<")?;
            ">"
        };
        let mut fields: Vec<(String, Kind)> = Vec::new();
        loop {
            let name = self.ident("a field's name")?;
            if fields.iter().any(|(known, _)| *known == name.text) {
                return self
                    .error(name.span, format!("the field \"{}\" is there twice", name.text));
            }
            let of = self.part_type()?;
            if matches!(self.peek().tok, Tok::Text(_)) {
                self.next();
            }
            fields.push((name.text, of));
            if !self.eat(",") {
                break;
            }
        }
        self.expect(end)?;
        Ok(Nested::Row(fields).kind())
    }

    fn length(&mut self, name: &str, default: u32) -> Parsed<u32> {
        if !self.eat("(") {
            return Ok(default);
        }
        let (length, span) = self.whole_number("a length")?;
        if !(1..=STRING_LENGTH).contains(&length) {
            return self
                .error(span, format!("{name} has a length of 1 to {STRING_LENGTH}, not {length}"));
        }
        self.expect(")")?;
        Ok(length)
    }

    fn precision(&mut self, name: &str, default: u8) -> Parsed<u8> {
        if !self.eat("(") {
            return Ok(default);
        }
        let (digits, span) = self.whole_number("a number of digits of a second")?;
        if digits > 9 {
            return self.error(span, format!("{name} has 0 to 9 digits of a second, not {digits}"));
        }
        self.expect(")")?;
        Ok(digits as u8)
    }

    /// `WITHOUT TIME ZONE` and `WITH LOCAL TIME ZONE`; answers whether it is the latter.
    fn zone(&mut self, local_allowed: bool) -> Parsed<bool> {
        if self.eat_words(&["WITHOUT", "TIME", "ZONE"]) {
            return Ok(false);
        }
        if local_allowed && self.eat_words(&["WITH", "LOCAL", "TIME", "ZONE"]) {
            return Ok(true);
        }
        if self.are_words(&["WITH", "TIME", "ZONE"]) {
            let span = self.span();
            return self.error(
                span,
                "WITH TIME ZONE is not supported (nor is it in Flink); use TIMESTAMP_LTZ(3)",
            );
        }
        Ok(false)
    }
}
