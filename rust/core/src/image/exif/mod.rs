//! The orientation that a camera notes beside its pixels, found as `ImageOps.exif_transpose` of
//! Pillow finds it: in the EXIF data, else in the XMP text.
//!
//! Data that break the rules of EXIF have no orientation; the picture stays usable.

mod turn;

pub(super) use turn::{turned, turned_size};

/// The tag of the orientation.
const ORIENTATION: u16 = 0x0112;

/// Bytes of one entry of a directory.
const ENTRY: usize = 12;

/// What a file says about its pixels.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    /// a TIFF file without pixels, perhaps behind `Exif\0\0`
    pub(super) exif: Option<Vec<u8>>,
    /// XML
    pub(super) xmp: Option<Vec<u8>>,
}

impl Metadata {
    /// 1 to 8; 1 means upright, as does everything unknown.
    pub(super) fn orientation(&self) -> u8 {
        let exif = self.exif.as_deref().and_then(in_exif);
        let found = exif.or_else(|| self.xmp.as_deref().and_then(in_xmp));
        found
            .and_then(|value| u8::try_from(value).ok())
            .filter(|n| (1..=8).contains(n))
            .unwrap_or(1)
    }
}

/// Numbers of one byte order.
#[derive(Clone, Copy)]
struct Tiff<'a> {
    bytes: &'a [u8],
    little: bool,
}

impl Tiff<'_> {
    fn u16(self, at: usize) -> Option<u16> {
        let two = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.little { u16::from_le_bytes(two) } else { u16::from_be_bytes(two) })
    }

    fn u32(self, at: usize) -> Option<u32> {
        let four = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) })
    }
}

/// The value of the tag in the first directory. No other directory is visited, so a file cannot lead
/// in circles.
fn in_exif(exif: &[u8]) -> Option<i64> {
    let prefix = b"Exif\0\0";
    let exif = exif.strip_prefix(prefix).unwrap_or(exif);
    let bytes = exif.strip_prefix(prefix).unwrap_or(exif);
    let little = match bytes.first_chunk()? {
        b"II\x2A\0" | b"II\0\x2A" => true,
        b"MM\0\x2A" | b"MM\x2A\0" => false,
        _ => return None,
    };
    let tiff = Tiff { bytes, little };
    let start = tiff.u32(4)? as usize;
    let entries = usize::from(tiff.u16(start)?);
    let mut stored = 0;
    for entry in (0..entries).map(|index| start + 2 + index * ENTRY) {
        let [tag, kind] = [tiff.u16(entry)?, tiff.u16(entry + 2)?];
        let count = tiff.u32(entry + 4)? as usize;
        let inside = tiff.u32(entry + 8)? as usize;
        let Some(length) = size_of_kind(kind).map(|size| count.saturating_mul(size)) else {
            continue;
        };
        let mut place = entry + 8;
        if length > 4 {
            stored += length;
            if stored > bytes.len() {
                continue;
            }
            bytes.get(inside..inside.checked_add(length)?)?;
            place = inside;
        }
        if tag == ORIENTATION && length > 0 {
            return number(tiff, kind, place);
        }
    }
    None
}

/// Bytes of a value, for the types of TIFF.
fn size_of_kind(kind: u16) -> Option<usize> {
    match kind {
        1 | 2 | 6 | 7 => Some(1),
        3 | 8 => Some(2),
        4 | 9 | 11 | 13 => Some(4),
        5 | 10 | 12 | 16 => Some(8),
        _ => None,
    }
}

/// A whole number; 0, which means nothing, for other types.
fn number(tiff: Tiff<'_>, kind: u16, at: usize) -> Option<i64> {
    Some(match kind {
        3 | 8 => tiff.u16(at)?.into(),
        4 | 9 | 13 => tiff.u32(at)?.into(),
        6 => tiff.bytes.get(at).copied()?.into(),
        _ => 0,
    })
}

/// The digit behind the first `tiff:Orientation` that has one, as an attribute or an element.
fn in_xmp(xmp: &[u8]) -> Option<i64> {
    let name = b"tiff:Orientation";
    (0..xmp.len()).find_map(|at| match xmp[at..].strip_prefix(name)? {
        [b'=', b'"', digit @ b'0'..=b'9', ..] | [b'>', digit @ b'0'..=b'9', ..] => {
            Some(i64::from(digit - b'0'))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::Metadata;

    fn orientation(exif: &[u8]) -> u8 {
        Metadata { exif: Some(exif.to_vec()), xmp: None }.orientation()
    }

    fn one_entry(kind: u16, count: u32, value: [u8; 4]) -> Vec<u8> {
        let mut bytes = b"II\x2A\0\x08\0\0\0\x01\0\x12\x01".to_vec();
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value);
        bytes
    }

    #[test]
    fn whole_numbers_of_every_type_are_read() {
        for kind in [3, 4, 6, 8, 9, 13] {
            assert_eq!(orientation(&one_entry(kind, 1, [6, 0, 0, 0])), 6, "type {kind}");
        }
        for kind in [1, 2, 5, 7, 99] {
            assert_eq!(orientation(&one_entry(kind, 1, [6, 0, 0, 0])), 1, "type {kind}");
        }
    }

    #[test]
    fn nonsense_is_upright() {
        let good = one_entry(3, 1, [8, 0, 0, 0]);
        for end in 0..good.len() {
            assert_eq!(orientation(&good[..end]), 1, "{end} bytes");
        }
        assert_eq!(orientation(&one_entry(3, 1, [9, 0, 0, 0])), 1);
        assert_eq!(orientation(&one_entry(3, 0, [8, 0, 0, 0])), 1);
        assert_eq!(orientation(&one_entry(3, u32::MAX, [255; 4])), 1);
        assert_eq!(orientation(b"MM\0\x2A\xff\xff\xff\xff"), 1);
    }

    #[test]
    fn xmp_counts_where_exif_is_silent() {
        for text in ["<x tiff:Orientation=\"3\"/>", "<tiff:Orientation>3</tiff:Orientation>"] {
            let metadata = Metadata { exif: None, xmp: Some(text.into()) };
            assert_eq!(metadata.orientation(), 3);
        }
        let exif = Some(one_entry(3, 1, [1, 0, 0, 0]));
        let xmp = Some(b"tiff:Orientation=\"3\"".to_vec());
        assert_eq!(Metadata { exif, xmp }.orientation(), 1);
    }
}
