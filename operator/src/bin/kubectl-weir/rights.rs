//! Which rights each command needs, beside those of nobody: a part of its help. A test compares them
//! with the calls that the command makes.

use clap::Command;

/// A right of a command: a resource, verbs, and when, if not always.
type Right = (&'static str, &'static str, &'static str);

const JOB: &str = "streamjobs.weir.dev";
/// The way to a page, once its pod is known.
const WAY: [Right; 2] = [("pods", "get", ""), ("pods/portforward", "create", "")];
const PAGE: [Right; 2] = [("pods", "get, list", ""), ("pods/portforward", "create", "")];
const CHANGE: [Right; 1] = [(JOB, "get, patch, watch", "")];

/// Commands and what they need.
fn table() -> Vec<(&'static [&'static str], Vec<Right>)> {
    let all = |parts: &[&[Right]]| parts.concat();
    let when = |rights: &[Right], when: &'static str| -> Vec<Right> {
        rights.iter().map(|&(resource, verbs, _)| (resource, verbs, when)).collect()
    };
    let live = when(&WAY, "with --live");
    vec![
        (&["list"], all(&[&[(JOB, "list", "")], &live])),
        (&["status"], all(&[&PAGE, &[(JOB, "get", "of a job that does not run")]])),
        (&["top"], PAGE.to_vec()),
        (
            &["ui"],
            all(&[&[(JOB, "list", "for all jobs")], &[("pods", "get, list", "")], &WAY[1..]]),
        ),
        (&["events"], vec![("events", "list", ""), ("events", "watch", "with --watch")]),
        (
            &["logs"],
            vec![
                ("pods", "get, list", ""),
                ("pods/log", "get", ""),
                (JOB, "get", "to mark who coordinates"),
            ],
        ),
        (
            &["plan"],
            all(&[
                &[(JOB, "get, patch", ""), (JOB, "create", "of a job that is not there")],
                &[("configmaps", "get", "with spec.sqlFrom")],
                &WAY,
            ]),
        ),
        (&["suspend"], CHANGE.to_vec()),
        (&["resume"], CHANGE.to_vec()),
        (&["drain"], CHANGE.to_vec()),
        (&["restart"], CHANGE.to_vec()),
        (&["scale"], all(&[&CHANGE, &when(&PAGE, "with --watch")])),
        (&["savepoint", "create"], CHANGE.to_vec()),
        (&["savepoint", "ls"], vec![(JOB, "list", "")]),
        (&["savepoint", "restore"], vec![(JOB, "get, create, patch, watch", "")]),
        (
            &["report"],
            all(&[
                &[(JOB, "get", ""), ("pods", "get, list", ""), ("statefulsets.apps", "list", "")],
                &[("events", "list", ""), ("pods/log", "get", "")],
                &WAY[1..],
            ]),
        ),
        (
            &["version"],
            vec![("pods", "list", ""), ("deployments.apps", "list", "in all namespaces")],
        ),
        (&["completion"], Vec::new()),
    ]
}

/// The command with the rights of each of its parts in its help.
pub(crate) fn explained(root: Command) -> Command {
    table().into_iter().fold(root, |root, (path, rights)| explain(root, path, &rights))
}

fn explain(command: Command, path: &[&str], rights: &[Right]) -> Command {
    let Some((name, rest)) = path.split_first() else {
        let before = command.get_after_help().map(|text| format!("{text}\n\n"));
        return command.after_help(before.unwrap_or_default() + &text(rights));
    };
    command.mut_subcommand(name, |inner| explain(inner, rest, rights))
}

fn text(rights: &[Right]) -> String {
    if rights.is_empty() {
        return "Rights: none; it asks nobody.".to_owned();
    }
    let line = |&(resource, verbs, when): &Right| {
        format!("  {resource:<20} {verbs:<20} {when}").trim_end().to_owned()
    };
    let lines: Vec<String> = rights.iter().map(line).collect();
    format!("Rights in the job's namespace:\n{}", lines.join("\n"))
}
