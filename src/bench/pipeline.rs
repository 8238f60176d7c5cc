//! From the disk to scores, on the user's own images: each stage alone, and all of it at once.
//!
//! | row | what is timed |
//! |---|---|
//! | `pipeline-decode` | listing, reading and decoding all parts, fingerprint; the page cache is warm |
//! | `pipeline-augment` | gather, flip and shift, normalise: what a training step is given |
//! | `pipeline-forward` | the pass that gives EL2N, images in device memory |
//! | `pipeline-grand` | the pass that gives full-parameter GraNd |
//! | `pipeline-disk-el2n`, `pipeline-disk-grand` | from the disk to the scores of all images |

use std::sync::Arc;

use super::floor;
use super::memory::Peak;
use super::network::{SGD, weights};
use super::rows::TimedRow;
use super::timing::Timer;
use crate::backend::{ALIGN, View};
use crate::data::{self, DataSet, LoadOptions, Part};
use crate::error::{Error, Result};
use crate::exec::{ArenaMode, EvaluationSet, Executor, Mode, Requirements, TrainOptions, run_pass};
use crate::nn::{Network, Weights};
use crate::ops::Operators;
use crate::ops::gather::{Augmentation, GatherProblem};
use crate::ops::loss_score::Field;
use crate::tensor::Dtype;

/// The row of loading the folder, all parts, fingerprint included. The first load warms the page cache and
/// says what every later one must give.
pub fn read<B: Operators>(timer: &Timer<B>, folder: &str) -> Result<TimedRow> {
    let bench = Pipeline { timer, folder };
    timer.watch.progress("read: warming the page cache", 0.0, 1.0);
    let first = bench.load()?;
    let (images, fingerprint) = (images(&first), first.fingerprint.clone());
    drop(first);
    bench.repeat("read", images, None, || bench.load_again(&fingerprint))
}

/// All rows of the suite `pipeline`.
pub fn rows<B: Operators>(timer: &Timer<B>, folder: &str) -> Result<Vec<TimedRow>> {
    let (settings, bench) = (timer.settings, Pipeline { timer, folder });
    let first = bench.load()?;
    bench.check(&first)?;
    let spec = settings.spec_of([first.height, first.width], first.classes.len());
    let network = spec.build()?;
    let weights = weights(&network, settings.seed);
    let mut rows = vec![bench.decode(&first)?, bench.augment(&first)?];
    for (mode, name) in [(Mode::Score, "pipeline-forward"), (Mode::GradNorm, "pipeline-grand")] {
        let mut executor = bench.executor(&network, &weights, &first, mode)?;
        let row = bench.resident(&mut executor, &first, mode, name)?;
        let precision = settings.compute.precision;
        let loads = floor::step(&**timer.backend, mode, &spec, settings.batch, precision)?;
        let seconds = timer.card.ceilings().map(|c| c.seconds(&loads, precision));
        rows.push(row.with_floor(seconds, settings.batch));
    }
    for (mode, name) in
        [(Mode::Score, "pipeline-disk-el2n"), (Mode::GradNorm, "pipeline-disk-grand")]
    {
        let mut executor = bench.executor(&network, &weights, &first, mode)?;
        rows.push(bench.whole(&mut executor, &first, mode, name)?);
    }
    Ok(rows)
}

struct Pipeline<'a, B: Operators> {
    timer: &'a Timer<'a, B>,
    folder: &'a str,
}

/// The parts that are there.
fn parts(set: &DataSet) -> impl Iterator<Item = &Part> {
    [Some(&set.train), set.val.as_ref(), set.test.as_ref()].into_iter().flatten()
}

fn images(set: &DataSet) -> usize {
    parts(set).map(Part::len).sum()
}

impl<B: Operators> Pipeline<'_, B> {
    fn load(&self) -> Result<DataSet> {
        let size = self.timer.settings.image_size;
        let options = LoadOptions { image_size: size, ..LoadOptions::default() };
        self.timer.host.pool().install(|| data::load(self.folder, &options, &|_, _| ()))
    }

    fn check(&self, set: &DataSet) -> Result<()> {
        let (images, classes) = (images(set), set.classes.len());
        if classes < 2 || images < 2 {
            let found = format!("{images} images of {classes} classes");
            return Err(Error::invalid(self.folder, found, "at least two classes and images"));
        }
        Ok(())
    }

    /// Times `work` for the row `name`, in which `images` images go through.
    fn time(
        &self,
        name: &str,
        images: usize,
        planned: Option<u64>,
        mut work: impl FnMut() -> Result<()>,
    ) -> Result<TimedRow> {
        self.timer.watch.progress(name, 0.0, 1.0);
        // Once for the caches.
        work()?;
        let row = self.repeat(name, images, planned, work)?;
        Ok(TimedRow { clocks: self.timer.card.state(), ..row })
    }

    /// Times `work`, whose caches are warm.
    fn repeat(
        &self,
        name: &str,
        images: usize,
        planned: Option<u64>,
        mut work: impl FnMut() -> Result<()>,
    ) -> Result<TimedRow> {
        let clock = self.timer.clock(name);
        let peak = Peak::start();
        let times = clock.repeat(&mut work, |_| Ok(()), |work| work())?;
        Ok(TimedRow::new(&clock, images, &times).with_memory(peak.bytes(), planned))
    }

    fn decode(&self, first: &DataSet) -> Result<TimedRow> {
        self.time("pipeline-decode", images(first), None, || self.load_again(&first.fingerprint))
    }

    /// Loads the folder, whose content must be what it was.
    fn load_again(&self, fingerprint: &str) -> Result<()> {
        if self.load()?.fingerprint == fingerprint {
            return Ok(());
        }
        let folder = self.folder;
        Err(Error::Measurement(format!("{folder}: its content changed while it was read")))
    }

    /// One epoch of inputs.
    fn augment(&self, set: &DataSet) -> Result<TimedRow> {
        let (h, w, samples) = (set.height, set.width, set.train.len());
        let batch = self.timer.settings.batch.min(samples);
        let [mean, std] = self.timer.settings.normalisation;
        let translate = (h.min(w) * 15 / 100) as u32;
        let mut problem = GatherProblem {
            n: batch,
            batch,
            h,
            w,
            stored: [h, w],
            mean,
            std,
            augmentation: Augmentation { flip: true, translate, resized_crop: false },
            seed: self.timer.settings.seed,
        };
        let order: Vec<u32> = (0..samples as u32).collect();
        let mut sizes = Vec::new();
        let mut view = |len: usize, dtype: Dtype| {
            let view = View { buffer: sizes.len() as u32, offset: 0, len, dtype };
            sizes.push(view.bytes().next_multiple_of(ALIGN));
            view
        };
        let (list, state) = (view(samples, Dtype::U32), view(4, Dtype::U32));
        let out = view(batch * h * w * 3, Dtype::F32);
        let mut memory = self.timer.backend.allocate(&sizes, false)?;
        self.timer.backend.upload_u32(&mut memory, list, &order)?;
        let on_device = self.timer.backend.images(&set.train.images)?;
        let planned = sizes.iter().sum::<usize>() as u64;
        let mut epoch = 0;
        self.time("pipeline-augment", samples, Some(planned), || {
            for (i, start) in (0..samples).step_by(batch).enumerate() {
                problem.n = batch.min(samples - start);
                self.timer.backend.upload_u32(&mut memory, state, &[i as u32, epoch, 0, 0])?;
                let out = out.prefix(problem.n * h * w * 3);
                self.timer.backend.gather(
                    &mut memory,
                    &problem,
                    &on_device,
                    [list, View::EMPTY],
                    state,
                    out,
                )?;
            }
            epoch += 1;
            self.timer.backend.synchronize()
        })
    }

    fn executor(
        &self,
        network: &Network,
        weights: &Weights,
        set: &DataSet,
        mode: Mode,
    ) -> Result<Executor<B>> {
        let most = parts(set).map(Part::len).max().unwrap_or(0);
        let [mean, std] = self.timer.settings.normalisation;
        let requirements = Requirements {
            passes: parts(set).map(|p| (mode, self.timer.settings.batch, p.len())).collect(),
            capacity: most,
            options: TrainOptions {
                sgd: SGD,
                smoothing: 0.0,
                augmentation: Augmentation::NONE,
                seed: self.timer.settings.seed,
            },
            mean,
            std,
            arena: ArenaMode::Shared,
            divergences: false,
            compute: self.timer.settings.compute,
            stored: None,
            stream: false,
            memory_limit: None,
        };
        let mut executor =
            Executor::new(Arc::clone(self.timer.backend), network.clone(), &requirements)?;
        executor.set_weights(weights)?;
        Ok(executor)
    }

    /// The scores of all parts, whose images are on the device.
    fn score(
        &self,
        executor: &mut Executor<B>,
        of: &[(&Part, B::Images)],
        mode: Mode,
    ) -> Result<()> {
        for (part, images) in of {
            let positions: Vec<u32> = (0..part.len() as u32).collect();
            let labels = &part.labels;
            let set = EvaluationSet { images, labels, positions: &positions, groups: None };
            run_pass(executor, mode, &set)?;
            let field = if mode == Mode::GradNorm { Field::Grand } else { Field::El2n };
            let values = executor.column(field, part.len())?;
            if let Some(bad) = values.iter().position(|v| !v.is_finite()) {
                let text = format!("{field:?} of image {bad} is not finite");
                return Err(Error::Measurement(text));
            }
        }
        Ok(())
    }

    fn uploaded<'s>(&self, set: &'s DataSet) -> Result<Vec<(&'s Part, B::Images)>> {
        let one = |part: &'s Part| Ok((part, self.timer.backend.images(&part.images)?));
        parts(set).filter(|p| !p.is_empty()).map(one).collect()
    }

    fn resident(
        &self,
        executor: &mut Executor<B>,
        set: &DataSet,
        mode: Mode,
        name: &str,
    ) -> Result<TimedRow> {
        let planned = executor.planned_memory().total();
        let of = self.uploaded(set)?;
        self.time(name, images(set), Some(planned), || self.score(executor, &of, mode))
    }

    fn whole(
        &self,
        executor: &mut Executor<B>,
        first: &DataSet,
        mode: Mode,
        name: &str,
    ) -> Result<TimedRow> {
        let planned = executor.planned_memory().total();
        self.time(name, images(first), Some(planned), || {
            let set = self.load()?;
            self.score(executor, &self.uploaded(&set)?, mode)
        })
    }
}
