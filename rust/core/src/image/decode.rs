//! From file bytes to RGB. The kind of a file is told by its first bytes, never by its name.

use super::guard::guarded;
use super::{DecodeOptions, Rgb8, jpeg, png};
use crate::{Error, ImageFault, Result};

const PNG_MAGIC: &[u8] = b"\x89PNG\r\n\x1a\n";

/// First bytes of kinds that are not decoded, and their names.
const OTHER_KINDS: [(&[u8], &str); 13] = [
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
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

/// Decodes a baseline JPEG or a PNG to what Pillow's `Image.open(file).convert("RGB")` gives:
/// EXIF rotation and colour profiles are ignored, alpha is dropped.
///
/// # Errors
/// An `ImageFault` for everything else: other kinds, damage, a side over 65535 pixels, or more than
/// the limits allow.
pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Rgb8> {
    let decoder = decoder_of(bytes)?;
    guarded(|| decoder(bytes, options))
}

type Decoder = fn(&[u8], &DecodeOptions) -> Result<Rgb8>;

fn decoder_of(bytes: &[u8]) -> Result<Decoder> {
    if bytes.starts_with(b"\xff\xd8\xff") {
        Ok(jpeg::decode)
    } else if bytes.starts_with(PNG_MAGIC) {
        Ok(png::decode)
    } else {
        Err(not_decoded(bytes))
    }
}

/// The most helpful sentence about bytes that are neither JPEG nor PNG.
fn not_decoded(bytes: &[u8]) -> Error {
    if bytes.is_empty() {
        return ImageFault::NotAnImage("empty file".into()).into();
    }
    if let Some(kind) = other_kind(bytes) {
        return ImageFault::Unsupported(format!("{kind}; convert it to JPEG or PNG")).into();
    }
    for (format, magic) in [("JPEG", &b"\xff\xd8\xff"[..]), ("PNG", PNG_MAGIC)] {
        if magic.starts_with(bytes) {
            let detail = format!("only {} bytes", bytes.len());
            return ImageFault::Truncated { format, detail }.into();
        }
    }
    ImageFault::NotAnImage(match text_kind(bytes) {
        Some(kind) => format!("looks like {kind}"),
        None => format!("unknown content, first bytes `{}`", hex(&bytes[..bytes.len().min(8)])),
    })
    .into()
}

fn other_kind(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Some("WebP");
    }
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
            (b"RIFF\0\0\0\0WEBPVP8 ", "unsupported image: WebP; convert it to JPEG or PNG"),
            (b"GIF89a", "unsupported image: GIF; convert it to JPEG or PNG"),
            (b"\xff\xd8", "truncated JPEG: only 2 bytes"),
        ] {
            let error = decode(bytes, &DecodeOptions::default()).map_err(|e| e.to_string());
            assert_eq!(error, Err(message.to_owned()));
        }
    }
}
