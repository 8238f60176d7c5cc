//! Operators of the CPU backend: the cases of `fairprune::selftest`, and what the CPU promises
//! besides, which is the same bits whatever the threads and the instruction set.

mod agree;
mod crop;
mod defects;
mod draws;
mod logits;
mod pytorch;
mod sample_norms;
mod sweeps;

use fairprune::backend::Cpu;
use fairprune::isa::bf16::Bf16Form;
use fairprune::selftest::{Subject, cases};

/// Runs one case on the CPU, at full size; convolutions in bf16 in both orders of sums.
fn run(operator: &str, name: &str) {
    let cpu = || Cpu::new(0).unwrap();
    let all = cases::<Cpu>();
    let case = all.iter().find(|c| c.operator == operator && c.name == name).unwrap();
    let forms = [Bf16Form::Tiles, Bf16Form::Pairs].map(|form| cpu().with_bf16_form(form));
    let cpus = if operator == "conv2d_bf16" { Vec::from(forms) } else { vec![cpu()] };
    for cpu in &cpus {
        // Without its instruction an order takes long at full size.
        let reduced = operator == "conv2d_bf16" && !cpu.bf16_form().is_native();
        case.run(&Subject { backend: cpu, reduced }).unwrap();
    }
}

/// A test a case, and the list of them.
macro_rules! tests {
    ($($operator:ident { $($name:ident),* $(,)? })*) => {
        $(mod $operator {
            $(#[test]
            fn $name() {
                super::run(stringify!($operator), stringify!($name));
            })*
        })*

        const TESTS: &[(&str, &str)] = &[$($((stringify!($operator), stringify!($name))),*),*];
    };
}

tests! {
    gather {
        normalisation_is_that_of_pytorch,
        augmented_images_are_within_bounds,
        crops_are_resized_boxes,
        the_centre_of_larger_images_is_seen,
        images_are_those_of_the_cpu,
        a_subset_sees_the_same_images,
        staged_images_are_the_batch,
        draws_have_pixels_of_their_source,
        an_empty_batch_is_nothing,
        images_as_bf16_are_rounded_and_padded,
    }
    conv2d {
        integers_give_exact_results,
        integer_gradient_norms_are_exact,
        random_results_are_within_bounds,
        random_gradient_norms_are_within_bounds,
        statistics_are_those_of_the_output,
        statistics_survive_a_large_mean,
        a_batch_of_one_is_a_row_of_a_batch,
        calls_repeat_bit_for_bit,
        wrong_lengths_are_refused,
    }
    cast {
        every_bf16_is_a_float,
        floats_are_rounded_to_the_nearest,
        wrong_types_are_refused,
    }
    conv2d_bf16 {
        integers_give_exact_results,
        random_results_are_within_bounds,
        a_batch_of_one_is_a_row_of_a_batch,
        calls_repeat_bit_for_bit,
        wrong_types_are_refused,
        statistics_are_those_of_the_stored_output,
        gradient_sums_are_those_of_the_stored_gradient,
        integer_gradient_norms_are_exact,
        random_gradient_norms_are_within_bounds,
    }
    batch_norm_bf16 {
        integers_give_exact_results,
        random_results_are_within_bounds,
        statistics_are_those_of_all_values,
        statistics_survive_a_large_mean,
        calls_repeat_bit_for_bit,
        wrong_types_are_refused,
    }
    pool_bf16 {
        the_first_of_equal_maxima_wins,
        nan_and_minus_infinity,
        gradients_go_to_the_winners,
        averages,
        wrong_types_are_refused,
    }
    batch_norm {
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
    }
    pool {
        the_first_of_equal_maxima_wins,
        padding_never_wins,
        nan_reaches_every_window_that_sees_it,
        gradients_go_to_the_winners,
        averages,
        wrong_lengths_are_refused,
    }
    loss_score {
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
    }
    sgd {
        integers_give_exact_results,
        random_results_are_within_bounds,
        a_bad_step_updates_nothing_but_counts,
        scoring_only_counts,
        wrong_lengths_are_refused,
    }
}

#[test]
fn every_case_is_a_test() {
    let all: Vec<_> = cases::<Cpu>().iter().map(|c| (c.operator, c.name)).collect();
    assert_eq!(all, TESTS);
}
