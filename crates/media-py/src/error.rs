//! Errors cross the border as `EngineError(code, message)`.

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

create_exception!(
    sent.media._engine,
    EngineError,
    PyException,
    "Raised by everything here; args are (code, message)."
);

pub fn raise(error: &media_io::Error) -> PyErr {
    EngineError::new_err((error.code(), error.to_string()))
}

pub fn bad_settings(message: impl Into<String>) -> PyErr {
    EngineError::new_err(("media.bad_settings", message.into()))
}
