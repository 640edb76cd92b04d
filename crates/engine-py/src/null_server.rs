//! The null server as a Python class: what the generator is measured against.

use std::sync::Mutex;
use std::time::Duration;

use maul_null_server::{Certificate, NullServer as Core, Settings};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Longest wait before a stall, and longest stall, seconds.
const STALL_S_MAX: f64 = 3600.0;

/// An S3 store that does nothing, on a free port of 127.0.0.1.
#[pyclass(module = "maul._engine", frozen)]
pub struct NullServer {
    url: String,
    core: Mutex<Core>,
}

impl NullServer {
    fn core(&self) -> std::sync::MutexGuard<'_, Core> {
        self.core
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[pymethods]
impl NullServer {
    #[new]
    #[pyo3(signature = (*, threads = 1, pin = Vec::new(), run = 0, object_bytes = 4096, connections_max = 65_536, certificate_pem = None))]
    fn new(
        py: Python<'_>,
        threads: usize,
        pin: Vec<usize>,
        run: u64,
        object_bytes: u64,
        connections_max: u64,
        certificate_pem: Option<String>,
    ) -> PyResult<Self> {
        let settings = Settings {
            threads,
            pin,
            run,
            object_bytes,
            connections_max,
            certificate: certificate_pem.map(Certificate),
        };
        let core = py
            .detach(|| Core::start(&settings))
            .map_err(PyValueError::new_err)?;
        Ok(Self {
            url: core.url(),
            core: Mutex::new(core),
        })
    }

    #[getter]
    fn url(&self) -> &str {
        &self.url
    }

    fn totals<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let totals = self.core().totals();
        let dict = PyDict::new(py);
        dict.set_item("requests", totals.requests)?;
        dict.set_item("connections", totals.connections)?;
        dict.set_item("cpu_seconds", totals.cpu_seconds)?;
        Ok(dict)
    }

    fn stall(&self, after_s: f64, seconds: f64) -> PyResult<()> {
        let range = 0.0..=STALL_S_MAX;
        if !range.contains(&after_s) || !range.contains(&seconds) {
            return Err(PyValueError::new_err(format!(
                "a stall begins within {STALL_S_MAX} s and lasts as long at most, not {after_s} s and {seconds} s"
            )));
        }
        self.core().stall(
            Duration::from_secs_f64(after_s),
            Duration::from_secs_f64(seconds),
        );
        Ok(())
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.core().stop());
    }
}
