//! The latency histogram as a Python class.

use maul_engine::hist::Histogram as Hdr;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

/// Distribution of times in nanoseconds: three significant digits, up to one hour, merged exactly.
#[pyclass(module = "maul._engine")]
pub struct Histogram {
    hdr: Hdr,
}

#[pymethods]
impl Histogram {
    #[new]
    fn new() -> Self {
        Self { hdr: Hdr::new() }
    }

    #[pyo3(signature = (value_ns, count = 1))]
    fn record(&mut self, value_ns: u64, count: u64) {
        self.hdr.record(value_ns, count);
    }

    fn merge(slf: &Bound<'_, Self>, other: &Bound<'_, Self>) -> PyResult<()> {
        // A histogram may be merged into itself: then it cannot be borrowed twice.
        let other = other.try_borrow()?.hdr.clone();
        slf.try_borrow_mut()?.hdr.merge(&other);
        Ok(())
    }

    #[staticmethod]
    fn from_v2(bytes: &[u8]) -> PyResult<Self> {
        Hdr::from_v2(bytes)
            .map(|hdr| Self { hdr })
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    fn add_all_v2(&mut self, parts: Vec<PyBackedBytes>) -> PyResult<()> {
        self.hdr
            .add_all_v2(parts.iter().map(|part| part.as_ref()))
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    fn to_v2<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.hdr.to_v2())
    }

    fn percentile(&self, p: f64) -> PyResult<u64> {
        if !(0.0..=100.0).contains(&p) {
            return Err(PyValueError::new_err(format!(
                "a percentile lies between 0 and 100, not {p}"
            )));
        }
        Ok(self.hdr.percentile(p))
    }

    fn slots(&self) -> Vec<(u64, u64)> {
        self.hdr.slots()
    }

    #[getter]
    fn count(&self) -> u64 {
        self.hdr.count()
    }

    #[getter]
    fn min(&self) -> u64 {
        self.hdr.min()
    }

    #[getter]
    fn max(&self) -> u64 {
        self.hdr.max()
    }

    #[getter]
    fn mean(&self) -> f64 {
        self.hdr.mean()
    }

    fn __repr__(&self) -> String {
        let (count, p50, max) = (self.hdr.count(), self.hdr.percentile(50.0), self.hdr.max());
        format!("Histogram(count={count}, p50={p50}, max={max})")
    }
}
