//! `/*+ … */`: Flink's hints. Understood are the options of a table for this place alone, and how a
//! table is asked; those of how tables are joined are passed over, as they change no row. Every
//! other is refused by its name, as a program that is run without it is another program.

use super::{Parsed, Parser};
use crate::ast::{JoinHint, LookupHint, OptionDef, QueryHints};
use crate::lex::{HINT, HINT_END, Tok};

const OPTIONS_ONLY: &str = "of Flink's hints OPTIONS('key' = 'value') is, right behind the name of a table, before its alias, and LOOKUP('table' = 'name', …), STATE_TTL('name' = '1 d', …) and those of joins, behind SELECT";

/// Hints of how tables are joined.
const JOINS: [&str; 5] = ["BROADCAST", "SHUFFLE_HASH", "SHUFFLE_MERGE", "NEST_LOOP", "MULTI_JOIN"];

impl Parser {
    /// Options in hints behind a table's name; of a key given twice the later value counts, as in
    /// Flink.
    pub(super) fn table_hints(&mut self) -> Parsed<Vec<OptionDef>> {
        let mut options: Vec<OptionDef> = Vec::new();
        while self.eat(HINT) {
            loop {
                let token = self.peek().clone();
                match token.keyword().as_deref() {
                    Some("OPTIONS") => {
                        self.next();
                        for option in self.option_list()? {
                            options.retain(|known| known.key != option.key);
                            options.push(option);
                        }
                    }
                    _ => return self.refuse_hint(),
                }
                if !self.eat(",") {
                    break;
                }
            }
            self.expect(HINT_END)?;
        }
        Ok(options)
    }

    /// Hints behind SELECT, which are about joins and aggregations.
    pub(super) fn query_hints(&mut self) -> Parsed<QueryHints> {
        let mut hints = QueryHints::default();
        while self.eat(HINT) {
            loop {
                let start = self.span();
                if self.is_word("OPTIONS") {
                    return self.error(
                        start,
                        "OPTIONS has no place behind SELECT; it stands right behind the name of the table that it is for, before its alias",
                    );
                }
                if let Some(name) = JOINS.into_iter().find(|name| self.is_word(name)) {
                    self.next();
                    hints.joins.push(JoinHint { name, tables: self.names("a table's name")? });
                } else if self.eat_word("LOOKUP") {
                    let options = self.option_list()?;
                    hints.lookups.push(LookupHint { options, span: self.since(start) });
                } else if self.eat_word("STATE_TTL") {
                    hints.state_ttl.extend(self.state_ttl()?);
                } else {
                    return self.refuse_hint();
                }
                if !self.eat(",") {
                    break;
                }
            }
            self.expect(HINT_END)?;
        }
        Ok(hints)
    }

    /// `('t' = '1 d', …)`, where names may be without quotes.
    fn state_ttl(&mut self) -> Parsed<Vec<OptionDef>> {
        let mut options = Vec::new();
        self.expect("(")?;
        loop {
            let (key, key_span) = match self.peek().tok {
                Tok::Word { .. } => {
                    let name = self.ident("a table's name")?;
                    (name.text, name.span)
                }
                _ => self.text("a table's name, as in 'orders' = '1 d'")?,
            };
            self.expect("=")?;
            let (value, value_span) = self.text("a length of time in quotes")?;
            options.push(OptionDef { key, value, key_span, value_span });
            if !self.eat(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(options)
    }

    fn refuse_hint<T>(&mut self) -> Parsed<T> {
        let token = self.peek();
        let message = match &token.tok {
            Tok::Word { text, .. } => format!("the hint {text} is not supported; {OPTIONS_ONLY}"),
            _ => format!("expected the name of a hint, found {}; {OPTIONS_ONLY}", token.describe()),
        };
        self.error(token.span, message)
    }
}
