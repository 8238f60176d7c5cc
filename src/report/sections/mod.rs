//! The sections of the page, one file each.

mod class_plots;
pub(super) mod classes;
pub(super) mod confusion;
pub(super) mod costs;
pub(super) mod densities;
pub(super) mod forecast;
mod pairs;
pub(super) mod recipe;
pub(super) mod results;
pub(super) mod strips;
pub(super) mod timing;
pub(super) mod top;
pub(super) mod tradeoff;
pub(super) mod training;
