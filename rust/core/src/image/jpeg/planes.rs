//! A decoded file, whose RGB is made row by row.

use super::colour;
use super::component::Component;
use super::frame::Colour;
use super::upsample::Upsampler;
use crate::Result;
use crate::image::limits::out_of_memory;
use crate::image::simd::Path;
use crate::image::{Rgb8, Rows};
use crate::pool::Buffer;

/// The samples of all components.
pub struct Planes {
    width: usize,
    height: usize,
    components: Vec<Component>,
    colour: Colour,
    /// one per component
    upsamplers: [Upsampler; 4],
    path: Path,
}

impl Planes {
    /// Of filled components.
    pub(super) fn new(
        (width, height): (usize, usize),
        components: Vec<Component>,
        colour: Colour,
        path: Path,
    ) -> Self {
        Self { width, height, components, colour, upsamplers: Default::default(), path }
    }

    /// All rows.
    pub(in crate::image) fn into_rgb(mut self) -> Result<Rgb8<Buffer<u8>>> {
        let (width, height) = (self.width, self.height);
        let length = width * height * 3;
        let mut pixels = Buffer::take(length).map_err(|_| out_of_memory(length))?;
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
        let (path, width) = (self.path, self.width);
        let mut rows = self.components.iter().zip(&mut self.upsamplers);
        let mut next = || rows.next().map_or(&[][..], |(component, up)| up.row(component, y, path));
        match self.colour {
            Colour::Gray => colour::gray_row(&next()[..width], out),
            Colour::YCbCr => colour::convert_row(path, next(), next(), next(), out),
            Colour::Rgb => colour::rgb_row([next(), next(), next()], out),
            Colour::Cmyk => {
                colour::rgb_row([next(), next(), next()], out);
                colour::darken_row(next(), out);
            }
            Colour::Ycck => {
                colour::convert_row(path, next(), next(), next(), out);
                colour::invert_row(out);
                colour::darken_row(next(), out);
            }
        }
    }
}
