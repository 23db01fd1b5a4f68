//! One record of a tar: what the entries of its key say, as a line of JSON.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::names::placed;
use crate::error::{Error, RecordFault, Result};
use crate::record::{Given, IMAGE_TAG, Reading, Record};

/// The entries of one key.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Pair<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    /// text of the `.json` entry, whatever that is
    #[serde(borrow, skip_serializing_if = "Option::is_none", default)]
    json: Option<Cow<'a, str>>,
    /// text of the `.txt` entry: a caption
    #[serde(borrow, skip_serializing_if = "Option::is_none", default)]
    txt: Option<Cow<'a, str>>,
    /// why the entries are no record
    #[serde(borrow, skip_serializing_if = "Option::is_none", default)]
    fault: Option<Cow<'a, str>>,
    /// names, and where their headers start
    #[serde(borrow)]
    pictures: Vec<(Cow<'a, str>, u64)>,
}

impl<'a> Pair<'a> {
    pub(super) fn new(key: &str) -> Self {
        Self { key: key.to_owned().into(), ..Self::default() }
    }

    pub(super) fn set_json(&mut self, text: String) {
        self.json = Some(text.into());
    }

    pub(super) fn set_txt(&mut self, text: String) {
        self.txt = Some(text.into());
    }

    pub(super) fn add_picture(&mut self, name: String, start: u64) {
        self.pictures.push((name.into(), start));
    }

    /// The first fault counts.
    pub(super) fn set_fault(&mut self, fault: String) {
        self.fault.get_or_insert(fault.into());
    }

    /// Notes what is missing, and puts numbered pictures in their order.
    pub(super) fn finish(&mut self) {
        self.pictures.sort_by(|(a, _), (b, _)| natural(a).cmp(&natural(b)));
        if self.json.is_none() && self.txt.is_none() {
            let names: Vec<_> = self.pictures.iter().map(|(name, _)| format!("`{name}`")).collect();
            let names = names.join(", ");
            self.set_fault(format!("no `.json` and no `.txt` entry for {names}"));
        }
    }

    /// A line that [`Pair`] has been written as.
    pub(crate) fn parse(line: &'a str) -> Result<Self> {
        serde_json::from_str(line)
            .map_err(|error| Error::Data(format!("damaged side file: {error}")))
    }

    /// The record, checked.
    pub(crate) fn record(&self, reading: Reading) -> Result<Record> {
        self.check()?;
        let pictures = self.pictures.iter();
        let given = Given {
            id: &self.key,
            pictures: pictures.map(|(name, start)| (&**name, placed(name, *start))).collect(),
        };
        let Some(json) = &self.json else {
            return Record::read_given(&self.caption(), &given, reading);
        };
        match Record::read_given(json, &given, reading) {
            // What describes a picture, as img2dataset writes it, is no conversation about it.
            Err(Error::Record(RecordFault::MissingField("conversations")))
                if self.txt.is_some() =>
            {
                Record::read_given(&self.caption(), &given, reading)
            }
            result => result,
        }
    }

    /// The text of the record as it is written; of a caption, the record that it becomes.
    pub(crate) fn text(&self) -> Result<String> {
        self.check()?;
        Ok(self.json.as_ref().map_or_else(|| self.caption(), |json| json.clone().into_owned()))
    }

    /// What stands for the record in messages if it has no id.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    fn check(&self) -> Result<()> {
        match &self.fault {
            None => Ok(()),
            Some(fault) => Err(RecordFault::BadPair(fault.clone().into_owned()).into()),
        }
    }

    /// A question of nothing but pictures, answered by the text.
    fn caption(&self) -> String {
        let question = vec![IMAGE_TAG; self.pictures.len()].join("\n");
        let answer = self.txt.as_deref().unwrap_or_default().trim();
        serde_json::json!({"id": self.key, "conversations": [
            {"from": "human", "value": question}, {"from": "gpt", "value": answer},
        ]})
        .to_string()
    }
}

/// Numbers count as numbers: `k.2.jpg` comes before `k.10.jpg`.
fn natural(name: &str) -> Vec<(u64, &str)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number = rest[..digits].parse().unwrap_or(if digits == 0 { 0 } else { u64::MAX });
        let behind = &rest[digits..];
        let text = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        parts.push((number, &behind[..text]));
        rest = &behind[text..];
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::{Pair, natural};
    use crate::record::Reading;

    #[test]
    fn numbers_in_names_count() {
        let mut names = vec!["k.10.jpg", "k.2.jpg", "k.jpg", "k.1.jpg", "k.img3.jpg"];
        names.sort_by_key(|name| natural(name));
        assert_eq!(names, ["k.1.jpg", "k.2.jpg", "k.10.jpg", "k.img3.jpg", "k.jpg"]);
    }

    #[test]
    fn a_pair_comes_back_from_its_line() {
        let mut pair = Pair::new("d/k");
        pair.set_txt("  A \"bus\".\n".to_owned());
        pair.add_picture("d/k.jpg".to_owned(), 512);
        pair.finish();
        let line = serde_json::to_string(&pair).expect("JSON");
        let record = Pair::parse(&line).and_then(|pair| pair.record(Reading::default()));
        let record = record.expect("a record");
        assert_eq!(
            (record.id.as_str(), record.images),
            ("d/k", vec!["d/k.jpg at byte 512".into()])
        );
        assert_eq!(record.turns[0].text, "<image>");
        assert_eq!(record.turns[1].text, "A \"bus\".");
    }
}
