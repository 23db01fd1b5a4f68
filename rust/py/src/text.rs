//! Tokenizer, conversations and prompts.

use std::sync::{Arc, Mutex, PoisonError};

use llava_fast_core::conversation::tokenizer::{Chunk, Place};
use llava_fast_core::conversation::{
    Encoder, Format, Sample, Segment, Template, Tokenizer as Core, TokenizerOptions,
};
use llava_fast_core::{Error, Record, RecordFault, Role, Turn, TurnFault, record};
use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;

use crate::errors::to_python;

/// A tokenizer and the ids that stand for structure.
#[pyclass(frozen)]
pub struct Tokenizer {
    /// shared with datasets, which outlive a call
    pub core: Arc<Core>,
    /// templates that were used with it, the last one at the end; the GIL guards them too, so no
    /// other thread holds the lock while a process forks
    formats: Mutex<Vec<(String, Arc<Format>)>>,
}

/// Templates of one's own may be made by the thousand.
const MOST_FORMATS: usize = 16;

impl Tokenizer {
    fn format(&self, template: &str) -> PyResult<Arc<Format>> {
        let mut formats = self.formats.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, format)) = formats.iter().rev().find(|(name, _)| name == template) {
            return Ok(Arc::clone(format));
        }
        let format = named(template).and_then(|template| Format::new(template, &self.core));
        let format = Arc::new(format.map_err(to_python)?);
        if formats.len() == MOST_FORMATS {
            formats.remove(0);
        }
        formats.push((template.to_owned(), Arc::clone(&format)));
        Ok(format)
    }
}

/// The template of that name, or the one that this JSON object describes.
pub fn named(template: &str) -> Result<Arc<Template>, Error> {
    if template.trim_start().starts_with('{') {
        return Template::from_json(template).map(Arc::new);
    }
    Template::find(template)
}

#[pymethods]
impl Tokenizer {
    #[new]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments in Python")]
    #[pyo3(signature = (json, *, eos, pad, image, bos=None, add_bos=false, image_prefix=None))]
    fn new(
        py: Python<'_>,
        json: &[u8],
        eos: u32,
        pad: u32,
        image: u32,
        bos: Option<u32>,
        add_bos: bool,
        image_prefix: Option<bool>,
    ) -> PyResult<Self> {
        let options = TokenizerOptions { bos, add_bos, eos, pad, image, image_prefix };
        let core = py.detach(|| Core::from_json(json, options)).map_err(to_python)?;
        Ok(Self { core: Arc::new(core), formats: Mutex::default() })
    }

    /// Ids of a text as the start of a sequence, without BOS.
    fn encode(&self, py: Python<'_>, text: &str) -> PyResult<Vec<u32>> {
        let mut chunk = Chunk::default();
        py.detach(|| self.core.encode_chunk(text, Place::Start, &mut chunk)).map_err(to_python)?;
        Ok(chunk.ids)
    }

    /// Text of ids.
    fn decode(&self, py: Python<'_>, ids: Vec<u32>, skip_special: bool) -> PyResult<String> {
        py.detach(move || self.core.decode(&ids, skip_special)).map_err(to_python)
    }

    /// How each id is written.
    fn tokens(&self, ids: Vec<u32>) -> Vec<String> {
        ids.into_iter().map(|id| self.core.token(id)).collect()
    }

    /// Ids that end an answer of a template alone, and the text that does.
    fn stop(&self, template: &str) -> PyResult<(Vec<u32>, String)> {
        Ok(self.format(template)?.stop())
    }

    /// The id written before a sequence, if any.
    #[getter]
    fn bos(&self) -> Option<u32> {
        self.core.bos()
    }

    /// One more than the highest id.
    #[getter]
    fn vocab_size(&self) -> usize {
        self.core.vocab_size()
    }

    /// Why text is not encoded word by word, if it is not.
    #[getter]
    fn uncut(&self) -> Option<&'static str> {
        self.core.uncut()
    }

    /// Tells this tokenizer from others.
    #[getter]
    fn fingerprint(&self) -> u64 {
        self.core.fingerprint()
    }
}

/// Image tokens of a conversation: the same number for each picture, or one number per picture.
#[derive(FromPyObject)]
pub enum ImageTokens {
    /// for each
    Same(usize),
    /// one by one
    Each(Vec<usize>),
}

/// (text, kind, supervised, first position, position after the last)
type Row = (String, &'static str, bool, usize, usize);

/// (ids, labels, image starts, segments)
pub type Arrays<'py> =
    (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>, Vec<Row>);

/// A sample as Python gets it.
pub fn arrays(py: Python<'_>, sample: Sample) -> Arrays<'_> {
    let row = |Segment { text, kind, supervised, tokens }| {
        (text, kind.name(), supervised, tokens.start, tokens.end)
    };
    (
        sample.input_ids.into_pyarray(py),
        sample.labels.into_pyarray(py),
        sample.image_starts.into_pyarray(py),
        sample.segments.into_iter().map(row).collect(),
    )
}

/// Whether records are read as LLaVA reads them, and whether a leading answer stays.
#[derive(FromPyObject)]
pub struct Reading(bool, bool);

impl Reading {
    /// As the core has it.
    pub fn core(&self) -> record::Reading {
        record::Reading { as_llava: self.0, keep_leading_answer: self.1 }
    }
}

/// Ids and labels of one record given as JSON; what was encoded only if it is to be shown.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "one call for all of it")]
pub fn encode<'py>(
    py: Python<'py>,
    record: &str,
    tokenizer: &Tokenizer,
    template: &str,
    image_tokens: ImageTokens,
    max_length: usize,
    reading: Reading,
    shown: bool,
) -> PyResult<Arrays<'py>> {
    let format = tokenizer.format(template)?;
    let encoder = Encoder { tokenizer: &tokenizer.core, format: &format, shown };
    let sample = py.detach(|| {
        let record = Record::read(record, 0, reading.core())?;
        let image_tokens = match image_tokens {
            ImageTokens::Same(tokens) => vec![tokens; record.images.len()],
            ImageTokens::Each(tokens) => tokens,
        };
        encoder.record(&record, &image_tokens, max_length)
    });
    Ok(arrays(py, sample.map_err(to_python)?))
}

/// Ids of a conversation to continue, given as (role, content); one entry of `image_tokens` per image.
#[pyfunction]
pub fn encode_prompt<'py>(
    py: Python<'py>,
    messages: Vec<(String, String)>,
    tokenizer: &Tokenizer,
    template: &str,
    image_tokens: Vec<usize>,
    shown: bool,
) -> PyResult<Arrays<'py>> {
    let format = tokenizer.format(template)?;
    let encoder = Encoder { tokenizer: &tokenizer.core, format: &format, shown };
    let sample = py.detach(move || {
        let turns = messages.into_iter().enumerate().map(turn).collect::<Result<Vec<_>, _>>()?;
        encoder.prompt(&turns, &image_tokens)
    });
    Ok(arrays(py, sample.map_err(to_python)?))
}

fn turn((index, (role, text)): (usize, (String, String))) -> Result<Turn, Error> {
    let role = match role.as_str() {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        _ => {
            let fault = TurnFault::UnknownRole(role);
            return Err(RecordFault::BadTurn { index, fault }.into());
        }
    };
    Ok(Turn { role, text })
}

/// The name of a template, which is known by other names too or described as a JSON object.
#[pyfunction]
pub fn template_name(template: &str) -> PyResult<String> {
    named(template).map(|template| template.name.clone()).map_err(to_python)
}

/// Names of the conversation templates.
#[pyfunction]
pub fn templates() -> Vec<&'static str> {
    Template::names()
}
