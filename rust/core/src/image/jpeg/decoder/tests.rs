use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::image::{DecodeOptions, Truncated, decode};
use crate::{Error, ImageFault};

const FILL: Truncated = Truncated::Fill;

fn cuts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/cuts")
}

fn file(name: &str) -> Vec<u8> {
    fs::read(cuts().join(name)).expect("a committed file")
}

/// CRC-32 of the pixels.
fn decoded(bytes: &[u8], truncated: Truncated) -> Result<u32, Error> {
    let options = DecodeOptions { truncated, ..DecodeOptions::default() };
    decode(bytes, &options).map(|rgb| crc32fast::hash(&rgb.pixels))
}

/// Bytes left, and the CRC-32 of what Pillow shows of them.
type Cuts = BTreeMap<String, Vec<(usize, u32)>>;

#[test]
fn a_cut_file_is_an_error_or_what_pillow_shows() {
    let index = fs::read(cuts().join("INDEX.json")).expect("the index");
    let index: Cuts = serde_json::from_slice(&index).expect("valid");
    for (name, cuts) in &index {
        let whole = file(name);
        // Between scans Pillow shows nothing at all, and libjpeg smooths what lacks scans.
        let scans = whole.windows(2).filter(|pair| *pair == [0xFF, 0xDA]).count();
        let mut equal = 0;
        for (cut, shown) in cuts {
            let bytes = &whole[..*cut];
            let error = decoded(bytes, Truncated::Error).expect_err("a cut file");
            assert!(matches!(error, Error::Image(ImageFault::Truncated { .. })), "{name}: {error}");
            match decoded(bytes, FILL) {
                Ok(ours) => {
                    assert_eq!(ours, *shown, "{name} up to {cut}");
                    equal += 1;
                }
                Err(error) => assert!(scans > 1, "{name} up to {cut}: {error}"),
            }
        }
        assert!(equal == cuts.len() || scans > 1 && equal > 2, "{name}: {equal} cuts equal");
    }
}

#[test]
fn whole_files_are_the_same_with_and_without_filling() {
    for name in ["420.jpg", "progressive.jpg", "three_scans.jpg"] {
        let whole = file(name);
        let plain = decoded(&whole, Truncated::Error).expect("valid");
        assert_eq!(decoded(&whole, FILL).ok(), Some(plain), "{name}");
    }
}

#[test]
fn a_progressive_file_too_short_for_its_size_is_refused_early() {
    let mut bytes = file("progressive.jpg");
    let frame = bytes.windows(2).position(|pair| pair == [0xFF, 0xC2]).expect("a frame header");
    bytes[frame + 5..frame + 9].copy_from_slice(&[0x13, 0x88, 0x13, 0x88]);
    let error = decoded(&bytes, Truncated::Error).expect_err("5000 x 5000 pixels of few bytes");
    assert!(error.to_string().contains("too few for it"), "{error}");
}

#[test]
fn scans_of_ac_coefficients_come_after_the_dc_values() {
    let whole = file("progressive_gray.jpg");
    let starts: Vec<usize> =
        (0..whole.len() - 1).filter(|at| whole[*at..*at + 2] == [0xFF, 0xDA]).collect();
    // The tables of the second scan stand between the two, so all up to there can go.
    let tables = whole[..starts[1]].windows(2).rposition(|pair| pair == [0xFF, 0xC4]);
    let tables = tables.expect("tables of the second scan");
    let bytes = [&whole[..starts[0]], &whole[tables..]].concat();
    let error = decoded(&bytes, Truncated::Error).expect_err("no DC values");
    assert!(error.to_string().contains("do not follow on each other"), "{error}");
}
