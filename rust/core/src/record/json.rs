//! JSON as a tree that borrows its text, read strictly.
//!
//! Python's `json` accepts more: keys that come twice, `NaN`, halves of surrogate pairs, any depth.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use crate::error::RecordFault;

/// Lists and objects inside each other.
const DEEPEST: usize = 64;
/// Keys up to which comparing each with each is fastest.
const FEW: usize = 16;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'a> {
    Null,
    Bool,
    Number(Number),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Object<'a>),
}

/// Keys and values in the order of the file; no key comes twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Json<'a> {
    /// # Errors
    /// `Malformed`, `DuplicateKey`, `TooDeep` or `BadUnicode`.
    pub fn parse(text: &'a str) -> Result<Self, RecordFault> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let value = Nested(0).deserialize(&mut deserializer).map_err(|e| fault(&e))?;
        deserializer.end().map_err(|e| fault(&e))?;
        Ok(value)
    }

    /// For messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

impl<'a> Object<'a> {
    /// An object with one key.
    pub fn of(key: &'a str, value: Json<'a>) -> Self {
        Self(vec![(key.into(), value)])
    }

    /// Whether the key is there, with whatever value.
    pub fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(name, _)| name == key)
    }

    /// Takes the value out.
    pub fn take(&mut self, key: &str) -> Option<Json<'a>> {
        let place = self.0.iter().position(|(name, _)| name == key)?;
        Some(self.0.swap_remove(place).1)
    }

    /// Takes the value out; in tables, null is what rows have in columns of other rows.
    pub fn given(&mut self, key: &str) -> Option<Json<'a>> {
        self.take(key).filter(|value| *value != Json::Null)
    }
}

const TWICE: &str = "the key comes twice: ";
const DEEP: &str = "nested too deep";

fn fault(error: &serde_json::Error) -> RecordFault {
    let text = error.to_string();
    if let Some(key) = text.strip_prefix(TWICE) {
        let key = key.rsplit_once(" at line ").map_or(key, |(key, _)| key);
        return RecordFault::DuplicateKey(key.to_owned());
    }
    if text.starts_with(DEEP) || text.starts_with("recursion limit exceeded") {
        return RecordFault::TooDeep(DEEPEST);
    }
    if text.contains("surrogate") || text.contains("end of hex escape") || text.contains("unicode")
    {
        return RecordFault::BadUnicode(text);
    }
    RecordFault::Malformed(text)
}

/// Reads a value with so many others around it.
struct Nested(usize);

impl<'a> DeserializeSeed<'a> for Nested {
    type Value = Json<'a>;

    fn deserialize<D: serde::Deserializer<'a>>(self, from: D) -> Result<Json<'a>, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Nested {
    type Value = Json<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'a>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json<'a>, E> {
        Ok(Json::Bool)
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'a>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'a>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json<'a>, E> {
        Number::from_f64(value).map(Json::Number).ok_or_else(|| E::custom("a number without end"))
    }

    fn visit_borrowed_str<E>(self, value: &'a str) -> Result<Json<'a>, E> {
        Ok(Json::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json<'a>, E> {
        Ok(Json::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut items: A) -> Result<Json<'a>, A::Error> {
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self(inner))? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'a>>(self, mut fields: A) -> Result<Json<'a>, A::Error> {
        let inner = self.inner()?;
        let (mut object, mut seen) = (Object::default(), HashSet::new());
        while let Some(Key(key)) = fields.next_key::<Key<'a>>()? {
            let twice = if object.0.len() < FEW {
                object.has(&key)
            } else {
                if seen.is_empty() {
                    seen.extend(object.0.iter().map(|(name, _)| name.clone()));
                }
                !seen.insert(key.clone())
            };
            if twice {
                return Err(A::Error::custom(format!("{TWICE}{key}")));
            }
            object.0.push((key, fields.next_value_seed(Self(inner))?));
        }
        Ok(Json::Object(object))
    }
}

impl Nested {
    fn inner<E: serde::de::Error>(&self) -> Result<usize, E> {
        if self.0 < DEEPEST { Ok(self.0 + 1) } else { Err(E::custom(DEEP)) }
    }
}

/// A key, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_would_take_is_refused() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let many: Vec<_> = (0..40).map(|i| format!("\"{}\": 1", i % 30)).collect();
        for (text, code) in [
            (r#"{"a": 1, "b": {"c": 1, "c": 2}}"#, "duplicate_key"),
            (&format!("{{{}}}", many.join(",")), "duplicate_key"),
            (r#""\ud800""#, "bad_unicode"),
            (r#""\ud800\u0041""#, "bad_unicode"),
            (r#""\udc00""#, "bad_unicode"),
            ("NaN", "malformed_record"),
            ("-Infinity", "malformed_record"),
            ("1e999", "malformed_record"),
            ("{} {}", "malformed_record"),
            ("\"a\nb\"", "malformed_record"),
            (&deep(65), "too_deep"),
            (&deep(5000), "too_deep"),
        ] {
            assert_eq!(Json::parse(text).map_err(|fault| fault.code()), Err(code), "{text}");
        }
        assert!(Json::parse(&deep(64)).is_ok());
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        let Ok(Json::Object(mut object)) = Json::parse(r#"{"a": "b", "c": "\u00e9"}"#) else {
            panic!("no object")
        };
        assert!(matches!(object.take("a"), Some(Json::Text(Cow::Borrowed("b")))));
        assert_eq!(object.take("c"), Some(Json::Text("é".into())));
        assert_eq!(object.take("a"), None);
    }
}
