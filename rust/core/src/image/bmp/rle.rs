//! Run lengths of 8-bit and 4-bit samples, to one byte per pixel.

use super::header::{Compression, Header};
use super::truncated;
use crate::Result;
use crate::image::limits::reserve;

/// Where a picture stands while its runs are read.
struct Runs<'a> {
    file: &'a [u8],
    at: usize,
    /// samples so far, row after row in file order
    samples: Vec<u8>,
    /// all that are wanted
    total: usize,
    width: usize,
    /// column as Pillow counts it: a run of plain samples can take it past the row
    x: usize,
    four_bits: bool,
}

/// All samples of the picture, in file order. What a jump passes over is sample 0.
///
/// # Errors
/// `Truncated` if the runs end before the picture is full, as in Pillow.
pub(super) fn samples(file: &[u8], header: &Header<'_>) -> Result<Vec<u8>> {
    let total = header.width * header.height;
    let mut runs = Runs {
        file,
        at: header.offset,
        samples: reserve(total)?,
        total,
        width: header.width,
        x: 0,
        four_bits: header.compression == Compression::Rle4,
    };
    while runs.samples.len() < total && runs.step().is_some() {}
    let mut samples = runs.samples;
    if samples.len() < total {
        return Err(truncated("the runs end before the picture is full"));
    }
    samples.truncate(total);
    Ok(samples)
}

impl<'a> Runs<'a> {
    /// One run or escape; `None` at the end of the picture or of the file.
    fn step(&mut self) -> Option<()> {
        match *self.take(2)? {
            [0, 0] => self.end_of_row(),
            [0, 1] => return None,
            [0, 2] => {
                let [right, up] = *self.take(2)?.as_array::<2>()?;
                self.skip(usize::from(right) + usize::from(up) * self.width);
            }
            [0, count] => self.plain(usize::from(count))?,
            [count, value] => self.run(usize::from(count), value),
            _ => return None,
        }
        Some(())
    }

    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let taken = self.file.get(self.at..)?.get(..bytes)?;
        self.at += bytes;
        Some(taken)
    }

    /// An empty row keeps its place: Pillow fills only rows that were begun.
    fn end_of_row(&mut self) {
        let begun = self.samples.len().next_multiple_of(self.width);
        self.samples.resize(begun.min(self.total), 0);
        self.x = 0;
    }

    fn skip(&mut self, samples: usize) {
        let end = self.samples.len() + samples;
        self.samples.resize(end.min(self.total), 0);
        self.x = self.samples.len() % self.width;
    }

    /// Equal samples, or two in turn with four bits; what does not fit the row is dropped.
    fn run(&mut self, count: usize, value: u8) {
        let count =
            count.min(self.width.saturating_sub(self.x)).min(self.total - self.samples.len());
        if self.four_bits {
            let pair = [value >> 4, value & 15];
            self.samples.extend((0..count).map(|index| pair[index % 2]));
        } else {
            self.samples.extend(std::iter::repeat_n(value, count));
        }
        self.x += count;
    }

    /// Samples as they are, then a byte of padding if that leads to an even place in the file.
    fn plain(&mut self, count: usize) -> Option<()> {
        let wanted = count.min(self.total - self.samples.len());
        if self.four_bits {
            let bytes = self.take(wanted.div_ceil(2))?;
            let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
            self.samples.extend(halves.take(wanted));
        } else {
            let bytes = self.take(wanted)?;
            self.samples.extend_from_slice(bytes);
        }
        self.x += count;
        self.at += self.at % 2;
        Some(())
    }
}
