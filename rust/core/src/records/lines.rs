//! One record in each line; lines of nothing but white space count for lines only.

use memchr::memchr;

use super::scan::{Place, Span};

/// A line under way.
#[derive(Debug, Default)]
pub(super) struct Lines {
    spans: Vec<Span>,
    /// first byte, and the one behind the last, that is no white space
    text: Option<(u64, u64)>,
}

impl Lines {
    /// Takes `block` from `at` on.
    pub(super) fn feed(&mut self, block: &[u8], mut at: usize, place: &mut Place) {
        while let Some(length) = memchr(b'\n', &block[at..]) {
            self.extend(&block[at..at + length], place.base + at as u64);
            self.end(place.line);
            at += length;
            place.next_line(at);
            at += 1;
        }
        self.extend(&block[at..], place.base + at as u64);
    }

    pub(super) fn finish(mut self, place: &Place) -> Vec<Span> {
        self.end(place.line);
        self.spans
    }

    /// Adds a piece of the line, which starts at `start` in the file.
    fn extend(&mut self, piece: &[u8], start: u64) {
        let text = piece.trim_ascii();
        if text.is_empty() {
            return;
        }
        let first = start + (piece.len() - piece.trim_ascii_start().len()) as u64;
        let begun = self.text.map_or(first, |(begun, _)| begun);
        self.text = Some((begun, first + text.len() as u64));
    }

    fn end(&mut self, line: u64) {
        if let Some((start, end)) = self.text.take() {
            self.spans.push(Span::new(start, end, line));
        }
    }
}
