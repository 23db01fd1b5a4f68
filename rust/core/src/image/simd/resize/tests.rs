//! All paths against the scalar one, over anything.

use proptest::prelude::*;

use super::Path;
use crate::image::Rgb8;
use crate::image::geometry::Plan;
use crate::image::resize::resize_rows;

/// The window as planes.
fn resized(image: &Rgb8, plan: &Plan, path: Path) -> Vec<u8> {
    let mut out = Vec::new();
    let mut source = image;
    resize_rows(&mut source, plan, path, |y, row| {
        assert_eq!(out.len(), y * 3 * row[0].len());
        for plane in row {
            out.extend_from_slice(plane);
        }
    })
    .expect("memory");
    out
}

fn images() -> impl Strategy<Value = Rgb8> {
    let side = || prop_oneof![1_usize..8, 1_usize..90, 1_usize..700];
    let value = prop_oneof![Just(0_u8), Just(255), any::<u8>()];
    (side(), side(), prop::collection::vec(value, 997)).prop_map(|(width, height, noise)| {
        let pixels = noise.into_iter().cycle().take(3 * width * height).collect();
        Rgb8 { width, height, pixels }
    })
}

proptest! {
    #[test]
    fn every_path_gives_the_same_pixels(
        image in images(),
        size in prop_oneof![1_usize..40, 1_usize..340],
        other in 1_usize..90,
        kind in 0..3,
    ) {
        let (width, height) = (image.width, image.height);
        let plan = match kind {
            0 => Plan::crop(width, height, size.min(50)),
            1 => Plan::pad(width, height, size, [122, 0, 255]),
            _ => Plan::stretch(width, height, size, other),
        };
        let expected = resized(&image, &plan, Path::Scalar);
        for path in Path::ALL.into_iter().filter(|path| path.available()) {
            prop_assert!(resized(&image, &plan, path) == expected, "{:?}", path);
        }
    }
}
