//! What code cites of PROTOCOL.md stands there, and no page is cited that the tree does not hold.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

const PAGE: &str = include_str!("../PROTOCOL.md");

/// Every Rust file of the workspace with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    let mut open: Vec<_> = ["crds", "e2e", "operator", "worker"].map(|top| root.join(top)).into();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the workspace") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.extend((path.file_name() != Some("target".as_ref())).then_some(path));
            } else if path.extension() == Some("rs".as_ref()) {
                let text = fs::read_to_string(&path).expect("a source file");
                found.push((path, text));
            }
        }
    }
    assert!(found.len() > 300, "the workspace has more files than {}", found.len());
    found
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}

/// The numbers that `line` finds in the page.
fn numbered(line: &str) -> BTreeSet<u32> {
    let found = pattern(line);
    found.captures_iter(PAGE).map(|c| c[1].parse().expect("a number")).collect()
}

/// Every number in what `citation` finds, with the file that cites it.
fn cited(citation: &str, within: &str) -> Vec<(PathBuf, u32)> {
    let (citation, number) = (pattern(citation), pattern(r"\d+"));
    let sources =
        sources().into_iter().filter(|(path, _)| path.display().to_string().contains(within));
    let mut found = Vec::new();
    for (path, text) in sources {
        for citation in citation.find_iter(&text) {
            for number in number.find_iter(citation.as_str()) {
                found.push((path.clone(), number.as_str().parse().expect("a number")));
            }
        }
    }
    found
}

fn all_stand_in(page: &BTreeSet<u32>, citations: &[(PathBuf, u32)], what: &str) {
    assert!(!citations.is_empty(), "no {what} is cited");
    for (path, number) in citations {
        assert!(page.contains(number), "{}: PROTOCOL.md has no {what} {number}", path.display());
    }
}

#[test]
fn every_section_that_is_cited_is_there() {
    let sections = numbered(r"(?m)^## (\d+) ");
    all_stand_in(
        &sections,
        &cited(r"PROTOCOL(?:\.md)?,? sections? \d+(?:(?:, | and )\d+)*", ""),
        "section",
    );
}

#[test]
fn every_rule_that_is_cited_is_there() {
    let rules = numbered(r"(?m)^(\d+)\. \*\*");
    all_stand_in(&rules, &cited(r"\b[Rr]ules? \d+(?:(?:, | and | to )\d+)*", "worker"), "rule");
}

#[test]
fn every_schedule_has_a_test_and_is_in_the_table() {
    let schedules = numbered(r"(?m)^\| S(\d+) \|");
    let tested = cited(r"\bfn s\d+_", "checkpoint/tests");
    all_stand_in(&schedules, &tested, "schedule");
    let tested: BTreeSet<_> = tested.into_iter().map(|(_, number)| number).collect();
    assert_eq!(tested, schedules);
}

#[test]
fn no_page_is_cited_that_the_tree_does_not_hold() {
    let page = pattern(r"\b[A-Z]{4,}\.md\b");
    for (path, text) in sources() {
        for cited in page.find_iter(&text) {
            let known = ["PROTOCOL.md", "README.md", "METRICS.md"].contains(&cited.as_str());
            assert!(known, "{} cites {}", path.display(), cited.as_str());
        }
    }
}

#[test]
fn every_path_of_the_architecture_page_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("worker/README.md")).expect("the page");
    let path = pattern(r"`((?:worker|operator|e2e|crds|\.clippy)[\w./-]*)`");
    let paths: Vec<_> = path.captures_iter(&page).map(|c| c[1].to_owned()).collect();
    assert!(paths.len() > 20, "{paths:?}");
    for path in paths {
        assert!(root.join(&path).exists(), "worker/README.md names {path}");
    }
}
