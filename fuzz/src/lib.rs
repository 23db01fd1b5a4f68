//! What the targets do with the bytes that libFuzzer makes up.

use llava_fast_core::Error;
use llava_fast_core::image::{
    self, DecodeOptions, ImageConfig, Limits, Mode, Png16, Rgb8, Rows, Truncated,
};

/// Small enough for thousands of pictures a second.
const LIMITS: Limits = Limits {
    file_bytes: 1 << 20,
    pixels: 1 << 18,
    aspect: 200,
    scans: 50,
    coefficient_bytes: 8 << 20,
    scanned_pixels: 1 << 22,
};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const STD: [f32; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];

/// Decodes bytes of one format and prepares what comes out.
///
/// magic: what stands where in every file of the format; it is put there, so that the fuzzer need
/// not find it.
///
/// # Panics
/// If the library is wrong.
pub fn picture(data: &[u8], magic: &[(usize, &[u8])]) {
    let mut file = data.to_vec();
    for (at, bytes) in magic {
        let Some(place) = file.get_mut(*at..at + bytes.len()) else { return };
        place.copy_from_slice(bytes);
    }
    if file.starts_with(PNG) {
        repair_checksums(&mut file);
    }
    match image::decode(&file, &options(data)) {
        Ok(picture) => {
            assert_eq!(picture.pixels.len(), picture.width * picture.height * 3);
            let probed = image::probe(&file, &options(data)).expect("it was decoded before");
            assert_eq!(probed, (picture.width, picture.height));
            let whole = fit(&mut &picture, data.len());
            let mut rows = image::open(&file, &options(data)).expect("it was decoded before");
            assert!(fit(&mut rows, data.len()) == whole, "rows differ from the whole picture");
        }
        Err(error) => check(&error),
    }
}

/// Writes the right checksum into each chunk of a PNG: the fuzzer cannot guess them, and nothing
/// behind a wrong one is read.
fn repair_checksums(file: &mut [u8]) {
    let mut at = PNG.len();
    while let Some(length) = file.get(at..).and_then(<[u8]>::first_chunk) {
        let end = at.saturating_add(8).saturating_add(u32::from_be_bytes(*length) as usize);
        let Some(checked) = file.get(at + 4..end) else { return };
        let checksum = crc32fast::hash(checked).to_be_bytes();
        let Some(place) = file.get_mut(end..end + 4) else { return };
        place.copy_from_slice(&checksum);
        at = end + 4;
    }
}

/// The last byte of a file, which hardly matters to its format, chooses the options.
fn options(data: &[u8]) -> DecodeOptions {
    let choice = data.last().map_or(0, |last| last & 7);
    DecodeOptions {
        truncated: if choice & 1 == 0 { Truncated::Error } else { Truncated::Fill },
        png16: if choice & 2 == 0 { Png16::Clip } else { Png16::Scale },
        exif_rotation: choice & 4 != 0,
        limits: LIMITS,
    }
}

/// An error must be one that the product means, not a panic that was caught. A panic in another
/// crate becomes an error by contract and is left to its authors.
fn check(error: &Error) {
    let text = error.to_string();
    let ours = text.contains("panicked") && !text.contains("/registry/src/");
    assert!(!ours, "{text}");
}

/// Prepares pixels that the bytes describe: two for the sides, two for the size and the mode, the
/// rest again and again as pixels.
///
/// # Panics
/// If the library is wrong.
pub fn prepare(data: &[u8]) {
    let Some((&[width, height, size, mode], samples)) = data.split_first_chunk() else { return };
    let (width, height) = (usize::from(width) + 1, usize::from(height) + 1);
    let samples = samples.iter().copied().chain([0]).cycle();
    let pixels: Vec<u8> = samples.take(width * height * 3).collect();
    if let Ok(picture) = Rgb8::new(width, height, pixels, &LIMITS) {
        fit(&mut &picture, usize::from(size) << 2 | usize::from(mode & 3));
    }
}

/// The model input in both forms.
fn fit(picture: &mut dyn Rows, choice: usize) -> (Vec<f32>, Vec<u8>) {
    let mode = [Mode::Crop, Mode::Pad, Mode::Stretch, Mode::AnyRes][choice % 4];
    let size = choice / 4 % 100 + 1;
    let config = ImageConfig::new(size, mode, size.min(14), MEAN, STD).expect("valid settings");
    let (width, height) = (picture.width(), picture.height());
    let squares = config.squares(width, height);
    let mut values = vec![f32::NAN; squares * config.values_len()];
    let mut patches = vec![0; squares * config.patches_len()];
    image::fit(picture, &config, &mut values).expect("any picture fits");
    image::fit(picture, &config, &mut patches).expect("any picture fits");
    assert!(values.iter().all(|value| value.is_finite()));
    assert!(config.image_tokens(width, height) >= config.patches());
    (values, patches)
}
