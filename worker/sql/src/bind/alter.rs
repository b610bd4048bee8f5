//! `CREATE TABLE … LIKE` and `ALTER TABLE`: declarations made of declarations, before anything of
//! them is looked up. What they lead to is bound like a `CREATE TABLE` that says it all.

use crate::ast::{
    Change, ColumnDef, ColumnKind, CreateTable, Expr, ExprKind, Feature, Ident, LikeRule, Merging,
    OptionDef, Place,
};
use crate::error::{Span, SqlError, did_you_mean};
use crate::parse::children;

/// The table that `own … LIKE base (rules)` declares.
///
/// # Errors
/// Where both say something that only one may say.
pub(super) fn like(
    base: &CreateTable,
    own: &CreateTable,
    rules: &[LikeRule],
) -> Result<CreateTable, SqlError> {
    let how = |feature: Feature| {
        let said = |feature| rules.iter().find(|rule| rule.feature == feature);
        match said(feature).or_else(|| said(Feature::All)) {
            Some(rule) => rule.merging,
            None if feature == Feature::Options => Merging::Overwriting,
            None => Merging::Including,
        }
    };
    let kept = |column: &&ColumnDef| match column.kind {
        ColumnKind::Computed(_) => how(Feature::Generated) != Merging::Excluding,
        ColumnKind::Metadata { .. } => how(Feature::Metadata) != Merging::Excluding,
        ColumnKind::Physical(_) | ColumnKind::OfQuery => true,
    };
    let mut table = CreateTable { like: None, ..own.clone() };
    table.columns = base.columns.iter().filter(kept).cloned().collect();
    for column in &own.columns {
        let name = &column.name;
        let Some(known) = table.columns.iter_mut().find(|c| c.name.text == name.text) else {
            table.columns.push(column.clone());
            continue;
        };
        let (overwritten, word) = match (&known.kind, &column.kind) {
            (ColumnKind::Computed(_), ColumnKind::Computed(_)) => {
                (how(Feature::Generated) == Merging::Overwriting, "GENERATED")
            }
            (ColumnKind::Metadata { .. }, ColumnKind::Metadata { .. }) => {
                (how(Feature::Metadata) == Merging::Overwriting, "METADATA")
            }
            _ => (false, ""),
        };
        if !overwritten {
            let way_out = match word {
                "" => "; leave it out, or name it otherwise".to_owned(),
                word => format!("; write OVERWRITING {word} or EXCLUDING {word}"),
            };
            return Err(both(name.span, &format!("the column \"{}\"", name.text), base, &way_out));
        }
        *known = column.clone();
    }
    table.watermark = match (&base.watermark, &own.watermark, how(Feature::Watermarks)) {
        (Some(_), Some(own), Merging::Including) => {
            let way_out = "; write OVERWRITING WATERMARKS or EXCLUDING WATERMARKS";
            return Err(both(own.column.span, "a WATERMARK", base, way_out));
        }
        (Some(of_base), None, Merging::Including | Merging::Overwriting) => Some(of_base.clone()),
        (_, own, _) => own.clone(),
    };
    let names = |feature, of_base: &Vec<Ident>, own: &Vec<Ident>, what: &str, word: &str| match (
        of_base.first(),
        own.first(),
    ) {
        (Some(_), Some(first)) if how(feature) != Merging::Excluding => {
            Err(both(first.span, what, base, &format!("; write EXCLUDING {word}")))
        }
        (Some(_), None) if how(feature) != Merging::Excluding => Ok(of_base.clone()),
        _ => Ok(own.clone()),
    };
    table.primary_key = names(
        Feature::Constraints,
        &base.primary_key,
        &own.primary_key,
        "a PRIMARY KEY",
        "CONSTRAINTS",
    )?;
    table.partitioned_by = names(
        Feature::Partitions,
        &base.partitioned_by,
        &own.partitioned_by,
        "PARTITIONED BY",
        "PARTITIONS",
    )?;
    if how(Feature::Options) != Merging::Excluding {
        table.options.clone_from(&base.options);
        for option in &own.options {
            let is_known = table.options.iter().any(|known| known.key == option.key);
            if is_known && how(Feature::Options) == Merging::Including {
                let what = format!("the option '{}'", option.key);
                return Err(both(option.key_span, &what, base, "; write OVERWRITING OPTIONS"));
            }
            set_option(&mut table, option);
        }
    }
    Ok(table)
}

fn both(span: Span, what: &str, base: &CreateTable, way_out: &str) -> SqlError {
    SqlError::new(span, format!("table \"{}\" has {what} already{way_out}", base.name.shown()))
}

fn set_option(table: &mut CreateTable, option: &OptionDef) {
    table.options.retain(|known| known.key != option.key);
    table.options.push(option.clone());
}

/// Changes the declaration of a table; its name and a view's query are not changed here.
///
/// # Errors
/// Where the table has not what is changed, or has already what is added.
pub(super) fn alter(table: &mut CreateTable, change: &Change) -> Result<(), SqlError> {
    match change {
        Change::Rename(_) | Change::Query(_) => Ok(()),
        Change::SetOptions(options) => {
            options.iter().for_each(|option| set_option(table, option));
            Ok(())
        }
        Change::ResetOptions(keys) => {
            for (key, span) in keys {
                if key == "connector" {
                    return Err(SqlError::new(*span, "a table cannot be without a connector"));
                }
                // One that the table has not is reset already, as in Flink.
                table.options.retain(|option| option.key != *key);
            }
            Ok(())
        }
        Change::Add { part, places } => add(table, part, places),
        Change::Modify { part, places } => modify(table, part, places),
        Change::DropColumns(names) => drop_columns(table, names),
        Change::DropPrimaryKey(span) => {
            if std::mem::take(&mut table.primary_key).is_empty() {
                return Err(SqlError::new(*span, "the table has no PRIMARY KEY"));
            }
            Ok(())
        }
        Change::DropWatermark(span) => match table.watermark.take() {
            Some(_) => Ok(()),
            None => Err(SqlError::new(*span, "the table has no WATERMARK")),
        },
        Change::RenameColumn { from, to } => rename_column(table, from, to),
    }
}

fn add(
    table: &mut CreateTable,
    part: &CreateTable,
    places: &[(Ident, Place)],
) -> Result<(), SqlError> {
    for column in &part.columns {
        let name = &column.name;
        if table.columns.iter().any(|known| known.name.text == name.text) {
            let message =
                format!("the table has a column \"{}\" already; MODIFY changes it", name.text);
            return Err(SqlError::new(name.span, message));
        }
        table.columns.push(column.clone());
        put(table, name, places)?;
    }
    if let Some(watermark) = &part.watermark {
        if table.watermark.is_some() {
            let message = "the table has a WATERMARK already; MODIFY changes it";
            return Err(SqlError::new(watermark.column.span, message));
        }
        table.watermark = Some(watermark.clone());
    }
    if let Some(first) = part.primary_key.first() {
        if !table.primary_key.is_empty() {
            let message = "the table has a PRIMARY KEY already; MODIFY changes it";
            return Err(SqlError::new(first.span, message));
        }
        table.primary_key.clone_from(&part.primary_key);
    }
    Ok(())
}

fn modify(
    table: &mut CreateTable,
    part: &CreateTable,
    places: &[(Ident, Place)],
) -> Result<(), SqlError> {
    for column in &part.columns {
        let at = position(table, &column.name)?;
        table.columns[at] = column.clone();
        put(table, &column.name, places)?;
    }
    if let Some(watermark) = &part.watermark {
        if table.watermark.is_none() {
            let message = "the table has no WATERMARK; ADD gives it one";
            return Err(SqlError::new(watermark.column.span, message));
        }
        table.watermark = Some(watermark.clone());
    }
    if let Some(first) = part.primary_key.first() {
        if table.primary_key.is_empty() {
            let message = "the table has no PRIMARY KEY; ADD gives it one";
            return Err(SqlError::new(first.span, message));
        }
        table.primary_key.clone_from(&part.primary_key);
    }
    Ok(())
}

/// Puts a column where it is to stand.
fn put(table: &mut CreateTable, name: &Ident, places: &[(Ident, Place)]) -> Result<(), SqlError> {
    let Some((_, place)) = places.iter().find(|(of, _)| of == name) else { return Ok(()) };
    let from = position(table, name)?;
    let column = table.columns.remove(from);
    let to = match place {
        Place::First => 0,
        Place::After(other) => position(table, other)? + 1,
    };
    table.columns.insert(to, column);
    Ok(())
}

fn position(table: &CreateTable, name: &Ident) -> Result<usize, SqlError> {
    table.columns.iter().position(|column| column.name.text == name.text).ok_or_else(|| {
        let known = table.columns.iter().map(|column| column.name.text.as_str());
        let hint = did_you_mean(&name.text, known, '"');
        let message =
            format!("table \"{}\" has no column \"{}\"{hint}", table.name.shown(), name.text);
        SqlError::new(name.span, message)
    })
}

fn drop_columns(table: &mut CreateTable, names: &[Ident]) -> Result<(), SqlError> {
    for name in names {
        let at = position(table, name)?;
        table.columns.remove(at);
    }
    for name in names {
        let is_named = |columns: &[Ident]| columns.iter().any(|column| column.text == name.text);
        let use_of = if is_named(&table.primary_key) {
            Some("its PRIMARY KEY".to_owned())
        } else if is_named(&table.partitioned_by) {
            Some("PARTITIONED BY".to_owned())
        } else {
            used_by(table, name)
        };
        if let Some(use_of) = use_of {
            let message = format!("column \"{}\" is used by {use_of}; drop that first", name.text);
            return Err(SqlError::new(name.span, message));
        }
    }
    Ok(())
}

fn rename_column(table: &mut CreateTable, from: &Ident, to: &Ident) -> Result<(), SqlError> {
    let at = position(table, from)?;
    if table.columns.iter().any(|column| column.name.text == to.text) {
        let message = format!("the table has a column \"{}\" already", to.text);
        return Err(SqlError::new(to.span, message));
    }
    if let Some(use_of) = used_by(table, from) {
        let message = format!("column \"{}\" is used by {use_of}; change that first", from.text);
        return Err(SqlError::new(from.span, message));
    }
    table.columns[at].name = to.clone();
    for name in table.primary_key.iter_mut().chain(&mut table.partitioned_by) {
        if name.text == from.text {
            *name = to.clone();
        }
    }
    Ok(())
}

/// The watermark or computed column whose expression names a column.
fn used_by(table: &CreateTable, name: &Ident) -> Option<String> {
    if let Some(watermark) = &table.watermark
        && (watermark.column.text == name.text || names(&watermark.expr, name))
    {
        return Some("the WATERMARK".to_owned());
    }
    table.columns.iter().find_map(|column| match &column.kind {
        ColumnKind::Computed(expr) if names(expr, name) => {
            Some(format!("the computed column \"{}\"", column.name.text))
        }
        _ => None,
    })
}

fn names(expr: &Expr, name: &Ident) -> bool {
    match &expr.kind {
        ExprKind::Column(parts) => parts.iter().any(|part| part.text == name.text),
        kind => children(kind).any(|child| names(child, name)),
    }
}
