//! `/*+ … */`: Flink's hints. Two are understood, the options of a table for this place alone, and
//! how a table is asked; every other is refused by its name, as a program that is run without it is
//! another program.

use super::{Parsed, Parser};
use crate::ast::{LookupHint, OptionDef};
use crate::lex::{HINT, HINT_END, Tok};

const OPTIONS_ONLY: &str = "of Flink's hints OPTIONS('key' = 'value') is, right behind the name of a table, before its alias, and LOOKUP('table' = 'name', …), behind SELECT";

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

    /// Hints behind SELECT, which are about joins and aggregations: how tables are asked.
    pub(super) fn query_hints(&mut self) -> Parsed<Vec<LookupHint>> {
        let mut lookups = Vec::new();
        while self.eat(HINT) {
            loop {
                let start = self.span();
                if self.is_word("OPTIONS") {
                    return self.error(
                        start,
                        "OPTIONS has no place behind SELECT; it stands right behind the name of the table that it is for, before its alias",
                    );
                }
                if !self.eat_word("LOOKUP") {
                    return self.refuse_hint();
                }
                let options = self.option_list()?;
                lookups.push(LookupHint { options, span: self.since(start) });
                if !self.eat(",") {
                    break;
                }
            }
            self.expect(HINT_END)?;
        }
        Ok(lookups)
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
