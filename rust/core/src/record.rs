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

use serde::Deserialize;
use serde_json::Value;

use crate::error::{RecordFault, Result};

/// Marks the place of a picture in a human turn. Anywhere else it is ordinary text.
pub const IMAGE_TAG: &str = "<image>";

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `system`, at position 0 only
    System,
    /// `human`
    User,
    /// `gpt`
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
}

impl Record {
    /// Checks one JSON object; `index` names a record without `id`.
    ///
    /// # Errors
    /// A [`RecordFault`] that says which field or turn is wrong.
    pub fn from_json(json: &str, index: usize) -> Result<Self> {
        // serde would also take a list, field by field.
        if json.trim_start().starts_with('[') {
            let detail = "got a list, expected a record, i.e. a JSON object";
            return Err(RecordFault::Malformed(detail.into()).into());
        }
        let raw: Raw =
            serde_json::from_str(json).map_err(|e| RecordFault::Malformed(e.to_string()))?;
        let images = image_paths(raw.image)?;
        let turns = read_turns(raw.conversations)?;
        let mut turns = keep_whole_rounds(turns)?;
        check_answers(&turns)?;
        for turn in turns.iter_mut().filter(|turn| turn.role == Role::User) {
            lead_with_image(&mut turn.text);
        }
        check_tags(&turns, images.len())?;
        Ok(Self {
            id: label("id", raw.id)?.unwrap_or_else(|| index.to_string()),
            images,
            turns: turns
                .into_iter()
                .map(|turn| Turn { role: turn.role, text: turn.text })
                .collect(),
            category: label("category", raw.category)?,
        })
    }

    /// The text of the system turn, if there is one.
    #[must_use]
    pub fn system(&self) -> Option<&str> {
        self.turns.first().filter(|turn| turn.role == Role::System).map(|turn| turn.text.as_str())
    }

    /// The rounds: (user text, assistant text).
    pub fn rounds(&self) -> impl Iterator<Item = (&str, &str)> {
        let first = usize::from(self.system().is_some());
        self.turns[first..]
            .chunks_exact(2)
            .map(|round| (round[0].text.as_str(), round[1].text.as_str()))
    }
}

/// `<image>` tags in a text.
#[must_use]
pub fn count_tags(text: &str) -> usize {
    text.matches(IMAGE_TAG).count()
}

/// The object as it is written; everything else in it is ignored.
#[derive(Deserialize)]
#[serde(expecting = "a record, i.e. a JSON object")]
struct Raw {
    id: Option<Value>,
    image: Option<Value>,
    // A misspelling that published data sets carry.
    #[serde(alias = "conversatons")]
    conversations: Option<Value>,
    category: Option<Value>,
}

/// A turn and its position in `conversations`, which error messages name.
struct Placed {
    index: usize,
    role: Role,
    text: String,
}

fn bad_field(field: &'static str, got: &Value, expected: &str) -> RecordFault {
    RecordFault::BadField { field, detail: format!("got {}, expected {expected}", kind(got)) }
}

fn bad_turn(index: usize, detail: impl Into<String>) -> RecordFault {
    RecordFault::BadTurn { index, detail: detail.into() }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn label(field: &'static str, value: Option<Value>) -> Result<Option<String>> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(other) => Err(bad_field(field, &other, "a string or a number").into()),
    }
}

fn image_paths(value: Option<Value>) -> Result<Vec<String>> {
    let expected = "a path or a list of paths";
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(path)) => Ok(vec![path]),
        Some(Value::Array(paths)) => paths
            .into_iter()
            .map(|path| match path {
                Value::String(path) => Ok(path),
                other => Err(bad_field("image", &other, expected).into()),
            })
            .collect(),
        Some(other) => Err(bad_field("image", &other, expected).into()),
    }
}

fn read_turns(value: Option<Value>) -> Result<Vec<Placed>> {
    let turns = match value {
        None => return Err(RecordFault::MissingField("conversations").into()),
        Some(Value::Array(turns)) => turns,
        Some(other) => return Err(bad_field("conversations", &other, "a list of turns").into()),
    };
    if turns.is_empty() {
        return Err(RecordFault::EmptyConversation.into());
    }
    turns.into_iter().enumerate().map(|(index, turn)| read_turn(index, turn)).collect()
}

fn read_turn(index: usize, turn: Value) -> Result<Placed> {
    let Value::Object(mut fields) = turn else {
        return Err(bad_turn(index, format!("got {}, expected an object", kind(&turn))).into());
    };
    let mut text = |key: &str| match fields.remove(key) {
        None => Err(bad_turn(index, format!("missing `{key}`"))),
        Some(Value::String(text)) => Ok(text),
        Some(other) => {
            Err(bad_turn(index, format!("`{key}`: got {}, expected text", kind(&other))))
        }
    };
    let role = match text("from")?.as_str() {
        "human" => Role::User,
        "gpt" => Role::Assistant,
        "system" if index == 0 => Role::System,
        "system" => return Err(bad_turn(index, "a `system` turn can only come first").into()),
        other => {
            let detail =
                format!("unknown role: got `{other}`, expected `human`, `gpt` or `system`");
            return Err(bad_turn(index, detail).into());
        }
    };
    Ok(Placed { index, role, text: text("value")? })
}

/// Drops an answer without question at the start and a question without answer at the end.
fn keep_whole_rounds(mut turns: Vec<Placed>) -> Result<Vec<Placed>> {
    if let Some(pair) = turns.windows(2).find(|pair| pair[0].role == pair[1].role) {
        return Err(bad_turn(pair[1].index, "the same role twice in a row").into());
    }
    let first = usize::from(turns[0].role == Role::System);
    if turns.get(first).is_some_and(|turn| turn.role == Role::Assistant) {
        let dropped = turns.remove(first);
        if count_tags(&dropped.text) > 0 {
            let detail =
                "an answer before the first question is dropped, and its `<image>` with it";
            return Err(bad_turn(dropped.index, detail).into());
        }
    }
    if turns.last().is_some_and(|turn| turn.role == Role::User) {
        turns.pop();
    }
    Ok(turns)
}

fn check_answers(turns: &[Placed]) -> Result<()> {
    let mut answers = turns.iter().filter(|turn| turn.role == Role::Assistant).peekable();
    if answers.peek().is_none() {
        return Err(RecordFault::NothingSupervised.into());
    }
    match answers.find(|turn| turn.text.chars().all(is_space)) {
        Some(turn) => Err(RecordFault::EmptyAnswer(turn.index).into()),
        None => Ok(()),
    }
}

/// Counts after the tags were moved: what is left of a tag inside a tag spells another one.
fn check_tags(turns: &[Placed], images: usize) -> Result<()> {
    let users = turns.iter().filter(|turn| turn.role == Role::User);
    let tags = users.map(|turn| count_tags(&turn.text)).sum();
    if tags == images { Ok(()) } else { Err(RecordFault::ImageTagCount { tags, images }.into()) }
}

/// LLaVA's `preprocess_multimodal`: the picture comes first, on a line of its own. With several tags
/// in one turn their places carry meaning and stay.
fn lead_with_image(text: &mut String) {
    if count_tags(text) != 1 {
        return;
    }
    let question = text.replace(IMAGE_TAG, "");
    let question = question.trim_matches(is_space);
    *text = match question {
        "" => IMAGE_TAG.to_owned(),
        question => format!("{IMAGE_TAG}\n{question}"),
    };
}

/// What Python's `str.strip` removes: white space and the four separators U+001C..U+001F.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(image: &str, turns: &[(&str, &str)]) -> Result<Record> {
        let turns: Vec<_> = turns
            .iter()
            .map(|(from, value)| serde_json::json!({"from": from, "value": value}))
            .collect();
        let image: Value = serde_json::from_str(image).expect("JSON");
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
        assert_eq!(record.rounds().collect::<Vec<_>>(), [("Q", "A")]);
    }
}
