//! The rows of the suite `tune`: products of every convolution in every tile and family, gradient norms in every form and,
//! instantiated, every tile; and the table of tiles that beat the planned ones, gradient norms' aside.

use std::fs;

use super::kernels::{time, time_on};
use super::rows::TimedRow;
use super::sets::Sets;
use super::timing::Timer;
use super::work::{OperatorWork, backward, convolutions, describe, fprop, workspace};
use crate::error::{Error, Result};
use crate::ops::Operators;
use crate::ops::conv2d::{Choice, Conv2dProblem, Direction, GradNormForm, KeptChoice};
use crate::tensor::Dtype;

/// A tile must beat the planned one by this much to be kept: less is noise.
const GAIN: f64 = 1.02;

/// What the device of tests calls itself.
const SOFTWARE: &str = "software device";

/// Refuses to keep times of what is no card.
pub fn check_card(device: Option<&str>) -> Result<()> {
    match device {
        Some(card) if !card.contains(SOFTWARE) => Ok(()),
        _ => {
            let found = format!("times of {}, which mean nothing", device.unwrap_or("the CPU"));
            Err(Error::invalid("`write`", found, "a card"))
        }
    }
}

/// Times everything; writes the table where that was asked for.
pub fn rows<B: Operators>(timer: &Timer<B>) -> Result<Vec<TimedRow>> {
    let (settings, card) = (timer.settings, timer.card.name());
    if check_card(card).is_err() {
        timer.watch.note("note: no card: these times mean nothing for one");
    }
    let (mut rows, mut kept) = (Vec::new(), Vec::new());
    if settings.compute.precision.dtype() == Dtype::Bf16 {
        for (p, first) in convolutions(settings)? {
            let directions =
                [Direction::Fprop, Direction::Dgrad, Direction::DgradNorm, Direction::Wgrad];
            for direction in directions {
                let input = |d| matches!(d, Direction::Dgrad | Direction::DgradNorm);
                if first && input(direction) {
                    continue;
                }
                if timer.watch.is_stopped() {
                    break;
                }
                let tuned = tiles(timer, &p, direction)?;
                kept.extend(tuned.better.map(|choice| (direction, p, choice)));
                rows.extend(tuned.rows);
                // Whole after every layer: who is killed keeps what was found.
                if let (Some(file), Some(card)) = (&settings.write, card) {
                    fs::write(file, table(card, &kept)).map_err(Error::io(file))?;
                }
            }
        }
    }
    for (p, _) in convolutions(settings)? {
        rows.extend(forms(timer, &p)?);
    }
    if let (Some(file), Some(card)) = (&settings.write, card) {
        fs::write(file, table(card, &kept)).map_err(Error::io(file))?;
        timer.watch.note(&format!("{file}: {} rows", kept.len()));
    }
    Ok(rows)
}

/// The rows of one direction, and the choice that beats the planned one.
struct Tuned {
    rows: Vec<TimedRow>,
    better: Option<Choice>,
}

/// Times one direction of a problem in every way; the planned one is marked.
fn tiles<B: Operators>(timer: &Timer<B>, p: &Conv2dProblem, direction: Direction) -> Result<Tuned> {
    let backend = &**timer.backend;
    let planned = backend.conv2d_choice_bf16(p, direction);
    let mut choices = backend.conv2d_choices_bf16(p, direction);
    if direction == Direction::Wgrad {
        // The splits that suit a tile, half and twice as many.
        let around = |c: &Choice| [c.splits / 2, c.splits, 2 * c.splits].map(|s| (*c, s));
        let all = choices.iter().flat_map(around).filter(|(_, splits)| *splits > 0);
        choices = all.map(|(choice, splits)| Choice { splits, ..choice }).collect();
    }
    choices.extend(planned.filter(|planned| !choices.contains(planned)));
    let mut works: Vec<(Choice, OperatorWork<B>)> = Vec::new();
    for choice in choices {
        backend.conv2d_force_bf16(Some(choice));
        // What is taken has fewer splits where there are too few positions.
        let taken = backend.conv2d_choice_bf16(p, direction).unwrap_or(choice);
        let known = works.iter().any(|(before, _)| *before == taken);
        let work = if known { None } else { Some(one(backend, p, (direction, taken))) };
        backend.conv2d_force_bf16(None);
        let Some(work) = work.transpose()? else { continue };
        let name = format!("{} {taken}", work.name);
        works.push((taken, OperatorWork { name, planned: Some(taken) == planned, ..work }));
    }
    // They differ in workspace alone.
    let Some(largest) = works.iter().map(|(_, work)| &work.views).max_by_key(|v| total(v)) else {
        return Ok(Tuned { rows: Vec::new(), better: None });
    };
    let mut sets = Sets::new(backend, largest)?;
    let (mut rows, mut timed): (Vec<TimedRow>, Vec<(Choice, f64)>) = (Vec::new(), Vec::new());
    for (taken, work) in works {
        if timer.watch.is_stopped() {
            break;
        }
        backend.conv2d_force_bf16(Some(taken));
        let row = time_on(&mut sets, timer, work);
        backend.conv2d_force_bf16(None);
        let row = row?;
        timed.push((taken, row.images_per_second.median));
        rows.push(row);
    }
    Ok(Tuned { rows, better: better(planned, &timed) })
}

/// Bytes of views.
fn total(views: &[(usize, Dtype)]) -> usize {
    views.iter().map(|(len, dtype)| len * dtype.size()).sum()
}

/// The fastest choice, if it beats the planned one.
fn better(planned: Option<Choice>, timed: &[(Choice, f64)]) -> Option<Choice> {
    let rate = |choice| timed.iter().find(|(c, _)| Some(*c) == choice).map(|(_, rate)| *rate);
    let fastest = timed.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    (fastest.1 > GAIN * rate(planned)?).then_some(fastest.0)
}

/// One direction as it is forced.
fn one<B: Operators>(
    backend: &B,
    p: &Conv2dProblem,
    (direction, choice): (Direction, Choice),
) -> Result<OperatorWork<B>> {
    let works = match direction {
        Direction::Fprop => vec![(direction, fprop(backend, *p, Dtype::Bf16))],
        _ => backward(backend, *p, false, Dtype::Bf16),
    };
    let work = works.into_iter().find(|(d, _)| *d == direction).map(|(_, work)| work);
    let Some(work) = work else {
        return Err(Error::Internal(format!("{direction:?} is no product of a layer")));
    };
    Ok(OperatorWork { tile: Some(choice), ..work })
}

/// The table of `src/ops/conv2d/cuda/bf16/tiles.txt`.
fn table(card: &str, kept: &[(Direction, Conv2dProblem, Choice)]) -> String {
    // `NVIDIA H200 (cuda/sm_90a)`.
    let name = card.split(" (").next().unwrap_or(card);
    let row = |&(direction, problem, choice): &(Direction, Conv2dProblem, Choice)| {
        KeptChoice { card: KeptChoice::card(name), direction, problem, choice }.to_string()
    };
    let mut lines = vec![format!("# fairprune {}, {card}", env!("CARGO_PKG_VERSION"))];
    lines.extend(kept.iter().map(row));
    lines.join("\n") + "\n"
}

/// Times the gradient norms of a problem in every form and tile; what scoring takes is marked.
fn forms<B: Operators>(timer: &Timer<B>, p: &Conv2dProblem) -> Result<Vec<TimedRow>> {
    let (backend, stored) = (&**timer.backend, timer.settings.compute.precision.dtype());
    let chosen = match stored {
        Dtype::Bf16 => backend.conv2d_grad_norm_form_bf16(p),
        _ => backend.conv2d_grad_norm_form(p),
    };
    let shifted = (p.stride == [1, 1]).then_some(GradNormForm::ShiftedGram);
    let mut rows = Vec::new();
    for form in [GradNormForm::Instantiate, GradNormForm::Gram].into_iter().chain(shifted) {
        let direction = Direction::GradNorm(form);
        let planned = backend.conv2d_choice_bf16(p, direction).filter(|_| stored == Dtype::Bf16);
        let tiles = match planned {
            Some(_) => backend.conv2d_choices_bf16(p, direction).into_iter().map(Some).collect(),
            None => vec![None],
        };
        for tile in tiles {
            if timer.watch.is_stopped() {
                return Ok(rows);
            }
            backend.conv2d_force_bf16(tile);
            let mut work = norm(backend, *p, form, tile, stored);
            work.planned = form == chosen && tile == planned;
            let row = time(timer, work);
            backend.conv2d_force_bf16(None);
            rows.push(row?);
        }
    }
    Ok(rows)
}

/// Gradient norms in one form.
fn norm<B: Operators>(
    backend: &B,
    p: Conv2dProblem,
    form: GradNormForm,
    tile: Option<Choice>,
    stored: Dtype,
) -> OperatorWork<B> {
    let direction = Direction::GradNorm(form);
    let space = workspace(backend, &p, direction, stored);
    let copied = tile.and_then(|_| backend.conv2d_copied_bf16(&p, direction));
    let copied = copied.map(|bytes| bytes as f64);
    let tiled = tile.map_or(String::new(), |tile| format!(" {tile}"));
    OperatorWork {
        name: describe(&format!("{form:?}"), &p) + &tiled,
        images: p.n,
        operations: 2.0 * p.macs() as f64,
        views: vec![(p.x_len(), stored), (p.y_len(), stored), (p.n, Dtype::F32), space],
        tensors: 2,
        tile,
        copied,
        planned: false,
        call: Box::new(move |b, m, v| {
            b.conv2d_grad_norm(m, &p, v[0], v[1], false, v[2], form, v[3])
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(text: &str) -> Choice {
        text.parse().unwrap()
    }

    #[test]
    fn only_cards_are_kept() {
        assert!(check_card(Some("NVIDIA H200 (cuda/sm_90a)")).is_ok());
        for none in [None, Some("fairprune software device (cuda/sm_90a)")] {
            let message = check_card(none).unwrap_err().to_string();
            assert!(message.contains("mean nothing") && message.contains("`write`"), "{message}");
        }
    }

    #[test]
    fn a_choice_is_kept_that_beats_the_planned_one_by_more_than_noise() {
        let (planned, other) = (choice("128x64 halo"), choice("128x128 halo"));
        let better = |rate| better(Some(planned), &[(planned, 100.0), (other, rate)]);
        assert_eq!(better(103.0), Some(other));
        assert_eq!(better(101.0), None);
        assert_eq!(better(50.0), None);
    }

    #[test]
    fn written_rows_are_rows_of_the_table() {
        let (stride, pad) = ([1, 1], [1, 1]);
        let p = Conv2dProblem { n: 2, h: 3, w: 4, c: 8, k: 16, r: 3, s: 3, stride, pad };
        let kept = [(Direction::Wgrad, p, choice("128x64 gathered 7"))];
        let text = table("NVIDIA H200 (cuda/sm_90a)", &kept);
        let rows: Vec<&str> = text.lines().filter(|l| !l.starts_with('#')).collect();
        let [row] = rows[..] else { panic!("{text}") };
        let read: KeptChoice = row.parse().unwrap();
        assert!(read.is_for("NVIDIA-H200", Direction::Wgrad, &p));
        assert_eq!(read.choice, kept[0].2);
    }
}
