//! Size and metadata from the segments before the pixels.

use super::markers::{APP0, DHT, EOI, Markers, RST0, RST7, SOF0, SOS};
use super::{malformed, truncated};
use crate::Result;
use crate::image::Limits;
use crate::image::exif::Metadata;
use crate::image::limits::check_sides;

const APP1: u8 = APP0 + 1;
const EXIF: &[u8] = b"Exif\0\0";
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

/// Width and height from the frame header.
pub(in crate::image) fn size(bytes: &[u8], limits: &Limits) -> Result<(usize, usize)> {
    let mut size = None;
    each_segment(bytes, |marker, payload| {
        // The start-of-frame markers are a range with three holes.
        if (SOF0..=0xCF).contains(&marker)
            && !matches!(marker, DHT | 0xC8 | 0xCC)
            && let Some(&[_, h1, h0, w1, w0]) = payload.first_chunk()
        {
            size = Some((u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0])));
        }
    })?;
    let (width, height) = size.ok_or_else(|| malformed("a scan before the frame header"))?;
    check_sides(width.into(), height.into(), limits)?;
    Ok((width.into(), height.into()))
}

/// EXIF and XMP. EXIF data of several segments belong together.
pub(in crate::image) fn metadata(bytes: &[u8]) -> Metadata {
    let mut found = Metadata::default();
    let end = each_segment(bytes, |marker, payload| {
        if marker != APP1 {
            return;
        }
        if let Some(tiff) = payload.strip_prefix(EXIF) {
            match &mut found.exif {
                Some(earlier) => earlier.extend_from_slice(tiff),
                None => found.exif = Some(payload.to_vec()),
            }
        } else if let Some(xml) = payload.strip_prefix(XMP) {
            found.xmp = Some(xml.to_vec());
        }
    });
    drop(end);
    found
}

/// Shows every segment up to the first scan.
fn each_segment(bytes: &[u8], mut see: impl FnMut(u8, &[u8])) -> Result<()> {
    let mut markers = Markers::new(bytes);
    loop {
        match markers.next()? {
            SOS => return Ok(()),
            EOI => return Err(truncated("no scan")),
            0x01 | RST0..=RST7 => {}
            marker => see(marker, markers.segment()?),
        }
    }
}
