//! What nvcc made of the kernels, where this build had one: resources and machine code.

mod images;
mod sass;
