//! LLaVA-1.6's tiles: which canvas a picture is laid on, and how many tokens come out of it.
//!
//! The arithmetic is that of the two programs that trained and run such models, in doubles, in their
//! order: LLaVA's `mm_utils.py` and `llava_arch.py`, transformers' `select_best_resolution`,
//! `get_patch_output_size` and `unpad_image`.

use crate::{Error, Result};

/// Most shapes of a canvas; the largest published list has 36.
const MOST_CANVASES: usize = 128;
/// Most squares along a side of a canvas.
const MOST_ACROSS: usize = 16;
/// Canvases of LLaVA-1.6 in squares.
const USUAL: [[usize; 2]; 5] = [[1, 2], [2, 1], [2, 2], [3, 1], [1, 3]];

/// Width and height.
type Size = (usize, usize);

/// Whose arithmetic counts where the two differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GridRule {
    /// LLaVA: a pinpoint is width, height; sides are cut to whole numbers
    Llava,
    /// transformers: a pinpoint is height, width; sides are rounded to seven digits, then cut
    Hf,
}

impl GridRule {
    /// The rule of that name.
    ///
    /// # Errors
    /// `Argument` naming the known ones.
    pub fn find(name: &str) -> Result<Self> {
        match name {
            "llava" => Ok(Self::Llava),
            "hf" => Ok(Self::Hf),
            _ => {
                Err(Error::Argument(format!("grid_rule: got `{name}`, expected one of llava, hf")))
            }
        }
    }
}

/// The canvases that a picture can be laid on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grids {
    /// in pixels, the earlier of two that are equally good wins
    canvases: Vec<Size>,
    rule: GridRule,
}

impl Grids {
    /// Of `pinpoints` in pixels, read by `rule`; the usual five where there are none.
    ///
    /// # Errors
    /// `Argument` unless there are 1..128, each side 1..16 times `size`.
    pub fn new(pinpoints: Option<&[[usize; 2]]>, rule: GridRule, size: usize) -> Result<Self> {
        let usual = USUAL.map(|pinpoint| pinpoint.map(|squares| squares * size));
        let pinpoints = pinpoints.unwrap_or(&usual);
        if !(1..=MOST_CANVASES).contains(&pinpoints.len()) {
            let got = pinpoints.len();
            return Err(Error::Argument(format!(
                "grid_pinpoints: got {got} of them, expected 1..{MOST_CANVASES}"
            )));
        }
        let whole =
            |side: &usize| side.is_multiple_of(size) && (1..=MOST_ACROSS).contains(&(side / size));
        if let Some(wrong) = pinpoints.iter().find(|pinpoint| !pinpoint.iter().all(whole)) {
            return Err(Error::Argument(format!(
                "grid_pinpoints: got {wrong:?}, expected sides of 1..{MOST_ACROSS} times {size} pixels"
            )));
        }
        let canvases = pinpoints.iter().map(|&[first, second]| match rule {
            GridRule::Llava => (first, second),
            GridRule::Hf => (second, first),
        });
        Ok(Self { canvases: canvases.collect(), rule })
    }

    /// The canvas on which most of the picture's detail is kept; of equally good ones that with the
    /// least empty room.
    #[must_use]
    pub fn canvas(&self, picture: Size) -> Size {
        let worth = |canvas: Size| {
            let kept = kept(picture, canvas);
            (kept, kept as i64 - (canvas.0 * canvas.1) as i64)
        };
        let mut best = self.canvases[0];
        for &canvas in &self.canvases[1..] {
            if worth(canvas) > worth(best) {
                best = canvas;
            }
        }
        best
    }

    /// Tokens of the tiles of a picture, of `grid` features each way: one per feature that shows
    /// some of it, and one that ends each row.
    #[must_use]
    pub fn tokens(&self, picture: Size, size: usize, grid: usize) -> usize {
        let (width, height) = self.canvas(picture);
        let (columns, rows) = self.unpadded(picture, (width / size * grid, height / size * grid));
        rows * (columns + 1)
    }

    /// What is left of a map of features when the rows or columns that show no picture are gone: as
    /// many on both sides.
    fn unpadded(&self, picture: Size, (columns, rows): Size) -> Size {
        let (width, height) = (picture.0 as f64, picture.1 as f64);
        let (wide, high) = (columns as f64, rows as f64);
        if width / height > wide / high {
            (columns, rows - (rows - self.whole(height * (wide / width))) / 2 * 2)
        } else {
            (columns - (columns - self.whole(width * (high / height))) / 2 * 2, rows)
        }
    }

    fn whole(&self, side: f64) -> usize {
        let nearest = side.round();
        // `round(side, 7)` is a whole number just where this holds.
        let rounds_up = self.rule == GridRule::Hf && (nearest - side).abs() < 5e-8;
        (if rounds_up { nearest } else { side }) as usize
    }
}

/// What a picture becomes on a canvas: the largest of its shape that fits.
pub(super) fn fitted(picture: Size, canvas: Size) -> Size {
    let (across, down) = scales(picture, canvas);
    if across < down {
        (canvas.0, ((picture.1 as f64 * across).ceil() as usize).min(canvas.1))
    } else {
        (((picture.0 as f64 * down).ceil() as usize).min(canvas.0), canvas.1)
    }
}

/// Pixels of detail that a picture has left on a canvas.
fn kept(picture: Size, canvas: Size) -> usize {
    let (across, down) = scales(picture, canvas);
    let scale = across.min(down);
    let (width, height) = (picture.0 as f64 * scale, picture.1 as f64 * scale);
    (width as usize * height as usize).min(picture.0 * picture.1)
}

fn scales(picture: Size, canvas: Size) -> (f64, f64) {
    (canvas.0 as f64 / picture.0 as f64, canvas.1 as f64 / picture.1 as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{GridRule, Grids, fitted};

    fn usual(rule: GridRule) -> Grids {
        Grids::new(None, rule, 336).expect("valid")
    }

    #[test]
    fn tokens_as_published() {
        for (picture, tokens) in [
            ((640, 480), 2340),
            ((1024, 768), 2340),
            ((1920, 1080), 1948),
            ((336, 336), 1176),
            ((300, 900), 2376),
        ] {
            for rule in [GridRule::Llava, GridRule::Hf] {
                assert_eq!(576 + usual(rule).tokens(picture, 336, 24), tokens, "{picture:?}");
            }
        }
    }

    #[test]
    fn the_rules_differ_in_rare_sizes() {
        for (picture, llava, hf) in
            [((704, 396), 1850, 1948), ((396, 704), 1872, 1968), ((205, 984), 1656, 1800)]
        {
            assert_eq!(576 + usual(GridRule::Llava).tokens(picture, 336, 24), llava);
            assert_eq!(576 + usual(GridRule::Hf).tokens(picture, 336, 24), hf);
        }
        assert_eq!(usual(GridRule::Llava).canvas((336, 336)), (336, 672));
        assert_eq!(usual(GridRule::Hf).canvas((336, 336)), (672, 336));
    }

    #[test]
    fn a_bad_canvas_is_named() {
        for (pinpoints, named) in [
            (&[][..], "got 0 of them"),
            (&[[336, 336], [336, 350]], "got [336, 350]"),
            (&[[0, 336]], "got [0, 336]"),
            (&[[336, 17 * 336]], "expected sides of 1..16 times 336"),
        ] {
            let error = Grids::new(Some(pinpoints), GridRule::Hf, 336).expect_err("refused");
            assert!(error.to_string().contains(named), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_picture_fits(width in 1_usize..65536, height in 1_usize..65536, size in 1_usize..700) {
            for rule in [GridRule::Llava, GridRule::Hf] {
                let grids = Grids::new(None, rule, size).expect("valid");
                let canvas = grids.canvas((width, height));
                let (wide, high) = fitted((width, height), canvas);
                prop_assert!((1..=canvas.0).contains(&wide) && (1..=canvas.1).contains(&high));
                prop_assert!(wide == canvas.0 || high == canvas.1);
                let all = (canvas.0 / size * 9) * (canvas.1 / size * 9 + 9);
                prop_assert!((0..=all).contains(&grids.tokens((width, height), size, 9)));
            }
        }
    }
}
