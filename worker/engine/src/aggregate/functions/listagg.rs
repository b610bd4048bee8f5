//! LISTAGG. Partial result: the separator of the first value, and the values from there on with
//! the separators between them; NULL when there was none.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field};
use weir_state::chunked::Chunked;

use super::array_agg::{Gives, in_order};
use crate::OperatorError;
use crate::aggregate::{
    Accumulator, Aggregate, AggregateFunction, Export, InputRows, Refusal, ResultType, Retraction,
    malformed,
};

/// `LISTAGG(x, separator)`: the values that are not NULL, in the order in which rows come.
///
/// An aggregate has one argument. This one is a text that says both, made by [`item`]: each row
/// may have its own separator, which stands before its value.
#[derive(Debug)]
pub(super) struct ListAgg;

const REFUSAL: Refusal = Refusal { takes: "a string" };

/// A value and the separator before it, as LISTAGG takes them.
#[must_use]
pub fn item(value: &str, separator: &str) -> String {
    format!("{}:{separator}{value}", separator.len())
}

/// Separator and value of an [`item`].
pub(super) fn parts(item: &str) -> Option<(&str, &str)> {
    let (length, rest) = item.split_once(':')?;
    rest.split_at_checked(length.parse().ok()?)
}

impl AggregateFunction for ListAgg {
    fn name(&self) -> &'static str {
        "LISTAGG"
    }

    fn is_by_arrival(&self) -> bool {
        true
    }

    fn resolve(&self, argument: Option<&DataType>) -> Result<ResultType, Refusal> {
        match argument {
            Some(DataType::Utf8) => Ok(ResultType::Of(DataType::Utf8)),
            _ => Err(REFUSAL),
        }
    }

    fn compile(
        &self,
        argument: Option<&DataType>,
        input: InputRows,
    ) -> Result<Arc<dyn Aggregate>, Refusal> {
        self.resolve(argument)?;
        if input == InputRows::Retracted {
            return Ok(in_order(DataType::Utf8, DataType::Utf8, Gives::Joined));
        }
        Ok(Arc::new(Listed))
    }
}

#[derive(Debug)]
struct Listed;

impl Aggregate for Listed {
    fn output(&self) -> &DataType {
        &DataType::Utf8
    }

    fn state(&self) -> Vec<Field> {
        ["separator", "list"].map(|name| Field::new(name, DataType::Utf8, true)).to_vec()
    }

    fn partial(
        &self,
        values: Option<&ArrayRef>,
        _rows: usize,
    ) -> Result<Vec<ArrayRef>, OperatorError> {
        let items = values.and_then(|values| values.as_string_opt::<i32>());
        let items = items.ok_or_else(|| malformed("LISTAGG"))?;
        let (mut separators, mut lists) = (StringBuilder::new(), StringBuilder::new());
        for item in items {
            let (separator, value) = match item {
                Some(item) => parts(item).map(Some).ok_or_else(|| malformed("LISTAGG"))?.unzip(),
                None => (None, None),
            };
            separators.append_option(separator);
            lists.append_option(value);
        }
        Ok(vec![Arc::new(separators.finish()), Arc::new(lists.finish())])
    }

    /// Nothing is ever taken out of it: where rows go, all values are kept.
    fn retraction(&self) -> Retraction {
        Retraction::Negated
    }

    fn accumulator(&self) -> Result<Box<dyn Accumulator>, OperatorError> {
        Ok(Box::<Lists>::default())
    }
}

#[derive(Clone, Debug)]
struct List {
    separator: Box<str>,
    text: String,
}

#[derive(Default, Debug)]
struct Lists {
    lists: Chunked<Option<List>>,
    pointed: usize,
}

impl Lists {
    fn column(&self, slots: &[u32], of: impl Fn(&List) -> &str) -> ArrayRef {
        let lists = slots.iter().map(|&slot| self.lists.get(slot as usize).as_ref().map(&of));
        Arc::new(lists.collect::<StringArray>())
    }
}

impl Export for Lists {
    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        Ok(vec![self.column(slots, |list| &list.separator), self.column(slots, |list| &list.text)])
    }
}

impl Accumulator for Lists {
    fn grow(&mut self, groups: usize) {
        self.lists.grow(groups);
    }

    fn merge(&mut self, slots: &[u32], partial: &[ArrayRef]) -> Result<(), OperatorError> {
        let [separators, lists] = partial else {
            return Err(malformed("LISTAGG"));
        };
        let columns = separators.as_string_opt::<i32>().zip(lists.as_string_opt::<i32>());
        let (separators, lists) = columns.ok_or_else(|| malformed("LISTAGG"))?;
        for ((&slot, separator), text) in slots.iter().zip(separators).zip(lists) {
            let Some((separator, text)) = separator.zip(text) else {
                continue;
            };
            self.pointed += separator.len() + text.len();
            match self.lists.get_mut(slot as usize) {
                Some(list) => {
                    list.text.push_str(separator);
                    list.text.push_str(text);
                }
                none => *none = Some(List { separator: separator.into(), text: text.to_owned() }),
            }
        }
        Ok(())
    }

    fn reset(&mut self, slots: &[u32]) {
        for &slot in slots {
            if let Some(old) = self.lists.get_mut(slot as usize).take() {
                self.pointed -= old.separator.len() + old.text.len();
            }
        }
    }

    fn finish(&self, slots: &[u32]) -> Result<ArrayRef, OperatorError> {
        Ok(self.column(slots, |list| &list.text))
    }

    fn freeze(&mut self, _full: bool) -> Box<dyn Export> {
        Box::new(Self { lists: self.lists.freeze(), pointed: 0 })
    }

    fn bytes(&self) -> usize {
        self.lists.bytes() + self.pointed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::testing::shown;

    #[test]
    fn values_are_listed_with_the_separators_before_them() {
        let items = [Some(("a", ",")), None, Some(("", ":")), Some(("b:c", "é;")), Some(("d", ""))];
        let items: StringArray = items
            .iter()
            .map(|item| item.map(|(value, separator)| super::item(value, separator)))
            .collect();
        let items: ArrayRef = Arc::new(items);
        let aggregate = ListAgg.compile(Some(&DataType::Utf8), InputRows::Appended).unwrap();
        let mut accumulator = aggregate.accumulator().unwrap();
        accumulator.grow(2);
        let partial = aggregate.partial(Some(&items), 5).unwrap();
        accumulator.merge(&[0, 0, 0, 0, 0], &partial).unwrap();
        let stored = accumulator.export(&[0, 1]).unwrap();
        accumulator.reset(&[0]);
        accumulator.merge(&[0, 1], &stored).unwrap();
        accumulator.merge(&[0], &stored.iter().map(|c| c.slice(0, 1)).collect::<Vec<_>>()).unwrap();
        assert_eq!(shown(&accumulator.finish(&[0, 1]).unwrap()), ["a:é;b:cd,a:é;b:cd", "NULL"]);
    }

    #[test]
    fn what_is_no_item_is_told() {
        let items: ArrayRef = Arc::new(StringArray::from(vec!["abc"]));
        assert!(Listed.partial(Some(&items), 1).is_err());
    }
}
