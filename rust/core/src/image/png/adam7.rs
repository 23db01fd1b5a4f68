//! The seven passes of an interlaced PNG.

/// First column and row, and the steps, of each pass.
const PASSES: [(usize, usize, usize, usize); 7] = [
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
];

/// One row of one pass.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PassRow {
    /// pixels in it
    pub(super) width: usize,
    /// place of the first pixel, and the distance of the others
    column: usize,
    row: usize,
    step: usize,
}

/// The rows in file order; passes without pixels have none.
pub(super) fn rows(width: usize, height: usize) -> impl Iterator<Item = PassRow> {
    PASSES.into_iter().flat_map(move |(column, first, step, down)| {
        let pixels = width.saturating_sub(column).div_ceil(step);
        let rows = if pixels == 0 { height..height } else { first..height };
        rows.step_by(down).map(move |row| PassRow { width: pixels, column, row, step })
    })
}

impl PassRow {
    /// Puts the pixels of the row to their places in a picture of `width` columns.
    pub(super) fn scatter(&self, rgb: &[u8], picture: &mut [u8], width: usize) {
        let line = &mut picture[self.row * width * 3..][..width * 3];
        let places = line.chunks_exact_mut(3).skip(self.column).step_by(self.step);
        for (place, pixel) in places.zip(rgb.chunks_exact(3)) {
            place.copy_from_slice(pixel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::rows;

    #[test]
    fn every_pixel_is_in_one_pass() {
        for (width, height) in [(1, 1), (2, 3), (5, 4), (8, 8), (9, 17), (33, 1), (1, 33)] {
            let mut picture = vec![0; width * height * 3];
            let mut pixels = 0;
            for row in rows(width, height) {
                row.scatter(&vec![1; row.width * 3], &mut picture, width);
                pixels += row.width;
            }
            assert_eq!(pixels, width * height);
            assert!(picture.iter().all(|byte| *byte == 1));
        }
    }
}
