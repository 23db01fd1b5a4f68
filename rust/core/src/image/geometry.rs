//! How a picture is fitted into the square, in whole pixels.

use std::ops::Range;

use super::{ImageConfig, Mode, Rgb8};

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

/// Both axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// colour of the padding
    pub(super) colour: [u8; 3],
}

impl Plan {
    /// The plan of a picture under a configuration.
    pub(super) fn new(image: &Rgb8, config: &ImageConfig) -> Self {
        let (width, height) = (image.width, image.height);
        let size = config.size;
        let (x, y) = match config.mode {
            Mode::Crop => {
                let short = width.min(height);
                (cropped(width, short, size), cropped(height, short, size))
            }
            Mode::Pad => {
                let long = width.max(height);
                (padded(width, long, size), padded(height, long, size))
            }
        };
        Self { x, y, colour: config.pad_colour() }
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

    use super::{cropped, padded};

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
}
