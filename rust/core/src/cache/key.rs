//! Which picture under which settings.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::image::ImageConfig;

/// Changes when the same file and settings give other pixels, or the payload another meaning.
const FORMAT: u32 = 1;

/// Names a picture by the bytes of its file and everything that decides its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub(super) content: u128,
    pub(super) settings: u64,
}

/// The part of a [`Key`] that all pictures of a processor share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings(u64);

impl Settings {
    /// Every setting counts, also those that change no pixel: a setting that is added later then
    /// never finds pictures made without it. So does the release, whose decoders may be corrected.
    #[must_use]
    pub fn new(config: &ImageConfig) -> Self {
        let text = format!("{FORMAT} {} {config:?}", env!("CARGO_PKG_VERSION"));
        Self(xxh3_64(text.as_bytes()))
    }

    /// The key of a picture, from the bytes of its file.
    #[must_use]
    pub fn key(self, file: &[u8]) -> Key {
        Key { content: xxh3_128(file), settings: self.0 }
    }
}
