//! Tokenizer, conversations and prompts.

use std::sync::Arc;

use llava_fast_core::conversation::{
    self, Piece, Sample, Segment, Tokenizer as Core, TokenizerOptions,
};
use llava_fast_core::{Error, Record, RecordFault, Role, Turn};
use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;

use crate::errors::to_python;

/// A tokenizer and the ids that stand for structure.
#[pyclass(frozen)]
pub struct Tokenizer {
    /// shared with datasets, which outlive a call
    pub core: Arc<Core>,
}

#[pymethods]
impl Tokenizer {
    #[new]
    #[pyo3(signature = (json, *, eos, pad, image, bos=None, add_bos=false))]
    fn new(
        py: Python<'_>,
        json: &[u8],
        eos: u32,
        pad: u32,
        image: u32,
        bos: Option<u32>,
        add_bos: bool,
    ) -> PyResult<Self> {
        let options = TokenizerOptions { bos, add_bos, eos, pad, image };
        let core = py.detach(|| Core::from_json(json, options)).map_err(to_python)?;
        Ok(Self { core: Arc::new(core) })
    }

    /// Ids of a text as the start of a sequence, without BOS.
    fn encode(&self, py: Python<'_>, text: &str) -> PyResult<Vec<u32>> {
        py.detach(|| self.core.encode_chunk(text, true)).map(|chunk| chunk.ids).map_err(to_python)
    }

    /// Text of ids.
    fn decode(&self, py: Python<'_>, ids: Vec<u32>, skip_special: bool) -> PyResult<String> {
        py.detach(move || self.core.decode(&ids, skip_special)).map_err(to_python)
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

type Arrays<'py> = (
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<i64>>,
    Vec<(String, &'static str, bool)>,
);

fn arrays<'py>(py: Python<'py>, sample: Sample, tokenizer: &Core) -> Arrays<'py> {
    let shown = sample.segments.into_iter().map(|segment| show(segment, tokenizer)).collect();
    (
        sample.input_ids.into_pyarray(py),
        sample.labels.into_pyarray(py),
        sample.image_starts.into_pyarray(py),
        shown,
    )
}

fn show(segment: Segment, tokenizer: &Core) -> (String, &'static str, bool) {
    let (text, kind) = match segment.piece {
        Piece::Text(text) => (text, "text"),
        Piece::Stop => (tokenizer.token(tokenizer.eos()), "stop"),
        Piece::Image => (tokenizer.token(tokenizer.image()), "image"),
    };
    (text, kind, segment.supervised)
}

/// Ids and labels of one record given as JSON.
#[pyfunction]
pub fn encode<'py>(
    py: Python<'py>,
    record: &str,
    tokenizer: &Tokenizer,
    template: &str,
    image_tokens: ImageTokens,
    max_length: usize,
) -> PyResult<Arrays<'py>> {
    let core = tokenizer.core.as_ref();
    let sample = py.detach(|| {
        let template = conversation::find(template)?;
        let record = Record::from_json(record, 0)?;
        let image_tokens = match image_tokens {
            ImageTokens::Same(tokens) => vec![tokens; record.images.len()],
            ImageTokens::Each(tokens) => tokens,
        };
        conversation::encode(&record, core, template, &image_tokens, max_length)
    });
    Ok(arrays(py, sample.map_err(to_python)?, core))
}

/// Ids of a conversation to continue, given as (role, content); one entry of `image_tokens` per image.
#[pyfunction]
pub fn encode_prompt<'py>(
    py: Python<'py>,
    messages: Vec<(String, String)>,
    tokenizer: &Tokenizer,
    template: &str,
    image_tokens: Vec<usize>,
) -> PyResult<Arrays<'py>> {
    let core = tokenizer.core.as_ref();
    let sample = py.detach(move || {
        let template = conversation::find(template)?;
        let turns = messages.into_iter().enumerate().map(turn).collect::<Result<Vec<_>, _>>()?;
        let segments = conversation::prompt(&turns, image_tokens.len(), template)?;
        conversation::encode_segments(&segments, core, &image_tokens)
    });
    Ok(arrays(py, sample.map_err(to_python)?, core))
}

fn turn((index, (role, text)): (usize, (String, String))) -> Result<Turn, Error> {
    let role = match role.as_str() {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        _ => {
            let detail =
                format!("unknown role: got `{role}`, expected `user`, `assistant` or `system`");
            return Err(RecordFault::BadTurn { index, detail }.into());
        }
    };
    Ok(Turn { role, text })
}

/// Names of the conversation templates.
#[pyfunction]
pub fn templates() -> Vec<&'static str> {
    conversation::names()
}
