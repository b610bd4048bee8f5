//! What a manifest would do to a job, as values. Pure.

use serde_json::{Value, json};
use weir_operator::decide::PlanCheck;
use weir_operator::validate::Refusal;
use weir_operator::workers::PlanReply;
use weir_page::words::{in_lines, on_one_line};

/// What applying a manifest would do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    /// Fields that it changes, `spec.parallelism: 2 → 4`.
    pub(crate) changes: Vec<String>,
    /// What becomes of state, where it was asked for.
    pub(crate) fates: Vec<Fate>,
    /// What could not be known, and what the program is warned of.
    pub(crate) notes: Vec<String>,
}

/// In the words of the operator's decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing.
    Unchanged,
    /// There is no such job yet.
    New,
    /// What runs goes on and takes it over.
    Live,
    /// A savepoint, then the new version goes on from it.
    Restart,
    /// The operator would refuse it, and what runs would go on.
    Incompatible(String),
    /// Nobody who could tell was reached: the reason.
    Unknown(String),
}

impl Verdict {
    /// Of the operator's refusal.
    pub(crate) fn refused(refusal: &Refusal) -> Self {
        Self::Incompatible(refusal.message.clone())
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Unchanged => "UNCHANGED",
            Self::New => "NEW",
            Self::Live => "LIVE",
            Self::Restart => "RESTART",
            Self::Incompatible(_) => "INCOMPATIBLE",
            Self::Unknown(_) => "UNKNOWN",
        }
    }
}

/// What becomes of an operator's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Kept(String),
    Fresh(String),
    Allowed(String),
    Dropped(String),
}

impl Fate {
    /// Everything that a coordinator says of it, the worst first.
    pub(crate) fn all(reply: &PlanReply) -> Vec<Self> {
        let of = |names: &[String], make: fn(String) -> Self| {
            names.iter().cloned().map(make).collect::<Vec<_>>()
        };
        let fates = [
            of(&reply.dropped, Self::Dropped),
            of(&reply.allowed, Self::Allowed),
            of(&reply.fresh, Self::Fresh),
            of(&reply.kept, Self::Kept),
        ];
        fates.concat()
    }

    fn parts(&self) -> (char, &str, &'static str, &'static str) {
        match self {
            Self::Kept(name) => ('=', name, "kept", "its state is kept"),
            Self::Fresh(name) => ('+', name, "fresh", "its state starts empty"),
            Self::Allowed(name) => {
                ('-', name, "allowed", "its state is dropped, as state.allowDroppedState says")
            }
            Self::Dropped(name) => ('-', name, "dropped", "its state would be dropped"),
        }
    }
}

/// What a coordinator's answer means for a revision that is not the running one: as the operator
/// takes it.
pub(crate) fn of_reply(reply: &PlanReply) -> Verdict {
    match PlanCheck::of(reply) {
        PlanCheck::Fits => Verdict::Restart,
        PlanCheck::Refused(refusal) => Verdict::refused(&refusal),
        PlanCheck::Unknown => Verdict::Unknown("the running job gave no answer".to_owned()),
    }
}

impl Plan {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let says = match &self.verdict {
            Verdict::Unchanged => "it is so already".to_owned(),
            Verdict::New => "a job that is not there yet would be made".to_owned(),
            Verdict::Live if self.changes.is_empty() => "nothing that runs changes".to_owned(),
            Verdict::Live => "taken over while it runs, without a restart".to_owned(),
            Verdict::Restart => "stopped behind a savepoint and begun again from it".to_owned(),
            Verdict::Incompatible(_) => "it would be refused; what runs goes on".to_owned(),
            Verdict::Unknown(why) => in_lines(why, "\n"),
        };
        let name = on_one_line(&self.name);
        let mut text = format!("{name}: {}, {says}\n", self.verdict.word());
        for change in &self.changes {
            text.push_str(&format!("  ~ {}\n", on_one_line(change)));
        }
        let wide = self.fates.iter().map(|fate| fate.parts().1.chars().count()).max().unwrap_or(0);
        for fate in &self.fates {
            let (mark, name, _, says) = fate.parts();
            let name = on_one_line(name);
            let pad = " ".repeat(wide - name.chars().count());
            text.push_str(&format!("  {mark} {name}{pad}   {says}\n"));
        }
        if let Verdict::Incompatible(why) = &self.verdict {
            for line in why.lines() {
                text.push_str(&format!("  {}\n", on_one_line(line)));
            }
        }
        for note in &self.notes {
            text.push_str(&format!("  note: {}\n", in_lines(note, "\n    ")));
        }
        text
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let fate = |fate: &Fate| {
            let (_, name, word, _) = fate.parts();
            json!({"operator": name, "state": word})
        };
        let why = match &self.verdict {
            Verdict::Incompatible(why) | Verdict::Unknown(why) => Some(why),
            _ => None,
        };
        json!({
            "apiVersion": "cli.weir.dev/v1", "kind": "JobPlan", "job": self.name,
            "verdict": self.verdict.word(), "why": why, "changes": self.changes,
            "state": self.fates.iter().map(fate).collect::<Vec<_>>(), "notes": self.notes,
        })
    }
}

/// Fields in which two specs differ, one line each. Long texts are counted, not shown.
pub(crate) fn differences(was: &Value, now: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("spec", was, now, &mut found);
    found
}

fn compare(path: &str, was: &Value, now: &Value, found: &mut Vec<String>) {
    if was == now {
        return;
    }
    if let (Value::Object(was), Value::Object(now)) = (was, now) {
        let mut keys: Vec<&String> = was.keys().chain(now.keys()).collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            let of = |fields: &serde_json::Map<String, Value>| {
                fields.get(key).cloned().unwrap_or(Value::Null)
            };
            compare(&format!("{path}.{key}"), &of(was), &of(now), found);
        }
        return;
    }
    let lines = |value: &Value| value.as_str().map(|text| text.trim_end().lines().count());
    let is_long = |value: &Value| value.to_string().len() > 60;
    let what = match (lines(was), lines(now)) {
        (Some(a), Some(b)) if is_long(was) || is_long(now) => {
            let (was, now) = (was.as_str().unwrap_or_default(), now.as_str().unwrap_or_default());
            let changed = now.lines().filter(|line| !was.lines().any(|it| it == *line)).count();
            format!("{a} → {b} lines, {changed} of them new")
        }
        _ if is_long(was) || is_long(now) => "changed".to_owned(),
        _ => format!("{} → {}", word(was), word(now)),
    };
    found.push(format!("{path}: {what}"));
}

fn word(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_differ_are_named_with_their_values() {
        let long = "SELECT a\n".repeat(20);
        let was =
            json!({"parallelism": 2, "sql": long, "state": {"root": "s3://b"}, "image": "w:1"});
        let now = json!({"parallelism": 4, "sql": long.clone() + "FROM t\n", "state": {"root": "s3://b"}});
        let expected = [
            "spec.image: w:1 → none",
            "spec.parallelism: 2 → 4",
            "spec.sql: 20 → 21 lines, 1 of them new",
        ];
        assert_eq!(differences(&was, &now), expected);
        assert_eq!(differences(&was, &was), [""; 0]);
    }

    #[test]
    fn a_coordinators_answer_is_taken_as_the_operator_takes_it() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let reply =
            PlanReply { kept: names(&["count"]), fresh: names(&["top"]), ..PlanReply::default() };
        let plan = Plan {
            name: "delays".to_owned(),
            verdict: of_reply(&reply),
            changes: vec!["spec.sql: 3 → 4 lines, 1 of them new".to_owned()],
            fates: Fate::all(&reply),
            notes: Vec::new(),
        };
        let expected = "delays: RESTART, stopped behind a savepoint and begun again from it\n  ~ \
                        spec.sql: 3 → 4 lines, 1 of them new\n  + top     its state starts empty\n  = \
                        count   its state is kept\n";
        assert_eq!(plan.text(), expected);
        let reply = PlanReply { dropped: names(&["top"]), ..PlanReply::default() };
        let Verdict::Incompatible(why) = of_reply(&reply) else { panic!("it drops state") };
        assert!(why.ends_with("state.allowDroppedState: [\"top\"]"), "{why}");
        let reply = PlanReply { errors: names(&["sql:1:1: no"]), ..PlanReply::default() };
        assert_eq!(of_reply(&reply), Verdict::Incompatible("sql:1:1: no".to_owned()));
    }
}
