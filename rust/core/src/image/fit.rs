//! A picture to all its squares, in either form.

use super::{
    ImageConfig, Mode, Plan, Rows, patches_from_planes, patches_into, values_from_planes,
    values_into,
};
use crate::pool::{Buffer, Number};
use crate::{Error, Result};

/// In which form the pixels are handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// normalised float32, channel, row, column
    Values,
    /// raw bytes, patch by patch
    Patches,
}

impl Output {
    /// The form of that name.
    ///
    /// # Errors
    /// `Argument` naming the known ones.
    pub fn find(name: &str) -> Result<Self> {
        match name {
            "pixel_values" => Ok(Self::Values),
            "pixel_patches" => Ok(Self::Patches),
            _ => Err(Error::Argument(format!(
                "output: got `{name}`, expected one of pixel_values, pixel_patches"
            ))),
        }
    }
}

/// Squares of pictures, one after the other.
#[derive(Debug)]
pub enum Pixels {
    /// of [`values_into`]
    Values(Buffer<f32>),
    /// of [`patches_into`]
    Patches(Buffer<u8>),
}

impl Pixels {
    /// Shape of the array that they are, of so many pictures: squares of 3, S, S or P, K; values of
    /// [`Mode::AnyRes`] picture by picture.
    #[must_use]
    pub fn shape(&self, pictures: usize, config: &ImageConfig) -> Vec<usize> {
        match self {
            Self::Values(values) => {
                let squares = values.len() / config.values_len();
                let square = [3, config.size, config.size];
                if config.mode == Mode::AnyRes {
                    let each = squares.checked_div(pictures).unwrap_or(0);
                    [&[pictures, each], &square[..]].concat()
                } else {
                    [&[squares], &square[..]].concat()
                }
            }
            Self::Patches(bytes) => {
                let squares = bytes.len() / config.patches_len();
                vec![squares, config.patches(), config.patch_row()]
            }
        }
    }
}

/// Writes all numbers of all squares of a plan.
pub type Write<T> = fn(&mut dyn Rows, &Plan, &ImageConfig, &mut [T]) -> Result<()>;

/// Finishes squares that are raw planes already.
pub type Finish<T> = fn(&[u8], &ImageConfig, &mut [T]) -> Result<()>;

/// The number that a form consists of, and how squares are written in it.
pub trait Form: Number {
    /// from a picture
    const WRITE: Write<Self>;

    /// from what [`planes_into`](super::planes_into) wrote for them
    const FROM_PLANES: Finish<Self>;

    /// numbers per square
    fn square(config: &ImageConfig) -> usize;

    /// The buffer under the name of its form.
    fn pixels(buffer: Buffer<Self>) -> Pixels;
}

impl Form for f32 {
    const WRITE: Write<Self> = values_into;
    const FROM_PLANES: Finish<Self> = values_from_planes;

    fn square(config: &ImageConfig) -> usize {
        config.values_len()
    }

    fn pixels(buffer: Buffer<Self>) -> Pixels {
        Pixels::Values(buffer)
    }
}

impl Form for u8 {
    const WRITE: Write<Self> = patches_into;
    const FROM_PLANES: Finish<Self> = patches_from_planes;

    fn square(config: &ImageConfig) -> usize {
        config.patches_len()
    }

    fn pixels(buffer: Buffer<Self>) -> Pixels {
        Pixels::Patches(buffer)
    }
}

/// Writes the squares of a picture to the start of `out`, and zeros behind them.
///
/// # Errors
/// `Argument` if they do not fit in; `Refused` if memory runs out.
pub fn fit<T: Form>(source: &mut dyn Rows, config: &ImageConfig, out: &mut [T]) -> Result<()> {
    each_plan(source, config, T::square(config), out, T::WRITE)
}

/// [`fit`] for any form: `square` numbers per square, written by `write`.
pub(super) fn each_plan<T: Number>(
    source: &mut dyn Rows,
    config: &ImageConfig,
    square: usize,
    out: &mut [T],
    write: Write<T>,
) -> Result<()> {
    let mut rest = out;
    for plan in Plan::all(source.width(), source.height(), config)? {
        let length = plan.tiles(config.size)? * square;
        let Some((squares, behind)) = rest.split_at_mut_checked(length) else {
            return Err(Error::Argument("output buffer: too short for the picture".into()));
        };
        write(source, &plan, config, squares)?;
        rest = behind;
    }
    rest.fill(T::default());
    Ok(())
}

/// How the squares of several pictures lie in one buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// numbers of each picture
    lengths: Vec<usize>,
}

impl Places {
    /// For pictures of so many squares. [`Output::Values`] give every picture the room of the largest,
    /// as transformers do.
    #[must_use]
    pub fn new<T: Form>(squares: &[usize], output: Output, config: &ImageConfig) -> Self {
        let most = squares.iter().copied().max().unwrap_or(0);
        let room = |squares: &usize| match output {
            Output::Values => most,
            Output::Patches => *squares,
        };
        Self { lengths: squares.iter().map(|count| room(count) * T::square(config)).collect() }
    }

    /// A buffer for all of them.
    ///
    /// # Errors
    /// `Argument` if there is no memory for it.
    pub fn buffer<T: Form>(&self) -> Result<Buffer<T>> {
        Buffer::take(self.lengths.iter().fold(0, |sum, length| sum.saturating_add(*length)))
    }

    /// The part of each picture.
    pub fn split<'a, T>(&self, buffer: &'a mut [T]) -> Vec<&'a mut [T]> {
        let mut rest = buffer;
        let parts = self.lengths.iter().map(|length| {
            let (part, behind) = std::mem::take(&mut rest).split_at_mut(*length);
            rest = behind;
            part
        });
        parts.collect()
    }

    /// Moves the parts that `keep` names to the front, in order, and cuts off what is behind them.
    pub fn compact<T: Number>(&self, buffer: &mut Buffer<T>, keep: impl Iterator<Item = bool>) {
        let (mut start, mut kept) = (0, 0);
        for (length, keep) in self.lengths.iter().zip(keep) {
            if keep {
                buffer.copy_within(start..start + length, kept);
                kept += length;
            }
            start += length;
        }
        buffer.truncate(kept);
    }
}
