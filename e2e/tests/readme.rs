//! Every command in README.md is run, and does what the text beside it says.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use weir_e2e::cache::tail;
use weir_e2e::job::repository;
use weir_e2e::programs;

/// The commands of README.md: lines of its `sh` blocks, without comments.
fn commands() -> Result<Vec<String>> {
    let text = std::fs::read_to_string(repository().join("README.md"))?;
    let mut inside = false;
    let mut commands = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```sh";
        } else if inside {
            let command = line.split(" # ").next().unwrap_or_default().trim();
            if !command.is_empty() && !command.starts_with('#') {
                commands.push(command.to_owned());
            }
        }
    }
    Ok(commands)
}

/// Runs in the repository's root; returns everything that was printed.
fn run(command: &str) -> Result<String> {
    let mut bash = Command::new("bash");
    programs::forget_package(&mut bash);
    let output = bash
        .args(["-c", command])
        .current_dir(repository())
        .output()
        .with_context(|| format!("start {command}"))?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{command} ended with {}:\n{}", output.status, tail(&text));
    Ok(text)
}

#[test]
fn every_command_works() -> Result<()> {
    let commands = commands()?;
    let (first, rest) = commands.split_first().context("README.md shows no command")?;
    let output = run(&format!("{first} --fresh"))?;
    ensure!(output.contains("finished in "), "the first command ends:\n{}", tail(&output));
    ensure!(output.contains("200,000 rows in"), "it reads the sample:\n{}", tail(&output));
    ensure!(output.contains("0 late, 0 malformed"), "it loses no row:\n{}", tail(&output));

    let (sql, rest) = rest.split_first().context("README.md shows one command only")?;
    let output = run(sql)?;
    ensure!(output.contains("origin,flights,late\n"), "{sql} shows rows:\n{}", tail(&output));
    ensure!(output.contains("\nATL,"), "{sql} counts flights:\n{}", tail(&output));

    let second = rest.first().context("README.md shows no tests")?;
    ensure!(second == "cargo test --workspace", "the tests' command became {second}");
    let ci = std::fs::read_to_string(repository().join(".ci/run"))?;
    ensure!(ci.contains(second.as_str()), ".ci/run does not call {second}");

    // The second is what runs this test; its faster part, and longer runs, are not run again.
    for command in rest.iter().filter(|command| !command.starts_with("cargo test")) {
        run(command)?;
    }
    Ok(())
}

#[test]
fn the_code_map_names_every_crate() -> Result<()> {
    let readme = std::fs::read_to_string(repository().join("README.md"))?;
    let manifest = std::fs::read_to_string(repository().join("Cargo.toml"))?;
    let members = manifest
        .split_once("members = [")
        .and_then(|(_, rest)| rest.split_once(']'))
        .context("no members in Cargo.toml")?
        .0;
    for member in members.lines().filter_map(|line| line.trim().strip_prefix('"')) {
        let member = member.trim_end_matches(['"', ',']);
        ensure!(readme.contains(&format!("`{member}/`")), "README.md does not mention {member}/");
    }
    Ok(())
}
