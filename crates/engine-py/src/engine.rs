//! The engine as a Python class. Every call releases the GIL while it waits for anything.

use std::time::Duration;

use maul_engine::engine::{Engine as Core, EngineError, Status};
use maul_engine::operation::ErrorClass;
use maul_engine::status::Counter;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

/// Longest time that `join` accepts, seconds.
const JOIN_S_MAX: f64 = 1e6;

const COUNTERS: [(&str, Counter); 22] = [
    ("offered", Counter::Offered),
    ("withheld", Counter::Withheld),
    ("started", Counter::Started),
    ("completed", Counter::Completed),
    ("ok", Counter::Ok),
    ("fail", Counter::Fail),
    ("unknown", Counter::Unknown),
    ("late", Counter::Late),
    ("dropped", Counter::Dropped),
    ("in_flight", Counter::InFlight),
    ("backlog", Counter::Backlog),
    ("connections", Counter::Connections),
    ("connecting", Counter::Connecting),
    ("connect_failed", Counter::ConnectFailed),
    ("opened", Counter::Opened),
    ("resumed", Counter::Resumed),
    ("ports_exhausted", Counter::PortsExhausted),
    ("descriptors_exhausted", Counter::DescriptorsExhausted),
    ("bytes_sent", Counter::BytesSent),
    ("bytes_received", Counter::BytesReceived),
    ("records_lost", Counter::RecordsLost),
    ("ephemeral_next", Counter::EphemeralNext),
];

/// Carries one plan out, once.
#[pyclass(module = "maul._engine", frozen)]
pub struct Engine {
    core: Option<Core>,
}

fn refused(error: EngineError) -> PyErr {
    match error {
        EngineError::Plan(text) => PyValueError::new_err(text),
        EngineError::State(text) => PyRuntimeError::new_err(text),
    }
}

impl Engine {
    fn core(&self) -> PyResult<&Core> {
        self.core
            .as_ref()
            .ok_or_else(|| PyRuntimeError::new_err("the engine is gone"))
    }
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (plan_json, trace = None))]
    fn new(py: Python<'_>, plan_json: &str, trace: Option<&[u8]>) -> PyResult<Self> {
        let core = py
            .detach(|| Core::with_trace(plan_json, trace))
            .map_err(refused)?;
        Ok(Self { core: Some(core) })
    }

    #[pyo3(signature = (at_unix_ns = None))]
    fn start(&self, py: Python<'_>, at_unix_ns: Option<u64>) -> PyResult<()> {
        let core = self.core()?;
        py.detach(|| core.start(at_unix_ns)).map_err(refused)
    }

    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let core = self.core()?;
        let status = py.detach(|| core.status());
        status_dict(py, &status)
    }

    fn take_latency<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let core = self.core()?;
        let rows = py.detach(|| core.take_latency());
        let tuples = rows.into_iter().map(|row| {
            let hdr = PyBytes::new(py, &row.hdr);
            (row.second, row.op, row.outcome, row.kind, row.count, hdr).into_pyobject(py)
        });
        let tuples: Vec<Bound<'py, PyTuple>> = tuples.collect::<PyResult<_>>()?;
        PyList::new(py, tuples)
    }

    fn take_operations<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let core = self.core()?;
        let batches = py.detach(|| core.take_operations());
        PyBytes::new_with(py, batches.iter().map(Vec::len).sum(), |bytes| {
            let mut rest = bytes;
            for batch in &batches {
                let (place, behind) = rest.split_at_mut(batch.len());
                place.copy_from_slice(batch);
                rest = behind;
            }
            Ok(())
        })
    }

    /// (reason, packed record, request id, says, offset or None, expected, found) of each.
    fn take_exhibits<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let core = self.core()?;
        let exhibits = py.detach(|| core.take_exhibits());
        let tuples = exhibits.into_iter().map(|exhibit| {
            let record = PyBytes::new(py, &exhibit.record.to_bytes());
            let (offset, expected, found) = match exhibit.evidence {
                Some(evidence) => (Some(evidence.offset), evidence.expected, evidence.found),
                None => (None, String::new(), String::new()),
            };
            let (reason, id, says) = (exhibit.reason.name(), exhibit.request_id, exhibit.says);
            (reason, record, id, says, offset, expected, found).into_pyobject(py)
        });
        let tuples: Vec<Bound<'py, PyTuple>> = tuples.collect::<PyResult<_>>()?;
        PyList::new(py, tuples)
    }

    #[pyo3(signature = (for_s = None))]
    fn renew(&self, for_s: Option<f64>) -> PyResult<()> {
        self.core()?.renew(for_s).map_err(refused)
    }

    fn throttle(&self, part: f64) -> PyResult<()> {
        self.core()?.throttle(part).map_err(refused)
    }

    fn stop(&self, py: Python<'_>, reason: &str) -> PyResult<()> {
        let core = self.core()?;
        py.detach(|| core.stop(reason));
        Ok(())
    }

    fn abort(&self, py: Python<'_>) -> PyResult<()> {
        let core = self.core()?;
        py.detach(|| core.abort());
        Ok(())
    }

    fn join(&self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        if !(0.0..=JOIN_S_MAX).contains(&timeout_s) {
            return Err(PyValueError::new_err(format!(
                "a timeout lies between 0 and {JOIN_S_MAX} s, not {timeout_s}"
            )));
        }
        let core = self.core()?;
        Ok(py.detach(|| core.join(Duration::from_secs_f64(timeout_s))))
    }
}

impl Drop for Engine {
    /// The last reference may go while the GIL is held; the shards end within a turn of their loops.
    fn drop(&mut self) {
        let core = self.core.take();
        Python::try_attach(|py| py.detach(|| drop(core)));
    }
}

fn status_dict<'py>(py: Python<'py>, status: &Status) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("state", status.phase.name())?;
    dict.set_item("stop_reason", &status.stop_reason)?;
    dict.set_item("elapsed_s", status.elapsed_s)?;
    dict.set_item("began_ns", status.began_ns)?;
    for (name, counter) in COUNTERS {
        dict.set_item(name, status.counters.get(counter))?;
    }
    dict.set_item("versions_used", status.counters.get(Counter::VersionsUsed))?;
    dict.set_item(
        "in_flight_seconds",
        status.counters.get(Counter::InFlightNs) as f64 / 1e9,
    )?;
    dict.set_item(
        "cpu_seconds",
        status.counters.get(Counter::CpuNs) as f64 / 1e9,
    )?;
    dict.set_item(
        "last_error",
        status.examples.last().map_or("", |(_, text)| text),
    )?;
    let (errors, examples) = (PyDict::new(py), PyDict::new(py));
    for class in ErrorClass::ALL {
        let count = status.counters.errors[class.slot()];
        if count > 0 {
            errors.set_item(class.name(), count)?;
        }
    }
    for (class, text) in &status.examples {
        examples.set_item(class.name(), text)?;
    }
    dict.set_item("errors", errors)?;
    dict.set_item("error_examples", examples)?;
    Ok(dict)
}
