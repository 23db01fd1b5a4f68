//! A conversation as segments: what is written, in order, and which of it the model learns.
//!
//! Training and generation share one writer; they differ in the layout and in where it ends.

use super::template::{Frame, Layout, Mark, Part, Template};
use crate::error::{RecordFault, Result};
use crate::record::{IMAGE_TAG, Record, Role, Turn, count_tags};

/// What a segment stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// ordinary text, whatever it spells
    Text(String),
    /// the tokenizer's end-of-sequence id
    Stop,
    /// the positions of one picture
    Image,
}

/// A piece of the rendered conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// what is written
    pub piece: Piece,
    /// whether the model learns to write it
    pub supervised: bool,
}

/// The first `rounds` rounds of a record, as they are trained on.
///
/// # Errors
/// [`RecordFault::Template`] if the template has no place for a part of the record.
pub fn render(record: &Record, template: &Template, rounds: usize) -> Result<Vec<Segment>> {
    if template.caption_only {
        check_caption(record, template)?;
    }
    let mut writer = Writer::new(template, template.training);
    writer.system(record.system());
    for (question, answer) in record.rounds().take(rounds) {
        writer.question(question);
        writer.answer(answer);
    }
    writer.parts(template.training.end);
    Ok(writer.segments)
}

/// A conversation that ends with a user turn, up to the place where the model goes on. Each
/// `<image>` in a user turn is a picture; without any, the pictures come before the first user text.
///
/// # Errors
/// [`RecordFault::BadTurn`], [`RecordFault::ImageTagCount`], [`RecordFault::Template`].
pub fn prompt(turns: &[Turn], images: usize, template: &Template) -> Result<Vec<Segment>> {
    let talk = check_order(turns)?;
    let users = talk.iter().filter(|turn| turn.role == Role::User);
    let tags: usize = users.map(|turn| count_tags(&turn.text)).sum();
    let lead = if tags == 0 { images } else { 0 };
    if tags + lead != images {
        return Err(RecordFault::ImageTagCount { tags, images }.into());
    }
    let system = (talk.len() < turns.len()).then(|| turns[0].text.as_str());
    if template.caption_only && (system.is_some() || talk.len() != 1 || images == 0) {
        return Err(no_place(template, "a prompt is one user turn with at least one image").into());
    }
    let mut writer = Writer::new(template, template.prompting);
    writer.system(system);
    for (position, turn) in talk.iter().enumerate() {
        match turn.role {
            Role::Assistant => writer.answer(&turn.text),
            _ if position == 0 => {
                writer.question(&format!("{}{}", format!("{IMAGE_TAG}\n").repeat(lead), turn.text));
            }
            _ => writer.question(&turn.text),
        }
    }
    writer.parts(template.prompting.header);
    Ok(writer.segments)
}

fn no_place(template: &Template, detail: &str) -> RecordFault {
    RecordFault::Template { template: template.name.to_owned(), detail: detail.to_owned() }
}

fn check_caption(record: &Record, template: &Template) -> Result<()> {
    let detail = if record.system().is_some() {
        "no place for a system text"
    } else if record.rounds().count() != 1 {
        "expected exactly one question and one answer"
    } else if record.images.is_empty() {
        "expected at least one image"
    } else {
        return Ok(());
    };
    Err(no_place(template, detail).into())
}

/// The turns after the system turn: user first, user last, no role twice in a row.
fn check_order(turns: &[Turn]) -> Result<&[Turn]> {
    let first = usize::from(turns.first().is_some_and(|turn| turn.role == Role::System));
    for (position, turn) in turns[first..].iter().enumerate() {
        let expected = if position % 2 == 0 { Role::User } else { Role::Assistant };
        if turn.role != expected {
            let detail = format!("got {:?}, expected {expected:?}", turn.role).to_lowercase();
            return Err(RecordFault::BadTurn { index: first + position, detail }.into());
        }
    }
    if turns[first..].len().is_multiple_of(2) {
        let detail = "expected a user turn at the end".to_owned();
        return Err(RecordFault::BadTurn { index: turns.len(), detail }.into());
    }
    Ok(&turns[first..])
}

struct Writer<'a> {
    template: &'a Template,
    layout: Layout,
    segments: Vec<Segment>,
}

impl<'a> Writer<'a> {
    fn new(template: &'a Template, layout: Layout) -> Self {
        Self { template, layout, segments: Vec::new() }
    }

    fn system(&mut self, own: Option<&str>) {
        let text = own.unwrap_or(self.template.system);
        if !text.is_empty() {
            let Frame { before, after } = self.layout.system;
            self.parts(before);
            self.text(text, false);
            self.parts(after);
        }
    }

    fn question(&mut self, text: &str) {
        let Frame { before, after } = self.layout.user;
        self.parts(before);
        for (position, words) in text.split(IMAGE_TAG).enumerate() {
            if position > 0 {
                self.push(Piece::Image, false);
            }
            if !self.template.caption_only {
                self.text(words, false);
            }
        }
        self.parts(after);
    }

    fn answer(&mut self, text: &str) {
        let Frame { before, after } = self.layout.assistant;
        self.parts(self.layout.header);
        self.parts(before);
        self.text(text, true);
        self.parts(after);
    }

    fn parts(&mut self, parts: &[Part]) {
        for part in parts {
            match part.mark {
                Mark::Text(text) => self.text(text, part.supervised),
                Mark::Stop => self.push(Piece::Stop, part.supervised),
            }
        }
    }

    /// Neighbours of the same kind become one segment.
    fn text(&mut self, text: &str, supervised: bool) {
        match self.segments.last_mut() {
            _ if text.is_empty() => {}
            Some(Segment { piece: Piece::Text(last), supervised: same }) if *same == supervised => {
                last.push_str(text);
            }
            _ => self.push(Piece::Text(text.to_owned()), supervised),
        }
    }

    fn push(&mut self, piece: Piece, supervised: bool) {
        self.segments.push(Segment { piece, supervised });
    }
}
