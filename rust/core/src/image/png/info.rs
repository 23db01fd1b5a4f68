//! Size and metadata, from chunks that are not part of the picture.

use super::chunks::{header_chunk, split};
use super::header::Header;
use crate::Result;
use crate::image::Limits;
use crate::image::exif::Metadata;

const SIGNATURE: usize = 8;
/// Keyword of XMP in a text chunk.
const XMP: &[u8] = b"XML:com.adobe.xmp\0";

/// Width and height from the header.
pub(in crate::image) fn size(bytes: &[u8], limits: &Limits) -> Result<(usize, usize)> {
    let header = Header::read(header_chunk(&mut &bytes[SIGNATURE..])?.payload, limits)?;
    Ok((header.width, header.height))
}

/// EXIF, and XMP that is not compressed.
pub(in crate::image) fn metadata(bytes: &[u8]) -> Metadata {
    let mut found = Metadata::default();
    let mut rest = &bytes[SIGNATURE..];
    while let Ok(chunk) = split(&mut rest) {
        match &chunk.kind {
            b"eXIf" => found.exif = Some(chunk.payload.to_vec()),
            b"iTXt" => found.xmp = xmp(chunk.payload).map(<[u8]>::to_vec).or(found.xmp),
            b"IEND" => break,
            _ => {}
        }
    }
    found
}

/// The text of an XMP chunk: behind the keyword come two bytes about compression, then language and
/// translated keyword with a zero byte each.
fn xmp(payload: &[u8]) -> Option<&[u8]> {
    let (&[compressed, _], rest) = payload.strip_prefix(XMP)?.split_first_chunk()?;
    let text = rest.splitn(3, |byte| *byte == 0).nth(2)?;
    (compressed == 0).then_some(text)
}
