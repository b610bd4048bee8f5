//! A user's pod template below what Weir sets: objects field by field, lists of named things
//! (containers, volumes, environment) name by name, other lists one after the other.

use serde_json::Value;

/// Puts `top` over `base`. What both say is as in `top`.
pub(super) fn merge(base: &mut Value, top: Value) {
    match (base, top) {
        (Value::Object(base), Value::Object(top)) => {
            for (key, value) in top {
                match base.get_mut(&key) {
                    Some(below) => merge(below, value),
                    None => {
                        base.insert(key, value);
                    }
                }
            }
        }
        (Value::Array(base), Value::Array(top)) => {
            for item in top {
                let named = |below: &Value| key(&item).is_some() && key(&item) == key(below);
                match base.iter().position(named) {
                    Some(index) => merge(&mut base[index], item),
                    None if base.contains(&item) => {}
                    None => base.push(item),
                }
            }
        }
        (base, top) => *base = top,
    }
}

/// What names an item of a list: Kubernetes' own merge keys.
fn key(item: &Value) -> Option<&str> {
    let field = |name: &str| item.get(name).and_then(Value::as_str);
    field("mountPath").or_else(|| field("name"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn named_things_are_merged_and_what_weir_sets_wins() {
        let mut base = json!({
            "containers": [
                {"name": "side", "image": "a"},
                {"name": "worker", "image": "theirs", "env": [{"name": "A", "value": "1"}]},
            ],
            "affinity": {"podAntiAffinity": {}},
        });
        let ours = json!({"name": "worker", "image": "ours", "env": [{"name": "B", "value": "2"}]});
        merge(&mut base, json!({"containers": [ours], "restartPolicy": "Always"}));
        assert_eq!(
            base,
            json!({
                "containers": [
                    {"name": "side", "image": "a"},
                    {"name": "worker", "image": "ours", "env": [
                        {"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
                ],
                "affinity": {"podAntiAffinity": {}},
                "restartPolicy": "Always",
            })
        );
    }
}
