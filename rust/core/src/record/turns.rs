//! The turns of a chat, as they are written.

use std::borrow::Cow;

use super::json::{Json, Object};
use super::{IMAGE_TAG, Role};
use crate::error::{RecordFault, TurnFault};

/// A turn and its position in the list, which error messages name.
pub struct Placed {
    pub index: usize,
    pub role: Role,
    pub text: String,
}

/// Names of the roles in the files of LLaVA, of chat models and of `ShareGPT`.
const ROLES: [(&str, Role); 10] = [
    ("human", Role::User),
    ("gpt", Role::Assistant),
    ("user", Role::User),
    ("assistant", Role::Assistant),
    ("system", Role::System),
    ("chatgpt", Role::Assistant),
    ("bing", Role::Assistant),
    ("bard", Role::Assistant),
    ("model", Role::Assistant),
    ("claude", Role::Assistant),
];

/// Reads a list of turns; `images` takes the paths that turns themselves name.
pub fn read(
    key: &'static str,
    list: Json<'_>,
    images: &mut Vec<String>,
) -> Result<Vec<Placed>, RecordFault> {
    let turns = match list {
        Json::List(turns) => turns,
        other => {
            let detail = format!("got {}, expected a list of turns", other.kind());
            return Err(RecordFault::BadField { field: key, detail });
        }
    };
    if turns.is_empty() {
        return Err(RecordFault::EmptyConversation);
    }
    let read = |(index, turn)| {
        turn_of(index, turn, images).map_err(|fault| RecordFault::BadTurn { index, fault })
    };
    turns.into_iter().enumerate().map(read).collect()
}

fn turn_of(index: usize, turn: Json<'_>, images: &mut Vec<String>) -> Result<Placed, TurnFault> {
    let mut fields = match turn {
        Json::Object(fields) => fields,
        other => return Err(TurnFault::NotAnObject(other.kind())),
    };
    let (from, value) = if fields.has("from") || !fields.has("role") {
        ("from", "value")
    } else {
        ("role", "content")
    };
    let role = role(index, &text(from, fields.take(from))?)?;
    let text = match fields.take(value) {
        Some(Json::List(parts)) => joined(value, role, parts, images)?,
        other => text(value, other)?.into_owned(),
    };
    Ok(Placed { index, role, text })
}

fn role(index: usize, name: &str) -> Result<Role, TurnFault> {
    match ROLES.iter().find(|(known, _)| *known == name) {
        Some((_, Role::System)) if index > 0 => Err(TurnFault::LateSystem),
        Some((_, role)) => Ok(*role),
        None => Err(TurnFault::UnknownRole(name.to_owned())),
    }
}

fn text<'a>(key: &'static str, value: Option<Json<'a>>) -> Result<Cow<'a, str>, TurnFault> {
    match value {
        Some(Json::Text(text)) => Ok(text),
        None => Err(TurnFault::Missing(key)),
        Some(Json::Null) => Err(TurnFault::Null(key)),
        Some(other) => Err(TurnFault::NotText { key, got: other.kind() }),
    }
}

/// Content as a list of parts, `{"type": "text", "text": ...}` and `{"type": "image"}`.
fn joined(
    key: &'static str,
    role: Role,
    parts: Vec<Json<'_>>,
    images: &mut Vec<String>,
) -> Result<String, TurnFault> {
    let mut whole = String::new();
    for part in parts {
        let mut fields = match part {
            Json::Text(words) => {
                whole.push_str(&words);
                continue;
            }
            Json::Object(fields) => fields,
            other => return Err(TurnFault::NotText { key, got: other.kind() }),
        };
        match &*text("type", fields.take("type"))? {
            "text" => whole.push_str(&text("text", fields.take("text"))?),
            "image" if role == Role::User => {
                whole.push_str(IMAGE_TAG);
                images.extend(path(&mut fields));
            }
            other => return Err(TurnFault::BadPart(other.to_owned())),
        }
    }
    Ok(whole)
}

/// The file that an image part names, if it does.
fn path(fields: &mut Object<'_>) -> Option<String> {
    ["image", "path", "url"].into_iter().find_map(|key| match fields.take(key) {
        Some(Json::Text(path)) => Some(path.into_owned()),
        _ => None,
    })
}
