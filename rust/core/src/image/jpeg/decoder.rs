//! From marker to marker through one file.

use super::band::Band;
use super::coefficients::Coefficients;
use super::component::Component;
use super::frame::{Colour, Frame};
use super::huffman::{Kind, Spec, standard};
use super::markers::{
    APP0, APP14, APP15, COM, DHT, DNL, DQT, DRI, EOI, Markers, RST0, RST7, SOF0, SOF1, SOF2, SOS,
};
use super::pairs::Pairs;
use super::planes::Planes;
use super::progressive;
use super::quant::{self, Quant};
use super::scan::{Part, Scan};
use super::scan_header::ScanHeader;
use super::segments::Segments;
use super::{malformed, truncated, unsupported};
use crate::Result;
use crate::image::simd::Path;
use crate::image::{DecodeOptions, Truncated};

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
    /// how many scans were read
    scans: usize,
    /// the file was cut and the caller wants what there is
    cut: bool,
    colour: Option<Colour>,
    /// one per component of the frame, made by the first scan; and so, if it is progressive
    components: Vec<Component>,
    coefficients: Vec<Coefficients>,
}

impl Decoder {
    pub(super) fn new(options: &DecodeOptions) -> Self {
        Self { options: *options, ..Self::default() }
    }

    /// Decodes a whole file.
    pub(super) fn run(mut self, bytes: &[u8]) -> Result<Planes> {
        let mut markers = Markers::new(bytes);
        loop {
            let marker = match markers.next() {
                // A file that was cut behind a scan ends like one that was cut inside it.
                Err(_) if self.fills() && self.scans > 0 => {
                    self.cut = true;
                    EOI
                }
                marker => marker?,
            };
            match marker {
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
            SOF0 | SOF1 => self.start_frame(payload, false),
            SOF2 => self.start_frame(payload, true),
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

    fn start_frame(&mut self, payload: &[u8], progressive: bool) -> Result<()> {
        if self.frame.is_some() {
            return Err(malformed("two frame headers"));
        }
        self.frame = Some(Frame::read(payload, progressive, &self.options.limits)?);
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

    /// Whether a file that was cut gives what there is of it.
    fn fills(&self) -> bool {
        self.options.truncated == Truncated::Fill
    }

    /// Decodes a scan whose entropy-coded data start `file`; the bytes it takes come back.
    fn scan(&mut self, header: &[u8], file: &[u8]) -> Result<usize> {
        let Some(frame) = self.frame.clone() else {
            return Err(malformed("a scan without a frame header"));
        };
        if self.scans == 0 {
            self.colour = Some(frame.colour(self.jfif, self.adobe)?);
            // libjpeg does so for sequential frames alone.
            if !frame.progressive {
                self.assume_standard_tables();
            }
        }
        self.scans += 1;
        let header = ScanHeader::read(&frame, header)?;
        let data = Segments::read(file, Path::chosen()?)?;
        if data.cut && !self.fills() {
            return Err(truncated("the file ends inside the picture data"));
        }
        self.cut |= data.cut;
        if frame.progressive {
            self.progressive_scan(&frame, &header, &data)?;
        } else {
            self.sequential_scan(&frame, &header, &data)?;
        }
        Ok(data.consumed)
    }

    fn sequential_scan(
        &mut self,
        frame: &Frame,
        header: &ScanHeader,
        data: &Segments,
    ) -> Result<()> {
        let parts = header.parts.iter().map(|part| {
            Ok(Part {
                component: part.component,
                dc: self.table(Kind::Dc, part.dc)?,
                ac: self.table(Kind::Ac, part.ac)?,
                quant: self.quant(frame, part.component)?,
                blocks: part.blocks,
            })
        });
        let (columns, rows) = header.units;
        let scan =
            Scan { parts: parts.collect::<Result<_>>()?, columns, rows, interval: self.interval };
        if !data.cut {
            scan.check_length(data)?;
        }
        self.make_components(frame)?;
        for part in &scan.parts {
            let component = &mut self.components[part.component];
            if component.quant.replace(part.quant).is_some() {
                return Err(malformed("two scans of one component"));
            }
        }
        scan.decode(data, &mut self.components, Path::chosen()?)
    }

    fn progressive_scan(
        &mut self,
        frame: &Frame,
        header: &ScanHeader,
        data: &Segments,
    ) -> Result<()> {
        Coefficients::check_limits(frame, self.scans, &self.options.limits)?;
        let band = Band::read(header.band, header.parts.len())?;
        let parts = header.parts.iter().map(|part| {
            let codes = match band {
                _ if band.refines_dc() => None,
                Band { first: 0, .. } => Some(self.table(Kind::Dc, part.dc)?),
                Band { high: 0, .. } => Some(self.table(Kind::Ac, part.ac)?),
                _ => Some(self.table(Kind::Refinement, part.ac)?),
            };
            Ok(progressive::Part { component: part.component, codes, blocks: part.blocks })
        });
        let (parts, (columns, rows)) = (parts.collect::<Result<_>>()?, header.units);
        let scan = progressive::Scan { parts, band, columns, rows, interval: self.interval };
        if !data.cut {
            scan.check_length(data)?;
        }
        self.make_components(frame)?;
        for part in &scan.parts {
            if self.components[part.component].quant.is_none() {
                self.components[part.component].quant = Some(self.quant(frame, part.component)?);
            }
        }
        if self.coefficients.is_empty() {
            let coefficients = frame.components.iter().map(|c| Coefficients::new(frame, c));
            self.coefficients = coefficients.collect::<Result<_>>()?;
        }
        scan.decode(data, &mut self.coefficients, Path::chosen()?)
    }

    fn make_components(&mut self, frame: &Frame) -> Result<()> {
        if self.components.is_empty() {
            let components = frame.components.iter().map(|c| Component::new(frame, c));
            self.components = components.collect::<Result<_>>()?;
        }
        Ok(())
    }

    fn table<const ENTRIES: usize>(&self, kind: Kind, index: u8) -> Result<Pairs<ENTRIES>> {
        let slots = if kind == Kind::Dc { &self.dc } else { &self.ac };
        match slots.get(usize::from(index)).and_then(Option::as_ref) {
            Some(spec) => Pairs::new(spec, kind),
            None => Err(malformed(format!("Huffman table {index} is missing"))),
        }
    }

    /// The steps of a component; those of its first scan hold, as in libjpeg.
    fn quant(&self, frame: &Frame, component: usize) -> Result<Quant> {
        let index = frame.components[component].quant;
        match self.quant.get(index).copied().flatten() {
            Some(quant) => Ok(quant),
            None => Err(malformed(format!("quantisation table {index} is missing"))),
        }
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
    fn picture(mut self) -> Result<Planes> {
        let (Some(frame), Some(colour)) = (self.frame, self.colour) else {
            return Err(malformed("no scan"));
        };
        let path = Path::chosen()?;
        for (component, coefficients) in self.components.iter_mut().zip(&self.coefficients) {
            if let (Some(quant), true) = (component.quant, coefficients.complete()) {
                coefficients.transform(&quant, component, path)?;
            } else {
                return Err(truncated("scans of the progressive file are missing"));
            }
        }
        for missing in self.components.iter_mut().filter(|component| component.quant.is_none()) {
            if !self.cut {
                return Err(malformed(format!("no scan of component {}", missing.header.id)));
            }
            missing.fill_gray();
        }
        Ok(Planes::new((frame.width, frame.height), self.components, colour, path))
    }
}

#[cfg(test)]
mod tests;
