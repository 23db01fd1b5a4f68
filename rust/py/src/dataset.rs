//! Data sets and their batches.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use llava_fast_core::cache::PixelCache;
use llava_fast_core::conversation::Format;
use llava_fast_core::loader::{Bad, Batch, Counters, Dataset as Core, Order};
use llava_fast_core::pack::Layout;
use llava_fast_core::record::Repair;
use llava_fast_core::source::Images;
use llava_fast_core::{Error, counts, parallel};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::arrays::to_dict;
use crate::errors::to_python;
use crate::records::Records;
use crate::settings::Image;
use crate::text::{Arrays, Reading, Tokenizer, arrays, named};
use crate::wait::interruptible;

/// (record, reason code, message)
type BadRow = (usize, &'static str, String);

/// (pictures, bytes, seconds of reading, seconds of work)
type Spent = (u64, u64, f64, f64);

/// A batch, the bad records in it, and what it took.
pub type Made<'py> = (Bound<'py, PyDict>, Vec<BadRow>, Spent);

/// (sample or why there is none, rounds that did not fit, (path, tokens) of the pictures, codes of
/// what was put right)
type View<'py> =
    (Option<Arrays<'py>>, Option<BadRow>, usize, Vec<(String, usize)>, Vec<&'static str>);

/// Records, and everything that turns one into model input.
#[pyclass(frozen)]
pub struct Dataset {
    /// shared with what runs on other threads
    pub(crate) core: Arc<Core>,
}

#[pymethods]
impl Dataset {
    #[new]
    #[pyo3(signature = (records, *, images, follow_links, tokenizer, template, image, max_length, reading, cache, read_timeout=300.0))]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments in Python")]
    fn new(
        py: Python<'_>,
        records: &Records,
        images: Vec<Option<Vec<PathBuf>>>,
        follow_links: bool,
        tokenizer: &Tokenizer,
        template: &str,
        image: Image,
        max_length: usize,
        reading: Reading,
        cache: Option<(PathBuf, u64)>,
        read_timeout: f64,
    ) -> PyResult<Self> {
        let records = Arc::clone(&records.core);
        let tokenizer = Arc::clone(&tokenizer.core);
        let template = template.to_owned();
        let read_timeout = Duration::try_from_secs_f64(read_timeout).unwrap_or(Duration::MAX);
        let build = move || {
            let format = Format::new(named(&template)?, &tokenizer)?;
            let image = image.config()?;
            let places = images
                .iter()
                .map(|paths| counts::place(paths.as_deref().unwrap_or_default()))
                .collect();
            let images = open_images(images, records.parts(), follow_links)?;
            let cache =
                cache.map(|(folder, bytes)| PixelCache::open(&folder, bytes)).transpose()?;
            let reading = reading.core();
            Ok(Core {
                records,
                tokenizer,
                format,
                image,
                images,
                places,
                cache,
                max_length,
                reading,
                read_timeout,
            })
        };
        Ok(Self { core: Arc::new(interruptible(py, build)?.map_err(to_python)?) })
    }

    fn __len__(&self) -> usize {
        self.core.records.len()
    }

    /// Of data, tokenizer, template, image settings and `max_length`.
    #[getter]
    fn fingerprint(&self) -> u64 {
        self.core.fingerprint()
    }

    /// The parts of `fingerprint` by name.
    fn fingerprints(&self) -> Vec<(&'static str, u64)> {
        self.core.fingerprints().to_vec()
    }

    /// One batch, the bad records in it, and what it took; without `skip` the first one is an error.
    /// `lengths`: tokens of each record as planned; empty = whatever they turn out to be.
    #[pyo3(signature = (records, layout, skip, threads, lengths=Vec::new()))]
    fn batch<'py>(
        &self,
        py: Python<'py>,
        records: Vec<u32>,
        layout: &str,
        skip: bool,
        threads: usize,
        lengths: Vec<u32>,
    ) -> PyResult<Made<'py>> {
        let layout = Layout::find(layout).map_err(to_python)?;
        let (core, order) = (Arc::clone(&self.core), Order { records, lengths });
        let make = move || core.batch(&order, layout.output(), threads);
        let batch = interruptible(py, make)?.map_err(to_python)?;
        made(py, batch, &self.core, layout, skip)
    }

    /// File of a record, its number there, its id, and the paths of the pictures that it names.
    fn describe(
        &self,
        py: Python<'_>,
        index: usize,
    ) -> PyResult<(String, usize, String, Vec<String>)> {
        let found = py.detach(|| self.core.describe(index)).map_err(to_python)?;
        Ok((found.file, found.number, found.id, found.images))
    }

    /// Hits and misses of the pixel cache in this process; zeros without one.
    fn cache_counts(&self) -> (u64, u64) {
        let stats = self.core.cache.as_ref().map(PixelCache::stats).unwrap_or_default();
        (stats.hits, stats.misses)
    }

    /// A record as it is written, good or bad.
    fn json(&self, py: Python<'_>, index: usize) -> PyResult<String> {
        py.detach(|| self.core.json(index)).map_err(to_python)
    }

    /// What becomes of a record, good or bad.
    fn view<'py>(&self, py: Python<'py>, index: usize) -> PyResult<View<'py>> {
        let view = py.detach(|| self.core.view(index)).map_err(to_python)?;
        let cut_rounds = view.sample.as_ref().map_or(0, |sample| sample.cut_rounds);
        let (sample, bad) = match view.sample {
            Ok(sample) => (Some(arrays(py, sample)), None),
            Err(error) => (None, Some(row((index, error)))),
        };
        let repairs = view.repairs.into_iter().map(Repair::code).collect();
        Ok((sample, bad, cut_rounds, view.pictures, repairs))
    }

    /// The bytes of a picture file of a record, from where batches take it.
    fn picture<'py>(
        &self,
        py: Python<'py>,
        index: usize,
        path: &str,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| self.core.picture(index, path)).map_err(to_python)?;
        Ok(PyBytes::new(py, &bytes))
    }
}

/// As Python has it; without `skip` the first bad record is an error.
pub fn made<'py>(
    py: Python<'py>,
    mut batch: Batch,
    data: &Core,
    layout: Layout,
    skip: bool,
) -> PyResult<Made<'py>> {
    let bad = rows(std::mem::take(&mut batch.bad), skip)?;
    let seconds = |nanoseconds| Duration::from_nanos(nanoseconds).as_secs_f64();
    let Counters { pictures, bytes, read, work } = batch.counters;
    let dict = to_dict(py, batch, layout, &data.image, data.tokenizer.pad())?;
    Ok((dict, bad, (pictures, bytes, seconds(read), seconds(work))))
}

/// The pictures of each part; places that are named twice are opened once.
fn open_images(
    places: Vec<Option<Vec<PathBuf>>>,
    parts: usize,
    follow_links: bool,
) -> Result<Vec<Arc<Images>>, Error> {
    if places.len() != parts {
        let text = format!("images: got {} places for {parts} files of records", places.len());
        return Err(Error::Argument(text));
    }
    let mut opened = HashMap::new();
    let mut images = Vec::new();
    for paths in places {
        let known = match opened.entry(paths) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let new = match place.key() {
                    None => Images::anywhere(),
                    Some(paths) => Images::open(paths, follow_links)?,
                };
                place.insert(Arc::new(new))
            }
        };
        images.push(Arc::clone(known));
    }
    Ok(images)
}

fn rows(bad: Vec<Bad>, skip: bool) -> PyResult<Vec<BadRow>> {
    if !skip && let Some((_, error)) = bad.first() {
        return Err(to_python(error.clone()));
    }
    Ok(bad.into_iter().map(row).collect())
}

fn row((record, error): Bad) -> BadRow {
    (record, error.code(), error.to_string())
}

/// Threads the machine grants this process.
#[pyfunction]
pub fn available_threads() -> usize {
    parallel::available_threads()
}
