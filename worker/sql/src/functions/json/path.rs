//! Paths into JSON: `lax $.a[0].b`, `strict $['a b'][*]`.
//!
//! Flink reads them with the library JsonPath; here are those that name members, items counted
//! from either end, and all of them at once. Filters, slices, several names, search at any depth
//! and functions are refused.

use super::value::{Json, Lazy};

/// A path.
#[derive(Debug, PartialEq)]
pub(super) struct Path {
    /// What is not there is no error.
    pub(super) lax: bool,
    steps: Vec<Step>,
}

#[derive(Debug, PartialEq)]
enum Step {
    Member(String),
    /// From 0; from the end below 0.
    Item(i64),
    Every,
}

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// Nothing is there.
    Missing,
    One(Lazy<'a>),
    /// Of a path with `*`: what there is.
    Several(Vec<Lazy<'a>>),
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let mode = |word: &str| {
            let (head, rest) = text.split_at_checked(word.len())?;
            let rest = head.eq_ignore_ascii_case(word).then_some(rest)?;
            rest.starts_with(char::is_whitespace).then(|| rest.trim_start())
        };
        let (lax, path) = match (mode("lax"), mode("strict")) {
            (Some(path), _) => (true, path),
            (_, Some(path)) => (false, path),
            _ => (false, text),
        };
        let mut rest =
            path.strip_prefix('$').ok_or("a path begins with $, as in '$.name' or 'lax $[0]'")?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, left) = match rest.strip_prefix('.') {
                Some(after) => Self::member(after)?,
                None => Self::bracket(rest)?,
            };
            steps.push(step);
            rest = left;
        }
        Ok(Self { lax, steps })
    }

    fn member(text: &str) -> Result<(Step, &str), String> {
        if let Some(rest) = text.strip_prefix('*') {
            return Ok((Step::Every, rest));
        }
        let end = text.find(['.', '[', '(', ' ']).unwrap_or(text.len());
        match text[end..].chars().next() {
            _ if end == 0 => Err("a name is missing behind a point ('..' is not supported)".into()),
            Some('(') => Err("functions in a path are not supported".into()),
            Some(' ') => Err("a name with a blank is written ['a name']".into()),
            _ => Ok((Step::Member(text[..end].to_owned()), &text[end..])),
        }
    }

    fn bracket(text: &str) -> Result<(Step, &str), String> {
        let inside =
            text.strip_prefix('[').ok_or_else(|| format!("'{text}' is no step of a path"))?;
        if let Some(quote) = inside.chars().next().filter(|c| matches!(c, '\'' | '"')) {
            let name = &inside[1..];
            let end = name.find(quote).ok_or("a name in quotes has no end")?;
            let rest = name[end + 1..].trim_start().strip_prefix(']');
            let rest = rest.ok_or("several names in one [] are not supported")?;
            return Ok((Step::Member(name[..end].to_owned()), rest));
        }
        let (inside, rest) = inside.split_once(']').ok_or("a [ has no ]")?;
        match inside.trim() {
            "*" => Ok((Step::Every, rest)),
            number => match number.parse() {
                Ok(number) => Ok((Step::Item(number), rest)),
                Err(_) => {
                    Err(format!("[{number}] is not supported; [0], [-1], [*] and ['name'] are"))
                }
            },
        }
    }

    /// Follows the path.
    pub(super) fn find<'a>(&self, from: Lazy<'a>) -> Found<'a> {
        let several = self.steps.contains(&Step::Every);
        let mut at = vec![from];
        for step in &self.steps {
            let mut next = Vec::new();
            for json in &at {
                match (step, json.open()) {
                    (Step::Member(name), Json::Object(mut members)) => {
                        next.extend(members.remove(name.as_str()));
                    }
                    (Step::Item(index), Json::Array(items)) => {
                        let length = items.len() as i64;
                        let index = if *index < 0 { length + index } else { *index };
                        let item = usize::try_from(index).ok().and_then(|i| items.get(i).copied());
                        next.extend(item);
                    }
                    (Step::Every, Json::Array(items)) => next.extend(items),
                    (Step::Every, Json::Object(members)) => next.extend(members.into_values()),
                    _ => {}
                }
            }
            if next.is_empty() && !several {
                return Found::Missing;
            }
            at = next;
        }
        match at.pop() {
            Some(one) if !several => Found::One(one),
            last => {
                at.extend(last);
                Found::Several(at)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str) -> Vec<Step> {
        Path::parse(text).unwrap().steps
    }

    #[test]
    fn paths_name_members_and_items() {
        let member = |name: &str| Step::Member(name.to_owned());
        assert_eq!(
            steps("$.a[0].b-c['d e'][*].*[-2]"),
            [
                member("a"),
                Step::Item(0),
                member("b-c"),
                member("d e"),
                Step::Every,
                Step::Every,
                Step::Item(-2)
            ]
        );
        assert!(Path::parse(" lax  $.a").unwrap().lax);
        assert!(!Path::parse("STRICT $").unwrap().lax);
        assert_eq!(steps("$[\"x\"]"), [member("x")]);
    }

    #[test]
    fn what_is_not_supported_is_told() {
        for (path, part) in [
            ("a", "begins with $"),
            ("$..a", "'..' is not supported"),
            ("$.a.length()", "functions"),
            ("$[0:2]", "[0:2] is not supported"),
            ("$['a','b']", "several names"),
            ("$[?(@.a)]", "is not supported"),
            ("$[0", "has no ]"),
            ("$a", "no step"),
        ] {
            let error = Path::parse(path).unwrap_err();
            assert!(error.contains(part), "{path}: {error}");
        }
    }
}
