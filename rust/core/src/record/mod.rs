//! One conversation of a LLaVA JSON list, checked.
//!
//! ```json
//! {"id": "000000033471", "image": "coco/33471.jpg",
//!  "conversations": [{"from": "human", "value": "<image>\nWhat is this?"},
//!                    {"from": "gpt", "value": "A bus."}]}
//! ```
//!
//! What LLaVA repairs silently is repaired here in the same way (an open last question is dropped,
//! a single `<image>` moves to the front of its turn); what would train on something else than the
//! author meant is an error with the number of the turn.

mod given;
mod json;
mod repair;
mod shape;
mod turns;

use json::{Json, Object};
use turns::Placed;

use crate::error::{self, RecordFault};

pub use given::Given;
pub use repair::Repair;
pub(crate) use repair::is_space;

/// Marks the place of a picture in a human turn. Anywhere else it is ordinary text.
pub const IMAGE_TAG: &str = "<image>";

/// Bytes of a record that is still read.
pub const LARGEST: usize = 16 << 20;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `system`, at position 0 only
    System,
    /// `human` or `user`
    User,
    /// `gpt` or `assistant`
    Assistant,
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// who speaks
    pub role: Role,
    /// what is said; in a user turn each `<image>` is a picture
    pub text: String,
}

/// A question, unless the conversation begins with an answer, and the answer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round<'a> {
    /// what the user says
    pub question: Option<&'a str>,
    /// what the model learns to say
    pub answer: &'a str,
}

/// How records are read that are not as they should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// as LLaVA reads them: a picture without `<image>` is left out, several tags in one turn become
    /// one where there are more tags than pictures; by default both are errors
    pub as_llava: bool,
    /// an answer before the first question stays and is learned; by default it is left out
    pub keep_leading_answer: bool,
}

/// A conversation that can be trained on: an optional system turn, then rounds of one user and one
/// assistant turn, with exactly as many `<image>` tags in the user turns as there are images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `id`, or the position in the list where there is none
    pub id: String,
    /// paths of the pictures, in the order of their tags
    pub images: Vec<String>,
    /// system?, then user and assistant in turn
    pub turns: Vec<Turn>,
    /// `category`, a free label to report results by
    pub category: Option<String>,
    /// `data_source`, the set that the record comes from
    pub source: Option<String>,
    /// what was put right
    pub repairs: Vec<Repair>,
}

impl Record {
    /// Checks one JSON object; `index` names a record without `id`.
    ///
    /// # Errors
    /// A [`RecordFault`] that says which field or turn is wrong.
    pub fn from_json(json: &str, index: usize) -> error::Result<Self> {
        Self::read(json, index, Reading::default())
    }

    /// The same with the rules of one's choice.
    ///
    /// # Errors
    /// As [`Record::from_json`].
    pub fn read(json: &str, index: usize, reading: Reading) -> error::Result<Self> {
        Self::checked(object(json)?, reading, Ok, || index.to_string())
    }

    /// The same of a record that has a name and pictures from elsewhere; a list is its conversation.
    ///
    /// # Errors
    /// As [`Record::from_json`], and for other pictures than those.
    pub fn read_given(json: &str, given: &Given<'_>, reading: Reading) -> error::Result<Self> {
        let resolve = |named| given.resolve(named);
        Self::checked(object_or_turns(json)?, reading, resolve, || given.id.to_owned())
    }

    /// pictures: what the names of pictures in the record stand for.
    fn checked(
        mut fields: Object<'_>,
        reading: Reading,
        pictures: impl FnOnce(Vec<String>) -> Result<Vec<String>, RecordFault>,
        id: impl FnOnce() -> String,
    ) -> error::Result<Self> {
        let mut images = image_paths(&mut fields)?;
        let (mut named, mut repairs) = (Vec::new(), Vec::new());
        let mut turns = shape::read(&mut fields, &mut named, &mut repairs)?;
        if images.is_empty() {
            images = named;
        } else if !named.is_empty() {
            return Err(RecordFault::TwoOf("image", "an image in a turn").into());
        }
        images = pictures(images)?;
        repair::keep_whole_rounds(&mut turns, reading, &mut repairs)?;
        repair::check_answers(&turns)?;
        repair::settle_images(&mut turns, &mut images, reading, &mut repairs)?;
        Ok(Self {
            id: label("id", fields.take("id"))?.unwrap_or_else(id),
            images,
            turns: turns.into_iter().map(|Placed { role, text, .. }| Turn { role, text }).collect(),
            category: label("category", fields.take("category"))?,
            source: label("data_source", fields.take("data_source")).unwrap_or_default(),
            repairs,
        })
    }

    /// The text of the system turn, if there is one.
    #[must_use]
    pub fn system(&self) -> Option<&str> {
        self.turns.first().filter(|turn| turn.role == Role::System).map(|turn| turn.text.as_str())
    }

    /// The rounds; only the first can be without a question.
    pub fn rounds(&self) -> impl Iterator<Item = Round<'_>> {
        let talk = &self.turns[usize::from(self.system().is_some())..];
        let leads = talk.first().is_some_and(|turn| turn.role == Role::Assistant);
        let (lead, rest) = talk.split_at(usize::from(leads));
        let lead = lead.iter().map(|turn| Round { question: None, answer: &turn.text });
        lead.chain(rest.chunks_exact(2).map(|round| {
            let (question, answer) = (Some(round[0].text.as_str()), round[1].text.as_str());
            Round { question, answer }
        }))
    }
}

/// `<image>` tags in a text.
#[must_use]
pub fn count_tags(text: &str) -> usize {
    text.matches(IMAGE_TAG).count()
}

fn object(json: &str) -> Result<Object<'_>, RecordFault> {
    match bounded(json)? {
        Json::Object(fields) => Ok(fields),
        other => {
            let detail = format!("got {}, expected a record, i.e. a JSON object", other.kind());
            Err(RecordFault::Malformed(detail))
        }
    }
}

fn object_or_turns(json: &str) -> Result<Object<'_>, RecordFault> {
    match bounded(json)? {
        turns @ Json::List(_) => Ok(Object::of("conversations", turns)),
        Json::Object(fields) => Ok(fields),
        other => {
            let expected = "expected a JSON object or a list of turns";
            Err(RecordFault::Malformed(format!("got {}, {expected}", other.kind())))
        }
    }
}

fn bounded(json: &str) -> Result<Json<'_>, RecordFault> {
    if json.len() > LARGEST {
        return Err(RecordFault::TooLarge(LARGEST));
    }
    Json::parse(json)
}

fn label(field: &'static str, value: Option<Json<'_>>) -> Result<Option<String>, RecordFault> {
    match value {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Text(text)) => Ok(Some(text.into_owned())),
        Some(Json::Number(number)) => Ok(Some(number.to_string())),
        Some(other) => Err(shape::bad(field, &other, "a string or a number")),
    }
}

fn image_path(field: &'static str, path: Json<'_>) -> Result<String, RecordFault> {
    match path {
        Json::Text(path) if path.is_empty() => {
            Err(RecordFault::BadField { field, detail: "got an empty path".to_owned() })
        }
        Json::Text(path) => Ok(path.into_owned()),
        other => Err(shape::bad(field, &other, "a path or a list of paths")),
    }
}

fn image_paths(fields: &mut Object<'_>) -> Result<Vec<String>, RecordFault> {
    let expected = "a path or a list of paths";
    let (field, value) = match (fields.given("image"), fields.given("images")) {
        (Some(_), Some(_)) => return Err(RecordFault::TwoOf("image", "images")),
        (None, images) => ("images", images),
        (image, None) => ("image", image),
    };
    match value {
        None => Ok(Vec::new()),
        Some(path @ Json::Text(_)) => image_path(field, path).map(|path| vec![path]),
        Some(Json::List(paths)) => paths.into_iter().map(|path| image_path(field, path)).collect(),
        Some(other) => Err(shape::bad(field, &other, expected)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(image: &str, turns: &[(&str, &str)]) -> error::Result<Record> {
        let turns: Vec<_> = turns
            .iter()
            .map(|(from, value)| serde_json::json!({"from": from, "value": value}))
            .collect();
        let image: serde_json::Value = serde_json::from_str(image).expect("JSON");
        let record = serde_json::json!({"image": image, "conversations": turns, "category": 3});
        Record::from_json(&record.to_string(), 5)
    }

    #[test]
    fn a_single_tag_moves_to_the_front() {
        for (value, expected) in [
            ("\u{1c} What?\n<image> \u{a0}", "<image>\nWhat?"),
            ("<image>", "<image>"),
            ("Is <image> \n it?", "<image>\nIs  \n it?"),
        ] {
            let record = parse("\"i.jpg\"", &[("human", value), ("gpt", "A")]).expect("good");
            assert_eq!(record.turns[0].text, expected);
        }
        let two = [("human", "Is <image> like <image>? "), ("gpt", "A")];
        let record = parse("[\"i.jpg\", \"j.jpg\"]", &two).expect("good");
        assert_eq!(record.turns[0].text, two[0].1);
        assert_eq!(record.images, ["i.jpg", "j.jpg"]);
        assert_eq!((record.id.as_str(), record.category.as_deref()), ("5", Some("3")));
    }

    #[test]
    fn only_whole_rounds_stay() {
        let open =
            [("system", "S"), ("gpt", "Hello"), ("human", "Q"), ("gpt", "A"), ("human", "R")];
        let record = parse("null", &open).expect("good");
        assert_eq!(record.system(), Some("S"));
        let rounds: Vec<_> = record.rounds().collect();
        assert_eq!(rounds, [Round { question: Some("Q"), answer: "A" }]);
        assert_eq!(record.repairs, [Repair::DroppedLeadingAnswer, Repair::DroppedOpenQuestion]);
    }
}
