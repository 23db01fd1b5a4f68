//! Archives of arbitrary bytes: an error or an index, never a panic.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::Images;
use crate::image::Limits;

fn place(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("llava_fast_{}_{name}", std::process::id()))
}

/// A stored entry `a` with its central directory, in which single bytes are replaced.
fn small_zip(data: &[u8]) -> Vec<u8> {
    let (crc, size) = (crc32fast::hash(data).to_le_bytes(), (data.len() as u32).to_le_bytes());
    let common = [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0], &crc[..], &size, &size, &[1, 0, 0, 0]].concat();
    let local = [b"PK\x03\x04", &common[..], b"a", data].concat();
    let central = [b"PK\x01\x02\x14\0", &common[..], &[0; 14], b"a"].concat();
    let (length, start) =
        ((central.len() as u32).to_le_bytes(), (local.len() as u32).to_le_bytes());
    let end = [b"PK\x05\x06\0\0\0\0\x01\0\x01\0", &length[..], &start, &[0, 0]].concat();
    [local, central, end].concat()
}

fn read(file: &[u8], name: &str) -> Option<Vec<u8>> {
    let path = place(name);
    fs::write(&path, file).expect("write");
    let images = Images::open(std::slice::from_ref(&path), false);
    fs::remove_file(&path).expect("remove");
    images.ok()?.read("a", &Limits::default()).ok()
}

#[test]
fn the_small_zip_is_one() {
    assert_eq!(read(&small_zip(b"data"), "small").as_deref(), Some(&b"data"[..]));
}

proptest! {
    #[test]
    fn a_damaged_zip_gives_its_data_or_an_error(
        data in proptest::collection::vec(any::<u8>(), 0..80),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let mut file = small_zip(&data);
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        file.truncate(cut.map_or(file.len(), |cut| cut.index(file.len())));
        if let Some(found) = read(&file, "damaged") {
            prop_assert_eq!(crc32fast::hash(&found), crc32fast::hash(&data));
        }
    }

    #[test]
    fn a_tar_of_any_fields_does_not_panic(
        fields in proptest::collection::vec((0_usize..500, any::<u8>()), 0..40),
        size in proptest::sample::select(vec![0_u64, 1, 511, 512, 1 << 20, u64::MAX >> 1, u64::MAX]),
        kind in any::<u8>(),
    ) {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.as_mut_bytes()[0] = b'a';
        header.as_mut_bytes()[156] = kind;
        for (at, byte) in fields {
            header.as_mut_bytes()[at] = byte;
        }
        header.set_cksum();
        let file = [&header.as_bytes()[..], &[b'x'; 1024]].concat();
        read(&file, "any_tar");
    }
}
