//! What a header may ask for, checked before anything of that size is allocated.

use crate::{Error, ImageFault, Result};

/// 64 Mi pixels: 192 MiB of RGB.
const MAX_PIXELS: usize = 64 << 20;
/// The largest side a JPEG header can express.
const MAX_SIDE: usize = 65_535;
/// A longer strip shows a model nothing, and costs other processors gigabytes.
const MAX_ASPECT: usize = 200;

/// Refuses a picture by its sides in pixels.
pub(super) fn check_sides(width: usize, height: usize) -> Result<()> {
    let (short, long) = (width.min(height), width.max(height));
    let why = if short == 0 {
        "a side is 0"
    } else if long > MAX_SIDE {
        "a side is over 65535 pixels"
    } else if long > short * MAX_ASPECT {
        "the sides differ by more than 200:1"
    } else if width * height > MAX_PIXELS {
        "over 64 Mi pixels"
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

/// An empty vector with room for `len` values.
pub(super) fn reserve<T>(len: usize) -> Result<Vec<T>> {
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(len).map_err(|_| out_of_memory(len * size_of::<T>()))?;
    Ok(buffer)
}

fn out_of_memory(bytes: usize) -> Error {
    ImageFault::Refused(format!("no memory for a buffer of {bytes} bytes")).into()
}

#[cfg(test)]
mod tests {
    use super::check_sides;

    #[test]
    fn sides_are_checked_at_their_borders() {
        for (width, height) in [(1, 1), (200, 1), (1, 200), (8192, 8192), (65_535, 1024)] {
            assert!(check_sides(width, height).is_ok(), "{width} x {height}");
        }
        for (width, height) in [(0, 1), (201, 1), (1, 201), (8193, 8192), (65_536, 400)] {
            assert!(check_sides(width, height).is_err(), "{width} x {height}");
        }
    }
}
