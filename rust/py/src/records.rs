//! Lists of records.

use std::path::PathBuf;
use std::sync::Arc;

use llava_fast_core::Error;
use llava_fast_core::index::Place;
use llava_fast_core::records::{Amount, Choice, Input, Records as Core, Rule};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;

use crate::errors::to_python;
use crate::wait::interruptible;

/// `llava_fast.mixture.Part`, but for its pictures.
#[derive(FromPyObject)]
pub struct Part {
    path: PathBuf,
    text: Option<String>,
    rule: String,
    amount: u64,
    percent: bool,
    weight: f64,
    continues: bool,
}

impl Part {
    fn choice(&self) -> Result<Choice, Error> {
        let amount =
            if self.percent { Amount::Percent(self.amount) } else { Amount::Count(self.amount) };
        let rule = match self.rule.as_str() {
            _ if self.continues => Rule::Continued,
            "all" => Rule::All,
            "first" => Rule::First(amount),
            "end" => Rule::End(amount),
            "random" => Rule::Random(amount),
            other => return Err(Error::Argument(format!("rule: got `{other}`"))),
        };
        Ok(Choice { rule, weight: self.weight })
    }

    fn source(self) -> Result<(Input, Choice), Error> {
        let choice = self.choice()?;
        let input = match self.text {
            None => Input::File(self.path),
            Some(text) => Input::Text(self.path.display().to_string(), text),
        };
        Ok((input, choice))
    }
}

/// Records of one or more files, numbered through.
#[pyclass(frozen)]
pub struct Records {
    /// shared with data sets
    pub core: Arc<Core>,
}

#[pymethods]
impl Records {
    #[new]
    #[pyo3(signature = (parts, seed, index_dir=None))]
    fn new(
        py: Python<'_>,
        parts: Vec<Part>,
        seed: u64,
        index_dir: Option<PathBuf>,
    ) -> PyResult<Self> {
        let open = move || {
            let sources = parts.into_iter().map(Part::source).collect::<Result<_, _>>()?;
            Core::mixture(sources, seed, &index_dir.map_or_else(Place::default, Place::folder))
        };
        Ok(Self { core: Arc::new(interruptible(py, open)?.map_err(to_python)?) })
    }

    fn __len__(&self) -> usize {
        self.core.len()
    }

    /// Of the files' bytes and of what is taken from them.
    #[getter]
    fn fingerprint(&self) -> u64 {
        self.core.fingerprint()
    }

    /// A record as it is written.
    fn json(&self, py: Python<'_>, index: usize) -> PyResult<String> {
        self.check(index)?;
        py.detach(|| self.core.json(index).map(String::from)).map_err(to_python)
    }

    /// Number of the part, name of its file, and the record's number there.
    fn origin(&self, index: usize) -> PyResult<(usize, &str, usize)> {
        self.check(index)?;
        let (name, number) = self.core.origin(index);
        Ok((self.core.part(index), name, number))
    }
}

impl Records {
    fn check(&self, index: usize) -> PyResult<()> {
        let records = self.core.len();
        if index < records {
            return Ok(());
        }
        Err(PyIndexError::new_err(format!("record {index}: there are {records} records")))
    }
}
