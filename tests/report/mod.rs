//! Files that outlive the program, and the report page.

mod atomic;
mod checked;
mod example;
mod html;
mod npy;
mod numbers;
mod output_dir;
mod pruned;
mod study;
mod tables;
mod two_gaussians;
