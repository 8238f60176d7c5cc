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

use anyhow::{Result, ensure};
use fairprune::backend::{ALIGN, Cpu, View};
use fairprune::data::{self, DataSet, LoadOptions, Part};
use fairprune::error::Error;
use fairprune::exec::{
    ArenaMode, EvaluationSet, Executor, Mode, Requirements, TrainOptions, run_pass,
};
use fairprune::nn::{Network, NetworkSpec, Stem, Weights};
use fairprune::ops::Operators;
use fairprune::ops::gather::{Augmentation, GatherProblem};
use fairprune::ops::loss_score::Field;
use fairprune::tensor::Dtype;

use super::card::Card;
use super::floor;
use super::memory::Peak;
use super::results::Row;
use super::settings::Settings;
use super::subject::{SGD, weights};
use super::suites::{clock, row};
use crate::cli::args::Common;
use crate::cli::progress::Bar;

/// All rows of the folder.
pub fn run<B: Operators>(
    backend: &Arc<B>,
    cpu: &Cpu,
    folder: &str,
    settings: &Settings,
    card: &Card,
    common: &Common,
) -> Result<Vec<Row>> {
    let bench = Pipeline { backend, cpu, folder, settings, card, common };
    let first = bench.load()?;
    bench.check(&first)?;
    let spec = NetworkSpec {
        classes: first.classes.len(),
        size: [first.height, first.width],
        stem: settings.stem.unwrap_or(Stem::for_size(first.height.min(first.width))),
        ..settings.spec
    };
    let network = spec.build()?;
    let weights = weights(&network, settings.seed);
    let mut rows = vec![bench.decode(&first)?, bench.augment(&first)?];
    for (mode, name) in [(Mode::Score, "pipeline-forward"), (Mode::GradNorm, "pipeline-grand")] {
        let mut executor = bench.executor(&network, &weights, &first, mode)?;
        let row = bench.resident(&mut executor, &first, mode, name)?;
        let sized = Settings { spec, ..settings.clone() };
        let floor = match card.ceilings() {
            Some(c) => {
                let loads = floor::step(&**backend, mode, &sized)?;
                let batch = settings.batch as f64 / row.images_per_second.median;
                Some(c.seconds(&loads, settings.compute.precision).of(batch))
            }
            None => None,
        };
        rows.push(Row {
            fraction_of_floor: floor.map(|(fraction, _)| fraction),
            limits: floor.map(|(_, limits)| limits),
            ..row
        });
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
    backend: &'a Arc<B>,
    cpu: &'a Cpu,
    folder: &'a str,
    settings: &'a Settings,
    card: &'a Card,
    common: &'a Common,
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
        let size = self.settings.read_size;
        let options = LoadOptions { image_size: size, ..LoadOptions::default() };
        Ok(self.cpu.pool().install(|| data::load(self.folder, &options, &|_, _| ()))?)
    }

    fn check(&self, set: &DataSet) -> Result<(), Error> {
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
    ) -> Result<Row> {
        let bar = Bar::new(self.common, 1);
        bar.set(0, 1, name);
        // Once for the caches.
        work()?;
        let clock = clock(name, self.settings);
        let peak = Peak::start();
        let tick = |gone: f64| bar.set((gone * 1e3) as u64, (clock.seconds * 1e3) as u64, name);
        let times = clock.repeat(&mut work, |_| Ok(()), |work| work(), tick)?;
        bar.finish();
        let row = row(name, images as f64, &times, [peak.bytes(), planned], clock);
        Ok(Row { clocks: self.card.state(), ..row })
    }

    fn decode(&self, first: &DataSet) -> Result<Row> {
        self.time("pipeline-decode", images(first), None, || {
            let again = self.load()?.fingerprint;
            ensure!(again == first.fingerprint, "{}: its content changed", self.folder);
            Ok(())
        })
    }

    /// One epoch of inputs.
    fn augment(&self, set: &DataSet) -> Result<Row> {
        let (h, w, samples) = (set.height, set.width, set.train.len());
        let batch = self.settings.batch.min(samples);
        let [mean, std] = self.settings.normalisation;
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
            seed: self.settings.seed,
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
        let mut memory = self.backend.allocate(&sizes, false)?;
        self.backend.upload_u32(&mut memory, list, &order)?;
        let on_device = self.backend.images(&set.train.images)?;
        let planned = sizes.iter().sum::<usize>() as u64;
        let mut epoch = 0;
        self.time("pipeline-augment", samples, Some(planned), || {
            for (i, start) in (0..samples).step_by(batch).enumerate() {
                problem.n = batch.min(samples - start);
                self.backend.upload_u32(&mut memory, state, &[i as u32, epoch, 0, 0])?;
                let out = out.prefix(problem.n * h * w * 3);
                self.backend.gather(
                    &mut memory,
                    &problem,
                    &on_device,
                    [list, View::EMPTY],
                    state,
                    out,
                )?;
            }
            epoch += 1;
            Ok(self.backend.synchronize()?)
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
        let [mean, std] = self.settings.normalisation;
        let requirements = Requirements {
            passes: parts(set).map(|p| (mode, self.settings.batch, p.len())).collect(),
            capacity: most,
            options: TrainOptions {
                sgd: SGD,
                smoothing: 0.0,
                augmentation: Augmentation::NONE,
                seed: self.settings.seed,
            },
            mean,
            std,
            arena: ArenaMode::Shared,
            divergences: false,
            compute: self.settings.compute,
            stored: None,
            stream: false,
            memory_limit: None,
        };
        let mut executor = Executor::new(Arc::clone(self.backend), network.clone(), &requirements)?;
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
            let bad = values.iter().position(|v| !v.is_finite());
            ensure!(bad.is_none(), "{field:?} of image {} is not finite", bad.unwrap_or(0));
        }
        Ok(())
    }

    fn uploaded<'s>(&self, set: &'s DataSet) -> Result<Vec<(&'s Part, B::Images)>> {
        let one = |part: &'s Part| Ok((part, self.backend.images(&part.images)?));
        parts(set).filter(|p| !p.is_empty()).map(one).collect()
    }

    fn resident(
        &self,
        executor: &mut Executor<B>,
        set: &DataSet,
        mode: Mode,
        name: &str,
    ) -> Result<Row> {
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
    ) -> Result<Row> {
        let planned = executor.planned_memory().total();
        self.time(name, images(first), Some(planned), || {
            let set = self.load()?;
            self.score(executor, &self.uploaded(&set)?, mode)
        })
    }
}
