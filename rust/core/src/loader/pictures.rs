//! The pictures of a batch.

use super::{Batch, Dataset};
use crate::error::Result;
use crate::image::{Cached, Form, Known, Mode, Output, Pixels, Places, fit_file, look};
use crate::parallel;

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
        threads: usize,
    ) -> Result<Pixels> {
        let squares: Vec<_> = wanted.iter().map(|(_, picture)| picture.squares).collect();
        let places = Places::new::<T>(&squares, output, &self.image);
        let mut buffer = places.buffer::<T>()?;
        let cached = self.cache.as_ref().map(|cache| Cached::new(cache, &self.image));
        let items = wanted.iter().zip(places.split(&mut buffer)).collect();
        let loaded = parallel::map(items, threads, |((_, picture), part): (&Wanted, &mut [T])| {
            self.load(picture, cached, part).map_err(|error| error.in_image(&picture.path))
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

    pub(super) fn read(&self, record: usize, path: &str) -> Result<Vec<u8>> {
        self.images_of(record).read(path, &self.image.decode.limits)
    }

    fn load<T: Form>(
        &self,
        picture: &Picture,
        cached: Option<Cached<'_>>,
        part: &mut [T],
    ) -> Result<()> {
        let read;
        let bytes = if let Some(file) = &picture.file {
            file
        } else {
            read = self.read(picture.record, &picture.path)?;
            &read
        };
        fit_file(bytes, &self.image, picture.squares, cached, part).map(drop)
    }
}
