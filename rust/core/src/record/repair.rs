//! What is put right in a record, as LLaVA does it, and what would be lost by that.

use super::turns::Placed;
use super::{IMAGE_TAG, Reading, Role, count_tags};
use crate::error::{RecordFault, TurnFault};

/// Something that was put right, and is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Repair {
    /// `conversatons`
    MisspelledKey,
    /// the end mark in the text of an answer was left out: the template writes its own
    StrippedEndMark,
    /// an answer before the first question was left out
    DroppedLeadingAnswer,
    /// a question without answer at the end was left out
    DroppedOpenQuestion,
    /// several `<image>` in one turn became one
    CollapsedTags,
    /// a picture that no `<image>` refers to was left out
    UnusedImage,
}

impl Repair {
    /// All of them, in order.
    pub const ALL: [Self; 6] = [
        Self::MisspelledKey,
        Self::StrippedEndMark,
        Self::DroppedLeadingAnswer,
        Self::DroppedOpenQuestion,
        Self::CollapsedTags,
        Self::UnusedImage,
    ];

    /// A short stable word.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::MisspelledKey => "misspelled_key",
            Self::StrippedEndMark => "stripped_end_mark",
            Self::DroppedLeadingAnswer => "dropped_leading_answer",
            Self::DroppedOpenQuestion => "dropped_open_question",
            Self::CollapsedTags => "collapsed_tags",
            Self::UnusedImage => "unused_image",
        }
    }
}

/// Leaves out an answer without question at the start and a question without answer at the end.
pub fn keep_whole_rounds(
    turns: &mut Vec<Placed>,
    reading: Reading,
    repairs: &mut Vec<Repair>,
) -> Result<(), RecordFault> {
    let bad = |index, fault| Err(RecordFault::BadTurn { index, fault });
    if let Some(pair) = turns.windows(2).find(|pair| pair[0].role == pair[1].role) {
        return bad(pair[1].index, TurnFault::RepeatedRole);
    }
    let first = usize::from(turns.first().is_some_and(|turn| turn.role == Role::System));
    let leads = turns.get(first).is_some_and(|turn| turn.role == Role::Assistant);
    if leads && !reading.keep_leading_answer {
        let dropped = turns.remove(first);
        if count_tags(&dropped.text) > 0 {
            return bad(
                dropped.index,
                TurnFault::LostImageTag("an answer before the first question"),
            );
        }
        repairs.push(Repair::DroppedLeadingAnswer);
    }
    if let Some(open) = turns.pop_if(|turn| turn.role == Role::User) {
        // Without any other round there is nothing to learn, which is the better reason.
        if count_tags(&open.text) > 0 && turns.len() > first {
            return bad(open.index, TurnFault::LostImageTag("a question without an answer"));
        }
        repairs.push(Repair::DroppedOpenQuestion);
    }
    Ok(())
}

/// There is an answer, and none is empty.
pub fn check_answers(turns: &[Placed]) -> Result<(), RecordFault> {
    let mut answers = turns.iter().filter(|turn| turn.role == Role::Assistant).peekable();
    if answers.peek().is_none() {
        return Err(RecordFault::NothingSupervised);
    }
    match answers.find(|turn| turn.text.chars().all(is_space)) {
        Some(turn) => Err(RecordFault::EmptyAnswer(turn.index)),
        None => Ok(()),
    }
}

/// Moves single tags to the front of their turns, and compares their number with the pictures'.
pub fn settle_images(
    turns: &mut [Placed],
    images: &mut Vec<String>,
    reading: Reading,
    repairs: &mut Vec<Repair>,
) -> Result<(), RecordFault> {
    let collapses = reading.as_llava && tags(turns) > images.len() && !images.is_empty();
    for turn in turns.iter_mut().filter(|turn| turn.role == Role::User) {
        if collapses && count_tags(&turn.text) > 1 {
            if repairs.last() != Some(&Repair::CollapsedTags) {
                repairs.push(Repair::CollapsedTags);
            }
            lead_with_image(&mut turn.text);
        } else if count_tags(&turn.text) == 1 {
            lead_with_image(&mut turn.text);
        }
    }
    // Counted afterwards: what is left of a tag inside a tag spells another one.
    match tags(turns) {
        tags if tags == images.len() => Ok(()),
        0 if reading.as_llava => {
            images.clear();
            repairs.push(Repair::UnusedImage);
            Ok(())
        }
        tags => Err(RecordFault::ImageTagCount { tags, images: images.len() }),
    }
}

fn tags(turns: &[Placed]) -> usize {
    let users = turns.iter().filter(|turn| turn.role == Role::User);
    users.map(|turn| count_tags(&turn.text)).sum()
}

/// LLaVA's `preprocess_multimodal`: the picture comes first, on a line of its own. With several tags
/// in one turn their places carry meaning and stay, unless LLaVA's own rule is asked for.
fn lead_with_image(text: &mut String) {
    let question = text.replace(IMAGE_TAG, "");
    let question = question.trim_matches(is_space);
    *text = match question {
        "" => IMAGE_TAG.to_owned(),
        question => format!("{IMAGE_TAG}\n{question}"),
    };
}

/// What Python's `str.strip` removes: white space and the four separators U+001C..U+001F.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}
