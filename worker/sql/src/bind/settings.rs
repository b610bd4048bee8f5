//! `SET` and `RESET`.

use std::time::Duration;

use weir_connectors::options::parse_duration;

use super::emit::{EMIT, Emit};
use super::{Binder, Reported};
use crate::error::{Span, SqlError, Warning, did_you_mean};
use crate::zone::{self, Zone};

/// The setting that says whether results are final.
pub(super) const MODE: &str = "execution.runtime-mode";

/// How long a source may be silent before it holds up event time no more.
const IDLE: &str = "table.exec.source.idle-timeout";
/// What happens to rows that hold NULL where a table takes none.
const NOT_NULL: &str = "table.exec.sink.not-null-enforcer";

/// Settings that a program can change.
pub(crate) const KNOWN: [&str; 5] =
    ["table.exec.state.ttl", "table.local-time-zone", MODE, IDLE, NOT_NULL];

/// Settings that would change rows: the value that says what holds here anyway, and what to do
/// instead of giving them another.
const HELD: [(&str, &str, &str); 8] = [
    (
        "table.exec.sink.type-length-enforcer",
        "IGNORE",
        "texts and bytes are written as long as they are; cut them with LEFT(column, n), or filter by CHAR_LENGTH(column)",
    ),
    (
        "table.exec.sink.nested-constraint-enforcer",
        "IGNORE",
        "fields of ROW, ARRAY and MAP are written as they are; filter the rows in the query",
    ),
    (
        "table.exec.legacy-cast-behaviour",
        "DISABLED",
        "a CAST that fails ends the job; write TRY_CAST where NULL is to take the value's place",
    ),
    (
        "table.column-expansion-strategy",
        "",
        "SELECT * gives all columns of a table; name those that are wanted",
    ),
    (
        "table.exec.source.cdc-events-duplicate",
        "false",
        "changes are taken to come once each; keep the newest row of each key in the query, with ROW_NUMBER() OVER (PARTITION BY key ORDER BY time DESC) = 1 over a table of plain rows",
    ),
    (
        "table.exec.sort.default-limit",
        "-1",
        "all rows of an ORDER BY are given; write LIMIT behind it",
    ),
    (
        "table.legacy-nested-row-nullability",
        "false",
        "rows inside of others are as they are declared",
    ),
    ("table.sql-dialect", "default", "the dialect is Flink's; use 'default'"),
];

/// Settings of Flink that say how something is done and not what comes out, by how their names
/// begin, and why they do nothing here.
const WITHOUT_EFFECT: [(&str, &str); 79] = [
    ("execution.target", "the job runs where it is started"),
    ("execution.attached", "the job runs where it is started"),
    ("execution.shutdown-on-", "the job runs where it is started"),
    ("execution.submit-", "the job runs where it is started"),
    ("execution.checkpointing", "checkpoints are set under spec.state of the manifest"),
    ("execution.savepoint", "a job goes on from its own state by itself"),
    ("execution.state-recovery", "a job goes on from its own state by itself"),
    ("execution.buffer-timeout", "rows leave in batches as they come"),
    ("execution.batch-", "a batch job runs as any other"),
    ("execution.batch.", "a batch job runs as any other"),
    ("execution.sorted-inputs", "a batch job runs as any other"),
    ("jobmanager.", "there is no job manager: workers are those of the manifest"),
    ("taskmanager.", "there are no task managers: workers are those of the manifest"),
    ("jobstore.", "there is no job manager: workers are those of the manifest"),
    ("rest.", "there is no REST endpoint of Flink; the job's page and API are set in the manifest"),
    ("web.", "the page is the job's own"),
    ("client.", "there is no client beside the job"),
    ("historyserver.", "there is no history server"),
    ("cluster.", "a job is its own cluster"),
    ("high-availability", "a job goes on from its own state, whoever coordinates it"),
    ("yarn.", "the job runs on Kubernetes or where it is started"),
    ("kubernetes.", "pods are those of the manifest"),
    ("external-resource", "resources are those of the manifest"),
    ("slotmanager.", "workers are those of the manifest"),
    ("slot.", "workers are those of the manifest"),
    ("scheduler", "parallelism is spec.parallelism of the manifest"),
    ("metrics.", "metrics are always there for Prometheus"),
    ("env.", "there is no JVM"),
    ("classloader.", "there is no JVM"),
    ("akka.", "there is no JVM"),
    ("pekko.", "there is no JVM"),
    ("security.", "what secures a connection is an option of its table"),
    ("python.", "there are no functions in Python"),
    ("s3.", "access to the store is set in the manifest"),
    ("fs.", "access to the store is set in the manifest"),
    ("io.tmp.dirs", "files of the job are in the worker's own folder"),
    ("heartbeat.", "workers watch each other anyway"),
    ("task.", "tasks are cancelled at once"),
    ("job-event.", "batch jobs begin anew"),
    ("$internal.", "it is Flink's own"),
    ("table.exec.sink.upsert-materialize", "the order of a key's rows is kept"),
    ("table.exec.sink.keyed-shuffle", "the order of a key's rows is kept"),
    ("table.exec.sink.rowtime-inserter", "times of rows are in their columns"),
    ("table.exec.deduplicate.", "sinks take a first row and a newer one alike"),
    ("table.exec.disabled-operators", "plans are made without it"),
    ("table.exec.operator-fusion-codegen", "no code is generated"),
    ("table.exec.local-hash-agg.", "plans are made without it"),
    ("table.exec.shuffle-mode", "rows go to the next operator as they come"),
    ("table.exec.interval-join.", "rows that have no match leave as soon as none can come"),
    ("table.dynamic-table-options.enabled", "options in hints are always taken"),
    ("table.exec.delta-join.", "plans are made without it"),
    ("table.planner", "there is one planner"),
    ("table.plan.", "plans are not stored"),
    ("table.builtin-catalog-name", "the catalog is default_catalog"),
    (
        "table.builtin-database-name",
        "the database is default_database; CREATE DATABASE makes others",
    ),
    ("table.catalog-modification.", "tables are those of the program"),
    ("table.catalog-store.", "tables are those of the program"),
    ("table.resources.", "nothing is downloaded"),
    ("table.rtas-ctas.", "a table made of a query is filled by the job"),
    ("parallelism.default", "parallelism is spec.parallelism of the manifest"),
    ("pipeline.max-parallelism", "this is spec.maxParallelism of the manifest"),
    ("pipeline.name", "the job's name is metadata.name of the manifest"),
    ("pipeline.", "rows are not copied between operators anyway"),
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
    ("table.generated-code.", "no code is generated"),
];

/// What a program may set besides: its own keys, and those of tools around it.
const UNKNOWN: &str = "no setting of this name is known";

impl Binder<'_> {
    pub(super) fn set(&mut self, key: &str, value: &str, span: Span) {
        match key {
            "table.local-time-zone" => match Zone::parse(value) {
                Some(zone) => self.set_zone(zone, span),
                None => {
                    self.report(SqlError::new(span, format!("'table.local-time-zone' = '{value}' is no time zone; write it as 'Europe/Berlin', 'GMT+08:00' or 'UTC'")));
                }
            },
            "table.exec.state.ttl" => self.state_ttl = self.length_of(key, value, span),
            IDLE => self.source_idle = self.length_of(key, value, span),
            NOT_NULL => match value.to_ascii_uppercase().as_str() {
                "ERROR" => self.drops_null = false,
                "DROP" => self.drops_null = true,
                _ => {
                    self.report(SqlError::new(
                        span,
                        format!("'{key}' = '{value}' is not supported; use 'ERROR' or 'DROP'"),
                    ));
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
            _ => self.set_other(key, value, span),
        }
    }

    /// A length of time that was set; none for 0.
    fn length_of(&mut self, key: &str, value: &str, span: Span) -> Option<Duration> {
        let Some(length) = parse_duration(value) else {
            let zero = if key == IDLE { "never" } else { "for ever" };
            self.report(SqlError::new(span, format!("'{key}' = '{value}' is no length of time; write it as '12 h' or '30 min', 0 {zero}")));
            return None;
        };
        Some(length).filter(|length| !length.is_zero())
    }

    /// What is set that is not done here: it passes where that changes no row.
    fn set_other(&mut self, key: &str, value: &str, span: Span) {
        if let Some((_, held, instead)) = HELD.iter().find(|(held, ..)| *held == key) {
            if !value.eq_ignore_ascii_case(held) {
                let message = format!("'{key}' = '{value}' is not supported: {instead}");
                self.report(SqlError::new(span, message));
            }
            return;
        }
        if let Ok(Some(why)) = self.without_effect(key, span) {
            self.warnings
                .push(Warning { span, message: format!("'{key}' changes nothing here: {why}") });
        }
    }

    /// Why a setting does nothing here; nothing where it does.
    fn without_effect(&mut self, key: &str, span: Span) -> Result<Option<&'static str>, Reported> {
        let does = KNOWN.contains(&key)
            || EMIT.contains(&key)
            || HELD.iter().any(|(held, ..)| *held == key);
        if does {
            return Ok(None);
        }
        if let Some((_, why)) = WITHOUT_EFFECT.iter().find(|(known, _)| key.starts_with(known)) {
            return Ok(Some(why));
        }
        let held = HELD.iter().map(|(held, ..)| *held);
        let mut hint = did_you_mean(key, KNOWN.into_iter().chain(EMIT).chain(held), '\'');
        if hint.is_empty() && !key.starts_with("table.") {
            return Ok(Some(UNKNOWN));
        }
        if hint.is_empty() {
            let known: Vec<String> = KNOWN.iter().map(|known| format!("'{known}'")).collect();
            hint = format!("; known are {}", known.join(", "));
        }
        self.fail(span, format!("the option '{key}' is unknown{hint}"))
    }

    /// Back to what holds without `SET`.
    pub(super) fn reset(&mut self, key: Option<&(String, Span)>) {
        match key {
            None => {
                self.state_ttl = None;
                self.source_idle = None;
                self.drops_null = false;
                self.emit = Emit::default();
                self.batch &= self.writes;
                self.set_zone(Zone::Utc, Span::default());
            }
            Some((key, _)) if key == MODE => self.batch &= self.writes,
            Some((key, span)) if key == "table.local-time-zone" => self.set_zone(Zone::Utc, *span),
            Some((key, _)) if key == "table.exec.state.ttl" => self.state_ttl = None,
            Some((key, _)) if EMIT.contains(&key.as_str()) => self.reset_emit(key),
            Some((key, _)) if key == IDLE => self.source_idle = None,
            Some((key, _)) if key == NOT_NULL => self.drops_null = false,
            Some((key, span)) => drop(self.without_effect(key, *span)),
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
}
