//! Pixel data that the end of the file cuts, made whole as Pillow does: rows that arrived in full
//! stay, all others are samples of zero.

use std::io::Write;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Decompress, FlushDecompress, Status};

use super::adam7;
use super::header::Header;
use super::{malformed, truncated};
use crate::Result;
use crate::image::limits::reserve;

/// Bytes that can hold the codes which zlib has read, but not yet written out, when the file ends:
/// a length and a distance, and less than a byte of codes behind them.
const PENDING: usize = 7;

/// One chunk of pixel data, not compressed, without a valid checksum.
///
/// # Errors
/// `Malformed` for data that are wrong before they are cut. `Truncated` where the codes that zlib
/// still holds decide about a row: Pillow shows it or not by how far its buffers got.
pub(super) fn completed(header: &Header, run: &[u8]) -> Result<Vec<u8>> {
    let total = row_lengths(header).sum();
    let payload = payload(run)?;
    let (mut rows, ended) = inflated(&payload, total)?;
    let whole = whole_rows(header, rows.len());
    if !ended {
        let (surely, _) = inflated(&payload[..payload.len().saturating_sub(PENDING)], total)?;
        if whole_rows(header, surely.len()) < whole {
            return Err(truncated("it ends in codes of which Pillow shows a part, by chance"));
        }
    }
    rows.truncate(whole);
    rows.resize(total, 0);
    let mut packed = ZlibEncoder::new(reserve(total + total / 1000 + 64)?, Compression::none());
    let packed = packed.write_all(&rows).and_then(|()| packed.finish());
    let packed = packed.map_err(|error| malformed(error.to_string()))?;
    let length = (packed.len() as u32).to_be_bytes();
    Ok([&length[..], b"IDAT", &packed, &[0; 4]].concat())
}

/// Bytes of the rows that are complete in the first `bytes`.
fn whole_rows(header: &Header, bytes: usize) -> usize {
    let ends = row_lengths(header).scan(0, |end, length| {
        *end += length;
        Some(*end)
    });
    ends.take_while(|end| *end <= bytes).last().unwrap_or(0)
}

/// Bytes of each row in file order, with its filter byte.
fn row_lengths(header: &Header) -> Box<dyn Iterator<Item = usize>> {
    let bits = header.colour.channels() * usize::from(header.depth);
    let length = move |pixels: usize| 1 + (pixels * bits).div_ceil(8);
    if header.interlaced {
        Box::new(adam7::rows(header.width, header.height).map(move |row| length(row.width)))
    } else {
        Box::new(std::iter::repeat_n(length(header.width), header.height))
    }
}

/// What the chunks of `run` hold; the last may be short.
fn payload(run: &[u8]) -> Result<Vec<u8>> {
    let mut payload = reserve(run.len())?;
    let mut rest = run;
    while let Some((length, chunk)) = rest.split_first_chunk() {
        let end = (u32::from_be_bytes(*length) as usize + 4).min(chunk.len());
        payload.extend_from_slice(chunk.get(4..end).unwrap_or_default());
        rest = chunk.get(end + 4..).unwrap_or_default();
    }
    Ok(payload)
}

/// As many bytes as `packed` gives, at most `total`, and whether its stream came to its end.
fn inflated(mut packed: &[u8], total: usize) -> Result<(Vec<u8>, bool)> {
    let mut bytes = reserve(total)?;
    let mut inflate = Decompress::new(true);
    loop {
        let (read, written) = (inflate.total_in(), inflate.total_out());
        let status = inflate
            .decompress_vec(packed, &mut bytes, FlushDecompress::None)
            .map_err(|error| malformed(error.to_string()))?;
        packed = &packed[(inflate.total_in() - read) as usize..];
        let stuck = inflate.total_in() == read && inflate.total_out() == written;
        if stuck || status == Status::StreamEnd {
            return Ok((bytes, status == Status::StreamEnd));
        }
    }
}
