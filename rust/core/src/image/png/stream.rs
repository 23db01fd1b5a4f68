//! The picture alone, as a file that the `png` crate can read, if possible without a copy of
//! its pixel data.

use std::borrow::Cow;
use std::io::{self, BufRead, Read, Seek, SeekFrom};

/// An empty end chunk with its checksum.
const IEND: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";

/// Header and palette, the chunks of pixel data where they stand in the file, and an end.
#[derive(Clone)]
pub(super) struct Stream<'a> {
    head: Vec<u8>,
    pixels: Cow<'a, [u8]>,
    at: usize,
}

impl<'a> Stream<'a> {
    /// `head`: from the signature to the palette; `pixels`: chunks of pixel data.
    pub(super) fn new(head: Vec<u8>, pixels: Cow<'a, [u8]>) -> Self {
        Self { head, pixels, at: 0 }
    }

    /// Bytes of the pixel data, packed.
    pub(super) fn pixel_bytes(&self) -> usize {
        self.pixels.len()
    }
}

impl BufRead for Stream<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let mut at = self.at;
        for part in [&self.head[..], &self.pixels, IEND] {
            if at < part.len() {
                return Ok(&part[at..]);
            }
            at -= part.len();
        }
        Ok(&[])
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount;
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

impl Seek for Stream<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let end = self.head.len() + self.pixels.len() + IEND.len();
        let place = match to {
            SeekFrom::Start(place) => usize::try_from(place).ok(),
            SeekFrom::Current(by) => {
                isize::try_from(by).ok().and_then(|by| self.at.checked_add_signed(by))
            }
            SeekFrom::End(by) => isize::try_from(by).ok().and_then(|by| end.checked_add_signed(by)),
        };
        self.at = place.filter(|place| *place <= end).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at as u64)
    }
}
