//! Invented results, as plausible as need be, for pages to look at.

use fairprune::experiment::comparison::summary::*;
use fairprune::report::Thumb;
use fairprune::rng::{Philox, Stream};
use serde_json::json;

/// What the invented run is like.
pub struct Shape {
    pub classes: Vec<String>,
    pub seeds: usize,
    pub densities: Vec<f64>,
    /// (name, label, quota), without full data.
    pub strategies: Vec<(String, String, String)>,
}

impl Shape {
    pub fn usual() -> Shape {
        let names = "disc ring square cross star arrow moon wave grid leaf";
        Shape {
            classes: names.split(' ').map(str::to_owned).collect(),
            seeds: 4,
            densities: vec![0.5],
            strategies: [
                ("random", "Random", "none"),
                ("el2n", "EL2N", "none"),
                ("metriq", "Random + MetriQ", "metriq"),
            ]
            .map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()))
            .into(),
        }
    }
}

/// Uniform numbers in [-1, 1], the same for the same arguments.
struct Noise(Philox);

impl Noise {
    fn at(&self, a: usize, b: usize) -> f64 {
        let word = self.0.block(a as u64, b as u32)[0];
        f64::from(word) / f64::from(u32::MAX) * 2.0 - 1.0
    }
}

fn evaluation(recalls: Vec<f64>) -> Evaluation {
    let n = recalls.len() as f64;
    let mean = recalls.iter().sum::<f64>() / n;
    let mut sorted: Vec<(f64, usize)> = recalls.iter().copied().zip(0..).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let few = recalls.len() / 20;
    Evaluation {
        average_accuracy: mean,
        balanced_accuracy: mean,
        weighted_accuracy: None,
        worst_class: sorted[0].1,
        worst_recall: sorted[0].0,
        worst_5_percent: (recalls.len() >= 100)
            .then(|| sorted[..few].iter().map(|s| s.0).sum::<f64>() / few as f64),
        gap: sorted[sorted.len() - 1].0 - sorted[0].0,
        std: (recalls.iter().map(|r| (r - mean) * (r - mean)).sum::<f64>() / n).sqrt(),
        recalls: recalls.into_iter().map(Some).collect(),
    }
}

fn correlation(x: &[f64], y: &[f64]) -> Option<f64> {
    let n = x.len() as f64;
    let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let cov: f64 = x.iter().zip(y).map(|(a, b)| (a - mx) * (b - my)).sum();
    let (vx, vy): (f64, f64) =
        (x.iter().map(|a| (a - mx).powi(2)).sum(), y.iter().map(|b| (b - my).powi(2)).sum());
    (vx > 1e-12 && vy > 1e-12).then(|| cov / (vx * vy).sqrt())
}

/// A loss that falls and accuracies that rise.
fn curve(seed: u64, strategy: usize) -> Vec<CurvePoint> {
    let point = |epoch: u64| {
        let done = (epoch + 1) as f64 / 6.0;
        let slow = 1.0 + 0.05 * (strategy as f64 + seed as f64);
        CurvePoint {
            steps: 40 * (epoch + 1),
            train_loss: 2.3 * (-2.0 * done / slow).exp(),
            train_accuracy: 0.1 + 0.8 * done / slow,
            val_accuracy: (epoch % 2 == 1).then_some(0.1 + 0.7 * done / slow),
        }
    };
    (0..6).map(point).collect()
}

/// A summary of the given shape.
pub fn summary(shape: &Shape) -> RunSummary {
    let k = shape.classes.len();
    let size = 450;
    let noise = Noise(Philox::new(7, Stream::Shapes));
    let base: Vec<f64> = (0..k).map(|c| (0.77 + 0.16 * noise.at(c, 0)).clamp(0.05, 0.98)).collect();
    let seeds: Vec<u64> = (1..=shape.seeds as u64).collect();
    let full_recalls = |seed: u64| -> Vec<f64> {
        (0..k)
            .map(|c| (base[c] + 0.04 * noise.at(c, 100 + seed as usize)).clamp(0.0, 1.0))
            .collect()
    };
    let run = |strategy: usize, quota: &str, density: f64, seed: u64| -> SeedRun {
        let full = full_recalls(seed);
        let error: f64 = full.iter().map(|r| 1.0 - r).sum();
        let tilt = |c: usize| match (quota, strategy) {
            _ if density >= 1.0 => 1.0,
            ("none", 1) => 1.0,
            ("none", s) => 1.0 + 1.1 * (0.75 - base[c]) + 0.25 * noise.at(c, 40 + s),
            _ => (1.0 - full[c]) * k as f64 / error,
        };
        let densities: Vec<f64> = (0..k).map(|c| (density * tilt(c)).clamp(0.02, 1.0)).collect();
        let counts: Vec<usize> = densities.iter().map(|d| (d * size as f64) as usize).collect();
        let recalls: Vec<f64> = (0..k)
            .map(|c| {
                let loss = 0.10 * (1.0 - densities[c]) * (1.3 - base[c]);
                let wobble = 0.04 * noise.at(c + 31 * strategy, 300 + seed as usize);
                (full[c] - loss + wobble * f64::from(density < 1.0)).clamp(0.0, 1.0)
            })
            .collect();
        let last = evaluation(recalls.clone());
        let better = recalls.iter().map(|r| (r + 0.01).min(1.0)).collect();
        SeedRun {
            seed,
            steps: (260.0 * (0.5 + 0.5 * density)) as u64,
            kept: counts.iter().sum(),
            density_recall_correlation: correlation(&densities, &full),
            class_densities: counts.iter().map(|&n| n as f64 / size as f64).collect(),
            class_counts: counts,
            last,
            best: Some(BestEpoch { epoch: 5 + seed, evaluation: evaluation(better) }),
            train_seconds: 5.2 * density + 0.3,
            presentations: None,
            forecast: None,
            confusion: Vec::new(),
            curve: curve(seed, strategy),
            preparation: Some(match (strategy, quota) {
                _ if density >= 1.0 => Preparation::default(),
                (1, "none") => Preparation { choose_seconds: 0.002, ..Preparation::default() },
                (_, quota) => Preparation {
                    query_runs: 5,
                    query_seconds: 3.1,
                    score_seconds: if quota == "none" { 1.2 } else { 0.0 },
                    choose_seconds: 0.01 * strategy as f64,
                },
            }),
        }
    };
    let full_runs: Vec<SeedRun> = seeds.iter().map(|&s| run(0, "none", 1.0, s)).collect();
    let hardest = Headline::of(&full_runs, None).and_then(|h| h.worst_of_means).map(|c| c.class);
    let point = |density, runs: Vec<SeedRun>| Point {
        density,
        planned: seeds.len(),
        headline: Headline::of(&runs, hardest),
        forecast_fit: None,
        runs,
    };
    let mut strategies = vec![StrategySummary {
        name: "full".into(),
        label: "Full data".into(),
        quota: "none".into(),
        full_data: true,
        every_density: true,
        points: vec![point(1.0, full_runs.clone())],
    }];
    for (i, (name, label, quota)) in shape.strategies.iter().enumerate() {
        let points = shape
            .densities
            .iter()
            .map(|&d| point(d, seeds.iter().map(|&s| run(i + 1, quota, d, s)).collect()));
        strategies.push(StrategySummary {
            name: name.clone(),
            label: label.clone(),
            quota: quota.clone(),
            full_data: false,
            every_density: false,
            points: points.collect(),
        });
    }
    let verdicts = verdicts(&strategies, shape);
    let query_runs: Vec<RunRecalls> = seeds
        .iter()
        .map(|&seed| RunRecalls {
            seed,
            recalls: full_recalls(seed).into_iter().map(Some).collect(),
        })
        .collect();
    let over: Vec<Option<Spread>> =
        (0..k).map(|c| Spread::of(query_runs.iter().map(|r| r.recalls[c].unwrap()))).collect();
    let errors: Vec<f64> = over.iter().map(|s| 1.0 - s.unwrap().mean).collect();
    let ratio = errors.iter().copied().fold(0.0, f64::max)
        / errors.iter().copied().fold(f64::INFINITY, f64::min);
    RunSummary {
        format_version: RunSummary::FORMAT_VERSION,
        settings: settings(shape, &seeds, size * k),
        classes: shape
            .classes
            .iter()
            .map(|name| Class { name: name.clone(), train_size: size })
            .collect(),
        query: Some(Query {
            runs: query_runs,
            mean: over.iter().map(|s| s.map(|s| s.mean)).collect(),
            sd: over.iter().map(|s| s.and_then(|s| s.sd)).collect(),
            validation_counts: vec![50; k],
            error_ratio: ratio.is_finite().then_some(ratio),
        }),
        verdicts,
        phases: [
            ("read data", 1.4, Some(6500), Some(48_000_000)),
            ("train on full data", 31.2, Some(133_120), Some(412_000_000)),
            ("score: EL2N", 2.1, Some(18_000), Some(256_000_000)),
            ("set quotas, prune", 0.02, None, None),
            ("train pruned", 64.9, Some(299_520), Some(412_000_000)),
            ("evaluate", 3.3, Some(16_000), Some(256_000_000)),
        ]
        .map(|(name, seconds, samples, peak_bytes)| Phase {
            name: name.to_owned(),
            seconds,
            samples,
            peak_bytes,
        })
        .into(),
        warnings: vec![
            "Random + MetriQ: class “ring” keeps 46 samples (fewer than 50) with seed 3.".into(),
        ],
        strips: (0..k.min(40))
            .map(|class| Strip {
                strategy: shape.strategies.last().map_or(String::new(), |s| s.0.clone()),
                density: shape.densities[0],
                seed: 1,
                class,
                kept: (0..8).map(|i| class * 100 + i).collect(),
                dropped: (0..8).map(|i| class * 100 + 50 + i).collect(),
            })
            .collect(),
        strategies,
    }
}

fn verdicts(strategies: &[StrategySummary], shape: &Shape) -> Vec<Verdict> {
    let find = |name: &str| strategies.iter().find(|s| s.name == name);
    let (Some(a), Some(b)) = (find("metriq"), find("random")) else { return Vec::new() };
    let mut all = Vec::new();
    let pairs = [(a, b)].into_iter().chain(find("el2n").map(|e| (a, e)));
    for (a, b) in pairs {
        for (i, &density) in shape.densities.iter().enumerate() {
            for metric in [Metric::WorstClass, Metric::AverageAccuracy, Metric::Gap, Metric::Std] {
                let value = |e: &Evaluation| match metric {
                    Metric::WorstClass => e.worst_recall,
                    Metric::AverageAccuracy => e.average_accuracy,
                    Metric::Gap => e.gap,
                    Metric::Std => e.std,
                };
                let differences: Vec<Difference> = a.points[i]
                    .runs
                    .iter()
                    .zip(&b.points[i].runs)
                    .map(|(x, y)| Difference {
                        seed: x.seed,
                        difference: value(&x.last) - value(&y.last),
                    })
                    .collect();
                let Some(s) = Spread::of(differences.iter().map(|d| d.difference)) else {
                    continue;
                };
                let half = s.sd.map(|sd| 3.18 * sd / (s.n as f64).sqrt());
                let interval = half.map(|h| [s.mean - h, s.mean + h]);
                let sign = if metric.higher_is_better() { 1.0 } else { -1.0 };
                let outcome = match interval {
                    Some([low, high]) if low * sign > 0.0 && high * sign > 0.0 => Outcome::Improved,
                    Some([low, high]) if low * sign < 0.0 && high * sign < 0.0 => Outcome::Worsened,
                    _ => Outcome::NotDecided,
                };
                let mut verdict = Verdict {
                    metric,
                    density,
                    strategy: a.name.clone(),
                    baseline: b.name.clone(),
                    differences,
                    mean: s.mean,
                    interval,
                    confidence: 0.95,
                    outcome,
                    text: String::new(),
                };
                verdict.text = fairprune::report::numbers::verdict(&verdict, &a.label, &b.label);
                all.push(verdict);
            }
        }
    }
    all
}

fn settings(shape: &Shape, seeds: &[u64], train: usize) -> Settings {
    Settings {
        version: "0.1.0".into(),
        commit: "252ca4952ca4".into(),
        command: "fairprune run --data shapes --arch resnet8 --width 8 --density 0.5 --strategies \
                  full,random,el2n,metriq --seeds 4 --budget matched --split holdout --seed 1"
            .into(),
        data: Data {
            name: "shapes".into(),
            fingerprint: "b3:5f1d7a0c9be24c7d8a31fe0b6a52d9c4".into(),
            train,
            validation: train / 9,
            test: 2000,
            image: [32, 32, 3],
        },
        arch: "resnet8".into(),
        width: Some(8),
        parameters: 19_842,
        densities: shape.densities.clone(),
        budget: "matched".into(),
        split: "holdout".into(),
        groups: None,
        epochs: 7.4,
        steps: 260,
        batch: 128,
        learning_rate: 0.1,
        seeds: seeds.to_vec(),
        device: "CPU (AVX-512)".into(),
        threads: 2,
        precision: "f32".into(),
        recipe: json!({
            "optimizer": "SGD, momentum 0.9, Nesterov",
            "weight_decay": 0.0005,
            "schedule": "cosine, warm-up 20 steps",
            "augmentation": ["flip", "translate 12 %"],
            "label_smoothing": 0,
            "mean": [0.36, 0.35, 0.37],
            "smooth_recalls": false,
        })
        .as_object()
        .unwrap()
        .clone(),
    }
}

/// A 32 x 32 drawing for a position.
pub fn picture(position: usize) -> Option<Thumb> {
    let class = position / 100;
    let turn = position as f64;
    let mut rgb = Vec::new();
    for y in 0..32 {
        for x in 0..32 {
            let (dx, dy) = (x as f64 - 16.0 - (turn % 5.0), y as f64 - 16.0 + (turn % 3.0));
            let r = (dx * dx + dy * dy).sqrt();
            let wave = (dx.atan2(dy) * (class as f64 % 6.0) + turn).sin() * 3.0;
            let inside = r < 9.0 + wave;
            let shade = 40.0 + 1.5 * f64::from(y);
            let hue = (class as f64 * 0.7).sin() * 60.0;
            let value = |offset: f64| {
                (if inside { 170.0 + offset * hue / 60.0 * 50.0 } else { shade + offset * 8.0 })
                    as u8
            };
            rgb.extend([value(1.0), value(-0.5), value(-1.0)]);
        }
    }
    Some(Thumb { width: 32, height: 32, rgb })
}
