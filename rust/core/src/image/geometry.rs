//! How a picture is fitted into its output, in whole pixels.

use std::ops::Range;

use super::anyres::fitted;
use super::{ImageConfig, Mode};
use crate::{Error, Result};

/// One axis of a resize.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    /// pixels of the picture
    pub(super) source: usize,
    /// padding before the picture
    pub(super) before: usize,
    /// pixels of the picture with padding on both sides
    pub(super) full: usize,
    /// what `full` becomes
    pub(super) scaled: usize,
    /// which of the scaled positions are wanted
    pub(super) window: Range<usize>,
}

/// How a picture becomes rows of pixels: padding, a resize, a window of it, and where that lies on
/// a plain canvas. Made by one of the constructors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// colour of the padding, which takes part in the resize
    pub(super) colour: [u8; 3],
    pub(super) canvas: Canvas,
}

/// What the resized window is laid on, in pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canvas {
    /// pixels per row
    pub width: usize,
    /// rows
    pub height: usize,
    /// column of the window's first
    pub left: usize,
    /// row of the window's first
    pub top: usize,
    /// red, green, blue of everything round the window
    pub colour: [u8; 3],
}

impl Plan {
    /// The plans of a `width` x `height` picture under a configuration; their squares come one after
    /// the other, [`ImageConfig::squares`] in all.
    ///
    /// # Errors
    /// None that a configuration could cause.
    pub fn all(width: usize, height: usize, config: &ImageConfig) -> Result<Vec<Self>> {
        let size = config.size;
        Ok(match config.mode {
            Mode::Crop => vec![Self::crop(width, height, size)],
            Mode::Pad => vec![Self::pad(width, height, size, config.pad_colour())],
            Mode::Stretch => vec![Self::stretch(width, height, size, size)],
            Mode::AnyRes => {
                let canvas = config.grids.canvas((width, height));
                let whole = Self::stretch(width, height, size, size);
                vec![whole, Self::centred(width, height, canvas)?]
            }
        })
    }

    /// As large as it fits on a black canvas, in its middle.
    fn centred(width: usize, height: usize, canvas: (usize, usize)) -> Result<Self> {
        let (wide, high) = fitted((width, height), canvas);
        Self::stretch(width, height, wide, high).on(Canvas {
            width: canvas.0,
            height: canvas.1,
            left: (canvas.0 - wide) / 2,
            top: (canvas.1 - high) / 2,
            colour: [0; 3],
        })
    }

    /// The shortest side becomes `size`, of the other the middle `size` are kept.
    #[must_use]
    pub fn crop(width: usize, height: usize, size: usize) -> Self {
        let short = width.min(height);
        Self::of(cropped(width, short, size), cropped(height, short, size), [0; 3])
    }

    /// Centred on a square of that colour, which then becomes `size` x `size`.
    #[must_use]
    pub fn pad(width: usize, height: usize, size: usize, colour: [u8; 3]) -> Self {
        let long = width.max(height);
        Self::of(padded(width, long, size), padded(height, long, size), colour)
    }

    /// The whole picture becomes `wide` x `high`, whatever its shape.
    #[must_use]
    pub fn stretch(width: usize, height: usize, wide: usize, high: usize) -> Self {
        Self::of(padded(width, width, wide), padded(height, height, high), [0; 3])
    }

    /// The same, laid on a canvas after the resize.
    ///
    /// # Errors
    /// `Argument` if the canvas does not hold it.
    pub fn on(self, canvas: Canvas) -> Result<Self> {
        let fits = |axis: &Axis, offset: usize, room: usize| {
            offset.checked_add(axis.window.len()).is_some_and(|end| end <= room)
        };
        if fits(&self.x, canvas.left, canvas.width) && fits(&self.y, canvas.top, canvas.height) {
            return Ok(Self { canvas, ..self });
        }
        Err(Error::Argument(format!(
            "canvas: got {} x {} pixels, expected room for {} x {} at {}, {}",
            canvas.width,
            canvas.height,
            self.x.window.len(),
            self.y.window.len(),
            canvas.left,
            canvas.top,
        )))
    }

    /// Tiles of `size` x `size` pixels that the canvas consists of, numbered in reading order.
    ///
    /// # Errors
    /// `Argument` if it is no multiple of that size.
    pub fn tiles(&self, size: usize) -> Result<usize> {
        let Canvas { width, height, .. } = self.canvas;
        if size > 0 && width.is_multiple_of(size) && height.is_multiple_of(size) {
            return Ok((width / size) * (height / size));
        }
        Err(Error::Argument(format!(
            "canvas: got {width} x {height} pixels, expected a multiple of {size}"
        )))
    }

    /// Width and height of the resized window.
    pub(super) fn window(&self) -> (usize, usize) {
        (self.x.window.len(), self.y.window.len())
    }

    /// With a canvas that is just the window.
    fn of(x: Axis, y: Axis, colour: [u8; 3]) -> Self {
        let (width, height) = (x.window.len(), y.window.len());
        Self { x, y, colour, canvas: Canvas { width, height, left: 0, top: 0, colour: [0; 3] } }
    }

    /// Pillow 13's rule for the order of its passes; it rounds to whole pixels between them.
    pub(super) fn vertical_first(&self) -> bool {
        let shrink = |axis: &Axis| axis.full as i64 - axis.scaled as i64;
        shrink(&self.y) > 0 && shrink(&self.y) > 2 * shrink(&self.x)
    }
}

/// The short side becomes `size`, the middle `size` of the other are kept; both divisions round down
/// as transformers' do.
fn cropped(side: usize, short: usize, size: usize) -> Axis {
    let scaled = size * side / short;
    let start = (scaled - size) / 2;
    Axis { source: side, before: 0, full: side, scaled, window: start..start + size }
}

fn padded(side: usize, long: usize, size: usize) -> Axis {
    Axis { source: side, before: (long - side) / 2, full: long, scaled: size, window: 0..size }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Canvas, Plan, cropped, padded};

    proptest! {
        #[test]
        fn the_window_lies_in_the_middle(
            side in 1_usize..65536, short in 1_usize..65536, size in 1_usize..4096,
        ) {
            let short = short.min(side);
            let axis = cropped(side, short, size);
            // transformers computes the long side in doubles and truncates
            prop_assert_eq!(axis.scaled, (size as f64 * side as f64 / short as f64) as usize);
            let after = axis.scaled - axis.window.end;
            prop_assert!(after == axis.window.start || after == axis.window.start + 1);
        }

        #[test]
        fn padding_is_split_evenly(side in 1_usize..65536, extra in 0_usize..65536) {
            let axis = padded(side, side + extra, 336);
            let after = axis.full - axis.source - axis.before;
            prop_assert!(after == axis.before || after == axis.before + 1);
        }
    }

    #[test]
    fn a_canvas_holds_the_window_and_whole_tiles() {
        let canvas = |width, left| Canvas { width, height: 8, left, top: 1, colour: [0; 3] };
        let plan = || Plan::stretch(30, 20, 6, 7);
        assert_eq!(plan().on(canvas(8, 2)).and_then(|plan| plan.tiles(4)).ok(), Some(4));
        assert!(plan().on(canvas(8, 3)).is_err());
        assert!(plan().on(canvas(8, usize::MAX)).is_err());
        assert!(plan().on(canvas(9, 3)).is_ok_and(|plan| plan.tiles(4).is_err()));
    }
}
