//! Baselines that change training: their rules against NumPy and PyTorch, whole runs against a
//! driver that knows no trainer, resumption, and the command line.

mod commands;
mod in_training_commands;
mod in_training_rules;
mod in_training_runs;
mod resume;
mod rules;
mod runs;
mod sample_weights;
