//! The software CUDA device finds what it says it finds, and runs correct kernels as they are.

mod conformance;
mod correct;
mod counters;
mod device;
mod environment;
mod errors;
mod faults;
mod library;
mod streams;
mod tensor;
