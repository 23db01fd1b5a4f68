//! Pictures that are made row by row while they are resized, so that their RGB never exists as a whole.

use super::Rgb8;
use super::jpeg::Planes;
use crate::Result;
use crate::pool::Buffer;

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

impl<B: AsRef<[u8]>> Rows for &Rgb8<B> {
    fn width(&self) -> usize {
        self.width
    }

    fn height(&self) -> usize {
        self.height
    }

    fn write_row(&mut self, y: usize, out: &mut [u8]) {
        out.copy_from_slice(&self.pixels.as_ref()[y * self.width * 3..][..self.width * 3]);
    }
}

/// A picture as its decoder leaves it.
pub enum Picture {
    /// all pixels
    Rgb(Rgb8),
    /// components of a JPEG, not yet at full size and in other colours
    Jpeg(Planes),
}

impl Picture {
    /// All pixels.
    ///
    /// # Errors
    /// `Refused` if memory runs out.
    pub fn into_rgb(self) -> Result<Rgb8<Buffer<u8>>> {
        match self {
            Self::Rgb(Rgb8 { width, height, pixels }) => {
                Ok(Rgb8 { width, height, pixels: pixels.into() })
            }
            Self::Jpeg(planes) => planes.into_rgb(),
        }
    }
}

impl Rows for Picture {
    fn width(&self) -> usize {
        match self {
            Self::Rgb(image) => image.width,
            Self::Jpeg(planes) => planes.width(),
        }
    }

    fn height(&self) -> usize {
        match self {
            Self::Rgb(image) => image.height,
            Self::Jpeg(planes) => planes.height(),
        }
    }

    fn write_row(&mut self, y: usize, out: &mut [u8]) {
        match self {
            Self::Rgb(image) => (&*image).write_row(y, out),
            Self::Jpeg(planes) => planes.write_row(y, out),
        }
    }
}
