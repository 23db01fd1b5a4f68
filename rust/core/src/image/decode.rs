//! From file bytes to RGB. The kind of a file is told by its first bytes, never by its name.

use super::exif::{Metadata, turned, turned_size};
use super::guard::guarded;
use super::{DecodeOptions, Limits, Picture, Rgb8, bmp, gif, jpeg, png, webp};
use crate::pool::Buffer;
use crate::{Error, ImageFault, Result};

/// Width and height.
type Size = (usize, usize);

/// A kind of file that is decoded.
struct Format {
    name: &'static str,
    /// whether the first bytes are those of this kind, as far as there are any
    starts: fn(&[u8]) -> bool,
    /// fewest bytes that tell
    magic: usize,
    open: fn(&[u8], &DecodeOptions) -> Result<Picture>,
    /// width and height as stored, from the headers
    size: fn(&[u8], &Limits) -> Result<Size>,
    /// what the file says about its orientation, nothing if it is damaged
    metadata: fn(&[u8]) -> Metadata,
}

static FORMATS: [Format; 5] = [
    Format {
        name: "JPEG",
        starts: |bytes| agree(bytes, b"\xff\xd8\xff"),
        magic: 3,
        open: |bytes, options| Ok(Picture::Jpeg(jpeg::open(bytes, options)?)),
        size: jpeg::size,
        metadata: jpeg::metadata,
    },
    Format {
        name: "PNG",
        starts: |bytes| agree(bytes, b"\x89PNG\r\n\x1a\n"),
        magic: 8,
        open: |bytes, options| png::decode(bytes, options).map(Picture::Rgb),
        size: png::size,
        metadata: png::metadata,
    },
    Format {
        name: "WebP",
        starts: |bytes| agree(bytes, b"RIFF") && agree(bytes.get(8..).unwrap_or(b""), b"WEBP"),
        magic: 12,
        open: |bytes, options| webp::decode(bytes, options).map(Picture::Rgb),
        size: webp::size,
        metadata: webp::metadata,
    },
    Format {
        name: "GIF",
        starts: |bytes| agree(bytes, b"GIF8"),
        magic: 4,
        open: |bytes, options| gif::decode(bytes, options).map(Picture::Rgb),
        size: gif::size,
        metadata: no_metadata,
    },
    Format {
        name: "BMP",
        starts: |bytes| agree(bytes, b"BM"),
        magic: 2,
        open: |bytes, options| bmp::decode(bytes, options).map(Picture::Rgb),
        size: bmp::size,
        metadata: no_metadata,
    },
];

/// First bytes of kinds that are not decoded, and their names.
const OTHER_KINDS: [(&[u8], &str); 11] = [
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"\0\0\x01\0", "ICO"),
    (b"8BPS", "Photoshop"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"qoif", "QOI"),
];

/// First characters of text that downloads leave in place of a picture.
const TEXTS: [(&str, &str); 6] = [
    ("<!doctype html", "HTML"),
    ("<html", "HTML"),
    ("<svg", "SVG"),
    ("<?xml", "XML or SVG"),
    ("<error", "XML"),
    ("{", "JSON"),
];

/// Decodes a JPEG, PNG, WebP, GIF or BMP to what Pillow's `Image.open(file).convert("RGB")` gives: of
/// an animation the first frame, without alpha and colour profiles. With `exif_rotation`, to what
/// `ImageOps.exif_transpose(Image.open(file)).convert("RGB")` gives.
///
/// # Errors
/// An `ImageFault` for everything else: other kinds, damage, a side over 65535 pixels, or more than
/// the limits allow.
pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Rgb8<Buffer<u8>>> {
    guarded(|| opened(bytes, options)?.into_rgb())
}

/// Decodes a file as far as it takes to make its rows one by one.
///
/// # Errors
/// As [`decode`].
pub fn open(bytes: &[u8], options: &DecodeOptions) -> Result<Picture> {
    guarded(|| opened(bytes, options))
}

fn opened(bytes: &[u8], options: &DecodeOptions) -> Result<Picture> {
    let format = format_of(bytes, &options.limits)?;
    let picture = (format.open)(bytes, options)?;
    match orientation(format, bytes, options) {
        1 => Ok(picture),
        orientation => Ok(Picture::Rgb(turned(&picture.into_rgb()?, orientation)?)),
    }
}

/// Width and height that [`decode`] would give the picture, from the headers alone.
///
/// # Errors
/// As [`decode`], as far as the headers tell.
pub fn probe(bytes: &[u8], options: &DecodeOptions) -> Result<(usize, usize)> {
    let format = format_of(bytes, &options.limits)?;
    guarded(|| {
        let size = (format.size)(bytes, &options.limits)?;
        Ok(turned_size(size, orientation(format, bytes, options)))
    })
}

fn orientation(format: &Format, bytes: &[u8], options: &DecodeOptions) -> u8 {
    if !options.exif_rotation {
        return 1;
    }
    (format.metadata)(bytes).orientation()
}

fn no_metadata(_: &[u8]) -> Metadata {
    Metadata::default()
}

/// Whether one of the two starts with the other.
fn agree(bytes: &[u8], magic: &[u8]) -> bool {
    bytes.iter().zip(magic).all(|(byte, expected)| byte == expected)
}

fn format_of(bytes: &[u8], limits: &Limits) -> Result<&'static Format> {
    if bytes.len() > limits.file_bytes {
        let most = limits.file_bytes;
        return Err(ImageFault::Refused(format!("the file is larger than {most} bytes")).into());
    }
    let format = FORMATS.iter().find(|format| (format.starts)(bytes));
    match format {
        Some(format) if bytes.len() >= format.magic => Ok(format),
        Some(Format { name: format, .. }) if !bytes.is_empty() => {
            let detail = format!("only {} bytes", bytes.len());
            Err(ImageFault::Truncated { format, detail }.into())
        }
        _ => Err(not_decoded(bytes)),
    }
}

/// The most helpful sentence about bytes of no kind that is decoded.
fn not_decoded(bytes: &[u8]) -> Error {
    if bytes.is_empty() {
        return ImageFault::NotAnImage("empty file".into()).into();
    }
    if let Some(kind) = other_kind(bytes) {
        let read = FORMATS.each_ref().map(|format| format.name).join(", ");
        return ImageFault::Unsupported(format!("{kind}, expected one of {read}")).into();
    }
    ImageFault::NotAnImage(match text_kind(bytes) {
        Some(kind) => format!("looks like {kind}"),
        None => format!("unknown content, first bytes `{}`", hex(&bytes[..bytes.len().min(8)])),
    })
    .into()
}

fn other_kind(bytes: &[u8]) -> Option<&'static str> {
    if bytes.get(4..8) == Some(b"ftyp") {
        return Some("AVIF or HEIC");
    }
    OTHER_KINDS.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, name)| *name)
}

fn text_kind(bytes: &[u8]) -> Option<&'static str> {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(256)]).to_lowercase();
    let start = start.trim_start_matches('\u{feff}').trim_start();
    TEXTS.iter().find(|(text, _)| start.starts_with(text)).map(|(_, name)| *name)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{DecodeOptions, decode};

    #[test]
    fn what_is_not_a_picture_is_named() {
        for (bytes, message) in [
            (&b""[..], "not an image: empty file"),
            (b"\n <!DOCTYPE html><html>", "not an image: looks like HTML"),
            (b"<svg xmlns=", "not an image: looks like SVG"),
            (b"hello", "not an image: unknown content, first bytes `68 65 6c 6c 6f`"),
            (b"qoif", "unsupported image: QOI, expected one of JPEG, PNG, WebP, GIF, BMP"),
            (
                b"RIFF\0\0\0\0WAVE",
                "not an image: unknown content, first bytes `52 49 46 46 00 00 00 00`",
            ),
            (b"RIFF\0\0\0\0WEBPVP8 ", "malformed WebP: a length of 0"),
            (b"GIF89a", "truncated GIF: the file ends before its first frame"),
            (b"B", "truncated BMP: only 1 bytes"),
            (b"\xff\xd8", "truncated JPEG: only 2 bytes"),
        ] {
            let decoded = decode(bytes, &DecodeOptions::default());
            let error = decoded.map(|_| ()).map_err(|e| e.to_string());
            assert_eq!(error, Err(message.to_owned()));
        }
    }
}
