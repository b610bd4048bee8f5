//! `spec`, apart from where state is kept and what the pods look like.

use std::time::Duration;

use saphyr_parser::ScalarStyle;

use super::folded::swallowing_comment;
use super::state::read_state;
use super::workers::read_workers;
use crate::duration::format_duration;
use crate::fields::{Faults, Field, or_default};
use crate::limits;
use crate::spec::{
    Backoff, Deletion, DeletionPolicy, DeletionTimeout, DesiredState, NetworkPolicy, Restart,
    StateRetention, StreamJobSpec, Upgrade, UpgradeStrategy,
};
use crate::types::SqlPosition;

const KNOWN: [&str; 14] = [
    "sql",
    "sqlFrom",
    "image",
    "parallelism",
    "maxParallelism",
    "desiredState",
    "restartToken",
    "state",
    "upgrade",
    "restart",
    "nodeLostTimeout",
    "deletion",
    "workers",
    "networkPolicy",
];

pub(super) fn read_spec(
    field: &Field<'_>,
    file: &str,
    faults: &mut Faults<'_>,
) -> Option<(StreamJobSpec, SqlPosition)> {
    let fields = faults.fields(field.node, field.line, &field.path, &KNOWN)?;
    let defaults = StreamJobSpec::default();
    let sql = match (fields.get("sql"), fields.get("sqlFrom")) {
        (Some(_), Some(from)) => {
            let message = "sql and sqlFrom are both given; keep one";
            faults.add(from.line, &from.path, message);
            None
        }
        // Which text that is only an API server knows; whoever asked one has written it to `sql`.
        (None, Some(from)) => {
            let message = "a ConfigMap can only be read in a cluster; to run the job here, write its program into spec.sql";
            faults.add(from.line, &from.path, message);
            None
        }
        _ => fields
            .require(
                faults,
                "sql",
                "write the job's program as 'sql: |' and the statements below it",
            )
            .and_then(|field| read_sql(&field, file, faults)),
    };
    let image = match fields.get("image") {
        Some(field) => bounded_text(&field, faults, limits::IMAGE_LEN).map(Some),
        None => Some(None),
    };
    let max_parallelism = or_default(fields.get("maxParallelism"), defaults.max_parallelism, |f| {
        faults.integer_within(f, 1, limits::MAX_PARALLELISM)
    });
    let parallelism = or_default(fields.get("parallelism"), defaults.parallelism, |f| {
        read_parallelism(f, max_parallelism, faults)
    });
    let desired_state = or_default(fields.get("desiredState"), defaults.desired_state, |f| {
        let choices = [
            ("Running", DesiredState::Running),
            ("Suspended", DesiredState::Suspended),
            ("Drained", DesiredState::Drained),
        ];
        faults.choice(f, &choices)
    });
    let restart_token = match fields.get("restartToken") {
        Some(field) => bounded_text(&field, faults, limits::TEXT_LEN).map(Some),
        None => Some(None),
    };
    let state = or_default(fields.get("state"), defaults.state, |f| read_state(f, faults));
    let upgrade = or_default(fields.get("upgrade"), defaults.upgrade, |f| read_upgrade(f, faults));
    let restart = or_default(fields.get("restart"), defaults.restart, |f| read_restart(f, faults));
    let node_lost_timeout =
        or_default(fields.get("nodeLostTimeout"), defaults.node_lost_timeout, |f| {
            read_node_lost_timeout(f, faults)
        });
    let deletion =
        or_default(fields.get("deletion"), defaults.deletion, |f| read_deletion(f, faults));
    let workers = or_default(fields.get("workers"), defaults.workers, |f| read_workers(f, faults));
    let network_policy = or_default(fields.get("networkPolicy"), defaults.network_policy, |f| {
        read_network_policy(f, faults)
    });
    let (sql, position) = sql?;
    let spec = StreamJobSpec {
        sql,
        sql_from: None,
        image: image?,
        parallelism: parallelism?,
        max_parallelism: max_parallelism?,
        desired_state: desired_state?,
        restart_token: restart_token?,
        state: state?,
        upgrade: upgrade?,
        restart: restart?,
        node_lost_timeout: node_lost_timeout?,
        deletion: deletion?,
        workers: workers?,
        network_policy: network_policy?,
    };
    Some((spec, position))
}

fn read_sql(
    field: &Field<'_>,
    file: &str,
    faults: &mut Faults<'_>,
) -> Option<(String, SqlPosition)> {
    let scalar = faults.text(field)?;
    if scalar.text.trim().is_empty() {
        faults.add(field.line, &field.path, "is empty; a job needs at least one INSERT INTO");
        return None;
    }
    if scalar.text.len() > limits::SQL_BYTES {
        let (length, most) = (scalar.text.len(), limits::SQL_BYTES);
        let message = format!("{length} bytes; at most {most}");
        faults.add(field.line, &field.path, message);
        return None;
    }
    if let Some(at) = swallowing_comment(scalar) {
        let how = if scalar.style == ScalarStyle::Folded {
            "`sql: >`"
        } else {
            "a text that is no block"
        };
        let message = format!(
            "the comment that begins with -- on this line takes in the lines below it, because {how} joins them to one; write `sql: |`, which keeps lines"
        );
        faults.add(scalar.line + at, &field.path, message);
        return None;
    }
    let one_line = !scalar.text.trim_end().contains('\n');
    let exact = match scalar.style {
        ScalarStyle::Literal => true,
        ScalarStyle::Plain => one_line,
        // Escapes in quotes move the columns behind them.
        ScalarStyle::SingleQuoted => one_line && !scalar.text.contains('\''),
        ScalarStyle::DoubleQuoted => one_line && !scalar.text.contains(['"', '\\']),
        ScalarStyle::Folded => false,
    };
    let position = SqlPosition {
        file: file.to_owned(),
        line: scalar.line,
        indent: exact.then_some(scalar.indent),
    };
    Some((scalar.text.clone(), position))
}

fn read_parallelism(field: &Field<'_>, max: Option<u32>, faults: &mut Faults<'_>) -> Option<u32> {
    let number = faults.integer(field)?;
    // A wrong maxParallelism has its own fault; the range is then the widest there is.
    let max = max.unwrap_or(limits::MAX_PARALLELISM);
    let message = match u32::try_from(number) {
        Ok(number) if (1..=max).contains(&number) => return Some(number),
        Ok(0) => "0 would do no work; parallelism is at least 1; to pause the job write desiredState: Suspended".into(),
        _ if number < 0 => {
            format!("{number} is below 1; parallelism can be 1 to {max} for this job")
        }
        _ => format!(
            "{number} is above maxParallelism {max}; parallelism can be 1 to {max} for this job"
        ),
    };
    faults.add(field.line, &field.path, message);
    None
}

/// A text of 1 to `most` characters.
pub(super) fn bounded_text(
    field: &Field<'_>,
    faults: &mut Faults<'_>,
    most: usize,
) -> Option<String> {
    let text = &faults.text(field)?.text;
    let length = text.chars().count();
    if length == 0 || length > most {
        let message = format!("{length} characters; 1 to {most} are possible");
        faults.add(field.line, &field.path, message);
        return None;
    }
    Some(text.clone())
}

fn read_node_lost_timeout(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<Duration> {
    let timeout = faults.duration(field)?;
    if timeout < limits::MIN_NODE_LOST {
        let (given, least) = (format_duration(timeout), format_duration(limits::MIN_NODE_LOST));
        let message = format!(
            "{given} is too short; the least is {least}, since a healthy node renews its lease every 10s"
        );
        faults.add(field.line, &field.path, message);
        return None;
    }
    Some(timeout)
}

fn read_upgrade(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<Upgrade> {
    let known = ["strategy", "progressDeadline"];
    let fields = faults.fields(field.node, field.line, &field.path, &known)?;
    let defaults = Upgrade::default();
    let strategy = or_default(fields.get("strategy"), defaults.strategy, |f| {
        faults.choice(f, &[("Recreate", UpgradeStrategy::Recreate)])
    });
    let progress_deadline =
        or_default(fields.get("progressDeadline"), defaults.progress_deadline, |f| {
            faults.duration(f)
        });
    Some(Upgrade { strategy: strategy?, progress_deadline: progress_deadline? })
}

fn read_deletion(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<Deletion> {
    let known = ["policy", "timeout", "onTimeout", "stateRetention"];
    let fields = faults.fields(field.node, field.line, &field.path, &known)?;
    let defaults = Deletion::default();
    let policy = or_default(fields.get("policy"), defaults.policy, |f| {
        let choices =
            [("Savepoint", DeletionPolicy::Savepoint), ("Checkpoint", DeletionPolicy::Checkpoint)];
        faults.choice(f, &choices)
    });
    let timeout = or_default(fields.get("timeout"), defaults.timeout, |f| faults.duration(f));
    let on_timeout = or_default(fields.get("onTimeout"), defaults.on_timeout, |f| {
        faults.choice(f, &[("KeepCheckpoint", DeletionTimeout::KeepCheckpoint)])
    });
    let state_retention = or_default(fields.get("stateRetention"), defaults.state_retention, |f| {
        let choices = [("Retain", StateRetention::Retain), ("Delete", StateRetention::Delete)];
        faults.choice(f, &choices)
    });
    Some(Deletion {
        policy: policy?,
        timeout: timeout?,
        on_timeout: on_timeout?,
        state_retention: state_retention?,
    })
}

fn read_network_policy(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<NetworkPolicy> {
    let fields = faults.fields(field.node, field.line, &field.path, &["enabled"])?;
    let enabled =
        or_default(fields.get("enabled"), NetworkPolicy::default().enabled, |f| faults.boolean(f));
    Some(NetworkPolicy { enabled: enabled? })
}

fn read_restart(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<Restart> {
    let fields = faults.fields(field.node, field.line, &field.path, &["backoff", "resetAfter"])?;
    let defaults = Restart::default();
    let backoff = match fields.get("backoff") {
        Some(field) => read_backoff(&field, faults),
        None => Some(defaults.backoff),
    };
    let reset_after = match fields.get("resetAfter") {
        Some(field) => faults.duration(&field),
        None => Some(defaults.reset_after),
    };
    Some(Restart { backoff: backoff?, reset_after: reset_after? })
}

fn read_backoff(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<Backoff> {
    let fields = faults.fields(field.node, field.line, &field.path, &["initial", "max"])?;
    let defaults = Backoff::default();
    let initial = match fields.get("initial") {
        Some(field) => faults.duration(&field),
        None => Some(defaults.initial),
    };
    let max = match fields.get("max") {
        Some(field) => faults.duration(&field),
        None => Some(defaults.max),
    };
    let backoff = Backoff { initial: initial?, max: max? };
    if backoff.initial > backoff.max {
        let (initial, max) = (format_duration(backoff.initial), format_duration(backoff.max));
        let message =
            format!("initial {initial} is longer than max {max}; raise max or lower initial");
        faults.add(field.line, &field.path, message);
        return None;
    }
    Some(backoff)
}
