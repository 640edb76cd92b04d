//! Reads JSON objects field by field and keeps every problem, so that a plan is never mended one
//! error at a time.

use super::Problem;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::fmt::Display;
use std::ops::{Bound, RangeBounds, RangeInclusive};

/// Where problems go.
#[derive(Default)]
pub(super) struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    pub(super) fn add(&self, path: impl Display, what: impl Display, remedy: impl Display) {
        self.0.borrow_mut().push(Problem {
            path: path.to_string(),
            what: what.to_string(),
            remedy: remedy.to_string(),
        });
    }

    pub(super) fn into_vec(self) -> Vec<Problem> {
        self.0.into_inner()
    }
}

/// One JSON object. Fields that are missing or wrong are noted and read as something harmless.
pub(super) struct Object<'a> {
    path: String,
    /// None: the object itself was missing or no object, which was noted already; then nothing more
    /// is.
    fields: Option<&'a Map<String, Value>>,
    known: Vec<&'static str>,
    problems: &'a Problems,
}

impl<'a> Object<'a> {
    /// The object at `path`, whatever was found there.
    pub(super) fn new(path: String, value: Option<&'a Value>, problems: &'a Problems) -> Self {
        let fields = value.and_then(Value::as_object);
        if let (Some(value), None) = (value, fields) {
            problems.add(&path, format!("is {}", shown(value)), "write an object {…}");
        }
        Self {
            path,
            fields,
            known: Vec::new(),
            problems,
        }
    }

    /// Notes every key that nobody asked for. Call it when all fields are read.
    pub(super) fn refuse_unknown(&self) {
        for key in self.fields.into_iter().flat_map(Map::keys) {
            if !self.known.contains(&key.as_str()) {
                let remedy = format!("remove it; known here: {}", self.known.join(", "));
                self.problems.add(self.at(key), "is not known", remedy);
            }
        }
    }

    pub(super) fn at(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    pub(super) fn problem(&self, name: &str, what: impl Display, remedy: impl Display) {
        self.problems.add(self.at(name), what, remedy);
    }

    /// The field's value; a missing one is noted together with what was wanted.
    fn field(&mut self, name: &'static str, wanted: &dyn Display) -> Option<&'a Value> {
        self.known.push(name);
        let value = self.fields?.get(name);
        if value.is_none() {
            self.problem(name, "is missing", format!("give {wanted}"));
        }
        value
    }

    /// The field's value if `read` can make something of it; otherwise None, and it is noted.
    fn value<T>(
        &mut self,
        name: &'static str,
        wanted: &dyn Display,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.field(name, wanted)?;
        let read = read(value);
        if read.is_none() {
            self.problem(
                name,
                format!("is {}", shown(value)),
                format!("give {wanted}"),
            );
        }
        read
    }

    /// A whole number.
    pub(super) fn whole(&mut self, name: &'static str, range: RangeInclusive<u64>) -> u64 {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        let number = self.value(name, &wanted, |value| {
            value.as_u64().filter(|number| range.contains(number))
        });
        number.unwrap_or(*range.start())
    }

    /// A whole number or null.
    pub(super) fn whole_or_null(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        let wanted = format!(
            "null or a whole number from {} to {}",
            range.start(),
            range.end()
        );
        self.value(name, &wanted, |value| match value {
            Value::Null => Some(None),
            other => other
                .as_u64()
                .filter(|number| range.contains(number))
                .map(Some),
        })?
    }

    /// A finite number.
    pub(super) fn number(&mut self, name: &'static str, range: impl RangeBounds<f64>) -> f64 {
        let wanted = format!("a number {}", bounds(&range));
        let number = self.value(name, &wanted, |value| {
            value
                .as_f64()
                .filter(|number| number.is_finite() && range.contains(number))
        });
        number.unwrap_or(1.0)
    }

    pub(super) fn flag(&mut self, name: &'static str) -> bool {
        self.value(name, &"true or false", Value::as_bool)
            .unwrap_or(false)
    }

    /// A text without control characters (they could break out of a header); empty only if it was
    /// noted as wrong.
    pub(super) fn text(&mut self, name: &'static str) -> String {
        self.value(name, &"a text, not empty, without control characters", line)
            .unwrap_or_default()
    }

    pub(super) fn text_or_null(&mut self, name: &'static str) -> Option<String> {
        self.value(
            name,
            &"null or a text, not empty, without control characters",
            |value| match value {
                Value::Null => Some(None),
                other => line(other).map(Some),
            },
        )?
    }

    /// A text of many lines, or null.
    pub(super) fn lines_or_null(&mut self, name: &'static str) -> Option<String> {
        self.value(name, &"null or a text", |value| match value {
            Value::Null => Some(None),
            other => other.as_str().map(|text| Some(text.to_owned())),
        })?
    }

    /// One of a few words; a wrong one reads as the first.
    pub(super) fn word<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)]) -> T {
        self.word_if_known(name, words).unwrap_or(words[0].1)
    }

    /// One of a few words; None, and noted, when it is none of them.
    pub(super) fn word_if_known<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let quoted: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        let find = |text: &str| {
            words
                .iter()
                .find(|(word, _)| *word == text)
                .map(|(_, meaning)| *meaning)
        };
        self.value(name, &quoted.join(" or "), |value| {
            value.as_str().and_then(find)
        })
    }

    /// An object inside.
    pub(super) fn object(&mut self, name: &'static str) -> Object<'a> {
        let value = self.field(name, &"an object {…}");
        Object::new(self.at(name), value, self.problems)
    }

    /// An object inside, or null.
    pub(super) fn object_or_null(&mut self, name: &'static str) -> Option<Object<'a>> {
        let value = self.field(name, &"null or an object {…}")?;
        (!value.is_null()).then(|| Object::new(self.at(name), Some(value), self.problems))
    }

    /// The objects of a list that must have `length` members.
    pub(super) fn objects(
        &mut self,
        name: &'static str,
        length: RangeInclusive<usize>,
    ) -> Vec<Object<'a>> {
        let values = self.list(name, &length);
        let member = |(place, value)| {
            Object::new(
                format!("{}[{place}]", self.at(name)),
                Some(value),
                self.problems,
            )
        };
        values.iter().enumerate().map(member).collect()
    }

    /// Whole numbers in a list that must have `length` members, or null.
    pub(super) fn wholes_or_null(
        &mut self,
        name: &'static str,
        length: RangeInclusive<usize>,
        range: RangeInclusive<u64>,
    ) -> Option<Vec<u64>> {
        if self.fields?.get(name).is_some_and(Value::is_null) {
            self.known.push(name);
            return None;
        }
        let mut numbers = Vec::new();
        for (place, value) in self.list(name, &length).iter().enumerate() {
            match value.as_u64().filter(|number| range.contains(number)) {
                Some(number) => numbers.push(number),
                None => {
                    let remedy = format!(
                        "give a whole number from {} to {}",
                        range.start(),
                        range.end()
                    );
                    self.problem(
                        &format!("{name}[{place}]"),
                        format!("is {}", shown(value)),
                        remedy,
                    );
                }
            }
        }
        Some(numbers)
    }

    fn list(&mut self, name: &'static str, length: &RangeInclusive<usize>) -> &'a [Value] {
        let wanted = if length.start() == length.end() {
            format!("a list of {}", length.start())
        } else {
            format!("a list of {} to {}", length.start(), length.end())
        };
        let right = |value: &'a Value| value.as_array().filter(|list| length.contains(&list.len()));
        self.value(name, &wanted, right).map_or(&[], Vec::as_slice)
    }
}

/// A text without control characters, not empty.
fn line(value: &Value) -> Option<String> {
    let right = |text: &&str| !text.is_empty() && !text.chars().any(char::is_control);
    value.as_str().filter(right).map(str::to_owned)
}

/// A value as an error names it. Texts are not shown: one may be a secret.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("a text of {} bytes", text.len()),
        Value::Array(list) => format!("a list of {}", list.len()),
        Value::Object(_) => "an object".to_owned(),
    }
}

fn bounds(range: &impl RangeBounds<f64>) -> String {
    let low = match range.start_bound() {
        Bound::Included(low) => format!("from {low}"),
        Bound::Excluded(low) => format!("above {low}"),
        Bound::Unbounded => String::new(),
    };
    match range.end_bound() {
        Bound::Included(high) => format!("{low} to {high}"),
        Bound::Excluded(high) => format!("{low} below {high}"),
        Bound::Unbounded => low,
    }
}
