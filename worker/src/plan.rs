//! `weir plan`: what a job would do, without doing it.

use std::collections::BTreeMap;

use serde_json::Value;
use weir_checkpoint::Manifest;
use weir_checkpoint::manifest::OperatorEntry;
use weir_coordinator::master::{Dropped, Plan, Reads, Unreadable, find_dropped, validate_restore};
use weir_engine::graph::OperatorInfo;
use weir_protocol::OperatorUid;

use crate::cli::{PlanArgs, Report};
use crate::exit;
use crate::load::{Loaded, Variables, load_with};
use crate::state;

/// Plans; the text is for standard output, the code is the process's. With `-o json` what is
/// wrong goes to standard output too, as a list of `{file, line, column, message}`.
///
/// # Errors
/// Everything that is wrong with the manifest, for people; a store that cannot be read.
pub(crate) async fn run(args: &PlanArgs) -> anyhow::Result<(String, u8)> {
    let variables = match &args.withhold {
        None => Variables::Process,
        Some(names) => Variables::Withheld(names.split(',').map(str::to_owned).collect()),
    };
    let loaded = match (load_with(&args.manifest, variables), args.output) {
        (Ok(loaded), _) => loaded,
        (Err(refused), Report::Json) => {
            let mut text = serde_json::to_string_pretty(&refused.faults)?;
            text.push('\n');
            return Ok((text, exit::REFUSED));
        }
        (Err(refused), Report::Text) => return Err(refused.into()),
    };
    if let Some(place) = &args.against
        && let Some(head) = state::head_of(place).await?
    {
        let chains = loaded.planned.graph.vertices.iter().flat_map(|vertex| &vertex.chain);
        let reads = |info: &OperatorInfo| Reads {
            name: info.name.clone(),
            state: info.state.clone(),
            tables: info.tables.clone(),
        };
        let operators = chains.map(|(info, _)| (info.uid.0.clone(), reads(info)));
        let allowed = &loaded.job.spec.state.allow_dropped_state;
        let dropped = dropped(&head, &operators.collect(), allowed);
        if !dropped.is_empty() {
            eprintln!("{}", refuse_dropped(&dropped));
            return Ok((String::new(), exit::REFUSED));
        }
        let plan = Plan::of(&loaded.planned.graph);
        let committers = loaded.planned.graph.committers.keys().cloned().collect();
        if let Err(refused) = validate_restore(&plan, &head, &committers, allowed) {
            eprintln!("{refused}");
            return Ok((String::new(), exit::REFUSED));
        }
    }
    let text = match args.output {
        Report::Text => text(&loaded),
        Report::Json => json(&loaded)?,
    };
    Ok((text, exit::DONE))
}

/// State in a manifest that a program of these operators (by uid) would drop, and that is not named
/// as what may go. What a coordinator would refuse, by the same rule.
fn dropped(
    head: &Manifest,
    operators: &BTreeMap<String, Reads>,
    allowed: &[String],
) -> Vec<Dropped> {
    let reads = |uid: &OperatorUid| operators.get(&uid.0).cloned();
    let dropped = find_dropped(head, reads, allowed);
    dropped.into_iter().filter(|dropped| !dropped.allowed).collect()
}

/// What becomes of the state in a manifest under a program, as names of operators.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Fates {
    /// It would be dropped, and nobody says that it may.
    pub(crate) dropped: Vec<String>,
    /// It would be dropped, as the program's author says that it may.
    pub(crate) allowed: Vec<String>,
    /// The program goes on from it.
    pub(crate) kept: Vec<String>,
    /// Of the program's operators those that keep state and begin with none.
    pub(crate) fresh: Vec<String>,
}

/// What becomes of `head`'s state under a program of these operators, by uid.
pub(crate) fn fates(
    head: &Manifest,
    operators: &BTreeMap<String, Reads>,
    allowed: &[String],
) -> Fates {
    let lost = find_dropped(head, |uid| operators.get(&uid.0).cloned(), allowed);
    let (may_go, dropped): (Vec<&Dropped>, Vec<&Dropped>) = lost.iter().partition(|it| it.allowed);
    let is_lost = |uid: &str| lost.iter().any(|it| it.uid.0 == uid);
    let stored = head.operators.iter().filter(|(_, entry)| entry.holds_state());
    let kept = stored.filter(|(uid, _)| !is_lost(&uid.0)).map(|(_, entry)| entry.name.clone());
    let begins = |uid: &String, reads: &Reads| {
        let keeps = reads.state.is_some() || !reads.tables.is_empty();
        let stored = head.operators.get(&OperatorUid(uid.clone()));
        keeps && (is_lost(uid) || !stored.is_some_and(OperatorEntry::holds_state))
    };
    let fresh = operators.iter().filter(|(uid, reads)| begins(uid, reads));
    let names = |lost: Vec<&Dropped>| lost.into_iter().map(|it| it.name.clone()).collect();
    Fates {
        dropped: names(dropped),
        allowed: names(may_go),
        kept: kept.collect(),
        fresh: fresh.map(|(_, reads)| reads.name.clone()).collect(),
    }
}

fn refuse_dropped(dropped: &[Dropped]) -> String {
    let names: Vec<String> = dropped.iter().map(|d| format!("\"{}\"", d.name)).collect();
    let changed = dropped.iter().filter_map(|d| Some((&d.name, d.now.as_ref()?)));
    let changed = changed.map(|(name, Unreadable { name: now, why })| {
        format!("; operator \"{now}\" cannot read what \"{name}\" kept, since {why}")
    });
    let names = names.join(", ");
    format!(
        "spec.sql: the new program would drop the state of {names}{}; to allow it set \
         state.allowDroppedState: [{names}]",
        changed.collect::<String>()
    )
}

fn text(loaded: &Loaded) -> String {
    for warning in &loaded.planned.warnings {
        eprintln!("warning: {warning}");
    }
    format!(
        "{}  parallelism {} of at most {}  {}\n\n{}",
        loaded.job.metadata.name,
        loaded.job.spec.parallelism,
        loaded.job.spec.max_parallelism,
        if loaded.planned.bounded { "ends by itself" } else { "runs until it is stopped" },
        weir_sql::explain::text(&loaded.planned.graph)
    )
}

/// The plan with its hash, its warnings, and whether it ends by itself.
fn json(loaded: &Loaded) -> anyhow::Result<String> {
    let mut value = serde_json::to_value(weir_sql::explain::explain(&loaded.planned.graph))?;
    if let Value::Object(fields) = &mut value {
        let warnings = loaded.planned.warnings.iter().map(|w| Value::from(w.to_string()));
        fields.insert("warnings".to_owned(), warnings.collect());
        fields.insert("bounded".to_owned(), loaded.planned.bounded.into());
    }
    let mut text = serde_json::to_string_pretty(&value)?;
    text.push('\n');
    Ok(text)
}
