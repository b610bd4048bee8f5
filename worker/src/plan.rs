//! `weir plan`: what a job would do, without doing it.

use std::collections::BTreeMap;

use serde_json::Value;
use weir_checkpoint::Manifest;
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
pub(crate) fn dropped(
    head: &Manifest,
    operators: &BTreeMap<String, Reads>,
    allowed: &[String],
) -> Vec<Dropped> {
    let reads = |uid: &OperatorUid| operators.get(&uid.0).cloned();
    let dropped = find_dropped(head, reads, allowed);
    dropped.into_iter().filter(|dropped| !dropped.allowed).collect()
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
