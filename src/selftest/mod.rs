//! Cases that hold every operator of a backend against its float64 oracle, on awkward shapes. The
//! tests run them on the CPU and on the software CUDA device, and `fairprune selftest` runs them on
//! any device.
//!
//! A case is exact (on small integers with every sum below 2^24, results are equal to the oracle
//! bit for bit) or random (within the bound that the kernels' headers state), or a property that
//! needs no oracle. Outputs start as NaN; with fences a write beside a tensor is found, too.

pub mod batch_norm;
pub mod cast;
pub mod conv2d;
pub mod conv2d_bf16;
pub mod fence;
pub mod gather;
pub mod loss_score;
pub mod pool;
pub mod pool_bf16;
mod run;
pub mod sgd;
mod steps;
pub mod values;

use std::fmt;

use batch_norm::bf16 as batch_norm_bf16;
use serde::Serialize;

use crate::error::Error;
use crate::ops::Operators;

pub use run::{names, run};

/// Why a case failed: what was computed, and what was expected.
#[derive(Clone, PartialEq, Eq)]
pub struct CaseFailure(pub String);

impl fmt::Debug for CaseFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for CaseFailure {
    fn from(text: String) -> Self {
        CaseFailure(text)
    }
}

impl From<Error> for CaseFailure {
    fn from(error: Error) -> Self {
        CaseFailure(error.to_string())
    }
}

/// The outcome of a case.
pub type CaseOutcome = Result<(), CaseFailure>;

/// Fails with a message unless `condition` holds.
pub(crate) fn ensure(condition: bool, message: impl FnOnce() -> String) -> CaseOutcome {
    if condition { Ok(()) } else { Err(CaseFailure(message())) }
}

/// What is tested, and how thoroughly.
pub struct Subject<'a, B> {
    pub backend: &'a B,
    /// Whether shapes are small and buffers end where their tensor ends, for a device that is slow
    /// and watches bounds itself (the software device, a sanitizer).
    pub reduced: bool,
}

/// A case, which checks one property of one operator.
pub struct Case<B> {
    pub operator: &'static str,
    /// The sentence that holds if the case passes.
    pub name: &'static str,
    run: fn(&Subject<B>) -> CaseOutcome,
}

impl<B> Case<B> {
    /// Runs the case.
    pub fn run(&self, subject: &Subject<B>) -> CaseOutcome {
        (self.run)(subject)
    }
}

/// How a case went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CaseReport {
    pub operator: &'static str,
    /// What holds if it passes.
    #[serde(rename = "case")]
    pub name: &'static str,
    pub seconds: f64,
    /// What was computed and what was expected; None where the case passed.
    pub failure: Option<String>,
}

/// Makes the cases of one operator, named as their functions.
macro_rules! cases {
    ($operator:ident: $($name:ident),* $(,)?) => {
        [$(Case {
            operator: stringify!($operator),
            name: stringify!($name),
            run: $operator::$name::<B>,
        }),*]
    };
}

/// Returns all cases, operator by operator.
pub fn cases<B: Operators>() -> Vec<Case<B>> {
    let parts = [inputs(), convolutions(), norms_and_pools(), losses_and_updates()];
    parts.into_iter().flatten().collect()
}

/// Returns the cases of what makes batches of images.
fn inputs<B: Operators>() -> Vec<Case<B>> {
    let mut all = Vec::from(cases!(gather:
        normalisation_is_that_of_pytorch,
        augmented_images_are_within_bounds,
        crops_are_resized_boxes,
        the_centre_of_larger_images_is_seen,
        images_are_those_of_the_cpu,
        a_subset_sees_the_same_images,
        staged_images_are_the_batch,
        draws_have_pixels_of_their_source,
        an_empty_batch_is_nothing,
    ));
    all.extend(cases!(gather: images_as_bf16_are_rounded_and_padded));
    all
}

/// Returns the cases of convolutions, and of the casts that those in bf16 need.
fn convolutions<B: Operators>() -> Vec<Case<B>> {
    let mut all = Vec::from(cases!(conv2d:
        integers_give_exact_results,
        integer_gradient_norms_are_exact,
        random_results_are_within_bounds,
        random_gradient_norms_are_within_bounds,
        statistics_are_those_of_the_output,
        statistics_survive_a_large_mean,
        a_batch_of_one_is_a_row_of_a_batch,
        calls_repeat_bit_for_bit,
        wrong_lengths_are_refused,
    ));
    all.extend(cases!(cast:
        every_bf16_is_a_float,
        floats_are_rounded_to_the_nearest,
        wrong_types_are_refused,
    ));
    all.extend(cases!(conv2d_bf16:
        integers_give_exact_results,
        random_results_are_within_bounds,
        a_batch_of_one_is_a_row_of_a_batch,
        calls_repeat_bit_for_bit,
        wrong_types_are_refused,
        statistics_are_those_of_the_stored_output,
        gradient_sums_are_those_of_the_stored_gradient,
        integer_gradient_norms_are_exact,
        random_gradient_norms_are_within_bounds,
    ));
    if B::TUNED {
        all.extend(cases!(conv2d_bf16:
            tiles_and_families_give_the_same_results,
            weight_gradients_depend_on_the_splits_alone,
            norms_of_every_tile_are_within_bounds,
            instantiated_norms_see_their_sample_alone,
        ));
    }
    all
}

/// Returns the cases of batch norm and pooling.
fn norms_and_pools<B: Operators>() -> Vec<Case<B>> {
    let mut all = Vec::new();
    all.extend(cases!(batch_norm_bf16:
        integers_give_exact_results,
        random_results_are_within_bounds,
        statistics_are_those_of_all_values,
        statistics_survive_a_large_mean,
        calls_repeat_bit_for_bit,
        wrong_types_are_refused,
    ));
    all.extend(cases!(pool_bf16:
        the_first_of_equal_maxima_wins,
        nan_and_minus_infinity,
        gradients_go_to_the_winners,
        averages,
        wrong_types_are_refused,
    ));
    all.extend(cases!(batch_norm:
        integers_give_exact_results,
        random_results_are_within_bounds,
        statistics_are_those_of_all_values,
        statistics_of_equal_integers_are_exact,
        statistics_survive_a_large_mean,
        finalize_gives_the_affine_map_and_moves_running_statistics,
        backward_is_the_derivative_of_forward,
        a_batch_of_one_is_a_row_of_a_batch_in_eval_mode,
        calls_repeat_bit_for_bit,
        wrong_lengths_are_refused,
    ));
    all.extend(cases!(pool:
        the_first_of_equal_maxima_wins,
        padding_never_wins,
        nan_reaches_every_window_that_sees_it,
        gradients_go_to_the_winners,
        averages,
        wrong_lengths_are_refused,
    ));
    all
}

/// Returns the cases of losses, scores and the optimiser.
fn losses_and_updates<B: Operators>() -> Vec<Case<B>> {
    let mut all = Vec::from(cases!(loss_score:
        every_score_is_its_definition,
        closed_forms,
        saturated_logits_stay_finite,
        the_first_of_equal_logits_is_predicted,
        gradients_are_derivatives_of_the_objective,
        sample_weights_multiply_their_samples,
        per_sample_gradients_ignore_the_batch,
        a_batch_without_weight_has_no_gradient,
        only_the_rows_of_the_batch_are_written,
        divergences_are_between_successive_presentations,
        the_first_bad_step_is_kept,
        norms_are_stored_as_roots,
        an_empty_batch_writes_nothing,
        wrong_lengths_are_refused,
    ));
    all.extend(cases!(sgd:
        integers_give_exact_results,
        random_results_are_within_bounds,
        a_bad_step_updates_nothing_but_counts,
        scoring_only_counts,
        wrong_lengths_are_refused,
    ));
    all
}
