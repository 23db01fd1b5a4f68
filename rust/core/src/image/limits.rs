//! What a header may ask for, checked before anything of that size is allocated.

use super::Limits;
use crate::{Error, ImageFault, Result};

/// The largest side a JPEG header can express.
const MAX_SIDE: usize = 65_535;

/// Refuses a picture by its sides in pixels.
pub(super) fn check_sides(width: usize, height: usize, limits: &Limits) -> Result<()> {
    let (short, long) = (width.min(height), width.max(height));
    let why = if short == 0 {
        "a side is 0".to_owned()
    } else if long > MAX_SIDE {
        format!("a side is over {MAX_SIDE} pixels")
    } else if long > short.saturating_mul(limits.aspect) {
        format!("the sides differ by more than {}:1", limits.aspect)
    } else if width * height > limits.pixels {
        format!("over {} pixels", limits.pixels)
    } else {
        return Ok(());
    };
    Err(ImageFault::Refused(format!("{width} x {height} pixels, {why}")).into())
}

/// `len` default values, or an error where `vec!` would abort the process.
pub(super) fn allocate<T: Clone + Default>(len: usize) -> Result<Vec<T>> {
    let mut buffer = reserve(len)?;
    buffer.resize(len, T::default());
    Ok(buffer)
}

/// `len` zero bytes whose pages are touched only when they are written, so that a file that fails
/// early costs no more than it delivered.
pub(super) fn zeroed(len: usize) -> Result<Vec<u8>> {
    reserve::<u8>(len)?; // `vec!` aborts where there is no room
    Ok(vec![0; len])
}

/// An empty vector with room for `len` values.
pub(super) fn reserve<T>(len: usize) -> Result<Vec<T>> {
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(len).map_err(|_| out_of_memory(len * size_of::<T>()))?;
    Ok(buffer)
}

pub(super) fn out_of_memory(bytes: usize) -> Error {
    ImageFault::Refused(format!("no memory for a buffer of {bytes} bytes")).into()
}

#[cfg(test)]
mod tests {
    use super::{Limits, check_sides};

    #[test]
    fn sides_are_checked_at_their_borders() {
        for (width, height) in [(1, 1), (200, 1), (1, 200), (8192, 8192), (65_535, 1024)] {
            assert!(check_sides(width, height, &Limits::default()).is_ok(), "{width} x {height}");
        }
        for (width, height) in [(0, 1), (201, 1), (1, 201), (8193, 8192), (65_536, 400)] {
            assert!(check_sides(width, height, &Limits::default()).is_err(), "{width} x {height}");
        }
    }
}
