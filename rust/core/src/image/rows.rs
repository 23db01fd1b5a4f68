//! Pictures that are made row by row while they are resized, so that their RGB never exists as a whole.

use super::Rgb8;

/// A decoded picture that can write any of its rows.
pub trait Rows {
    /// pixels per row, at least 1
    fn width(&self) -> usize;

    /// rows, at least 1
    fn height(&self) -> usize;

    /// Writes row `y` into `out`, exactly `3 * width` bytes: red, green, blue. Rows may be asked for
    /// in any order; going down is fastest.
    fn write_row(&mut self, y: usize, out: &mut [u8]);
}

impl Rows for &Rgb8 {
    fn width(&self) -> usize {
        self.width
    }

    fn height(&self) -> usize {
        self.height
    }

    fn write_row(&mut self, y: usize, out: &mut [u8]) {
        out.copy_from_slice(&self.pixels[y * self.width * 3..][..self.width * 3]);
    }
}
