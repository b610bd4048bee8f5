//! Label and field selectors, as in a list's query.

use serde_json::Value;

/// Whether the object's labels fit the selector; an empty one fits everything.
pub(super) fn labels_fit(value: &Value, selector: &str) -> bool {
    let labels = &value["metadata"]["labels"];
    requirements(selector).iter().all(|requirement| label_fits(labels, requirement))
}

/// Whether the object's fields fit the selector: `metadata.name=x,status.phase!=Running`.
pub(super) fn fields_fit(value: &Value, selector: &str) -> bool {
    requirements(selector).iter().all(|requirement| {
        let (path, wanted, equal) = match requirement.split_once("!=") {
            Some((path, wanted)) => (path, wanted, false),
            None => {
                let (path, wanted) = requirement.split_once('=').unwrap_or((requirement, ""));
                (path, wanted.trim_start_matches('='), true)
            }
        };
        let found = path.split('.').fold(value, |value, field| &value[field]);
        (found.as_str().unwrap_or_default() == wanted) == equal
    })
}

/// Splits at commas that stand outside parentheses.
fn requirements(selector: &str) -> Vec<String> {
    let mut depth = 0;
    let mut parts = vec![String::new()];
    for c in selector.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        match (c, parts.last_mut()) {
            (',', _) if depth == 0 => parts.push(String::new()),
            (c, Some(part)) => part.push(c),
            (_, None) => {}
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

fn label_fits(labels: &Value, requirement: &str) -> bool {
    let label = |name: &str| labels[name.trim()].as_str();
    let listed = |list: &str, value: &str| {
        let list = list.trim().trim_start_matches('(').trim_end_matches(')');
        list.split(',').any(|item| item.trim() == value)
    };
    if let Some((name, list)) = requirement.split_once(" notin ") {
        label(name).is_none_or(|value| !listed(list, value))
    } else if let Some((name, list)) = requirement.split_once(" in ") {
        label(name).is_some_and(|value| listed(list, value))
    } else if let Some((name, value)) = requirement.split_once("!=") {
        label(name) != Some(value.trim())
    } else if let Some((name, value)) = requirement.split_once('=') {
        label(name) == Some(value.trim_start_matches('=').trim())
    } else if let Some(name) = requirement.strip_prefix('!') {
        label(name).is_none()
    } else {
        label(requirement).is_some()
    }
}
