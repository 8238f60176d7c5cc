//! One progress bar on stderr where that is a terminal, and plain lines where it is not.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use fairprune::train::{EpochRecord, TrainProgress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::Common;
use super::output;

/// Time between two plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// A bar with the time left. Without a terminal it is a line every ten seconds; silent with `--quiet`.
pub struct Bar {
    bar: ProgressBar,
    plain: bool,
    state: Mutex<State>,
}

struct State {
    estimate: Estimate,
    said: Instant,
}

impl Bar {
    /// A bar over `total` units.
    pub fn new(common: &Common, total: u64) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let shown = !common.quiet && terminal;
        let target =
            if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {percent:>3} %  {wide_msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        let state = State { estimate: Estimate::default(), said: Instant::now() };
        Bar { bar, plain: !common.quiet && !terminal, state: Mutex::new(state) }
    }

    /// Moves to `position` of `total`, and no further.
    pub fn set(&self, position: u64, total: u64, message: &str) {
        let position = position.min(total);
        let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        let now = Instant::now();
        state.estimate.see(now, position, total);
        let time = state.estimate.text(now, position, total);
        if self.plain {
            if now.duration_since(state.said) >= PLAIN_EVERY && position < total {
                state.said = now;
                let percent = 100 * position / total.max(1);
                output::warn(format!("{percent:>3} %  {time}  {message}"));
            }
            return;
        }
        if self.bar.length() != Some(total) {
            self.bar.set_length(total);
        }
        let text = format!("{time}  {}", output::plain(message));
        if self.bar.message() != text {
            self.bar.set_message(text);
        }
        self.bar.set_position(position);
    }

    /// Prints a line above the bar.
    pub fn line(&self, text: &str) {
        if self.plain {
            output::warn(text);
        } else {
            self.bar.println(text);
        }
    }

    /// Whether stderr is no terminal, and somebody reads it.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// Forgets the time gone, for another stretch of work.
    pub fn restart(&self) {
        self.bar.reset();
        let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        *state = State { estimate: Estimate::default(), said: Instant::now() };
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// How long the rest takes, by the speed since the first measured step.
#[derive(Default)]
struct Estimate {
    begun: Option<Instant>,
    /// Where and when the speed is measured from: after a first step, which also warms up.
    from: Option<(Instant, u64)>,
    last: Option<(Instant, u64)>,
}

impl Estimate {
    fn see(&mut self, now: Instant, position: u64, total: u64) {
        self.begun.get_or_insert(now);
        // Results that are there already go by at once, and say nothing of what is to be done.
        let jumped = self.last.is_some_and(|(at, before)| {
            let there = now.duration_since(at) < Duration::from_millis(20);
            there && position.saturating_sub(before) > total / 50 + 8
        });
        let back = self.last.is_some_and(|(_, before)| position < before);
        if self.from.is_none() || jumped || back {
            self.from = Some((now, position));
        }
        self.last = Some((now, position));
    }

    /// Seconds left, once they can be told.
    fn left(&self, now: Instant, position: u64, total: u64) -> Option<f64> {
        let (at, first) = self.from?;
        let done = position.checked_sub(first).filter(|&n| n > 0)? as f64;
        Some(now.duration_since(at).as_secs_f64() / done * total.saturating_sub(position) as f64)
    }

    fn text(&self, now: Instant, position: u64, total: u64) -> String {
        let gone = self.begun.map_or(0.0, |begun| now.duration_since(begun).as_secs_f64());
        match self.left(now, position, total) {
            Some(left) => {
                let of = output::seconds(gone + left);
                format!("{} of about {of}, {} left", output::seconds(gone), output::seconds(left))
            }
            None => output::seconds(gone),
        }
    }
}

/// What a person sees of one training: the bar with the last epoch's numbers, and a line an epoch.
pub struct TrainingBar {
    bar: Bar,
    /// Epochs between two lines; 0 for none.
    every: u64,
    last: RefCell<String>,
}

impl TrainingBar {
    /// `every`: epochs between two lines; None takes each where there is no terminal, and none on one.
    pub fn new(common: &Common, steps: u64, every: Option<u64>) -> Self {
        let bar = Bar::new(common, steps);
        let every = match every {
            _ if common.quiet => 0,
            Some(every) => every,
            None => u64::from(bar.is_plain()),
        };
        TrainingBar { bar, every, last: RefCell::new(String::new()) }
    }

    /// Shows where the training stands.
    pub fn see(&self, progress: &TrainProgress, epochs: u64) {
        let epoch = u64::from(progress.epoch);
        if let Some(record) = progress.finished {
            let numbers = numbers(record);
            let done = u64::from(record.epoch) + 1;
            let due = self.every > 0 && (done.is_multiple_of(self.every) || done == epochs);
            if due {
                self.bar.line(&format!("epoch {done:>3} of {epochs}  {numbers}"));
            }
            self.last.replace(format!(", {numbers}"));
        }
        let now = (epoch + 1).min(epochs);
        let message = format!("epoch {now} of {epochs}{}", self.last.borrow());
        self.bar.set(progress.step, progress.total_steps, &message);
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish();
    }
}

/// Loss and accuracies of an epoch, as a person reads them.
fn numbers(record: &EpochRecord) -> String {
    let validation = match (record.val_loss, record.val_accuracy) {
        (Some(loss), Some(accuracy)) => {
            format!(", validation loss {loss:.3} accuracy {accuracy:.3}")
        }
        _ => String::new(),
    };
    format!(
        "training loss {:.3} accuracy {:.3}{validation}, lr {:.2e}",
        record.train_loss, record.train_accuracy, record.lr
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps of `milliseconds` each; the estimate of the whole after `steps` of them.
    fn whole(
        estimate: &mut Estimate,
        milliseconds: impl Fn(u64) -> u64,
        steps: u64,
        total: u64,
    ) -> f64 {
        let begin = Instant::now();
        let mut now = begin;
        for step in 1..=steps {
            now += Duration::from_millis(milliseconds(step));
            estimate.see(now, step, total);
        }
        now.duration_since(begin).as_secs_f64() + estimate.left(now, steps, total).unwrap()
    }

    #[test]
    fn after_ten_seconds_the_estimate_is_within_a_quarter() {
        // The first step warms up for three seconds; the others take 50 to 150 ms.
        let times = |step: u64| if step == 1 { 3000 } else { 50 + (step * 37) % 101 };
        let total = 2000;
        let truth = (1..=total).map(times).sum::<u64>() as f64 / 1000.0;
        let guess = whole(&mut Estimate::default(), times, 70, total);
        assert!((guess / truth - 1.0).abs() < 0.25, "{guess} for {truth}");
    }

    #[test]
    fn results_that_are_there_already_do_not_count() {
        let mut estimate = Estimate::default();
        let begin = Instant::now();
        // Half of the work was done before.
        estimate.see(begin, 0, 1000);
        estimate.see(begin + Duration::from_millis(1), 500, 1000);
        for step in 1..=50u64 {
            let now = begin + Duration::from_millis(1 + 100 * step);
            estimate.see(now, 500 + step, 1000);
        }
        let now = begin + Duration::from_millis(5001);
        let left = estimate.left(now, 550, 1000).unwrap();
        assert!((left - 45.0).abs() < 1.0, "{left}");
        assert_eq!(Estimate::default().left(now, 5, 10), None);
    }
}
