//! The pictures that records name, each looked at once.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::{Error, Result};
use crate::image::{DecodeOptions, Mode, open, probe};
use crate::loader::Dataset;
use crate::source::Images;

/// How closely pictures are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Look {
    /// whether they are there and what their headers say
    #[default]
    Header,
    /// every pixel
    Pixels,
}

impl Look {
    /// By the name that Python uses.
    ///
    /// # Errors
    /// [`Error::Argument`] for another name.
    pub fn find(name: &str) -> Result<Self> {
        match name {
            "header" => Ok(Self::Header),
            "pixels" => Ok(Self::Pixels),
            _ => Err(Error::Argument(format!("look: got `{name}`, expected `header` or `pixels`"))),
        }
    }

    /// Width and height of a picture that is as good as this look can tell.
    fn at(self, path: &str, images: &Images, options: &DecodeOptions) -> Result<Size> {
        if self != Self::Pixels {
            return images.size(path, options);
        }
        let file = images.read(path, &options.limits)?;
        open(&file, options)?;
        probe(&file, options)
    }
}

/// Width and height in pixels.
type Size = (usize, usize);

/// What was found of a picture that a record names.
pub struct Found {
    hash: u64,
    /// its size, or why it cannot be used
    pub size: Result<Size>,
}

/// What is known of the pictures so far.
#[derive(Debug, Default, Serialize)]
pub struct Pictures {
    /// how closely they are looked at
    look: Look,
    /// places in records that can be read
    referenced: usize,
    /// those of them where a picture was looked for
    looked_at: usize,
    /// different pictures among those that were looked at
    different: usize,
    /// different pictures that cannot be used, by reason code
    faults: BTreeMap<&'static str, usize>,
    /// by hash of the path; a bad one has no size
    #[serde(skip)]
    seen: HashMap<u64, Option<Size>>,
}

impl Pictures {
    /// None so far.
    #[must_use]
    pub fn new(look: Look) -> Self {
        Self { look, ..Self::default() }
    }

    /// Looks at the pictures of a record, except at those that are known to be good. Where no place
    /// for them is named they are left alone, unless their sizes decide how many tokens there are.
    pub fn find(&self, record: usize, paths: &[String], dataset: &Dataset) -> Vec<Found> {
        let (images, options) = (dataset.images_of(record), &dataset.image.decode);
        if images.is_anywhere() && dataset.image.mode != Mode::AnyRes {
            return Vec::new();
        }
        paths.iter().map(|path| self.look_at(path, images, options)).collect()
    }

    fn look_at(&self, path: &str, images: &Images, options: &DecodeOptions) -> Found {
        // The same path in two folders is two pictures.
        let hash = xxh3_64_with_seed(path.as_bytes(), std::ptr::from_ref(images).addr() as u64);
        let size = match self.seen.get(&hash) {
            Some(&Some(size)) => Ok(size),
            _ => self.look.at(path, images, options).map_err(|error| error.in_image(path)),
        };
        Found { hash, size }
    }

    /// Counts the pictures of a record, `found` of them looked at.
    pub fn add(&mut self, referenced: usize, found: &[Found]) {
        self.referenced += referenced;
        self.looked_at += found.len();
        for picture in found {
            let size = picture.size.as_ref();
            if self.seen.insert(picture.hash, size.ok().copied()).is_none() {
                self.different += 1;
                if let Err(error) = size {
                    *self.faults.entry(error.code()).or_default() += 1;
                }
            }
        }
    }
}
