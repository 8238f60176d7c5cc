//! What is wrong with a data set: confident learning against exact fractions, planted copies and planted
//! label errors, and the table of findings.

mod golden;
mod planted;
mod rows;
