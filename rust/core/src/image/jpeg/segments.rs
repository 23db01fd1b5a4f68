//! The entropy-coded part of a scan: byte stuffing removed, cut at the restart markers.

use super::malformed;
use super::markers::{RST0, RST7};
use crate::Result;
use crate::image::limits::reserve;

/// One scan's data.
pub(super) struct Segments {
    data: Vec<u8>,
    /// where each segment ends in `data`; one more than there are restart markers
    ends: Vec<usize>,
    /// low three bits of each restart marker, in file order
    restarts: Vec<u8>,
    /// bytes of the file up to the marker that ends the scan, or up to its end
    pub(super) consumed: usize,
    /// the file ends here, without the marker that should end the scan
    pub(super) cut: bool,
}

impl Segments {
    /// Reads up to the first marker that is not a restart.
    ///
    /// # Errors
    /// `Malformed` for fill bytes that no marker follows.
    pub(super) fn read(file: &[u8]) -> Result<Self> {
        let mut data = reserve(file.len())?;
        let (mut ends, mut restarts) = (Vec::new(), Vec::new());
        let mut at = 0;
        let cut = loop {
            let run = plain_bytes(&file[at..]);
            data.extend_from_slice(&file[at..at + run]);
            at += run;
            match after_fill_bytes(&file[at..]) {
                Some((0, 2)) => {
                    data.push(0xFF);
                    at += 2;
                }
                // Fill bytes may stand before a marker, never before a stuffed zero.
                Some((0, _)) => return Err(malformed("fill bytes inside the picture data")),
                Some((code @ RST0..=RST7, len)) => {
                    ends.push(data.len());
                    restarts.push(code & 7);
                    at += len;
                }
                other => break other.is_none(),
            }
        };
        ends.push(data.len());
        Ok(Self { data, ends, restarts, consumed: at, cut })
    }

    /// Bits in all segments together.
    pub(super) fn bits(&self) -> usize {
        self.data.len() * 8
    }

    /// The bytes between restart markers `index - 1` and `index`.
    pub(super) fn segment(&self, index: usize) -> Option<&[u8]> {
        let start = if index == 0 { 0 } else { *self.ends.get(index - 1)? };
        self.data.get(start..*self.ends.get(index)?)
    }

    /// The number (0..8) on restart marker `index`.
    pub(super) fn restart(&self, index: usize) -> Option<u8> {
        self.restarts.get(index).copied()
    }
}

/// How many bytes come before the next 0xFF.
fn plain_bytes(bytes: &[u8]) -> usize {
    const STEP: usize = 32;
    // Without a branch inside, so that the compiler compares all bytes of a step at once.
    let no_ff = |chunk: &&[u8]| chunk.iter().map(|byte| u32::from(*byte == 0xFF)).sum::<u32>() == 0;
    let whole = bytes.chunks_exact(STEP).take_while(no_ff).count() * STEP;
    let rest = &bytes[whole..];
    whole + rest.iter().position(|byte| *byte == 0xFF).unwrap_or(rest.len())
}

/// The byte behind a run of 0xFF, and the length of both; `None` at the end of the file.
fn after_fill_bytes(bytes: &[u8]) -> Option<(u8, usize)> {
    let ff = bytes.iter().position(|byte| *byte != 0xFF)?;
    Some((bytes[ff], ff + 1))
}

#[cfg(test)]
mod tests {
    use super::Segments;

    #[test]
    fn stuffing_goes_and_restarts_cut() {
        let file = [1, 0xFF, 0, 2, 0xFF, 0xD0, 3, 0xFF, 0, 0xFF, 0xFF, 0xD1, 4, 0xFF, 0xD9, 5];
        let segments = Segments::read(&file).expect("valid");
        assert_eq!(segments.segment(0), Some(&[1, 0xFF, 2][..]));
        assert_eq!(segments.segment(1), Some(&[3, 0xFF][..]));
        assert_eq!(segments.segment(2), Some(&[4][..]));
        assert_eq!(segments.segment(3), None);
        assert_eq!((segments.restart(1), segments.restart(2)), (Some(1), None));
        assert_eq!((segments.consumed, segments.cut), (13, false));
        assert!(Segments::read(&file[..13]).expect("valid").cut);
        assert!(Segments::read(&[1, 0xFF, 0xFF, 0, 2, 0xFF, 0xD9]).is_err());
    }
}
