//! What a query in Prometheus' language names: metrics, and labels. Whether it is one is for
//! Prometheus to say.

/// A metric that a query reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selected {
    /// Its name.
    pub metric: String,
    /// Labels that it is selected by.
    pub labels: Vec<String>,
}

/// What a query names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Names {
    /// What it reads.
    pub selected: Vec<Selected>,
    /// Labels that it groups or joins by.
    pub grouped: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Token {
    Word(String),
    Sign(char),
}

/// Words before a list of labels.
const GROUPING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
/// Words that stand between two expressions, or behind one.
const BETWEEN: [&str; 6] = ["and", "or", "unless", "bool", "offset", "atan2"];

/// What a query names.
#[must_use]
pub fn names(expr: &str) -> Names {
    let tokens = tokens(expr);
    let mut names = Names::default();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        let Token::Word(word) = token else { continue };
        let next = tokens.get(at);
        if GROUPING.contains(&word.as_str()) {
            if next == Some(&Token::Sign('(')) {
                let (labels, end) = words_until(&tokens, at, ')');
                names.grouped.extend(labels);
                at = end;
            }
            continue;
        }
        let is_function = match next {
            Some(Token::Sign('(')) => true,
            Some(Token::Word(next)) => matches!(next.as_str(), "by" | "without"),
            _ => false,
        };
        if is_function || BETWEEN.contains(&word.as_str()) {
            continue;
        }
        let mut labels = Vec::new();
        if next == Some(&Token::Sign('{')) {
            (labels, at) = words_until(&tokens, at, '}');
        }
        names.selected.push(Selected { metric: word.clone(), labels });
    }
    names
}

/// The words up to a sign, and where it is.
fn words_until(tokens: &[Token], from: usize, end: char) -> (Vec<String>, usize) {
    let rest = &tokens[from..];
    let length = rest.iter().position(|t| *t == Token::Sign(end)).unwrap_or(rest.len());
    let words = rest[..length].iter().filter_map(|token| match token {
        Token::Word(word) => Some(word.clone()),
        Token::Sign(_) => None,
    });
    (words.collect(), from + length)
}

/// Words and signs, without texts, numbers and what stands in brackets.
fn tokens(expr: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = expr.chars().peekable();
    while let Some(first) = rest.next() {
        match first {
            '"' | '\'' | '`' => while rest.next().is_some_and(|c| c != first) {},
            '[' => while rest.next().is_some_and(|c| c != ']') {},
            c if c.is_alphanumeric() || c == '_' => {
                let mut word = String::from(c);
                while let Some(c) = rest.next_if(|c| c.is_alphanumeric() || "_:.".contains(*c)) {
                    word.push(c);
                }
                if !c.is_numeric() {
                    tokens.push(Token::Word(word));
                }
            }
            c if c.is_whitespace() => {}
            c => tokens.push(Token::Sign(c)),
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(metric: &str, labels: &[&str]) -> Selected {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        Selected { metric: metric.into(), labels }
    }

    #[test]
    fn metrics_and_labels_are_told_from_functions_texts_and_ranges() {
        let said = names(
            "histogram_quantile(0.99, sum by (le, pod) (rate(a_bucket{x=\"b{c}\",y=~'d'}[5m:1s] offset 3h)))\n\
             / on (z) group_left max(e_total) > 2e3 or vector(1)",
        );
        assert_eq!(said.selected, [selected("a_bucket", &["x", "y"]), selected("e_total", &[])]);
        assert_eq!(said.grouped, ["le", "pod", "z"]);
        let said = names("sum(up) by (job) and absent(g == 1)");
        assert_eq!(said.selected, [selected("up", &[]), selected("g", &[])]);
        assert_eq!(said.grouped, ["job"]);
    }
}
