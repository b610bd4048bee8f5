//! What `SHOW`, `DESCRIBE` and `SET` tell.

use std::collections::BTreeMap;

use super::written;
use crate::ast::{Ident, Listed, Matching};
use crate::bind::{Binder, Reported};
use crate::catalog::{ColumnKind, Relation, TableDef, WatermarkRule};
use crate::database::{self, catalog_of, name_of};
use crate::error::did_you_mean;
use crate::expr::{Expr, render};
use crate::functions;
use crate::rel::{Role, role_of};

/// A table of texts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Names of its columns.
    pub columns: Vec<String>,
    /// Its rows; nothing where there is no value.
    pub rows: Vec<Vec<Option<String>>>,
}

/// What `HELP` tells.
pub(super) const HELP: &str = "Statements end with ';':
  CREATE TABLE, CREATE VIEW       declare what is read and written
  ALTER …, DROP …                 change what was declared
  SELECT …                        show rows; Ctrl-C ends a query that does not end by itself
  INSERT INTO …                   write rows
  EXECUTE STATEMENT SET BEGIN … END   several INSERTs as one job
  EXPLAIN …                       show the plan
  CREATE DATABASE d, USE d        names of several tables; d.t is the t of d
  CREATE CATALOG c WITH ('type' = 'generic_in_memory'), USE CATALOG c   of several databases
  SHOW TABLES, VIEWS, DATABASES, CATALOGS, FUNCTIONS, COLUMNS FROM t, CREATE TABLE t
  DESCRIBE t                      columns, keys and watermark
  SET 'key' = 'value', SET, RESET settings; SET alone lists them
  HELP, CLEAR, QUIT, EXIT
";

impl Answer {
    fn of(columns: &[&str], rows: Vec<Vec<Option<String>>>) -> Self {
        Self { columns: columns.iter().map(|&name| name.to_owned()).collect(), rows }
    }

    /// A list of which there is nothing.
    pub(super) fn none(columns: &[&str]) -> Self {
        Self::of(columns, Vec::new())
    }

    fn info(known: &[(&str, &str)]) -> Self {
        let row = |(name, value): &(&str, &str)| {
            vec![Some((*name).to_owned()), Some((*value).to_owned())]
        };
        Self::of(&["info name", "info value"], known.iter().map(row).collect())
    }

    /// What was set.
    pub(super) fn settings(settings: &BTreeMap<String, String>) -> Self {
        let row = |(key, value): (&String, &String)| vec![Some(key.clone()), Some(value.clone())];
        Self::of(&["key", "value"], settings.iter().map(row).collect())
    }
}

impl Matching {
    fn takes(&self, name: &str) -> bool {
        let (pattern, name) = match self.any_case {
            true => (self.text.to_lowercase(), name.to_lowercase()),
            false => (self.text.clone(), name.to_owned()),
        };
        let (pattern, name): (Vec<char>, Vec<char>) =
            (pattern.chars().collect(), name.chars().collect());
        like(&pattern, &name) != self.negated
    }
}

/// Whether LIKE takes a text: `%` stands for any characters, `_` for one.
fn like(pattern: &[char], text: &[char]) -> bool {
    // Places in the pattern that the text so far may have led to.
    let mut at = vec![false; pattern.len() + 1];
    at[0] = true;
    let skip = |at: &mut Vec<bool>| {
        for i in 0..pattern.len() {
            if at[i] && pattern[i] == '%' {
                at[i + 1] = true;
            }
        }
    };
    skip(&mut at);
    for &c in text {
        let mut next = vec![false; pattern.len() + 1];
        for i in 0..pattern.len() {
            if at[i] && pattern[i] == '%' {
                next[i] = true;
            } else if at[i] && (pattern[i] == '_' || pattern[i] == c) {
                next[i + 1] = true;
            }
        }
        skip(&mut next);
        at = next;
    }
    at[pattern.len()]
}

impl Binder<'_> {
    /// Names of one kind, in order.
    pub(super) fn listed(
        &mut self,
        listed: Listed,
        database: Option<&Ident>,
        pattern: Option<&Matching>,
    ) -> Result<Answer, Reported> {
        let catalog = match (listed, database) {
            (Listed::Databases, Some(catalog)) => {
                self.catalog(catalog)?;
                catalog.text.clone()
            }
            _ => database::current_catalog(),
        };
        let database =
            self.database_or_current(database.filter(|_| listed != Listed::Databases))?;
        let (column, mut names) = match listed {
            Listed::Tables => ("table name", self.names_declared(false, &database)),
            Listed::Views => ("view name", self.names_declared(true, &database)),
            Listed::Functions => {
                let names = functions::names().map(str::to_lowercase).collect();
                ("function name", names)
            }
            Listed::Catalogs => ("catalog name", self.catalogs().cloned().collect()),
            Listed::CurrentCatalog => ("current catalog name", vec![catalog]),
            Listed::Databases => ("database name", self.databases(&catalog)),
            Listed::CurrentDatabase => {
                ("current database name", vec![name_of(&database).to_owned()])
            }
            Listed::Modules => ("module name", vec!["core".to_owned()]),
        };
        names.retain(|name| pattern.is_none_or(|pattern| pattern.takes(name)));
        names.sort();
        names.dedup();
        Ok(Answer::of(&[column], names.into_iter().map(|name| vec![Some(name)]).collect()))
    }

    /// What is known of a function that every program has.
    pub(super) fn function(&mut self, name: &Ident) -> Result<Answer, Reported> {
        let known = functions::names().find(|known| known.eq_ignore_ascii_case(&name.text));
        let Some(known) = known else {
            let hint = did_you_mean(&name.text.to_uppercase(), functions::names(), '\'');
            let message = format!("there is no function '{}'{hint}", name.text);
            return self.fail(name.span, message);
        };
        let usage = functions::usage(known).unwrap_or(known);
        Ok(Answer::info(&[
            ("function name", &known.to_lowercase()),
            ("usage", usage),
            ("is system function", "true"),
            ("is temporary", "false"),
        ]))
    }

    /// What is known of a database.
    pub(super) fn database(&mut self, name: &Ident) -> Result<Answer, Reported> {
        let database = self.database_or_current(Some(name))?;
        let count = self.names_declared(false, &database).len().to_string();
        Ok(Answer::info(&[
            ("name", name_of(&database)),
            ("catalog", catalog_of(&database)),
            ("tables and views", &count),
        ]))
    }

    /// What is known of a catalog.
    pub(super) fn catalog_described(&mut self, name: &Ident) -> Result<Answer, Reported> {
        let catalog = self.catalog(name)?;
        let of: Vec<(String, &str)> = catalog
            .made_of()
            .map(|(key, value)| match key {
                "type" => (key.to_owned(), value),
                _ => (format!("option:{key}"), value),
            })
            .collect();
        let mut known = vec![("name", name.text.as_str())];
        known.extend(of.iter().map(|(key, value)| (key.as_str(), *value)));
        known.insert(2, ("comment", &catalog.comment));
        Ok(Answer::info(&known))
    }

    /// The statement that makes a catalog.
    pub(super) fn catalog_declared(&mut self, name: &Ident) -> Result<String, Reported> {
        let catalog = self.catalog(name)?;
        let options = catalog.made_of();
        let options: Vec<String> = options
            .map(|(key, value)| format!("  {} = {}", written::quoted(key), written::quoted(value)))
            .collect();
        let comment = match catalog.comment.as_str() {
            "" => String::new(),
            comment => format!("COMMENT {}\n", written::quoted(comment)),
        };
        Ok(format!(
            "CREATE CATALOG {}\n{comment}WITH (\n{}\n);\n",
            written::name(name),
            options.join(",\n")
        ))
    }

    /// The columns of a table or view, as Flink's DESCRIBE shows them.
    pub(super) fn described(
        &mut self,
        name: &Ident,
        pattern: Option<&Matching>,
    ) -> Result<Answer, Reported> {
        let mut rows = match self.lookup(name)? {
            Relation::Table(table) => of_table(&table),
            Relation::View(rel) => {
                let row = |field: &crate::rel::Field| {
                    let null = Some(field.ty.nullable.to_string().to_uppercase());
                    let mark = match &field.role {
                        Role::Proctime => " *PROCTIME*",
                        role if role.is_rowtime() => " *ROWTIME*",
                        _ => "",
                    };
                    let (name, ty) = (field.name.clone(), format!("{}{mark}", field.ty.kind));
                    vec![Some(name), Some(ty), null, None, None, None]
                };
                rel.fields.iter().map(row).collect()
            }
            Relation::Broken => return Err(Reported),
        };
        let mut columns = vec!["name", "type", "null", "key", "extras", "watermark"];
        let comments: Vec<Option<String>> = match self.written(name) {
            Some(table) => table.columns.iter().map(|column| column.comment.clone()).collect(),
            None => Vec::new(),
        };
        if comments.iter().any(Option::is_some) {
            columns.push("comment");
            rows.iter_mut().zip(comments).for_each(|(row, comment)| row.push(comment));
        }
        rows.retain(|row| match (&row[0], pattern) {
            (Some(name), Some(pattern)) => pattern.takes(name),
            _ => true,
        });
        Ok(Answer::of(&columns, rows))
    }
}

fn of_table(table: &TableDef) -> Vec<Vec<Option<String>>> {
    let column = |at: usize| format!("`{}`", table.columns[at].name);
    let sql = |expr: &Expr| render::sql(expr, &column);
    let key: Vec<&str> =
        table.primary_key.iter().map(|&at| table.columns[at].name.as_str()).collect();
    let row = |(at, it): (usize, &crate::catalog::Column)| {
        let extras = match &it.kind {
            ColumnKind::Physical => None,
            ColumnKind::Computed(expr) => Some(format!("AS {}", sql(expr))),
            ColumnKind::Metadata { key, is_virtual } => {
                let from = if *key == it.name { String::new() } else { format!(" FROM '{key}'") };
                let is_virtual = if *is_virtual { " VIRTUAL" } else { "" };
                Some(format!("METADATA{from}{is_virtual}"))
            }
        };
        let watermark = table.watermark.as_ref().filter(|mark| mark.column == at);
        let mark = match &it.kind {
            _ if watermark.is_some() => " *ROWTIME*",
            ColumnKind::Computed(expr) if role_of(expr, &[]) == Role::Proctime => " *PROCTIME*",
            _ => "",
        };
        let watermark = watermark.map(|mark| match &mark.rule {
            WatermarkRule::Delay(delay) if delay.is_zero() => column(at),
            WatermarkRule::Delay(delay) => {
                format!("{} - INTERVAL '{}' SECOND", column(at), delay.as_secs_f64())
            }
            WatermarkRule::Expr(expr) => sql(expr),
        });
        vec![
            Some(it.name.clone()),
            Some(format!("{}{mark}", it.ty.kind)),
            Some(it.ty.nullable.to_string().to_uppercase()),
            table.primary_key.contains(&at).then(|| format!("PRI({})", key.join(", "))),
            extras,
            watermark,
        ]
    };
    table.columns.iter().enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_what_like_takes() {
        let takes = |pattern: &str, name: &str| {
            let text = pattern.to_owned();
            Matching { negated: false, any_case: false, text }.takes(name)
        };
        assert!(takes("fl%", "flights") && takes("%", "") && takes("f_ights", "flights"));
        assert!(takes("%i%h%", "flights") && takes("flights", "flights"));
        assert!(!takes("fl", "flights") && !takes("F%", "flights") && !takes("_", ""));
    }
}
