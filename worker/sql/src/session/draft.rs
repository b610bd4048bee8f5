//! A text that is being written: what each of its statements would come to, and everything that is
//! wrong with it, without running any.

use std::collections::BTreeSet;

use weir_connectors::table::{Place, Problem};
use weir_engine::graph::OperatorInfo;

use super::{Bound, Entry, Kind, Outcome, Scope, Session, Shown, tokens};
use crate::ast::Statement;
use crate::bind::Binder;
use crate::catalog::Relation;
use crate::error::{Span, SqlError, Warning};
use crate::lower::at_options;
use crate::{PlanOptions, Planned};

/// What a statement of a draft would come to.
pub struct Drafted {
    /// Where it stands; see [`Session::in_last`].
    pub span: Span,
    /// What it is for.
    pub kind: Kind,
    /// The job that it would be, where it is one and nothing is wrong with it.
    pub planned: Option<Planned>,
    /// What is known of its rows, where it asks for rows.
    pub shown: Option<Shown>,
}

/// What a draft comes to.
#[derive(Default)]
pub struct Draft {
    /// What could be understood, in the order of the text.
    pub statements: Vec<Drafted>,
    /// Everything that is wrong, each once, in the order of the text.
    pub errors: Vec<SqlError>,
    /// What works, but not as might be thought.
    pub warnings: Vec<Warning>,
}

impl Session {
    /// Reads a text that is being written as what would be given next, and tells what it would come
    /// to. Nothing is said of what only follows from an error elsewhere: what stands behind a
    /// statement that cannot be read is not judged, since that may have declared anything.
    pub fn draft(&mut self, text: &str, options: &PlanOptions) -> Draft {
        let (entries, errors) = self.read_draft(text);
        let unread = errors.first().map(|error| error.span);
        let mut draft = Draft { errors, ..Draft::default() };
        let mut seen: BTreeSet<SqlError> = draft.errors.iter().cloned().collect();
        let mut session = self.clone();
        for entry in entries {
            if unread.is_some_and(|unread| entry.span() > unread) {
                break;
            }
            let before = session.kept.len();
            let (bound, mut found) = session.bind_draft(&entry, options);
            let mut drafted =
                Drafted { span: entry.span(), kind: entry.kind(), planned: None, shown: None };
            if found.is_empty() {
                match session.judge(&entry, bound, options) {
                    Ok((outcome, mut warnings)) => {
                        draft.warnings.append(&mut warnings);
                        match outcome {
                            Outcome::Query(planned, shown) => {
                                drafted.planned = Some(*planned);
                                drafted.shown = Some(shown);
                            }
                            Outcome::Insert(planned) => drafted.planned = Some(*planned),
                            _ => {}
                        }
                    }
                    Err(errors) => found = errors,
                }
            }
            let is_kept = session.kept.len() > before;
            if !found.is_empty() && entry.kind() == Kind::Declares && !is_kept {
                // What uses it is not wrong because of it.
                session.hold(&entry);
            }
            found.retain(|error| seen.insert(error.clone()));
            draft.errors.append(&mut found);
            draft.statements.push(drafted);
        }
        // What was declared before is not what is being written.
        draft.errors.retain(|error| self.in_last(error.span).is_some());
        draft.errors.sort();
        draft
    }

    fn judge(
        &mut self,
        entry: &Entry,
        mut bound: Bound<'_>,
        options: &PlanOptions,
    ) -> Result<(Outcome, Vec<Warning>), Vec<SqlError>> {
        let mut errors = Vec::new();
        for statement in &entry.0.statements {
            if let Statement::CreateTable(table) = statement
                && let Ok(Relation::Table(table)) = bound.binder.lookup(&table.name)
            {
                let place = || Place {
                    job: options.job.clone(),
                    operator: OperatorInfo::default(),
                    base: options.base.clone(),
                    first_row: None,
                };
                let source = table.as_source();
                let columns: Vec<usize> = (0..source.schema.fields().len()).collect();
                let read = options.parts.source(&source, &columns, &place()).err();
                let written = options.parts.sink(&table.as_sink(), &place()).err();
                if let (Some(mut read), Some(mut written)) = (read, written) {
                    // Some connectors can only be read, or only be written; of others it is not known
                    // yet what the table is for, and what is wrong either way is wrong.
                    let connector = source.options.get("connector").map(|option| option.at);
                    let cannot = |problems: &[Problem]| {
                        problems
                            .iter()
                            .any(|problem| problem.at.is_some() && problem.at == connector)
                    };
                    if cannot(&read) && !cannot(&written) {
                        std::mem::swap(&mut read, &mut written);
                    } else if !cannot(&written) {
                        read.retain(|problem| {
                            let same = |other: &Problem| other.at == problem.at;
                            problem.at.is_some() && written.iter().any(same)
                        });
                    }
                    errors.extend(at_options(&table, read));
                }
            }
        }
        let answered = self.answer_bound(entry, bound, options);
        if errors.is_empty() {
            return answered.map(|answered| (answered.outcome, answered.warnings));
        }
        errors.extend(answered.err().into_iter().flatten());
        errors.sort();
        errors.dedup();
        Err(errors)
    }

    /// Keeps a declaration that something is wrong with.
    fn hold(&mut self, entry: &Entry) {
        for statement in &entry.0.statements {
            self.push(statement.clone(), entry);
        }
    }

    /// What names stand for behind this text, which need not be whole: for completion. What is wrong
    /// in it declares nothing.
    #[must_use]
    pub fn scope_behind(&self, text: &str, options: &PlanOptions) -> Scope {
        let mut session = self.clone();
        let (entries, _) = session.read_draft(text);
        let entries = entries.iter().filter(|entry| entry.kind() == Kind::Declares);
        let declared = entries.flat_map(|entry| &entry.0.statements);
        let kept = session.kept.iter().map(|kept| &kept.statement);
        let statements: Vec<Statement> = kept.chain(declared).cloned().collect();
        let mut binder = Binder::new(options);
        binder.program(&statements);
        Scope::of(&mut binder)
    }
}

/// Where the statement begins that is being written at the end of a text, in bytes.
#[must_use]
pub fn statement_at_end(text: &str) -> usize {
    let mut ends = tokens(text).into_iter().filter(|token| &text[token.start..token.end] == ";");
    ends.next_back().map_or(0, |token| token.end)
}
