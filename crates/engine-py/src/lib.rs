//! Thin Python binding of the engine: module `maul._engine`.

mod engine;
mod histogram;
mod null_server;

use maul_engine::operation::{ErrorClass, Op, Outcome, OPERATION_RECORD_BYTES};
use pyo3::exceptions::PyRuntimeWarning;
use pyo3::prelude::*;
use pyo3::types::PyDict;

fn names(py: Python<'_>, table: &[(u8, &'static str)]) -> PyResult<Py<PyDict>> {
    let dict = PyDict::new(py);
    for (number, name) in table {
        dict.set_item(number, name)?;
    }
    Ok(dict.unbind())
}

/// {"version", "profile"} of this build.
#[pyfunction]
fn build_info(py: Python<'_>) -> PyResult<Py<PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("version", env!("CARGO_PKG_VERSION"))?;
    dict.set_item(
        "profile",
        if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        },
    )?;
    Ok(dict.unbind())
}

#[pymodule]
fn _engine(py: Python<'_>, module: &Bound<'_, PyModule>) -> PyResult<()> {
    if cfg!(debug_assertions) {
        let text =
            c"maul._engine is a debug build: its numbers mean nothing; build it with --release";
        PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), text, 1)?;
    }
    module.add_class::<engine::Engine>()?;
    module.add_class::<histogram::Histogram>()?;
    module.add_class::<null_server::NullServer>()?;
    module.add_function(wrap_pyfunction!(build_info, module)?)?;
    module.add("OP_NAMES", names(py, Op::NAMES)?)?;
    module.add("OUTCOME_NAMES", names(py, Outcome::NAMES)?)?;
    module.add("ERROR_CLASS_NAMES", names(py, ErrorClass::NAMES)?)?;
    module.add("OPERATION_RECORD_BYTES", OPERATION_RECORD_BYTES)?;
    Ok(())
}
