//! Completion: of `kubectl-weir` by a script of the shell, and of `kubectl weir` by `kubectl` itself,
//! which asks a program named `kubectl_complete-weir`: this one under another name.

use std::ffi::OsString;
use std::path::Path;

use clap::{Args, Command, CommandFactory, ValueEnum};
use clap_complete::Shell;

use crate::Cli;
use crate::ask::{Cluster, Connection, JOBS, is_label};
use crate::out::print;

/// The name under which kubectl asks.
pub(crate) const ASKED_AS: &str = "kubectl_complete-weir";
/// What kubectl is told behind the words: no names of files.
const NO_FILES: &str = ":4\n";

/// `completion`.
#[derive(Debug, Args)]
#[command(after_help = "\
For `kubectl weir` itself, which kubectl's own completion asks about:
  ln -s \"$(command -v kubectl-weir)\" ~/.local/bin/kubectl_complete-weir
For the program's plain name:
  source <(kubectl weir completion bash)")]
pub(crate) struct CompletionArgs {
    /// The shell.
    shell: Known,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Known {
    Bash,
    Zsh,
    Fish,
}

pub(crate) fn run(args: &CompletionArgs) -> anyhow::Result<u8> {
    let shell = match args.shell {
        Known::Bash => Shell::Bash,
        Known::Zsh => Shell::Zsh,
        Known::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kubectl-weir", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(0)
}

/// Whether kubectl asks for words, and the words so far.
pub(crate) fn asked(mut arguments: impl Iterator<Item = OsString>) -> Option<Vec<String>> {
    let program = arguments.next()?;
    let name = Path::new(&program).file_name()?;
    (name == ASKED_AS).then(|| arguments.map(|it| it.to_string_lossy().into_owned()).collect())
}

/// Answers kubectl.
pub(crate) fn answer(words: &[String]) -> anyhow::Result<u8> {
    let jobs = |connection: &Connection| {
        let listed = Cluster::new(connection).read(&["get", JOBS, "--output=name"]);
        let listed = String::from_utf8_lossy(&listed.unwrap_or_default()).into_owned();
        let names = listed.lines().filter_map(|line| Some(line.split_once('/')?.1));
        names.filter(|name| is_label(name)).map(str::to_owned).collect()
    };
    let words: String = candidates(words, jobs).iter().map(|word| format!("{word}\n")).collect();
    print(&(words + NO_FILES))?;
    Ok(0)
}

/// What the last word can become. `jobs` is asked where a job's name is due.
fn candidates(words: &[String], jobs: impl Fn(&Connection) -> Vec<String>) -> Vec<String> {
    let (last, before) = words.split_last().map_or(("", &[][..]), |(last, rest)| (last, rest));
    let root = Cli::command();
    let mut command = &root;
    let mut connection = Connection::default();
    let mut positions = 0;
    let mut before = before.iter();
    while let Some(word) = before.next() {
        if word.starts_with('-') {
            let (name, given) =
                word.split_once('=').map_or((word.as_str(), None), |(n, v)| (n, Some(v)));
            if takes_value(&root, command, name) {
                let value = given.map(str::to_owned).or_else(|| before.next().cloned());
                if ["-n", "--namespace"].contains(&name) {
                    connection.namespace = value;
                }
            }
        } else if let Some(inner) = command.find_subcommand(word) {
            command = inner;
        } else {
            positions += 1;
        }
    }
    let mut found = Vec::new();
    if last.starts_with('-') {
        let flags = command.get_arguments().chain(root.get_arguments());
        let flags = flags.filter_map(|flag| flag.get_long()).map(|name| format!("--{name}"));
        found.extend(flags.chain(["--help".to_owned()]));
    } else if command.has_subcommands() {
        found.extend(command.get_subcommands().map(|it| it.get_name().to_owned()));
    } else if let Some(due) = command.get_positionals().nth(positions) {
        let values = due.get_possible_values();
        if due.get_id() == "job" {
            found.extend(jobs(&connection));
        }
        found.extend(values.iter().map(|value| value.get_name().to_owned()));
    }
    found.retain(|word| word.starts_with(last));
    found.sort();
    found.dedup();
    found
}

/// Whether a flag is followed by its value.
fn takes_value(root: &Command, command: &Command, flag: &str) -> bool {
    let is_it = |argument: &&clap::Arg| {
        let long = argument.get_long().is_some_and(|name| flag == format!("--{name}"));
        long || argument.get_short().is_some_and(|name| flag == format!("-{name}"))
    };
    let mut flags = command.get_arguments().chain(root.get_arguments());
    flags.find(is_it).is_some_and(|it| it.get_action().takes_values())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(line: &str) -> Vec<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        candidates(&words, |connection| {
            let place = connection.namespace.clone().unwrap_or_default();
            vec![format!("{place}delays"), "detections".to_owned()]
        })
    }

    #[test]
    fn kubectl_is_told_commands_flags_and_jobs() {
        assert_eq!(complete("li"), ["list"]);
        assert_eq!(complete("status de"), ["delays", "detections"]);
        assert_eq!(complete("status -n x -o json "), ["detections", "xdelays"]);
        assert_eq!(complete("status delays "), [""; 0]);
        assert_eq!(complete("completion f"), ["fish"]);
        assert_eq!(complete("status --ch"), ["--check"]);
        assert!(complete("status --").contains(&"--context".to_owned()));
    }
}
