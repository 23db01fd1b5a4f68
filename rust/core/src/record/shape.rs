//! Which kind of record an object is, told by its keys.
//!
//! Beside chats these are the text-only instruction sets that LLaVA's lecture names, so that they mix
//! with records about pictures:
//!
//! | set | keys |
//! |---|---|
//! | FLAN, xP3 | `inputs`, `targets` |
//! | P3 | `inputs_pretokenized`, `targets_pretokenized` |
//! | Self-Instruct | `instruction`, `instances` of `input` and `output`; or `prompt`, `completion` |
//! | Alpaca, InstructWild | `instruction`, `input`, `output` |
//! | ShareGPT | `conversations`, or `items` in older files |

use super::Role;
use super::json::{Json, Object};
use super::repair::Repair;
use super::turns::{self, Placed};
use crate::error::{RecordFault, TurnFault};

/// Keys of a list of turns.
const CHATS: [&str; 3] = ["conversations", "conversatons", "messages"];

/// Question and answer by key. P3 has ids under `inputs` and `targets`.
const PAIRS: [(&str, &str); 4] = [
    ("inputs_pretokenized", "targets_pretokenized"),
    ("inputs", "targets"),
    ("instruction", "output"),
    ("prompt", "completion"),
];

/// What Self-Instruct writes behind each answer for GPT-3.
const END_MARK: &str = "<|endoftext|>";

/// The turns of a record.
pub fn read(
    fields: &mut Object<'_>,
    images: &mut Vec<String>,
    repairs: &mut Vec<Repair>,
) -> Result<Vec<Placed>, RecordFault> {
    let mut chats = CHATS.into_iter().filter_map(|key| Some((key, fields.given(key)?)));
    if let Some((key, list)) = chats.next() {
        if let Some((other, _)) = chats.next() {
            return Err(RecordFault::TwoOf(key, other));
        }
        // A misspelling that published data sets carry.
        if key == "conversatons" {
            repairs.push(Repair::MisspelledKey);
        }
        return turns::read(key, list, images);
    }
    if fields.has("instruction") && fields.has("instances") {
        return instances(fields);
    }
    for (question, answer) in PAIRS {
        if fields.has(question) && fields.has(answer) {
            return pair(fields, question, answer, repairs);
        }
    }
    match fields.given("items") {
        Some(list @ Json::List(_)) => turns::read("items", list, images),
        _ => Err(RecordFault::MissingField("conversations")),
    }
}

fn pair(
    fields: &mut Object<'_>,
    question: &'static str,
    answer: &'static str,
    repairs: &mut Vec<Repair>,
) -> Result<Vec<Placed>, RecordFault> {
    let mut asked = text(question, fields.take(question))?;
    let mut answered = text(answer, fields.take(answer))?;
    if question == "instruction" {
        asked = with_input(&asked, &optional_text("input", fields.take("input"))?);
    }
    if answer == "completion" && answered.ends_with(END_MARK) {
        answered.truncate(answered.len() - END_MARK.len());
        repairs.push(Repair::StrippedEndMark);
    }
    Ok(round(0, asked, answered))
}

/// A task and examples of it: one round for each.
fn instances(fields: &mut Object<'_>) -> Result<Vec<Placed>, RecordFault> {
    let task = text("instruction", fields.take("instruction"))?;
    let list = match fields.take("instances") {
        Some(Json::List(list)) if !list.is_empty() => list,
        Some(Json::List(_)) | None => return Err(RecordFault::EmptyConversation),
        Some(other) => return Err(bad("instances", &other, "a list of objects")),
    };
    let mut turns = Vec::new();
    for (place, instance) in list.into_iter().enumerate() {
        let mut fields = match instance {
            Json::Object(fields) => fields,
            other => {
                let fault = TurnFault::NotAnObject(other.kind());
                return Err(RecordFault::BadTurn { index: place, fault });
            }
        };
        let input = optional_text("input", fields.take("input"))?;
        let answer = text("output", fields.take("output"))?;
        turns.extend(round(2 * place, with_input(&task, &input), answer));
    }
    Ok(turns)
}

fn round(index: usize, question: String, answer: String) -> Vec<Placed> {
    vec![
        Placed { index, role: Role::User, text: question },
        Placed { index: index + 1, role: Role::Assistant, text: answer },
    ]
}

fn with_input(instruction: &str, input: &str) -> String {
    if input.is_empty() { instruction.to_owned() } else { format!("{instruction}\n{input}") }
}

fn text(field: &'static str, value: Option<Json<'_>>) -> Result<String, RecordFault> {
    match value {
        Some(Json::Text(text)) => Ok(text.into_owned()),
        Some(other) => Err(bad(field, &other, "text")),
        None => Err(RecordFault::MissingField(field)),
    }
}

fn optional_text(field: &'static str, value: Option<Json<'_>>) -> Result<String, RecordFault> {
    match value {
        None | Some(Json::Null) => Ok(String::new()),
        other => text(field, other),
    }
}

/// A field of the wrong kind.
pub fn bad(field: &'static str, got: &Json<'_>, expected: &str) -> RecordFault {
    RecordFault::BadField { field, detail: format!("got {}, expected {expected}", got.kind()) }
}
