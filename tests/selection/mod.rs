//! Selection methods on features, gradients, predictions and scores: against an implementation in
//! NumPy that writes every matrix out, against plain greedy loops, and against hostile input.

mod beta;
mod extrapolate;
mod golden;
mod hostile;
mod mistakes;
mod naive;
mod properties;
mod sample;
