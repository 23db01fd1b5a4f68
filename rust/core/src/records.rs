//! A list of records: the text of one JSON file and where each record lies in it.
//!
//! Opening scans the text once and checks its syntax; a record is parsed when it is asked for, so
//! 665,000 conversations cost their own bytes and sixteen more each, and one malformed record does
//! not make the others unreadable.

use std::fs;
use std::ops::Range;
use std::path::Path;

use serde_json::value::RawValue;

use crate::error::{Error, RecordFault, Result};
use crate::fingerprint::fingerprint;
use crate::record::{Reading, Record};

/// One JSON list of LLaVA records.
#[derive(Debug)]
pub struct Records {
    name: String,
    text: String,
    spans: Vec<Range<usize>>,
}

impl Records {
    /// Reads a JSON file.
    ///
    /// # Errors
    /// [`Error::Data`] naming the file, and line and column where the JSON breaks off.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let bytes = fs::read(path).map_err(|e| Error::Data(format!("`{name}`: {e}")))?;
        let text = String::from_utf8(bytes).map_err(|e| not_utf8(&name, &e))?;
        Self::from_json(&name, text)
    }

    /// Takes the text of a JSON list; `name` stands for it in messages.
    ///
    /// # Errors
    /// As [`Records::open`].
    pub fn from_json(name: &str, text: String) -> Result<Self> {
        // Windows editors write a byte order mark; JSON has none.
        let body = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let items: Vec<&RawValue> =
            serde_json::from_str(body).map_err(|e| malformed(name, body, &e))?;
        let start = text.as_ptr().addr();
        let span = |item: &RawValue| {
            let first = item.get().as_ptr().addr() - start;
            first..first + item.get().len()
        };
        let spans = items.into_iter().map(span).collect();
        Ok(Self { name: name.to_owned(), text, spans })
    }

    /// How many records there are, good or bad.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether the list is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The name of the file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Parses and checks record `index`.
    ///
    /// # Errors
    /// The [`RecordFault`] with record number, id and file.
    ///
    /// # Panics
    /// If `index` is not below [`Records::len`].
    pub fn get(&self, index: usize, reading: Reading) -> Result<Record> {
        Record::read(self.json(index), index, reading)
            .map_err(|error| self.place(index, self.with_line(index, error)))
    }

    /// Adds record number, id and file to an error that came up later, such as a bad picture.
    #[must_use]
    pub fn place(&self, index: usize, error: Error) -> Error {
        error.in_record(index, &self.id(index), &self.name)
    }

    /// Tells this list from others; the order of the records and their spelling count.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        fingerprint(self.text.as_bytes())
    }

    /// Record `index` as it is written.
    ///
    /// # Panics
    /// If `index` is not below [`Records::len`].
    #[must_use]
    pub fn json(&self, index: usize) -> &str {
        &self.text[self.spans[index].clone()]
    }

    /// The id as far as the record can be read.
    fn id(&self, index: usize) -> String {
        #[derive(serde::Deserialize)]
        struct Id {
            id: serde_json::Value,
        }
        match serde_json::from_str::<Id>(self.json(index)) {
            Ok(Id { id: serde_json::Value::String(id) }) => id,
            Ok(Id { id: serde_json::Value::Number(id) }) => id.to_string(),
            _ => index.to_string(),
        }
    }

    /// A record that is no object has a place in the file.
    fn with_line(&self, index: usize, error: Error) -> Error {
        let line = || 1 + self.text[..self.spans[index].start].matches('\n').count();
        let placed = |detail: String| match detail.contains(" at line ") {
            true => format!("{detail} of the record, which starts in line {}", line()),
            false => format!("{detail}; it starts in line {}", line()),
        };
        match error {
            Error::Record(RecordFault::Malformed(d)) => RecordFault::Malformed(placed(d)).into(),
            Error::Record(RecordFault::BadUnicode(d)) => RecordFault::BadUnicode(placed(d)).into(),
            other => other,
        }
    }
}

fn not_utf8(name: &str, error: &std::string::FromUtf8Error) -> Error {
    let good = error.utf8_error().valid_up_to();
    let line = error.as_bytes()[..good].split(|&byte| byte == b'\n').count();
    Error::Data(format!("`{name}`: line {line}: not UTF-8 at byte {good}"))
}

fn malformed(name: &str, text: &str, error: &serde_json::Error) -> Error {
    let (line, column) = (error.line(), error.column());
    let detail = error.to_string();
    let detail = detail.split(" at line ").next().unwrap_or_default();
    if error.is_data() {
        let first = text.trim_start().chars().next().unwrap_or_default();
        return Error::Data(format!(
            "`{name}`: got JSON that starts with `{first}`, expected a list of records"
        ));
    }
    Error::Data(format!("`{name}`: line {line} column {column}: {detail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"id": "a", "conversations": [
        {"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]}"#;

    fn list(records: &[&str]) -> Result<Records> {
        Records::from_json("train.json", format!("\u{feff}[\n{}\n]", records.join(",\n")))
    }

    #[test]
    fn a_bad_record_leaves_the_others_alone() {
        let records = list(&[GOOD, "3", r#"{"id": 7, "image": 1}"#, GOOD]).expect("a list");
        assert_eq!(records.len(), 4);
        assert_eq!(records.get(3, Reading::default()).expect("good").id, "a");
        let message = |index| records.get(index, Reading::default()).expect_err("bad").to_string();
        assert_eq!(
            message(1),
            "record 1 (id `1`) in `train.json`: malformed record: got a number, expected a record, \
             i.e. a JSON object; it starts in line 4"
        );
        assert_eq!(
            message(2),
            "record 2 (id `7`) in `train.json`: bad field `image`: got a number, expected a path or \
             a list of paths"
        );
    }

    #[test]
    fn malformed_json_names_file_line_and_column() {
        for (text, expected) in [
            ("[\n{},\n{]", "`f.json`: line 3 column 2: key must be a string"),
            ("[{}\n", "`f.json`: line 2 column 0: EOF while parsing a list"),
            ("[{}] x", "`f.json`: line 1 column 6: trailing characters"),
            ("", "`f.json`: line 1 column 0: EOF while parsing a value"),
            ("[NaN]", "`f.json`: line 1 column 2: expected value"),
            (" {}", "`f.json`: got JSON that starts with `{`, expected a list of records"),
        ] {
            let error = Records::from_json("f.json", text.to_owned()).expect_err(text);
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let folder = std::env::temp_dir();
        let missing = folder.join("llava_fast_no_such_file.json");
        let message = Records::open(&missing).expect_err("missing").to_string();
        assert!(
            message.contains("llava_fast_no_such_file.json") && message.contains("No such file")
        );
        let latin = folder.join(format!("llava_fast_latin_{}.json", std::process::id()));
        fs::write(&latin, b"[\n{}\n\xe9]").expect("a temporary file");
        let message = Records::open(&latin).expect_err("not UTF-8").to_string();
        fs::remove_file(&latin).expect("a temporary file");
        assert!(message.ends_with("line 3: not UTF-8 at byte 5"), "{message}");
    }

    #[test]
    fn the_fingerprint_follows_the_text() {
        let one = list(&[GOOD]).expect("a list");
        let two = list(&[GOOD, GOOD]).expect("a list");
        assert_ne!(one.fingerprint(), two.fingerprint());
        assert_eq!(one.fingerprint(), list(&[GOOD]).expect("a list").fingerprint());
    }
}
