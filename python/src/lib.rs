//! The native part of the Python package: arrays in, arrays out. Everything that people see (docstrings,
//! defaults, named results) is in `python/fairprune`; every decision about numbers is in the library.

mod arrays;
mod errors;
mod files;
mod norms;
mod pool;
mod pruning;
mod recording;

use pyo3::prelude::*;

/// The module `fairprune._native`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("METHODS", fairprune::score::Method::ALL.map(|m| m.name()).to_vec())?;
    module.add_function(wrap_pyfunction!(pool::set_threads, module)?)?;
    module.add_function(wrap_pyfunction!(pool::threads, module)?)?;
    module.add_function(wrap_pyfunction!(pool::instruction_set, module)?)?;
    module.add_function(wrap_pyfunction!(pruning::quotas, module)?)?;
    module.add_function(wrap_pyfunction!(pruning::prune, module)?)?;
    module.add_function(wrap_pyfunction!(pruning::class_recalls, module)?)?;
    module.add_function(wrap_pyfunction!(pruning::paired_difference, module)?)?;
    module.add_function(wrap_pyfunction!(recording::loss_scores, module)?)?;
    module.add_class::<recording::LogitRecorder>()?;
    module.add_class::<norms::SampleNorms>()?;
    module.add_function(wrap_pyfunction!(files::read_scores, module)?)?;
    module.add_function(wrap_pyfunction!(files::write_scores, module)?)?;
    module.add_function(wrap_pyfunction!(files::read_dynamics, module)?)?;
    module.add_function(wrap_pyfunction!(files::read_subset, module)?)?;
    Ok(())
}
