//! Quantisation tables.

use super::{ORDER, malformed};
use crate::Result;

/// Steps in natural order, cut to 16 bits signed as libjpeg's inverse DCT multiplies them.
pub(super) type Quant = [i16; 64];

/// Reads one segment into the four slots.
///
/// # Errors
/// `Malformed` for a slot over 3 or a table that is cut short.
pub(super) fn read(mut payload: &[u8], slots: &mut [Option<Quant>; 4]) -> Result<()> {
    while let Some((head, rest)) = payload.split_first() {
        let wide = head >> 4 != 0;
        let Some(slot) = slots.get_mut(usize::from(head & 15)) else {
            return Err(malformed(format!("quantisation table number {}", head & 15)));
        };
        let bytes = if wide { 128 } else { 64 };
        let Some((steps, rest)) = rest.split_at_checked(bytes) else {
            return Err(malformed("a quantisation table is cut short"));
        };
        *slot = Some(natural_order(steps, wide));
        payload = rest;
    }
    Ok(())
}

fn natural_order(steps: &[u8], wide: bool) -> Quant {
    let mut quant = [0; 64];
    for (k, place) in ORDER.iter().enumerate() {
        let step = if wide {
            u16::from_be_bytes([steps[2 * k], steps[2 * k + 1]])
        } else {
            u16::from(steps[k])
        };
        quant[usize::from(*place)] = step as i16;
    }
    quant
}
