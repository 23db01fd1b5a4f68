//! The pictures of a batch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::counters::Tally;
use super::{Batch, Dataset};
use crate::error::{Error, ImageFault, Result};
use crate::image::{Cached, Form, Known, Mode, Output, Pixels, Places, fit_file, look};
use crate::parallel::{self, Crew};
use crate::reads::{self, Lost, Reads};
use crate::records::Records;
use crate::source::Images;

/// A picture of a record, as far as its tokens are concerned.
pub struct Picture {
    /// the record that names it
    record: usize,
    pub(super) path: String,
    /// tokens that it takes
    pub(super) tokens: usize,
    squares: usize,
    /// what was read to learn that
    file: Option<Vec<u8>>,
    /// height and width in its file, where that was read
    size: [i64; 2],
}

/// A picture to load, and the document that wants it.
pub(super) type Wanted = (usize, Picture);

/// Files that are read before they are wanted, for each thread that decodes: enough to hide a disk
/// that answers slowly, few enough that they take little memory.
const AHEAD: usize = 4;

/// Where the pictures of a record are, for a thread of its own.
enum Held {
    Apart(Arc<Images>),
    WithRecords(Arc<Records>, usize),
}

impl Held {
    fn images(&self, path: &str) -> Result<&Images> {
        match self {
            Self::Apart(images) => Ok(images),
            Self::WithRecords(records, part) => records
                .file(*part)
                .pictures()
                .ok_or_else(|| ImageFault::Missing(path.to_owned()).into()),
        }
    }
}

/// A picture to load, the number of its read, and its place in the output.
type Item<'a, T> = ((&'a Wanted, Option<usize>), &'a mut [T]);

/// The bytes of a file, or why there are none, and how long that took.
type File = (Result<Vec<u8>>, Duration);

impl Dataset {
    /// Reads a picture's header where it decides how many tokens there are.
    pub(super) fn look(&self, record: usize, path: String) -> Result<Picture> {
        match look(&self.image, || self.read(record, &path)) {
            Ok(Known { squares, tokens, size, file }) => {
                Ok(Picture { record, path, tokens, squares, file, size })
            }
            Err(error) => Err(error.in_image(&path)),
        }
    }

    /// Loads pictures into one buffer; a document that misses one becomes a hole and takes its other
    /// pictures out of the buffer.
    pub(super) fn pictures<T: Form>(
        &self,
        batch: &mut Batch,
        wanted: &[Wanted],
        output: Output,
        crew: Crew,
        tally: &Tally,
    ) -> Result<Pixels> {
        let squares: Vec<_> = wanted.iter().map(|(_, picture)| picture.squares).collect();
        let places = Places::new::<T>(&squares, output, &self.image);
        let mut buffer = places.buffer::<T>()?;
        let cached = self.cache.as_ref().map(|cache| Cached::new(cache, &self.image));
        let unread = wanted.iter().filter(|(_, picture)| picture.file.is_none());
        let works = unread.map(|(_, picture)| self.reading(picture.record, &picture.path));
        let reads = Reads::new(works, AHEAD * crew.threads(), self.read_timeout);
        let mut next = 0..;
        let numbers = wanted.iter().map(|(_, p)| if p.file.is_none() { next.next() } else { None });
        let items = wanted.iter().zip(numbers).zip(places.split(&mut buffer)).collect();
        let load = |(((_, picture), number), part): Item<'_, T>| {
            let read = number.map(|number| file(reads.take(number)));
            self.load(picture, read, cached, part, tally)
        };
        let loaded = parallel::map(items, crew, |item: Item<'_, T>| {
            let path = &item.0.0.1.path;
            load(item).map_err(|error| error.in_image(path))
        });
        let mut broken = vec![false; batch.documents.len()];
        for ((document, _), result) in wanted.iter().zip(loaded) {
            if let Err(error) = result
                && !std::mem::replace(&mut broken[*document], true)
            {
                self.dig(batch, *document, error);
            }
        }
        if broken.contains(&true) {
            places.compact(&mut buffer, wanted.iter().map(|(document, _)| !broken[*document]));
        }
        if self.image.mode == Mode::AnyRes {
            let kept = wanted.iter().filter(|(document, _)| !broken[*document]);
            let shapes = kept.map(|(_, picture)| (picture.squares as i32, picture.size));
            (batch.squares, batch.sizes) = shapes.unzip();
        }
        Ok(T::pixels(buffer))
    }

    /// The bytes of a picture file; `Stuck` if they do not come in time.
    pub(super) fn read(&self, record: usize, path: &str) -> Result<Vec<u8>> {
        file(reads::within(self.read_timeout, self.reading(record, path))).0
    }

    /// Reads a picture file, on whatever thread.
    fn reading(&self, record: usize, path: &str) -> impl FnOnce() -> File + Send + 'static {
        let held = self.held(self.records.part(record));
        let (path, limits) = (path.to_owned(), self.image.decode.limits);
        move || {
            let begun = Instant::now();
            let bytes = held.images(&path).and_then(|images| images.read(&path, &limits));
            (bytes, begun.elapsed())
        }
    }

    /// Width and height that the header of a picture says, of a record of the file `part`.
    ///
    /// # Errors
    /// As [`Images::size`]; `Stuck` if the header does not come in time.
    pub(crate) fn size_in(&self, part: usize, path: &str) -> Result<(usize, usize)> {
        let (held, path, options) = (self.held(part), path.to_owned(), self.image.decode);
        let look = move || held.images(&path).and_then(|images| images.size(&path, &options));
        reads::within(self.read_timeout, look).unwrap_or_else(|lost| Err(gone(&lost)))
    }

    fn held(&self, part: usize) -> Held {
        match self.records.file(part).pictures() {
            Some(_) => Held::WithRecords(Arc::clone(&self.records), part),
            None => Held::Apart(Arc::clone(&self.images[part])),
        }
    }

    fn load<T: Form>(
        &self,
        picture: &Picture,
        read: Option<File>,
        cached: Option<Cached<'_>>,
        part: &mut [T],
        tally: &Tally,
    ) -> Result<()> {
        let (file, took) = read.unwrap_or((Ok(Vec::new()), Duration::ZERO));
        let file = file?;
        let bytes = picture.file.as_deref().unwrap_or(&file);
        tally.picture(bytes.len(), took);
        tally.work(|| fit_file(bytes, &self.image, picture.squares, cached, part).map(drop))
    }
}

fn file(read: std::result::Result<File, Lost>) -> File {
    read.unwrap_or_else(|lost| match lost {
        Lost::Stuck(after) => (Err(gone(&lost)), after),
        Lost::Panicked => (Err(gone(&lost)), Duration::ZERO),
    })
}

fn gone(lost: &Lost) -> Error {
    match lost {
        Lost::Stuck(after) => ImageFault::Stuck(*after).into(),
        Lost::Panicked => Error::Data("internal error: reading panicked".into()),
    }
}
