//! What a sample is made of, for people.

use std::ops::Range;

/// Where a segment comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// the record
    Text,
    /// the template
    Mark,
    /// a special token of the template
    Token,
    /// the end of an answer
    Stop,
    /// a picture
    Image,
}

impl Kind {
    /// As Python says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Mark => "mark",
            Self::Token => "token",
            Self::Stop => "stop",
            Self::Image => "image",
        }
    }
}

/// Neighbouring text of one kind, a token or a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// as it is spelled
    pub text: String,
    /// where it comes from
    pub kind: Kind,
    /// whether the model learns to write it
    pub supervised: bool,
    /// its positions; a token over a border belongs to the segment it begins in
    pub tokens: Range<usize>,
}

/// The segments of a sample while it is built.
#[derive(Debug, Default)]
pub struct Segments {
    done: Vec<Segment>,
    /// where the segments that wait for their tokens begin in the text
    waiting: Vec<usize>,
}

impl Segments {
    /// Text that starts at this byte of the run of text.
    pub fn text(&mut self, text: &str, kind: Kind, supervised: bool, start: usize) {
        match self.done.last_mut() {
            _ if text.is_empty() => {}
            Some(last)
                if !self.waiting.is_empty()
                    && (last.kind, last.supervised) == (kind, supervised) =>
            {
                last.text.push_str(text);
            }
            _ => {
                self.waiting.push(start);
                self.push(text.to_owned(), kind, supervised, 0..0);
            }
        }
    }

    /// A token, or the positions of a picture.
    pub fn push(&mut self, text: String, kind: Kind, supervised: bool, tokens: Range<usize>) {
        self.done.push(Segment { text, kind, supervised, tokens });
    }

    /// The run of text ends: its tokens begin at these bytes, and at this position of the sample.
    pub fn encoded(&mut self, starts: impl Iterator<Item = usize> + Clone, first: usize) {
        let position = |byte| first + starts.clone().take_while(|&start| start < byte).count();
        let end = first + starts.clone().count();
        let segments = self.done.len() - self.waiting.len()..;
        let borders: Vec<usize> = self.waiting.iter().map(|&byte| position(byte)).collect();
        for (place, segment) in self.done[segments].iter_mut().enumerate() {
            let stop = borders.get(place + 1).copied().unwrap_or(end);
            segment.tokens = if place == 0 { first } else { borders[place] }..stop;
        }
        self.waiting.clear();
    }

    /// All of them.
    #[must_use]
    pub fn finish(self) -> Vec<Segment> {
        self.done
    }
}
