//! A decoded file, whose RGB is made row by row.

use super::colour;
use super::component::Component;
use super::upsample::Upsampler;
use crate::Result;
use crate::image::limits::allocate;
use crate::image::simd::Path;
use crate::image::{Rgb8, Rows};

/// The samples of all components.
pub(in crate::image) struct Planes {
    width: usize,
    height: usize,
    components: Vec<Component>,
    chroma: [Upsampler; 2],
    path: Path,
}

impl Planes {
    /// Of filled components.
    pub(super) fn new(width: usize, height: usize, components: Vec<Component>, path: Path) -> Self {
        Self {
            width,
            height,
            components,
            chroma: [Upsampler::default(), Upsampler::default()],
            path,
        }
    }

    /// All rows.
    pub(in crate::image) fn into_rgb(mut self) -> Result<Rgb8> {
        let (width, height) = (self.width, self.height);
        let mut pixels: Vec<u8> = allocate(width * height * 3)?;
        for (y, out) in pixels.chunks_exact_mut(width * 3).enumerate() {
            self.write_row(y, out);
        }
        Ok(Rgb8 { width, height, pixels })
    }
}

impl Rows for Planes {
    fn width(&self) -> usize {
        self.width
    }

    fn height(&self) -> usize {
        self.height
    }

    fn write_row(&mut self, y: usize, out: &mut [u8]) {
        let [cb_rows, cr_rows] = &mut self.chroma;
        match self.components.as_slice() {
            [luma, cb, cr] => {
                let (cb, cr) = (cb_rows.row(cb, y, self.path), cr_rows.row(cr, y, self.path));
                colour::convert_row(self.path, luma.padded_row(y), cb, cr, out);
            }
            [gray, ..] => colour::gray_row(gray.row(y), out),
            [] => unreachable!("a file without components has no planes"),
        }
    }
}
