//! What decides on the figures of a file's records.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::counter::fold;
use crate::fingerprint::fingerprint;
use crate::image::{ImageConfig, Mode};
use crate::loader::Dataset;

/// Changes when a side file means something else.
const FORMAT: u32 = 1;

/// Two numbers: one names the side file, the other says whether to believe what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// of the settings: files for several tokenizers lie beside each other
    pub settings: u64,
    /// of the settings, the data and the release, whose encoder may be corrected
    pub all: u64,
}

impl Key {
    /// Of the file `part` of a data set.
    pub fn of(dataset: &Dataset, part: usize) -> Self {
        let Dataset { tokenizer, format, max_length, reading, .. } = dataset;
        let pictures = match dataset.image.mode {
            Mode::AnyRes => sizes(dataset, part),
            _ => format!("{} each", dataset.image.patches()),
        };
        let settings = fold(&[
            tokenizer.fingerprint(),
            format.template.fingerprint(),
            fingerprint(format!("{max_length} {reading:?} {pictures}").as_bytes()),
        ]);
        let release = fingerprint(format!("{FORMAT} {}", env!("CARGO_PKG_VERSION")).as_bytes());
        Self { settings, all: fold(&[settings, dataset.records.file(part).content(), release]) }
    }
}

/// What makes a number of tokens of a picture, and where its file is.
fn sizes(dataset: &Dataset, part: usize) -> String {
    let ImageConfig { size, patch_size, grids, decode, .. } = &dataset.image;
    let file = dataset.records.file(part);
    let place = match file.pictures() {
        Some(_) => place(file.path().as_slice()),
        None => dataset.places[part],
    };
    format!("{size} {patch_size} {grids:?} {decode:?} {place:016x}")
}

/// Tells places of pictures apart: by their paths, and archives by size and time too. A folder is
/// the same folder whatever happens to be in it. None at all: names are paths from where we stand.
#[must_use]
pub fn place(paths: &[impl AsRef<Path>]) -> u64 {
    let print = |path: &Path| {
        let whole = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let state = match fs::metadata(path) {
            Ok(file) if file.is_file() => format!("{} {}", file.len(), time(&file)),
            _ => String::new(),
        };
        fingerprint(format!("{} {state}", whole.display()).as_bytes())
    };
    if paths.is_empty() {
        return print(Path::new("."));
    }
    fold(&paths.iter().map(|path| print(path.as_ref())).collect::<Vec<_>>())
}

fn time(file: &fs::Metadata) -> String {
    format!("{}.{:09}", file.mtime(), file.mtime_nsec())
}
