//! The frame header, and which of the frames are decoded here.

use super::{malformed, unsupported};
use crate::Result;
use crate::image::Limits;
use crate::image::limits::check_sides;

/// What the frame header says of one component.
#[derive(Clone, Debug)]
pub(super) struct ComponentHeader {
    pub(super) id: u8,
    /// sampling factors, 1..=4
    pub(super) h: usize,
    pub(super) v: usize,
    /// slot of the quantisation table
    pub(super) quant: usize,
}

/// A frame header.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) components: Vec<ComponentHeader>,
    /// largest sampling factors of the frame
    pub(super) h_max: usize,
    pub(super) v_max: usize,
    /// coefficients come in several scans
    pub(super) progressive: bool,
}

/// What the components of a frame are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    Gray,
    YCbCr,
    Rgb,
    Cmyk,
    /// CMYK whose first three components went through the transform of `YCbCr`
    Ycck,
}

impl Frame {
    /// Reads the payload of SOF0, SOF1 or SOF2.
    ///
    /// # Errors
    /// `Malformed`, `Refused` for the sides, `Unsupported` for 12 bits.
    pub(super) fn read(payload: &[u8], progressive: bool, limits: &Limits) -> Result<Self> {
        let [precision, h1, h0, w1, w0, count, rest @ ..] = payload else {
            return Err(malformed("the frame header is cut short"));
        };
        if *precision != 8 {
            return Err(unsupported(format!("{precision}-bit")));
        }
        if *count == 0 || rest.len() != 3 * usize::from(*count) {
            return Err(malformed("the frame header does not fit its number of components"));
        }
        let width = usize::from(u16::from_be_bytes([*w1, *w0]));
        let height = usize::from(u16::from_be_bytes([*h1, *h0]));
        check_sides(width, height, limits)?;
        let components = rest.chunks_exact(3).map(component).collect::<Result<Vec<_>>>()?;
        let h_max = components.iter().map(|c| c.h).max().unwrap_or(1);
        let v_max = components.iter().map(|c| c.v).max().unwrap_or(1);
        Ok(Self { width, height, components, h_max, v_max, progressive })
    }

    /// Columns and rows of interleaved coding units.
    pub(super) fn units(&self) -> (usize, usize) {
        (self.width.div_ceil(8 * self.h_max), self.height.div_ceil(8 * self.v_max))
    }

    /// The colours, once the markers that tell them have been seen: libjpeg's rules.
    ///
    /// # Errors
    /// `Unsupported` for other numbers of components and for sampling in fractions, as libjpeg;
    /// `Malformed` for two components of one name.
    pub(super) fn colour(&self, jfif: bool, adobe: Option<u8>) -> Result<Colour> {
        for (index, component) in self.components.iter().enumerate() {
            if self.components[..index].iter().any(|other| other.id == component.id) {
                return Err(malformed(format!("two components are called {}", component.id)));
            }
            if self.ratio(component).is_none() {
                return Err(unsupported(format!("sampling {}", self.sampling())));
            }
        }
        match (self.components.len(), adobe) {
            (1, _) => Ok(Colour::Gray),
            (3, _) if self.is_rgb(jfif, adobe) => Ok(Colour::Rgb),
            (3, _) => Ok(Colour::YCbCr),
            (4, None | Some(0)) => Ok(Colour::Cmyk),
            (4, Some(_)) => Ok(Colour::Ycck),
            (count, _) => Err(unsupported(format!("{count}-component"))),
        }
    }

    /// How many picture columns and rows one sample of the component covers; `None` for fractions.
    pub(super) fn ratio(&self, component: &ComponentHeader) -> Option<(usize, usize)> {
        let whole =
            self.h_max.is_multiple_of(component.h) && self.v_max.is_multiple_of(component.v);
        whole.then(|| (self.h_max / component.h, self.v_max / component.v))
    }

    /// libjpeg's rule: a JFIF header means `YCbCr`; else Adobe's flag decides; else the names.
    fn is_rgb(&self, jfif: bool, adobe: Option<u8>) -> bool {
        let named_rgb = || self.components.iter().map(|c| c.id).eq(*b"RGB");
        !jfif && adobe.map_or_else(named_rgb, |transform| transform == 0)
    }

    fn sampling(&self) -> String {
        let pairs = self.components.iter().map(|c| format!("{}x{}", c.h, c.v));
        pairs.collect::<Vec<_>>().join(" ")
    }
}

fn component(header: &[u8]) -> Result<ComponentHeader> {
    let (h, v) = (usize::from(header[1] >> 4), usize::from(header[1] & 15));
    if !(1..=4).contains(&h) || !(1..=4).contains(&v) {
        return Err(malformed(format!("sampling factors {h} x {v}")));
    }
    Ok(ComponentHeader { id: header[0], h, v, quant: usize::from(header[2]) })
}
