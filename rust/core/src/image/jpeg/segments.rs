//! The entropy-coded part of a scan: byte stuffing removed, cut at the restart markers.

use super::malformed;
use super::markers::{RST0, RST7};
use crate::Result;
use crate::image::scratch::Scratch;
use crate::image::simd::{self, Instructions, Path, Work};

/// One scan's data.
pub(super) struct Segments {
    /// longer than what it holds
    data: Scratch<u8>,
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
    pub(super) fn read(file: &[u8], path: Path) -> Result<Self> {
        let data = Scratch::take(file.len() + STEP)?;
        let (ends, restarts) = (Vec::new(), Vec::new());
        let mut segments = Self { data, ends, restarts, consumed: 0, cut: false };
        simd::run(path, Reader { file, segments: &mut segments, len: 0 })?;
        Ok(segments)
    }

    /// Bits in all segments together.
    pub(super) fn bits(&self) -> usize {
        self.ends.last().map_or(0, |end| end * 8)
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

/// Bytes that are copied and looked through at once.
const STEP: usize = 64;

struct Reader<'r> {
    file: &'r [u8],
    segments: &'r mut Segments,
    /// bytes written
    len: usize,
}

impl Work for Reader<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<I: Instructions>(mut self) -> Result<()> {
        loop {
            self.copy_plain_bytes::<I>();
            let at = self.segments.consumed;
            match after_fill_bytes(&self.file[at..]) {
                Some((0, 2)) => {
                    self.segments.data[self.len] = 0xFF;
                    self.len += 1;
                    self.segments.consumed += 2;
                }
                // Fill bytes may stand before a marker, never before a stuffed zero.
                Some((0, _)) => return Err(malformed("fill bytes inside the picture data")),
                Some((code @ RST0..=RST7, len)) => {
                    self.segments.ends.push(self.len);
                    self.segments.restarts.push(code & 7);
                    self.segments.consumed += len;
                }
                other => {
                    self.segments.ends.push(self.len);
                    self.segments.cut = other.is_none();
                    return Ok(());
                }
            }
        }
    }
}

impl Reader<'_> {
    /// Copies up to the next 0xFF that no stuffed zero follows, or somewhat less near the end.
    #[inline(always)]
    fn copy_plain_bytes<I: Instructions>(&mut self) {
        let mut from = &self.file[self.segments.consumed..];
        let room = self.segments.data.len();
        let mut to = &mut self.segments.data[self.len..];
        while let (Some(next), Some(out)) = (from.first_chunk(), to.first_chunk_mut::<STEP>()) {
            // Whole steps: what is too much is written over.
            *out = *next;
            let plain = I::full_bytes(next).trailing_zeros() as usize;
            if plain == STEP {
                (from, to) = (&from[STEP..], &mut to[STEP..]);
            } else if from.get(plain + 1) == Some(&0) {
                (from, to) = (&from[plain + 2..], &mut to[plain + 1..]);
            } else {
                (from, to) = (&from[plain..], &mut to[plain..]);
                break;
            }
        }
        let plain = from.iter().position(|byte| *byte == 0xFF).unwrap_or(from.len());
        to[..plain].copy_from_slice(&from[..plain]);
        self.segments.consumed = self.file.len() - (from.len() - plain);
        self.len = room - (to.len() - plain);
    }
}

/// The byte behind a run of 0xFF, and the length of both; `None` at the end of the file.
fn after_fill_bytes(bytes: &[u8]) -> Option<(u8, usize)> {
    let ff = bytes.iter().position(|byte| *byte != 0xFF)?;
    Some((bytes[ff], ff + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Path, Segments};

    #[test]
    fn stuffing_goes_and_restarts_cut() {
        let file = [1, 0xFF, 0, 2, 0xFF, 0xD0, 3, 0xFF, 0, 0xFF, 0xFF, 0xD1, 4, 0xFF, 0xD9, 5];
        let segments = Segments::read(&file, Path::Scalar).expect("valid");
        assert_eq!(segments.segment(0), Some(&[1, 0xFF, 2][..]));
        assert_eq!(segments.segment(1), Some(&[3, 0xFF][..]));
        assert_eq!(segments.segment(2), Some(&[4][..]));
        assert_eq!(segments.segment(3), None);
        assert_eq!((segments.restart(1), segments.restart(2)), (Some(1), None));
        assert_eq!((segments.consumed, segments.cut), (13, false));
        assert!(Segments::read(&file[..13], Path::Scalar).expect("valid").cut);
        assert!(Segments::read(&[1, 0xFF, 0xFF, 0, 2, 0xFF, 0xD9], Path::Scalar).is_err());
    }

    /// Byte by byte: data, segment lengths, bytes consumed; nothing for an error.
    fn plainly(file: &[u8]) -> Option<(Vec<u8>, Vec<usize>, usize)> {
        let (mut data, mut ends, mut at) = (Vec::new(), Vec::new(), 0);
        while at < file.len() {
            if file[at] != 0xFF {
                data.push(file[at]);
                at += 1;
                continue;
            }
            let fill = file[at..].iter().take_while(|byte| **byte == 0xFF).count();
            match file.get(at + fill) {
                Some(0) if fill == 1 => data.push(0xFF),
                Some(0) => return None,
                Some(0xD0..=0xD7) => ends.push(data.len()),
                _ => break,
            }
            at += fill + 1;
        }
        ends.push(data.len());
        Some((data, ends, at))
    }

    proptest! {
        #[test]
        fn every_path_reads_the_same(
            pieces in prop::collection::vec(
                prop_oneof![
                    4 => prop::collection::vec(0_u8..255, 0..150),
                    3 => Just(vec![0xFF, 0]),
                    1 => Just(vec![0xFF]),
                    1 => Just(vec![0xFF, 0xD3]),
                ],
                0..40,
            ),
            end in any::<[u8; 2]>(),
        ) {
            let file = [pieces.concat(), end.to_vec()].concat();
            let expected = plainly(&file);
            for path in Path::ALL.into_iter().filter(|path| path.available()) {
                let read = Segments::read(&file, path).ok();
                let parts = read.as_ref().map(|segments| {
                    let all = (0..).map_while(|index| segments.segment(index));
                    (all.flatten().copied().collect(), segments.ends.clone(), segments.consumed)
                });
                prop_assert_eq!(&parts, &expected);
            }
        }
    }
}
