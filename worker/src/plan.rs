//! `weir plan`: what a job would do, without doing it.

use serde_json::Value;

use crate::cli::{PlanArgs, Report};
use crate::exit;
use crate::load::{Loaded, load};

/// Plans; the text is for standard output, the code is the process's. With `-o json` what is
/// wrong goes to standard output too, as a list of `{file, line, column, message}`.
///
/// # Errors
/// Everything that is wrong with the manifest, for people.
pub(crate) fn run(args: &PlanArgs) -> anyhow::Result<(String, u8)> {
    let loaded = match (load(&args.manifest), args.output) {
        (Ok(loaded), _) => loaded,
        (Err(refused), Report::Json) => {
            let mut text = serde_json::to_string_pretty(&refused.faults)?;
            text.push('\n');
            return Ok((text, exit::REFUSED));
        }
        (Err(refused), Report::Text) => return Err(refused.into()),
    };
    let text = match args.output {
        Report::Text => text(&loaded),
        Report::Json => json(&loaded)?,
    };
    Ok((text, exit::DONE))
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
