//! A JSON list: a state machine over strings and brackets.

use memchr::memchr3;

use super::scan::{Fault, Place, Span};

/// Kinds of brackets are kept down to this depth. A record that goes deeper is refused when it is
/// parsed; of its inner brackets only the number counts here.
const DEEPEST: u32 = 128;

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// the first record, or the end of an empty list
    First,
    /// a record, after a comma
    Next,
    /// a record, outside of its strings
    Inside,
    /// a string
    Text,
    /// a string, behind a backslash
    Escaped,
    /// a number or a word that stands for a record
    Word,
    /// a comma, or the end of the list
    Behind,
    /// white space to the end
    Over,
}

/// A list under way.
#[derive(Debug)]
pub(super) struct List {
    spans: Vec<Span>,
    state: State,
    /// open brackets of the record
    depth: u32,
    /// their kinds, the innermost in the lowest bit: 1 = `{`
    kinds: u128,
    /// first byte and line of the record
    start: (u64, u64),
    /// line and column of the string
    text: (u64, u64),
    /// the first string with a line break in it: where the fault is if brackets do not match
    broken: Option<(u64, u64)>,
}

impl Default for List {
    fn default() -> Self {
        Self {
            spans: Vec::new(),
            state: State::First,
            depth: 0,
            kinds: 0,
            start: (0, 1),
            text: (1, 1),
            broken: None,
        }
    }
}

impl List {
    /// Takes `block` from `at` on.
    pub(super) fn feed(
        &mut self,
        block: &[u8],
        mut at: usize,
        place: &mut Place,
    ) -> Result<(), Fault> {
        while at < block.len() {
            at = match self.state {
                State::Inside => self.inside(block, at, place)?,
                State::Text => self.text(block, at, place),
                State::Escaped => {
                    self.state = State::Text;
                    // A line break is counted where those of strings are.
                    at + usize::from(block[at] != b'\n')
                }
                State::Word => self.word(block, at, place),
                _ => self.between(block[at], at, place)?,
            };
        }
        Ok(())
    }

    pub(super) fn finish(self, place: &Place) -> Result<Vec<Span>, Fault> {
        match self.state {
            State::Over => Ok(self.spans),
            State::Inside | State::Text | State::Escaped => {
                let (record, line) = (self.spans.len(), self.start.1);
                let detail =
                    format!("EOF while parsing record {record}, which starts in line {line}");
                Err(self.explained(place.ends(detail)))
            }
            _ => Err(self.explained(place.ends("EOF while parsing a list"))),
        }
    }

    /// One byte between records.
    fn between(&mut self, byte: u8, at: usize, place: &mut Place) -> Result<usize, Fault> {
        match (byte, self.state) {
            (b'\n', _) => place.next_line(at),
            (b' ' | b'\t' | b'\r', _) => {}
            (_, State::Over) => return Err(self.fault(at, place, "trailing characters")),
            (b']', State::First | State::Behind) => self.state = State::Over,
            (b',', State::Behind) => self.state = State::Next,
            (_, State::Behind) => return Err(self.fault(at, place, "expected `,` or `]`")),
            (b']', _) => return Err(self.fault(at, place, "trailing comma")),
            (b'{' | b'[' | b'"', _) => {
                self.begin(at, place);
                self.state = State::Inside;
                return Ok(at);
            }
            (b'-' | b'+' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z', _) => {
                self.begin(at, place);
                self.state = State::Word;
            }
            _ => return Err(self.fault(at, place, "expected value")),
        }
        Ok(at + 1)
    }

    /// To the next quote or bracket of a record.
    fn inside(&mut self, block: &[u8], at: usize, place: &mut Place) -> Result<usize, Fault> {
        let mut at = at;
        while let Some(&byte) = block.get(at) {
            match byte {
                b'"' => {
                    self.state = State::Text;
                    self.text = (place.line, place.base + at as u64 + 1 - place.line_start);
                    return Ok(at + 1);
                }
                b'{' | b'[' => self.open(byte),
                b'}' | b']' => {
                    self.close(byte, at, place)?;
                    if self.depth == 0 {
                        self.end(place.base + at as u64 + 1);
                        return Ok(at + 1);
                    }
                }
                b'\n' => place.next_line(at),
                _ => {}
            }
            at += 1;
        }
        Ok(at)
    }

    /// To the end of a string, or of the block.
    fn text(&mut self, block: &[u8], at: usize, place: &mut Place) -> usize {
        let mut at = at;
        while let Some(length) = memchr3(b'"', b'\\', b'\n', &block[at..]) {
            at += length + 1;
            match block[at - 1] {
                b'"' => {
                    self.state = State::Inside;
                    if self.depth == 0 {
                        self.end(place.base + at as u64);
                    }
                    return at;
                }
                b'\n' => {
                    self.broken.get_or_insert(self.text);
                    place.next_line(at - 1);
                }
                _ => match block.get(at) {
                    None => self.state = State::Escaped,
                    Some(b'\n') => {}
                    Some(_) => at += 1,
                },
            }
        }
        block.len()
    }

    /// To the end of a number or a word.
    fn word(&mut self, block: &[u8], at: usize, place: &Place) -> usize {
        let rest = &block[at..];
        let ends = |&byte: &u8| byte.is_ascii_whitespace() || b",[]{}\"".contains(&byte);
        match rest.iter().position(ends) {
            None => block.len(),
            Some(length) => {
                self.end(place.base + (at + length) as u64);
                at + length
            }
        }
    }

    fn begin(&mut self, at: usize, place: &Place) {
        self.start = (place.base + at as u64, place.line);
    }

    fn end(&mut self, end: u64) {
        let (start, line) = self.start;
        self.spans.push(Span::new(start, end, line));
        self.state = State::Behind;
    }

    fn open(&mut self, bracket: u8) {
        if self.depth < DEEPEST {
            self.kinds = self.kinds << 1 | u128::from(bracket == b'{');
        }
        self.depth = self.depth.saturating_add(1);
    }

    fn close(&mut self, bracket: u8, at: usize, place: &Place) -> Result<(), Fault> {
        if self.depth <= DEEPEST {
            let expected = if self.kinds & 1 == 1 { b'}' } else { b']' };
            if bracket != expected {
                let (got, expected) = (char::from(bracket), char::from(expected));
                return Err(self.fault(at, place, &format!("got `{got}`, expected `{expected}`")));
            }
            self.kinds >>= 1;
        }
        self.depth -= 1;
        Ok(())
    }

    fn fault(&self, at: usize, place: &Place, detail: &str) -> Fault {
        self.explained(place.fault(at, detail))
    }

    /// A string that is not closed turns everything behind it inside out: where it begins helps more
    /// than where that is noticed.
    fn explained(&self, noticed: Fault) -> Fault {
        match (self.broken, noticed) {
            (Some((line, column)), Fault::At { line: later, column: there, detail }) => Fault::At {
                line,
                column,
                detail: format!(
                    "a string is not closed in its line (noticed at line {later} column {there}: \
                     {detail})"
                ),
            },
            (_, noticed) => noticed,
        }
    }
}
