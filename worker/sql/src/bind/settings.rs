//! `SET` and `RESET`.

use weir_connectors::options::parse_duration;

use super::Binder;
use super::emit::{EMIT, Emit};
use crate::error::{Span, SqlError, Warning, did_you_mean};
use crate::zone::{self, Zone};

/// The setting that says whether results are final.
pub(super) const MODE: &str = "execution.runtime-mode";

/// Settings that a program can change.
pub(crate) const KNOWN: [&str; 3] = ["table.exec.state.ttl", "table.local-time-zone", MODE];

/// Settings of Flink that say how something is done and not what comes out, by how their names
/// begin, and why they do nothing here.
const WITHOUT_EFFECT: [(&str, &str); 29] = [
    ("execution.target", "the job runs where it is started"),
    ("jobmanager.", "there is no job manager: workers are those of the manifest"),
    ("taskmanager.", "there are no task managers: workers are those of the manifest"),
    ("table.exec.sink.upsert-materialize", "the order of a key's rows is kept"),
    ("table.exec.sink.keyed-shuffle", "the order of a key's rows is kept"),
    ("parallelism.default", "parallelism is spec.parallelism of the manifest"),
    ("pipeline.max-parallelism", "this is spec.maxParallelism of the manifest"),
    ("pipeline.name", "the job's name is metadata.name of the manifest"),
    ("pipeline.", "rows are not copied between operators anyway"),
    ("execution.checkpointing", "checkpoints are set under spec.state of the manifest"),
    ("execution.savepoint", "a job goes on from its own state by itself"),
    ("state.", "state is set under spec.state of the manifest"),
    ("restart-strategy", "a job that fails goes on from its last checkpoint"),
    ("sql-client.", "it belongs to Flink's SQL client"),
    ("table.display.", "it belongs to Flink's SQL client"),
    ("table.dml-sync", "every statement of the program runs, as one job"),
    ("table.exec.mini-batch.", "rows are always taken in batches"),
    ("table.exec.resource.", "resources are those of the manifest"),
    ("table.exec.async-", "reading ahead is always done"),
    ("table.exec.rank.topn-cache-size", "memory is that of the worker"),
    ("table.exec.window-agg.buffer-size-limit", "memory is that of the worker"),
    ("table.exec.spill-", "memory is that of the worker"),
    ("table.exec.sort.", "memory is that of the worker"),
    ("table.exec.simplify-operator-name-enabled", "names are short anyway"),
    ("table.exec.uid.", "operators are known by what they do"),
    ("table.optimizer.", "plans are made without it"),
    ("table.dynamic-table-options.enabled", "options in hints are always taken"),
    ("table.generated-code.", "no code is generated"),
    ("table.sql-dialect", "the dialect is Flink's"),
];

impl Binder<'_> {
    pub(super) fn set(&mut self, key: &str, value: &str, span: Span) {
        match key {
            "table.local-time-zone" => match Zone::parse(value) {
                Some(zone) => self.set_zone(zone, span),
                None => {
                    self.report(SqlError::new(span, format!("'table.local-time-zone' = '{value}' is no time zone; write it as 'Europe/Berlin', 'GMT+08:00' or 'UTC'")));
                }
            },
            "table.exec.state.ttl" => match parse_duration(value) {
                Some(ttl) => self.state_ttl = Some(ttl).filter(|ttl| !ttl.is_zero()),
                None => {
                    self.report(SqlError::new(span, format!("'table.exec.state.ttl' = '{value}' is no length of time; write it as '12 h' or '30 min', 0 for ever")));
                }
            },
            MODE => {
                let batch = match value.to_ascii_lowercase().as_str() {
                    "batch" => true,
                    "streaming" => false,
                    _ => {
                        self.report(SqlError::new(span, format!("'execution.runtime-mode' = '{value}' is not supported; use 'streaming' or 'batch'")));
                        return;
                    }
                };
                if self.writes && batch != self.batch {
                    self.report(SqlError::new(span, "a program is one job, which runs in one mode: set 'execution.runtime-mode' before the first INSERT and SELECT"));
                }
                self.batch = batch;
            }
            _ if EMIT.contains(&key) => self.set_emit(key, value, span),
            "table.sql-dialect" if !value.eq_ignore_ascii_case("default") => {
                self.report(SqlError::new(
                    span,
                    format!("'table.sql-dialect' = '{value}' is not supported; use 'default'"),
                ));
            }
            _ => match WITHOUT_EFFECT.iter().find(|(known, _)| key.starts_with(known)) {
                Some((_, why)) => self.warnings.push(Warning {
                    span,
                    message: format!("'{key}' changes nothing here: {why}"),
                }),
                None => self.unknown_setting(key, span),
            },
        }
    }

    /// Back to what holds without `SET`.
    pub(super) fn reset(&mut self, key: Option<&(String, Span)>) {
        match key {
            None => {
                self.state_ttl = None;
                self.emit = Emit::default();
                self.batch &= self.writes;
                self.set_zone(Zone::Utc, Span::default());
            }
            Some((key, _)) if key == MODE => self.batch &= self.writes,
            Some((key, span)) if key == "table.local-time-zone" => self.set_zone(Zone::Utc, *span),
            Some((key, _)) if key == "table.exec.state.ttl" => self.state_ttl = None,
            Some((key, _)) if EMIT.contains(&key.as_str()) => self.reset_emit(key),
            Some((key, _)) if KNOWN.contains(&key.as_str()) => {}
            Some((key, _)) if WITHOUT_EFFECT.iter().any(|(known, _)| key.starts_with(known)) => {}
            Some((key, span)) => self.unknown_setting(key, *span),
        }
    }

    /// Tables and views are bound where they are declared, and in Flink where they are read: a
    /// zone that changes between the two would be the wrong one for them.
    fn set_zone(&mut self, zone: Zone, span: Span) {
        let asked = zone::was_asked();
        if asked && zone::current() != zone {
            self.report(SqlError::new(span, "'table.local-time-zone' changes after a table or view whose expressions depend on it was declared; set it before"));
        }
        zone::set(zone);
        zone::forget(asked);
    }

    fn unknown_setting(&mut self, key: &str, span: Span) {
        let mut hint = did_you_mean(key, KNOWN.into_iter().chain(EMIT), '\'');
        if key == "table.exec.source.idle-timeout" {
            hint = "; give the table 'scan.watermark.idle-timeout' instead".to_owned();
        } else if hint.is_empty() {
            hint = format!("; known are '{}', '{}' and '{}'", KNOWN[0], KNOWN[1], KNOWN[2]);
        }
        self.report(SqlError::new(span, format!("the option '{key}' is unknown{hint}")));
    }
}
