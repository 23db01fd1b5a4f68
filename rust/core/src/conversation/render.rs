//! A conversation, written piece by piece: what stands there, in order, and which of it the model
//! learns.
//!
//! Training and generation share one writer; they differ in the layout and in where it ends.

use super::layout::{Format, Piece};
use super::template::{Layout, Template};
use crate::error::{RecordFault, Result, TurnFault};
use crate::record::{IMAGE_TAG, Record, Role, Round, Turn, count_tags, is_space};

/// Takes a conversation, piece by piece.
pub trait Sink {
    /// Text of the record, whatever it spells.
    fn text(&mut self, text: &str, learned: bool);
    /// What the template writes.
    ///
    /// # Errors
    /// Of the tokenizer, on the text before a token.
    fn mark(&mut self, piece: &Piece) -> Result<()>;
    /// The positions of the next picture.
    ///
    /// # Errors
    /// As [`Sink::mark`].
    fn image(&mut self) -> Result<()>;
}

/// The first `rounds` rounds of a record, as they are trained on.
///
/// # Errors
/// [`RecordFault::Template`] if the template has no place for a part of the record, and those of the
/// sink.
pub fn render(record: &Record, format: &Format, rounds: usize, sink: &mut impl Sink) -> Result<()> {
    check(record, &format.template)?;
    let mut writer = Writer::new(format, &format.training, record.system(), sink);
    writer.system_first()?;
    for Round { question, answer } in record.rounds().take(rounds) {
        match question {
            Some(question) => writer.question(question)?,
            None => writer.begin_round()?,
        }
        writer.answer(answer)?;
    }
    writer.marks(&format.training.end)
}

/// A conversation that ends with a user turn, up to the place where the model goes on. Each
/// `<image>` in a user turn is a picture; without any, the pictures come before the first user text.
///
/// # Errors
/// [`RecordFault::BadTurn`], [`RecordFault::ImageTagCount`], [`RecordFault::Template`], and those of
/// the sink.
pub fn prompt(turns: &[Turn], images: usize, format: &Format, sink: &mut impl Sink) -> Result<()> {
    let talk = check_order(turns)?;
    let users = talk.iter().filter(|turn| turn.role == Role::User);
    let tags: usize = users.map(|turn| count_tags(&turn.text)).sum();
    let lead = if tags == 0 { images } else { 0 };
    if tags + lead != images {
        return Err(RecordFault::ImageTagCount { tags, images }.into());
    }
    let system = (talk.len() < turns.len()).then(|| turns[0].text.as_str());
    check_prompt(&format.template, system, talk.len(), images)?;
    let mut writer = Writer::new(format, &format.prompting, system, sink);
    writer.system_first()?;
    for (position, turn) in talk.iter().enumerate() {
        match turn.role {
            Role::Assistant => writer.answer(&turn.text)?,
            _ if position == 0 => {
                writer.question(&format!(
                    "{}{}",
                    format!("{IMAGE_TAG}\n").repeat(lead),
                    turn.text
                ))?;
            }
            _ => writer.question(&turn.text)?,
        }
    }
    writer.marks(&format.prompting.assistant_prefix)
}

fn no_place(template: &Template, detail: &str) -> RecordFault {
    RecordFault::Template { template: template.name.clone(), detail: detail.to_owned() }
}

fn check(record: &Record, template: &Template) -> Result<()> {
    let detail = if !template.system_turn && record.system().is_some() {
        "no place for a system text"
    } else if !template.caption_only {
        return Ok(());
    } else if record.rounds().count() != 1 {
        "expected exactly one question and one answer"
    } else if record.images.is_empty() {
        "expected at least one image"
    } else {
        return Ok(());
    };
    Err(no_place(template, detail).into())
}

fn check_prompt(
    template: &Template,
    system: Option<&str>,
    turns: usize,
    images: usize,
) -> Result<()> {
    let detail = if template.caption_only && (system.is_some() || turns != 1 || images == 0) {
        "a prompt is one user turn with at least one image"
    } else if !template.system_turn && system.is_some() {
        "no place for a system text"
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
            let fault = TurnFault::OutOfOrder(detail);
            return Err(RecordFault::BadTurn { index: first + position, fault }.into());
        }
    }
    if turns[first..].len().is_multiple_of(2) {
        let fault = TurnFault::OutOfOrder("expected a user turn at the end".to_owned());
        return Err(RecordFault::BadTurn { index: turns.len(), fault }.into());
    }
    Ok(&turns[first..])
}

struct Writer<'a, S> {
    format: &'a Format,
    layout: &'a Layout<Vec<Piece>>,
    system: Option<&'a str>,
    rounds: usize,
    sink: &'a mut S,
}

impl<'a, S: Sink> Writer<'a, S> {
    fn new(
        format: &'a Format,
        layout: &'a Layout<Vec<Piece>>,
        own: Option<&'a str>,
        sink: &'a mut S,
    ) -> Self {
        Self { format, layout, system: own, rounds: 0, sink }
    }

    fn system_first(&mut self) -> Result<()> {
        if self.format.template.system_in_user { Ok(()) } else { self.system() }
    }

    fn system(&mut self) -> Result<()> {
        let own = self.system.map(|text| self.trimmed(text));
        if own.map_or(self.format.system.is_empty(), str::is_empty) {
            return Ok(());
        }
        self.marks(&self.layout.system_prefix)?;
        match own {
            Some(text) => self.sink.text(text, false),
            None => self.marks(&self.format.system)?,
        }
        self.marks(&self.layout.system_suffix)
    }

    /// A round that begins with an answer; elsewhere the system text stands in the first question.
    fn begin_round(&mut self) -> Result<()> {
        if self.rounds > 0 {
            self.marks(&self.layout.separator)?;
        } else if self.format.template.system_in_user {
            self.system()?;
        }
        self.rounds += 1;
        Ok(())
    }

    fn question(&mut self, text: &str) -> Result<()> {
        if self.rounds > 0 {
            self.marks(&self.layout.separator)?;
        }
        self.marks(&self.layout.user_prefix)?;
        if self.rounds == 0 && self.format.template.system_in_user {
            self.system()?;
        }
        self.rounds += 1;
        for (position, words) in self.trimmed(text).split(IMAGE_TAG).enumerate() {
            if position > 0 {
                self.sink.image()?;
            }
            if !self.format.template.caption_only {
                self.sink.text(words, false);
            }
        }
        self.marks(&self.layout.user_suffix)
    }

    fn answer(&mut self, text: &str) -> Result<()> {
        self.marks(&self.layout.assistant_prefix)?;
        self.marks(&self.layout.answer_prefix)?;
        self.sink.text(self.trimmed(text), true);
        self.marks(&self.layout.answer_suffix)?;
        self.marks(&self.layout.stop)?;
        self.marks(&self.layout.assistant_suffix)
    }

    fn marks(&mut self, pieces: &[Piece]) -> Result<()> {
        pieces.iter().try_for_each(|piece| self.sink.mark(piece))
    }

    /// Without the white space that the template's own code removes.
    fn trimmed<'b>(&self, text: &'b str) -> &'b str {
        if self.format.template.trim { text.trim_matches(is_space) } else { text }
    }
}
