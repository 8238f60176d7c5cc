//! Repeats within a budget of seconds.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::noise::quantile;
use super::suites::stopped;

/// Repeats that are timed however short the budget is.
const LEAST_REPEATS: usize = 3;

/// Rates over the repeats of one row. p10 is the slow end, p90 the fast end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    pub median: f64,
    pub p10: f64,
    pub p90: f64,
}

impl Rates {
    /// Quantiles of a list of rates, which must not be empty.
    pub fn of(rates: &[f64]) -> Rates {
        let at = |p| quantile(rates, p);
        Rates { median: at(0.5), p10: at(0.1), p90: at(0.9) }
    }
}

/// How long to repeat, and an injected slowdown.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    pub seconds: f64,
    pub slowdown: Option<f64>,
}

impl Clock {
    /// Calls `prepare` untimed and `work` timed until the seconds are over or it is asked to stop; gives the seconds of
    /// each `work`. `tick` gets the seconds gone, between repeats.
    pub fn repeat<S>(
        &self,
        state: &mut S,
        prepare: impl Fn(&mut S) -> Result<()>,
        work: impl Fn(&mut S) -> Result<()>,
        tick: impl Fn(f64),
    ) -> Result<Vec<f64>> {
        let begin = Instant::now();
        let mut times = Vec::new();
        let over = |gone: f64| Ok::<_, anyhow::Error>(gone >= self.seconds || stopped()?);
        while times.len() < LEAST_REPEATS || !over(begin.elapsed().as_secs_f64())? {
            prepare(state)?;
            let start = Instant::now();
            work(state)?;
            if let Some(factor) = self.slowdown {
                let more = start.elapsed().as_secs_f64() * (factor - 1.0);
                std::thread::sleep(Duration::from_secs_f64(more));
            }
            times.push(start.elapsed().as_secs_f64());
            tick(begin.elapsed().as_secs_f64());
        }
        Ok(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(slowdown: Option<f64>) -> (usize, f64) {
        let clock = Clock { seconds: 0.0, slowdown };
        let work = |n: &mut usize| {
            *n += 1;
            std::thread::sleep(Duration::from_millis(20));
            Ok(())
        };
        let mut calls = 0;
        let times = clock.repeat(&mut calls, |_| Ok(()), work, |_| ()).unwrap();
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
        let clock = Clock { seconds: 60.0, slowdown: None };
        let fail = |_: &mut ()| Err(anyhow::anyhow!("no"));
        assert!(clock.repeat(&mut (), |_| Ok(()), fail, |_| ()).is_err());
    }

    #[test]
    fn quantiles_of_rates() {
        let rates: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert_eq!(Rates::of(&rates), Rates { median: 50.0, p10: 10.0, p90: 90.0 });
        assert_eq!(Rates::of(&[7.0]), Rates { median: 7.0, p10: 7.0, p90: 7.0 });
    }
}
