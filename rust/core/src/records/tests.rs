use std::fs;

use proptest::prelude::*;

use super::scan::{Fault, Found, Scanner};
use super::*;
use crate::record::LARGEST;

const GOOD: &str = r#"{"id": "a", "conversations": [
    {"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]}"#;

fn list(records: &[&str]) -> Result<Records> {
    Records::from_json("train.json", format!("\u{feff}[\n{}\n]", records.join(",\n")))
}

/// A file that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, content: &[u8]) -> Self {
        let name = format!("llava_fast_{}_{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, content).expect("a temporary file");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn a_bad_record_leaves_the_others_alone() {
    let bad = r#"{"id": 7, "image": 1}"#;
    let broken = "{\"id\": \"b\", \"conversations\": [nil,\n\"a\nb\"]}";
    let records = list(&[GOOD, "3", bad, broken, "NaN", "\"text\"", GOOD]).expect("a list");
    assert_eq!(records.len(), 7);
    assert_eq!(records.get(6, Reading::default()).expect("good").id, "a");
    let message = |index| records.get(index, Reading::default()).expect_err("bad").to_string();
    assert_eq!(
        message(1),
        "record 1 (id `1`) in `train.json`: malformed record: got a number, expected a record, i.e. \
         a JSON object; it starts in line 4"
    );
    assert_eq!(
        message(2),
        "record 2 (id `7`) in `train.json`: bad field `image`: got a number, expected a path or a \
         list of paths"
    );
    for (index, line) in [(3, 6), (4, 9), (5, 10)] {
        let message = message(index);
        let start = format!("record {index} (id `{index}`) in `train.json`: malformed record: ");
        let end = format!(" starts in line {line}");
        assert!(message.starts_with(&start) && message.ends_with(&end), "{message}");
    }
}

#[test]
fn a_file_that_is_no_list_names_line_and_column() {
    let expected = "expected a list of records, or one record a line";
    for (text, message) in [
        ("[\n{},\n{]", "line 3 column 2: got `]`, expected `}`"),
        ("[{\"a\": [1}]", "line 1 column 10: got `}`, expected `]`"),
        ("[{}\n", "line 2 column 0: EOF while parsing a list"),
        ("[{}, {", "line 1 column 6: EOF while parsing record 1, which starts in line 1"),
        ("[{}] x", "line 1 column 6: trailing characters"),
        ("[{},\n]", "line 2 column 1: trailing comma"),
        ("[{}\n{}]", "line 2 column 1: expected `,` or `]`"),
        ("[,]", "line 1 column 2: expected value"),
        ("", "line 1 column 0: EOF while parsing a value"),
        (" \n", "line 2 column 0: EOF while parsing a value"),
        (" 3", &format!("got JSON that starts with `3`, {expected}")),
        ("\u{e9}", &format!("got a file that starts with the byte 0xc3, {expected}")),
        ("{\n\"id\": 3}", &format!("line 1: the object does not end in its line, {expected}")),
        (
            "[{\"a\": \"b},\n {\"a\": \"b\"}]",
            "line 1 column 8: a string is not closed in its line (noticed at line 2 column 12: EOF \
             while parsing record 0, which starts in line 1)",
        ),
    ] {
        let error = Records::from_json("f.json", text.to_owned()).expect_err(text);
        assert_eq!(error.to_string(), format!("`f.json`: {message}"), "{text:?}");
    }
}

#[test]
fn one_record_a_line() {
    let good = GOOD.replace('\n', " ");
    let text = format!("\u{feff}\n {good} \r\n\n  \r\n{{\"id\": [}}\n3\n{good}");
    let records = Records::from_json("f.jsonl", text).expect("lines");
    assert_eq!(records.len(), 4);
    assert_eq!(records.json(0).expect("text"), good);
    assert_eq!(records.get(3, Reading::default()).expect("good").id, "a");
    for (index, line) in [(1, 5), (2, 6)] {
        let message = records.get(index, Reading::default()).expect_err("bad").to_string();
        assert!(message.ends_with(&format!(" starts in line {line}")), "{message}");
    }
    // A last line that is cut off loses itself only.
    let cut = Records::from_json("f.jsonl", format!("{good}\n{{\"id\": ")).expect("lines");
    assert!(cut.get(0, Reading::default()).is_ok() && cut.get(1, Reading::default()).is_err());
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = std::env::temp_dir();
    let message = Records::open(&folder.join("no_such.json")).expect_err("missing").to_string();
    assert!(message.ends_with("no_such.json`: no such file"), "{message}");
    let message = Records::open(&folder).expect_err("a folder").to_string();
    assert!(message.ends_with("`: is a directory"), "{message}");
}

#[test]
fn bytes_that_are_no_text_are_the_fault_of_their_record() {
    let latin = Scratch::new("latin.json", b"[\n{\"id\": \"\xe9\"},\n{}]");
    let records = Records::open(&latin.0).expect("a list");
    let message = records.get(0, Reading::default()).expect_err("not UTF-8").to_string();
    assert!(message.ends_with("not UTF-8 behind byte 8; it starts in line 2"), "{message}");
    assert!(
        records
            .get(1, Reading::default())
            .expect_err("empty")
            .to_string()
            .contains("missing field")
    );
    let between = Scratch::new("between.json", b"[\n{}\n\xe9]");
    let message = Records::open(&between.0).expect_err("no comma").to_string();
    assert!(message.ends_with("line 3 column 1: expected `,` or `]`"), "{message}");
}

#[test]
fn a_record_of_many_bytes_is_refused_by_itself() {
    let long = format!("{{\"id\": \"{}\"}}", "x".repeat(LARGEST));
    let records = list(&[GOOD, &long, GOOD]).expect("a list");
    let message = records.get(1, Reading::default()).expect_err("long").to_string();
    let expected = "record 1 (id `1`) in `train.json`: the record is larger than 16777216 bytes";
    assert_eq!(message, expected);
    assert!(records.get(2, Reading::default()).is_ok());
}

#[test]
fn a_file_that_is_cut_off_is_an_error() {
    let file = Scratch::new("cut.json", format!("[{GOOD},{GOOD}]").as_bytes());
    let records = Records::open(&file.0).expect("a list");
    let writer = fs::OpenOptions::new().write(true).open(&file.0).expect("the file");
    writer.set_len(GOOD.len() as u64 + 9).expect("shorter");
    assert!(records.get(0, Reading::default()).is_ok());
    let error = records.get(1, Reading::default()).expect_err("gone");
    assert!(error.to_string().ends_with("the file has been cut off since it was opened"));
    assert_eq!(error.code(), "data");
}

#[test]
fn several_files_are_numbered_through() {
    let from = |name: &str, count: usize| {
        let record = |i: usize| GOOD.replace("\"a\"", &format!("\"{name}{i}\""));
        let text: Vec<_> = (0..count).map(record).collect();
        Input::Text(name.to_owned(), format!("[{}]", text.join(",")))
    };
    let first = Choice { rule: Rule::End(Amount::Count(2)), weight: 1.0 };
    let twice = Choice { rule: Rule::All, weight: 2.0 };
    let sources =
        vec![(from("a", 3), first), (from("empty", 0), Choice::ALL), (from("b", 2), twice)];
    let records = Records::mixture(sources.clone(), 0, &Place::default()).expect("a mixture");
    let ids: Vec<_> =
        (0..records.len()).map(|i| records.get(i, Reading::default()).expect("good").id).collect();
    assert_eq!(ids, ["a1", "a2", "b0", "b1", "b0", "b1"]);
    assert_eq!((records.part(1), records.part(2), records.parts()), (0, 2, 3));
    assert_eq!(records.origin(5), ("b", 1));
    let error = records.place(1, Error::Data("late".into()));
    assert_eq!(error.to_string(), "record 2 (id `a2`) in `a`: late");
    let other = Records::mixture(sources[..2].to_vec(), 0, &Place::default()).expect("a mixture");
    assert_ne!(records.fingerprint(), other.fingerprint());
}

#[test]
fn the_fingerprint_follows_the_text() {
    let one = list(&[GOOD]).expect("a list");
    let two = list(&[GOOD, GOOD]).expect("a list");
    assert_ne!(one.fingerprint(), two.fingerprint());
    assert_eq!(one.fingerprint(), list(&[GOOD]).expect("a list").fingerprint());
    let text = format!("[{GOOD}]");
    let file = Scratch::new("print.json", text.as_bytes());
    let opened = Records::open(&file.0).expect("a list").fingerprint();
    assert_eq!(opened, crate::fingerprint::fingerprint(text.as_bytes()));
}

fn scanned(text: &[u8], block: usize) -> std::result::Result<Found, Fault> {
    let mut scanner = Scanner::default();
    text.chunks(block).try_for_each(|piece| scanner.feed(piece))?;
    scanner.finish()
}

/// Values with everything that looks like structure in their strings.
fn value() -> impl Strategy<Value = serde_json::Value> {
    let text = proptest::collection::vec(prop_oneof!["[\\\\\"{}\\[\\],:\n\t ]", "\\PC"], 0..12)
        .prop_map(|pieces| serde_json::Value::String(pieces.concat()));
    let leaf = prop_oneof![
        text,
        any::<i64>().prop_map(Into::into),
        any::<bool>().prop_map(Into::into),
        Just(serde_json::Value::Null),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let fields = proptest::collection::btree_map("[\\\\\"{}a-z]{0,4}", inner.clone(), 0..5);
        prop_oneof![
            proptest::collection::vec(inner, 0..5).prop_map(serde_json::Value::Array),
            fields.prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn spans_are_what_a_parser_finds(
        items in proptest::collection::vec(value(), 0..8),
        pretty in any::<bool>(),
        block in 1usize..40,
    ) {
        let text = if pretty {
            serde_json::to_string_pretty(&items)
        } else {
            serde_json::to_string(&items)
        }
        .expect("JSON");
        let found = scanned(text.as_bytes(), block).expect("a list");
        prop_assert_eq!(&found, &scanned(text.as_bytes(), text.len()).expect("a list"));
        prop_assert_eq!(found.spans.len(), items.len());
        for (span, item) in found.spans.iter().zip(&items) {
            let start = span.start as usize;
            let piece = &text[start..start + span.length as usize];
            prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(piece).expect("JSON"), item);
            let line = 1 + text[..start].matches('\n').count();
            prop_assert_eq!(span.line as usize, line);
        }
    }

    #[test]
    fn what_a_parser_takes_is_taken_and_any_bytes_end_the_same_way(
        mut text in proptest::collection::vec(proptest::sample::select(&b"[]{},:\"\\\n a1"[..]), 0..40),
        block in 1usize..9,
    ) {
        text.insert(0, b'[');
        let whole = scanned(&text, text.len());
        prop_assert_eq!(&whole, &scanned(&text, block));
        if let Ok(items) = serde_json::from_slice::<Vec<&serde_json::value::RawValue>>(&text) {
            prop_assert_eq!(whole.expect("a list").spans.len(), items.len());
        }
    }
}
