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

    /// The run of text ends. Its tokens stand for these bytes of it behind `skipped` others, and the
    /// first of them is at position `first` of the sample.
    pub fn encoded(&mut self, spans: &[Range<usize>], skipped: usize, first: usize) {
        let before = |byte: usize| spans.iter().take_while(|s| skipped + s.start < byte).count();
        let mut borders: Vec<_> = self.waiting.iter().map(|&byte| first + before(byte)).collect();
        // What stands for no byte, such as the space in front, belongs to the first segment.
        borders[..self.waiting.len().min(1)].fill(first);
        borders.push(first + spans.len());
        let waiting = self.done.len() - self.waiting.len()..;
        for (segment, ends) in self.done[waiting].iter_mut().zip(borders.windows(2)) {
            segment.tokens = ends[0]..ends[1];
        }
        self.waiting.clear();
    }

    /// All of them.
    #[must_use]
    pub fn finish(self) -> Vec<Segment> {
        self.done
    }
}
