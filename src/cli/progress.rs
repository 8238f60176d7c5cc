//! One progress bar on stderr, only where stderr is a terminal.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::Common;
use super::output;

/// A bar with time left; silent with `--quiet` or without a terminal.
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar over `total` units.
    pub fn new(common: &Common, total: u64) -> Self {
        let shown = !common.quiet && std::io::stderr().is_terminal();
        let target =
            if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        let template = "{bar:24} {percent:>3} %  {elapsed} of about {duration}, {eta} left  {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        Bar(bar)
    }

    /// Moves to `position` of `total`.
    pub fn set(&self, position: u64, total: u64, message: &str) {
        if self.0.length() != Some(total) {
            self.0.set_length(total);
        }
        if self.0.message() != output::plain(message) {
            self.0.set_message(output::plain(message).into_owned());
        }
        self.0.set_position(position);
    }

    /// Forgets the time gone, for another stretch of work.
    pub fn restart(&self) {
        self.0.reset();
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}
