//! Repeats within a budget of seconds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::card::TimedCard;
use super::settings::Measurement;
use super::watch::Observer;
use crate::backend::Cpu;
use crate::error::Result;
use crate::ops::Operators;

/// Repeats that are timed however short the budget is.
const LEAST_REPEATS: usize = 3;

/// What every row is timed with.
pub struct Timer<'a, B: Operators> {
    pub backend: &'a Arc<B>,
    /// The processor's part of the work: reading, decoding.
    pub host: &'a Cpu,
    pub card: &'a TimedCard,
    pub settings: &'a Measurement,
    pub watch: &'a dyn Observer,
}

impl<B: Operators> Timer<'_, B> {
    /// The clock of the row called `work`.
    pub fn clock<'w>(&'w self, work: &'w str) -> Clock<'w> {
        let slowdown = self.settings.slowdown.of(work);
        Clock { work, seconds: self.settings.seconds, slowdown, watch: self.watch }
    }
}

/// The name of a row, how long it is repeated, and an injected slowdown.
#[derive(Clone, Copy)]
pub struct Clock<'a> {
    pub work: &'a str,
    pub seconds: f64,
    pub slowdown: Option<f64>,
    pub watch: &'a dyn Observer,
}

impl Clock<'_> {
    /// Calls `prepare` untimed and `work` timed until the seconds are over or it is asked to stop; gives
    /// the seconds of each `work`.
    pub fn repeat<S>(
        &self,
        state: &mut S,
        prepare: impl Fn(&mut S) -> Result<()>,
        work: impl Fn(&mut S) -> Result<()>,
    ) -> Result<Vec<f64>> {
        let begin = Instant::now();
        let mut times = Vec::new();
        let over = |gone: f64| gone >= self.seconds || self.watch.is_stopped();
        while times.len() < LEAST_REPEATS || !over(begin.elapsed().as_secs_f64()) {
            prepare(state)?;
            let start = Instant::now();
            work(state)?;
            if let Some(factor) = self.slowdown {
                let more = start.elapsed().as_secs_f64() * (factor - 1.0);
                std::thread::sleep(Duration::from_secs_f64(more));
            }
            times.push(start.elapsed().as_secs_f64());
            self.watch.progress(self.work, begin.elapsed().as_secs_f64(), self.seconds);
        }
        Ok(times)
    }
}

#[cfg(test)]
mod tests {
    use super::super::watch::Unwatched;
    use super::*;
    use crate::error::Error;

    fn clock(seconds: f64, slowdown: Option<f64>) -> Clock<'static> {
        Clock { work: "x", seconds, slowdown, watch: &Unwatched }
    }

    fn total(slowdown: Option<f64>) -> (usize, f64) {
        let work = |n: &mut usize| {
            *n += 1;
            std::thread::sleep(Duration::from_millis(20));
            Ok(())
        };
        let mut calls = 0;
        let times = clock(0.0, slowdown).repeat(&mut calls, |_| Ok(()), work).unwrap();
        assert_eq!(calls, times.len());
        (calls, times.iter().copied().fold(f64::INFINITY, f64::min))
    }

    #[test]
    fn a_slowdown_lengthens_what_is_timed() {
        let (calls, time) = total(None);
        assert_eq!(calls, LEAST_REPEATS);
        assert!(time >= 0.02);
        assert!(total(Some(4.0)).1 >= 0.08);
    }

    #[test]
    fn errors_end_the_loop() {
        let fail = |_: &mut ()| Err(Error::Measurement("no".to_owned()));
        assert!(clock(60.0, None).repeat(&mut (), |_| Ok(()), fail).is_err());
    }
}
