//! Walking from marker to marker.

use super::{malformed, truncated};
use crate::Result;

pub(super) const SOF0: u8 = 0xC0;
pub(super) const SOF1: u8 = 0xC1;
pub(super) const SOF2: u8 = 0xC2;
pub(super) const DHT: u8 = 0xC4;
pub(super) const RST0: u8 = 0xD0;
pub(super) const RST7: u8 = 0xD7;
pub(super) const EOI: u8 = 0xD9;
pub(super) const SOS: u8 = 0xDA;
pub(super) const DQT: u8 = 0xDB;
pub(super) const DNL: u8 = 0xDC;
pub(super) const DRI: u8 = 0xDD;
pub(super) const APP0: u8 = 0xE0;
pub(super) const APP14: u8 = 0xEE;
pub(super) const APP15: u8 = 0xEF;
pub(super) const COM: u8 = 0xFE;

/// A cursor over the file.
pub(super) struct Markers<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Markers<'a> {
    /// Starts behind the start-of-image marker.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 2 }
    }

    /// The next marker code. Bytes between segments that belong to nothing are passed over, as
    /// libjpeg and Pillow do: cameras and editors leave padding there.
    pub(super) fn next(&mut self) -> Result<u8> {
        loop {
            let rest = self.rest();
            let Some(ff) = rest.iter().position(|byte| *byte == 0xFF) else {
                return Err(truncated("no end-of-image marker"));
            };
            let Some(code) = rest[ff..].iter().position(|byte| *byte != 0xFF) else {
                return Err(truncated("no end-of-image marker"));
            };
            self.at += ff + code + 1;
            let code = rest[ff + code];
            if code != 0 {
                return Ok(code);
            }
        }
    }

    /// The payload of the segment whose marker was read last.
    pub(super) fn segment(&mut self) -> Result<&'a [u8]> {
        let rest = self.rest();
        let Some(length) = rest.first_chunk().map(|two| usize::from(u16::from_be_bytes(*two)))
        else {
            return Err(truncated("the file ends inside a header segment"));
        };
        if length < 2 {
            return Err(malformed(format!("segment length {length}")));
        }
        let Some(payload) = rest.get(2..length) else {
            return Err(truncated("the file ends inside a header segment"));
        };
        self.at += length;
        Ok(payload)
    }

    /// All bytes behind the cursor.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at.min(self.bytes.len())..]
    }

    /// Moves on, past entropy-coded data.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }
}
