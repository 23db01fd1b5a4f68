//! What a record calls itself, read from good and bad records alike.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::record::Record;

/// Of records that say nothing about where they come from.
const NO_FOLDER: &str = "(no folder)";
const NO_PICTURE: &str = "(no picture)";
const UNREADABLE: &str = "(unreadable)";

/// Id and origin of a record.
#[derive(Debug, PartialEq, Eq)]
pub struct Label {
    /// `id`, where there is one
    pub id: Option<String>,
    /// `data_source`, else the first folder of the first picture
    pub source: String,
}

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    data_source: Option<&'a RawValue>,
    #[serde(borrow, alias = "images")]
    image: Option<&'a RawValue>,
}

impl Label {
    /// Of a record that is good: its first picture may be named in a turn.
    #[must_use]
    pub fn settled(self, record: &Record) -> Self {
        let source = match (&record.source, record.images.first()) {
            (Some(name), _) => name.clone(),
            (None, Some(path)) => folder(path).to_owned(),
            (None, None) => NO_PICTURE.to_owned(),
        };
        Self { source, ..self }
    }

    /// Of a record that says nothing.
    #[must_use]
    pub fn unknown() -> Self {
        Self { id: None, source: UNREADABLE.to_owned() }
    }

    /// From the text of a record. The rest of it may be anything.
    #[must_use]
    pub fn read(json: &str) -> Self {
        let Ok(raw) = serde_json::from_str::<Raw>(json) else {
            return Self::unknown();
        };
        let source = match raw.data_source.and_then(string) {
            Some(name) => name.into_owned(),
            None => raw.image.map_or(NO_PICTURE.to_owned(), place),
        };
        Self { id: raw.id.and_then(word), source }
    }
}

fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Text>(value.get()).ok().map(|text| text.0)
}

/// Borrows where nothing is escaped.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A string, or a number as it is written.
fn word(value: &RawValue) -> Option<String> {
    let text = value.get();
    match text.bytes().next() {
        Some(b'"') => string(value).map(Cow::into_owned),
        Some(b'-' | b'0'..=b'9') => Some(text.to_owned()),
        _ => None,
    }
}

/// Where the first picture of the field `image` lies.
fn place(image: &RawValue) -> String {
    let first = || serde_json::from_str::<Vec<Text>>(image.get()).ok()?.into_iter().next();
    let path = string(image).or_else(|| first().map(|text| text.0));
    match path {
        Some(path) => folder(&path).to_owned(),
        None if matches!(image.get(), "null" | "[]") => NO_PICTURE.to_owned(),
        None => UNREADABLE.to_owned(),
    }
}

fn folder(path: &str) -> &str {
    let mut parts = path.split('/').filter(|part| !matches!(*part, "" | "." | ".."));
    match (parts.next(), parts.next()) {
        (Some(folder), Some(_)) => folder,
        _ => NO_FOLDER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_and_source_come_from_any_record() {
        for (json, id, source) in [
            (r#"{"id": "a\u0041", "image": "coco/train/1.jpg"}"#, Some("aA"), "coco"),
            (r#"{"id": 7, "image": ["./gqa/1.jpg", 3]}"#, Some("7"), UNREADABLE),
            (r#"{"id": 7, "image": ["./gqa/1.jpg", "b"]}"#, Some("7"), "gqa"),
            (r#"{"image": "/data/1.jpg", "data_source": "x\ty"}"#, None, "x\ty"),
            (r#"{"image": "/1.jpg", "data_source": 3}"#, None, NO_FOLDER),
            (r#"{"image": "../../a/1.jpg"}"#, None, "a"),
            (r#"{"id": null, "image": null}"#, None, NO_PICTURE),
            (r#"{"id": [1], "image": []}"#, None, NO_PICTURE),
            (r#"{"image": 3}"#, None, UNREADABLE),
            (r#"{"conversations": [[[]]]}"#, None, NO_PICTURE),
            (r#"{"id": 1, "id": 2}"#, None, UNREADABLE),
            ("3", None, UNREADABLE),
        ] {
            let expected = Label { id: id.map(str::to_owned), source: source.to_owned() };
            assert_eq!(Label::read(json), expected, "{json}");
        }
    }
}
