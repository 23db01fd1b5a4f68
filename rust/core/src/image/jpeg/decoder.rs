//! From marker to marker through one file.

use super::component::Component;
use super::frame::Frame;
use super::huffman::{Kind, Spec, standard};
use super::markers::{
    APP0, APP14, APP15, COM, DHT, DNL, DQT, DRI, EOI, Markers, RST0, RST7, SOF0, SOF1, SOS,
};
use super::pairs::Pairs;
use super::planes::Planes;
use super::quant::{self, Quant};
use super::scan::{Part, Scan};
use super::segments::Segments;
use super::{malformed, truncated, unsupported};
use crate::Result;
use crate::image::DecodeOptions;
use crate::image::simd::Path;

/// What the markers read so far have set.
#[derive(Default)]
pub(super) struct Decoder {
    options: DecodeOptions,
    quant: [Option<Quant>; 4],
    dc: [Option<Spec>; 4],
    ac: [Option<Spec>; 4],
    interval: usize,
    jfif: bool,
    adobe: Option<u8>,
    frame: Option<Frame>,
    /// one per component of the frame, made by the first scan
    components: Vec<Component>,
}

impl Decoder {
    pub(super) fn new(options: &DecodeOptions) -> Self {
        Self { options: *options, ..Self::default() }
    }

    /// Decodes a whole file.
    pub(super) fn run(mut self, bytes: &[u8]) -> Result<Planes> {
        let mut markers = Markers::new(bytes);
        loop {
            match markers.next()? {
                SOS => {
                    let header = markers.segment()?;
                    let used = self.scan(header, markers.rest())?;
                    markers.skip(used);
                }
                EOI => return self.picture(),
                RST0..=RST7 => {}
                marker => self.segment(marker, markers.segment()?)?,
            }
        }
    }

    fn segment(&mut self, marker: u8, payload: &[u8]) -> Result<()> {
        match marker {
            SOF0 | SOF1 => self.start_frame(payload),
            0xC2 => Err(unsupported("progressive")),
            0xC3 => Err(unsupported("lossless")),
            0xC9..=0xCB | 0xCD..=0xCF => Err(unsupported("arithmetic-coded")),
            0xC5..=0xC7 => Err(unsupported("hierarchical")),
            DHT => self.huffman_tables(payload),
            DQT => quant::read(payload, &mut self.quant),
            DRI => self.restart_interval(payload),
            APP0 => self.jfif_header(payload),
            APP14 => self.adobe_header(payload),
            0xE1..=APP15 | COM | DNL => Ok(()),
            _ => Err(malformed(format!("unknown marker {marker:#04x}"))),
        }
    }

    fn start_frame(&mut self, payload: &[u8]) -> Result<()> {
        if self.frame.is_some() {
            return Err(malformed("two frame headers"));
        }
        self.frame = Some(Frame::read(payload, &self.options.limits)?);
        Ok(())
    }

    fn huffman_tables(&mut self, mut payload: &[u8]) -> Result<()> {
        while let Some((head, rest)) = payload.split_first() {
            let slots = if head & 0x10 == 0 { &mut self.dc } else { &mut self.ac };
            let Some(slot) = slots.get_mut(usize::from(head & !0x10)) else {
                return Err(malformed(format!("Huffman table number {head:#04x}")));
            };
            let Some((counts, rest)) = rest.split_first_chunk::<16>() else {
                return Err(malformed("a Huffman table is cut short"));
            };
            let symbols = counts.iter().map(|count| usize::from(*count)).sum::<usize>();
            if symbols > 256 || symbols > rest.len() {
                return Err(malformed("a Huffman table is cut short"));
            }
            *slot = Some(Spec { counts: *counts, symbols: rest[..symbols].to_vec() });
            payload = &rest[symbols..];
        }
        Ok(())
    }

    fn restart_interval(&mut self, payload: &[u8]) -> Result<()> {
        let [high, low] = payload else {
            return Err(malformed("a restart interval of other than two bytes"));
        };
        self.interval = usize::from(u16::from_be_bytes([*high, *low]));
        Ok(())
    }

    fn jfif_header(&mut self, payload: &[u8]) -> Result<()> {
        if payload.starts_with(b"JFIF") && payload.len() < 7 {
            return Err(malformed("the JFIF header is cut short"));
        }
        self.jfif |= payload.starts_with(b"JFIF\0") && payload.len() >= 14;
        Ok(())
    }

    fn adobe_header(&mut self, payload: &[u8]) -> Result<()> {
        if payload.starts_with(b"Adobe") {
            if payload.len() < 7 {
                return Err(malformed("the Adobe header is cut short"));
            }
            self.adobe = payload.get(11).copied().or(self.adobe);
        }
        Ok(())
    }

    /// Decodes a scan whose entropy-coded data start `file`; the bytes it takes come back.
    fn scan(&mut self, header: &[u8], file: &[u8]) -> Result<usize> {
        let Some(frame) = self.frame.clone() else {
            return Err(malformed("a scan without a frame header"));
        };
        if self.components.is_empty() {
            frame.check_supported(self.jfif, self.adobe)?;
            self.assume_standard_tables();
        }
        let scan = self.scan_header(&frame, header)?;
        let data = Segments::read(file)?;
        if data.cut {
            return Err(truncated("the file ends inside the picture data"));
        }
        scan.check_length(&data)?;
        if self.components.is_empty() {
            let components = frame.components.iter().map(|c| Component::new(&frame, c));
            self.components = components.collect::<Result<_>>()?;
        }
        for part in &scan.parts {
            if std::mem::replace(&mut self.components[part.component].done, true) {
                return Err(malformed("two scans of one component"));
            }
        }
        scan.decode(&data, &mut self.components, Path::chosen()?)?;
        Ok(data.consumed)
    }

    fn scan_header(&self, frame: &Frame, header: &[u8]) -> Result<Scan> {
        let count = usize::from(header.first().copied().unwrap_or(0));
        if !(1..=frame.components.len()).contains(&count) || header.len() != 4 + 2 * count {
            return Err(malformed("the scan header does not fit its number of components"));
        }
        let parts = header[1..=2 * count].chunks_exact(2);
        let parts =
            parts.map(|pair| self.part(frame, pair[0], pair[1])).collect::<Result<Vec<_>>>();
        let mut scan = Scan { parts: parts?, columns: 0, rows: 0, interval: self.interval };
        if let [part] = scan.parts.as_mut_slice() {
            // Alone, a component is coded block by block, without those that only fill up a unit.
            let component = &frame.components[part.component];
            part.blocks = (1, 1);
            scan.columns = (frame.width * component.h).div_ceil(8 * frame.h_max);
            scan.rows = (frame.height * component.v).div_ceil(8 * frame.v_max);
        } else {
            (scan.columns, scan.rows) = frame.units();
        }
        if scan.parts.iter().map(|part| part.blocks.0 * part.blocks.1).sum::<usize>() > 10 {
            return Err(malformed("more than 10 blocks in a coding unit"));
        }
        Ok(scan)
    }

    fn part(&self, frame: &Frame, id: u8, tables: u8) -> Result<Part> {
        let Some(component) = frame.components.iter().position(|c| c.id == id) else {
            return Err(malformed(format!("a scan of component {id}, which the frame lacks")));
        };
        let header = &frame.components[component];
        let (dc, ac) = (usize::from(tables >> 4), usize::from(tables & 15));
        let table = |slots: &[Option<Spec>; 4], index: usize, kind: Kind| match slots
            .get(index)
            .and_then(Option::as_ref)
        {
            Some(spec) => Pairs::new(spec, kind),
            None => Err(malformed(format!("Huffman table {index} is missing"))),
        };
        let Some(quant) = self.quant.get(header.quant).copied().flatten() else {
            return Err(malformed(format!("quantisation table {} is missing", header.quant)));
        };
        Ok(Part {
            component,
            dc: table(&self.dc, dc, Kind::Dc)?,
            ac: table(&self.ac, ac, Kind::Ac)?,
            quant,
            blocks: (header.h, header.v),
        })
    }

    /// Motion-JPEG frames leave the standard tables out.
    fn assume_standard_tables(&mut self) {
        for (slot, chroma) in [false, true].into_iter().enumerate() {
            let [dc, ac] = standard(chroma);
            self.dc[slot].get_or_insert(dc);
            self.ac[slot].get_or_insert(ac);
        }
    }

    /// The filled components.
    fn picture(self) -> Result<Planes> {
        let Some(frame) = self.frame.filter(|_| !self.components.is_empty()) else {
            return Err(malformed("no scan"));
        };
        if let Some(missing) = self.components.iter().find(|component| !component.done) {
            return Err(malformed(format!("no scan of component {}", missing.header.id)));
        }
        Ok(Planes::new(frame.width, frame.height, self.components, Path::chosen()?))
    }
}
