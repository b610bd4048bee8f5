//! `weir plan`: what a job would do, without doing it.

use crate::cli::{PlanArgs, Report};
use crate::load::load;

/// Plans; the text is for standard output.
///
/// # Errors
/// Everything that is wrong with the manifest.
pub(crate) fn run(args: &PlanArgs) -> anyhow::Result<String> {
    let loaded = load(&args.manifest)?;
    for warning in &loaded.planned.warnings {
        eprintln!("warning: {warning}");
    }
    let name = &loaded.job.metadata.name;
    Ok(match args.output {
        Report::Text => format!(
            "{name}  parallelism {} of at most {}  {}\n\n{}",
            loaded.job.spec.parallelism,
            loaded.job.spec.max_parallelism,
            if loaded.planned.bounded { "ends by itself" } else { "runs until it is stopped" },
            weir_sql::explain::text(&loaded.planned.graph)
        ),
        Report::Json => {
            let mut text =
                serde_json::to_string_pretty(&weir_sql::explain::json(&loaded.planned.graph))?;
            text.push('\n');
            text
        }
    })
}
