//! `sent.media._engine`: the media engine for Python. Converts, releases the GIL, maps errors; nothing else.
//!
//! No Python code runs on an engine thread: events wait in a queue whose descriptor (`fileno`) becomes readable.

mod convert;
mod engine;
mod error;
mod spool;

use pyo3::prelude::*;

#[pymodule]
mod _engine {
    #[pymodule_export]
    use crate::engine::{Engine, Health, Statistics};
    #[pymodule_export]
    use crate::error::EngineError;
    #[pymodule_export]
    use crate::spool::{render_ogg, SpoolReader};
}
