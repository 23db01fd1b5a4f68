//! Turning and mirroring by an EXIF orientation.

use crate::Result;
use crate::image::Rgb8;
use crate::image::limits::allocate;

/// Whether the sides change places.
fn swaps(orientation: u8) -> bool {
    orientation >= 5
}

/// Width and height after the turn.
pub(in crate::image) fn turned_size(size: (usize, usize), orientation: u8) -> (usize, usize) {
    if swaps(orientation) { (size.1, size.0) } else { size }
}

/// The picture as it was meant to be seen.
///
/// # Errors
/// `Refused` if there is no memory for a second picture.
pub(in crate::image) fn turned<B: AsRef<[u8]>>(picture: &Rgb8<B>, orientation: u8) -> Result<Rgb8> {
    let (from_width, from_height) = (picture.width, picture.height);
    let (width, height) = turned_size((from_width, from_height), orientation);
    // Whether the source is walked backwards along its rows and along its columns.
    let mirror_x = matches!(orientation, 2 | 3 | 7 | 8);
    let mirror_y = matches!(orientation, 3 | 4 | 6 | 7);
    let (source, _) = picture.pixels.as_ref().as_chunks::<3>();
    let mut pixels = allocate(width * height * 3)?;
    for (y, row) in pixels.chunks_exact_mut(width * 3).enumerate() {
        for (x, pixel) in row.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            let (column, line) = if swaps(orientation) { (y, x) } else { (x, y) };
            let column = if mirror_x { from_width - 1 - column } else { column };
            let line = if mirror_y { from_height - 1 - line } else { line };
            *pixel = source[line * from_width + column];
        }
    }
    Ok(Rgb8 { width, height, pixels })
}

#[cfg(test)]
mod tests {
    use super::{Rgb8, turned};

    #[test]
    fn every_orientation_puts_the_first_row_and_column_where_exif_says() {
        let picture = |width, height, levels: &[u8]| Rgb8 {
            width,
            height,
            pixels: levels.iter().flat_map(|level| [*level; 3]).collect(),
        };
        let source = || picture(3, 2, &[1, 2, 3, 4, 5, 6]);
        for (orientation, width, levels) in [
            (1, 3, [1, 2, 3, 4, 5, 6]),
            (2, 3, [3, 2, 1, 6, 5, 4]),
            (3, 3, [6, 5, 4, 3, 2, 1]),
            (4, 3, [4, 5, 6, 1, 2, 3]),
            (5, 2, [1, 4, 2, 5, 3, 6]),
            (6, 2, [4, 1, 5, 2, 6, 3]),
            (7, 2, [6, 3, 5, 2, 4, 1]),
            (8, 2, [3, 6, 2, 5, 1, 4]),
        ] {
            let expected = picture(width, 6 / width, &levels);
            assert_eq!(turned(&source(), orientation).ok(), Some(expected), "{orientation}");
        }
    }
}
