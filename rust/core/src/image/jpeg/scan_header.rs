//! The header of a scan: which components it codes, how, and on which grid.

use super::frame::Frame;
use super::malformed;
use crate::Result;

/// One component of a scan.
pub(super) struct PartHeader {
    /// index in the frame
    pub(super) component: usize,
    /// slots of the Huffman tables
    pub(super) dc: u8,
    pub(super) ac: u8,
    /// blocks per coding unit, across and down
    pub(super) blocks: (usize, usize),
}

/// A checked header.
pub(super) struct ScanHeader {
    pub(super) parts: Vec<PartHeader>,
    /// columns and rows of coding units
    pub(super) units: (usize, usize),
    /// what a progressive scan brings: first and last coefficient, and two bit positions
    pub(super) band: [u8; 3],
}

impl ScanHeader {
    /// # Errors
    /// `Malformed` for components that the frame lacks and for lengths that do not fit.
    pub(super) fn read(frame: &Frame, payload: &[u8]) -> Result<Self> {
        let count = usize::from(payload.first().copied().unwrap_or(0));
        if !(1..=frame.components.len()).contains(&count) || payload.len() != 4 + 2 * count {
            return Err(malformed("the scan header does not fit its number of components"));
        }
        let (pairs, band) = payload[1..].split_at(2 * count);
        let parts = pairs.chunks_exact(2).map(|pair| part(frame, pair[0], pair[1]));
        let mut parts = parts.collect::<Result<Vec<_>>>()?;
        let units = if let [part] = parts.as_mut_slice() {
            // Alone, a component is coded block by block, without those that only fill up a unit.
            let component = &frame.components[part.component];
            part.blocks = (1, 1);
            let columns = (frame.width * component.h).div_ceil(8 * frame.h_max);
            (columns, (frame.height * component.v).div_ceil(8 * frame.v_max))
        } else {
            frame.units()
        };
        if parts.iter().map(|part| part.blocks.0 * part.blocks.1).sum::<usize>() > 10 {
            return Err(malformed("more than 10 blocks in a coding unit"));
        }
        Ok(Self { parts, units, band: [band[0], band[1], band[2]] })
    }
}

fn part(frame: &Frame, id: u8, tables: u8) -> Result<PartHeader> {
    let Some(component) = frame.components.iter().position(|c| c.id == id) else {
        return Err(malformed(format!("a scan of component {id}, which the frame lacks")));
    };
    let blocks = (frame.components[component].h, frame.components[component].v);
    Ok(PartHeader { component, dc: tables >> 4, ac: tables & 15, blocks })
}
