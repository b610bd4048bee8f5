//! What an API server checks of a `StreamJob` beyond the shape of its fields: rules in CEL.
//!
//! Each rule stands at a field, and its message names the field, the cause and the way out, since
//! that is all that a user of `kubectl apply` sees. Rules are costed before a definition is
//! accepted: every text and list that one looks into has a bound (see `schema`).

use crate::duration::DURATIONS;

/// A duration as [`crate::parse_duration`] reads it, in CEL's and RE2's words. The digits are
/// bounded so that no sum overflows CEL's own durations.
const DURATION: &str = "^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?([0-9]{1,11}ms)?$";

/// A rule of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The field that the rule stands at, from the resource's root, such as `spec.parallelism`.
    pub at: String,
    /// The rule in CEL.
    pub rule: String,
    /// What a user reads when it does not hold.
    pub message: String,
    /// The field that is at fault where that is not the one the rule stands at.
    pub field: Option<&'static str>,
}

fn rule(at: &str, rule: impl Into<String>, message: impl Into<String>) -> Rule {
    Rule { at: at.to_owned(), rule: rule.into(), message: message.into(), field: None }
}

fn rule_for(field: &'static str, it: Rule) -> Rule {
    Rule { field: Some(field), ..it }
}

/// Every rule, in the order of the fields.
#[must_use]
pub fn rules() -> Vec<Rule> {
    let mut rules = vec![
        rule(
            "",
            "size(self.metadata.name) <= 40",
            "metadata.name has more than 40 characters; choose a shorter one: pods and Services are named after the job",
        ),
        rule(
            "",
            "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
            "metadata.name must consist of a to z, 0 to 9 and '-', begin with a letter and not end with '-'; choose a name such as airport-delays",
        ),
        rule(
            "spec",
            "has(self.sql) != has(self.sqlFrom)",
            "spec needs exactly one of sql and sqlFrom; write the program into sql, or name the ConfigMap that holds it in sqlFrom, and remove the other",
        ),
        rule_for(
            ".parallelism",
            rule(
                "spec",
                "self.parallelism <= self.maxParallelism",
                "spec.parallelism is above spec.maxParallelism; lower parallelism (maxParallelism cannot be raised for an existing job)",
            ),
        ),
        rule(
            "spec.parallelism",
            "self >= 1",
            "spec.parallelism must be at least 1: with 0 subtasks no work is done; to pause the job set desiredState: Suspended",
        ),
        rule(
            "spec.maxParallelism",
            "self == oldSelf",
            "spec.maxParallelism cannot be changed: the job's state is divided by it; to have another one, start a job under another name",
        ),
        rule(
            "spec.image",
            "self.matches('^[a-zA-Z0-9][a-zA-Z0-9._/:@-]*$')",
            "spec.image is not the name of an image; write it as registry/name:tag or registry/name@sha256:digest",
        ),
        rule(
            "spec.state",
            "has(self.root) == has(oldSelf.root) && (!has(self.root) || self.root == oldSelf.root)",
            "spec.state.root cannot be set, changed or removed after creation: the state would stay behind; start a job under another name, or delete this one and name its UID in state.adopt",
        ),
        rule(
            "spec.state.root",
            "self.matches('^(s3://[a-z0-9][-a-z0-9.]{2,62}(/.*)?|file:///.*|/.*)$')",
            "spec.state.root must be s3://bucket/prefix, or an absolute path on a volume that every worker mounts",
        ),
        rule(
            "spec.state.adopt",
            "self.matches('^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$')",
            "spec.state.adopt must be the metadata.uid of the deleted job whose state is taken over, such as 6f3a0c52-91d4-4d3e-8a1b-2c5e7f90ab12",
        ),
        rule_for(
            ".initial",
            rule(
                "spec.restart.backoff",
                guarded(
                    &["self.initial", "self.max"],
                    "duration(self.initial) <= duration(self.max)",
                ),
                "spec.restart.backoff.initial is longer than max; raise max or lower initial",
            ),
        ),
        rule(
            "spec.nodeLostTimeout",
            guarded(&["self"], "duration(self) >= duration('15s')"),
            "spec.nodeLostTimeout must be at least 15s: a healthy node renews its lease every 10s",
        ),
        rule(
            "spec.workers.env",
            "self.all(e, !(has(e.value) && has(e.valueFrom)))",
            "spec.workers.env has an entry with both value and valueFrom; keep one of them",
        ),
        rule(
            "spec.workers.env",
            "self.all(e, !e.name.startsWith('WEIR_'))",
            "spec.workers.env sets a variable whose name begins with WEIR_; those are set by the operator, choose another name",
        ),
        rule(
            "spec.workers.envFrom",
            "self.all(e, has(e.secretRef) != has(e.configMapRef))",
            "spec.workers.envFrom has an entry without exactly one of secretRef and configMapRef; make one entry of each",
        ),
        rule(
            "spec.workers.volumes",
            "self.all(v, !(v.name in ['job', 'tmp', 'local']))",
            "spec.workers.volumes has a volume named job, tmp or local; those are the operator's, choose another name",
        ),
        rule(
            "spec.workers.volumeMounts",
            "self.all(m, m.mountPath.startsWith('/'))",
            "spec.workers.volumeMounts has a mountPath that is not absolute; begin it with '/'",
        ),
        rule(
            "spec.workers.volumeMounts",
            "self.all(m, !(m.mountPath in ['/', '/tmp', '/etc/weir', '/var/lib/weir']))",
            "spec.workers.volumeMounts covers a folder that Weir itself mounts (/tmp, /etc/weir, /var/lib/weir); choose another mountPath",
        ),
        rule_for(
            ".volumeMounts",
            rule(
                "spec.workers",
                "!has(self.volumeMounts) || self.volumeMounts.all(m, has(self.volumes) && self.volumes.exists(v, v.name == m.name))",
                "spec.workers.volumeMounts names a volume that spec.workers.volumes does not have; add it there",
            ),
        ),
    ];
    for path in DURATIONS {
        let at = format!("spec.{path}");
        rules.push(rule(
            &at,
            format!("self != '' && self.matches('{DURATION}')"),
            format!("{at} is not a duration; write it as 10s, 5m, 1h30m or 250ms"),
        ));
        rules.push(rule(
            &at,
            guarded(
                &["self"],
                "duration(self) >= duration('10ms') && duration(self) <= duration('8760h')",
            ),
            format!("{at} must be at least 10ms and at most 8760h"),
        ));
    }
    rules
}

/// The condition, for durations that can be read: those that cannot have a message of their own.
fn guarded(durations: &[&str], condition: &str) -> String {
    let mut guards = String::new();
    for duration in durations {
        if duration.contains('.') {
            // An API server also evaluates rules on the defaults, which need not name every field.
            guards.push_str(&format!("!has({duration}) || "));
        }
        guards.push_str(&format!("{duration} == '' || !{duration}.matches('{DURATION}') || "));
    }
    format!("{guards}({condition})")
}
