//! How a picture becomes model input.

use super::{DecodeOptions, GridRule, Grids};
use crate::{Error, Result};

/// How a picture is fitted into the square.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// shortest edge to the size, centre crop
    Crop,
    /// centred on a square of the mean colour, then scaled
    Pad,
    /// scaled to the square, whatever its shape
    Stretch,
    /// the whole of it as with `Stretch`, and on a larger black canvas that is cut into squares
    AnyRes,
}

impl Mode {
    /// The mode of that name.
    ///
    /// # Errors
    /// [`Error::Argument`] naming the known ones.
    pub fn find(name: &str) -> Result<Self> {
        let all = [Self::Crop, Self::Pad, Self::Stretch, Self::AnyRes];
        all.into_iter().find(|mode| mode.name() == name).ok_or_else(|| {
            let known = all.map(Self::name).join(", ");
            Error::Argument(format!("mode: got `{name}`, expected one of {known}"))
        })
    }

    /// `crop`, `pad`, `stretch` or `anyres`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crop => "crop",
            Self::Pad => "pad",
            Self::Stretch => "stretch",
            Self::AnyRes => "anyres",
        }
    }
}

/// Settings of the image path; made by [`ImageConfig::new`], which checks them.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageConfig {
    /// side S of the model input in pixels
    pub size: usize,
    /// how a picture that is not square is fitted
    pub mode: Mode,
    /// side of a vision-tower patch in pixels
    pub patch_size: usize,
    /// per channel, of values in 0..1
    pub mean: [f32; 3],
    /// per channel, of values in 0..1
    pub std: [f32; 3],
    /// canvases of [`Mode::AnyRes`]
    pub grids: Grids,
    /// how files become pixels
    pub decode: DecodeOptions,
}

impl ImageConfig {
    /// # Errors
    /// `Argument` naming the setting that cannot be used, `LLAVA_FAST_CPU` among them: else every
    /// picture would be a bad one later.
    pub fn new(
        size: usize,
        mode: Mode,
        patch_size: usize,
        mean: [f32; 3],
        std: [f32; 3],
    ) -> Result<Self> {
        super::simd::Path::chosen()?;
        let wrong = |text: String| Err(Error::Argument(text));
        if !(1..=4096).contains(&size) {
            return wrong(format!("size: got {size}, expected 1..4096 pixels"));
        }
        if !(1..=size).contains(&patch_size) {
            return wrong(format!("patch_size: got {patch_size}, expected 1..{size} pixels"));
        }
        if !mean.iter().all(|m| (0.0..=1.0).contains(m)) {
            return wrong(format!("mean: got {mean:?}, expected numbers in 0..1"));
        }
        if !std.iter().all(|s| s.is_finite() && *s > 0.0) {
            return wrong(format!("std: got {std:?}, expected positive numbers"));
        }
        let grids = Grids::new(None, GridRule::Llava, size)?;
        Ok(Self { size, mode, patch_size, mean, std, grids, decode: DecodeOptions::default() })
    }

    /// Patches of a square, without the class token.
    #[must_use]
    pub fn patches(&self) -> usize {
        (self.size / self.patch_size).pow(2)
    }

    /// Squares that a picture of that size is handed out as.
    #[must_use]
    pub fn squares(&self, width: usize, height: usize) -> usize {
        if self.mode != Mode::AnyRes {
            return 1;
        }
        let (wide, high) = self.grids.canvas((width, height));
        1 + (wide / self.size) * (high / self.size)
    }

    /// Tokens that a picture of that size takes in a conversation.
    #[must_use]
    pub fn image_tokens(&self, width: usize, height: usize) -> usize {
        if self.mode != Mode::AnyRes {
            return self.patches();
        }
        let grid = self.size / self.patch_size;
        self.patches() + self.grids.tokens((width, height), self.size, grid)
    }

    /// Floats per square in [`Output::Values`].
    #[must_use]
    pub fn values_len(&self) -> usize {
        3 * self.size * self.size
    }

    /// K, bytes per patch in [`Output::Patches`]: `3 * patch_size^2` rounded up to a multiple of 64.
    #[must_use]
    pub fn patch_row(&self) -> usize {
        (3 * self.patch_size * self.patch_size).next_multiple_of(64)
    }

    /// Bytes per square in [`Output::Patches`].
    #[must_use]
    pub fn patches_len(&self) -> usize {
        self.patches() * self.patch_row()
    }

    /// The colour round a padded picture: `int(255 * mean)`, as the original's `expand2square` does.
    #[must_use]
    pub(super) fn pad_colour(&self) -> [u8; 3] {
        // Through decimals: the f32 nearest to 0.6 is below 0.6, the double that a user wrote is not.
        let as_written = |mean: f32| mean.to_string().parse::<f64>().unwrap_or(f64::from(mean));
        self.mean.map(|mean| (255.0 * as_written(mean)) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::{ImageConfig, Mode};

    const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];

    #[test]
    fn sizes_of_the_clip_settings() {
        let config = ImageConfig::new(336, Mode::Pad, 14, MEAN, [0.26; 3]).expect("valid");
        assert_eq!((config.image_tokens(640, 480), config.patch_row()), (576, 640));
        assert_eq!(config.pad_colour(), [122, 116, 104]);
        assert_eq!((config.patches(), config.squares(640, 480)), (576, 1));
        let config = ImageConfig { mode: Mode::AnyRes, ..config };
        assert_eq!((config.image_tokens(640, 480), config.squares(640, 480)), (2340, 5));
    }

    #[test]
    fn a_bad_setting_is_named() {
        for (size, patch, std) in [(0, 14, 0.2), (336, 337, 0.2), (336, 14, 0.0)] {
            assert!(ImageConfig::new(size, Mode::Crop, patch, MEAN, [std; 3]).is_err());
        }
    }
}
