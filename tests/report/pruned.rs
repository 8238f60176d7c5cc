//! The page of a pruned set.

use super::example::picture;
use super::html::check;
use fairprune::report::pruned::*;
use fairprune::report::render_pruned;
use fairprune::rng::{Philox, Stream};

/// An invented selection, owned.
struct Made {
    classes: Vec<PrunedClass>,
    ids: Vec<String>,
    labels: Vec<u32>,
    eligible: Vec<usize>,
    kept: Vec<usize>,
    scores: Vec<f64>,
    order: Vec<usize>,
    weights: Vec<f64>,
    warnings: Vec<String>,
}

impl Made {
    /// `each` samples of every class, one in ten held out, kept in proportion to the error.
    fn new(names: &[String], each: usize) -> Made {
        let noise = Philox::new(3, Stream::Shapes);
        let uniform =
            |a: usize, b: u32| f64::from(noise.block(a as u64, b)[0]) / f64::from(u32::MAX);
        let (mut classes, mut labels, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        let (mut eligible, mut kept, mut scores) = (Vec::new(), Vec::new(), Vec::new());
        for (k, name) in names.iter().enumerate() {
            let recall = 0.5 + 0.48 * uniform(k, 0);
            let density = (1.2 * (1.0 - recall)).min(1.0);
            let (mut size, mut left) = (0, 0);
            for j in 0..each {
                let i = labels.len();
                labels.push(k as u32);
                ids.push(format!("train/{name}/ILSVRC2012_val_{i:08}.JPEG"));
                scores.push(uniform(i, 1) + 0.5 * uniform(k, 2));
                if j % 10 == 9 {
                    continue;
                }
                eligible.push(i);
                size += 1;
                if uniform(i, 3) < density {
                    kept.push(i);
                    left += 1;
                }
            }
            classes.push(PrunedClass {
                name: name.clone(),
                size,
                recall: Some(recall),
                recall_sd: Some(0.02),
                density: left as f64 / size.max(1) as f64,
                kept: left,
            });
        }
        let mut order = kept.clone();
        order.sort_by(|&a, &b| uniform(a, 5).total_cmp(&uniform(b, 5)));
        let weights = order.iter().map(|&i| (uniform(i, 6) * 50.0).round()).collect();
        let warnings = vec!["fewer than 50 samples are kept of \"ring\" (46)".to_owned()];
        Made { classes, ids, labels, eligible, kept, scores, order, weights, warnings }
    }

    fn set(&self) -> PrunedSet<'_> {
        PrunedSet {
            data: "FOLDER".into(),
            fingerprint: "5f1d7a0c9be24c7d8a31fe0b6a52d9c4".into(),
            strategy: "EL2N + MetriQ".into(),
            quota: "metriq".into(),
            density: 0.3,
            classes: self.classes.clone(),
            groups: None,
            correlation: Some(-0.97),
            ids: &self.ids,
            labels: &self.labels,
            eligible: &self.eligible,
            left_out: 0,
            kept: &self.kept,
            score: Some(ShownScore {
                label: "EL2N",
                values: &self.scores,
                highest_first: true,
                ranks: true,
            }),
            picks: None,
            forecast: None,
            warnings: &self.warnings,
            recipe: vec![
                ("seed".into(), "0".into()),
                ("el2n+metriq".into(), "EL2N + MetriQ".into()),
                ("prune_rate".into(), "0.7".into()),
                ("smooth".into(), "none".into()),
                ("el2n".into(), "mean over query runs of norm2(p - y), eval mode".into()),
                ("recipe learning_rate".into(), "0.1".into()),
            ],
            command: "fairprune prune --scores scores --density .3 --strategy el2n --out kept"
                .into(),
            next: "fairprune train --data FOLDER --subset kept/kept.npy".into(),
            kept_file: "kept/kept.npy".into(),
            train_folder: Some("FOLDER/train".into()),
            dropped: vec![("held out", 30), ("quota", 12), ("score", 400), ("draw", 0)],
            without_pictures: "The images were not at hand.".into(),
            version: "0.1.0".into(),
            commit: "252ca4952ca4".into(),
        }
    }
}

fn page(name: &str, set: &PrunedSet, pictures: bool) -> String {
    let html = render_pruned(set, pictures.then_some(&picture));
    let path = format!("{}/pruned-{name}.html", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(path, &html).unwrap();
    check(&html);
    html
}

fn names(n: usize, name: impl Fn(usize) -> String) -> Vec<String> {
    (0..n).map(name).collect()
}

fn ten() -> Vec<String> {
    "disc ring square cross star arrow moon wave grid leaf".split(' ').map(str::to_owned).collect()
}

#[test]
fn a_score_with_quotas() {
    let made = Made::new(&ten(), 100);
    let set = made.set();
    let html = page("usual", &set, true);
    for id in ["classes", "quotas", "scores", "examples", "next", "reading", "recipe"] {
        assert!(html.contains(&format!("<section id=\"{id}\"")), "no {id}");
    }
    assert!(!html.contains("id=\"picks\""));
    assert!(html.matches("<rect class=\"kept\"").count() > 10 * 5);
    let shown = |wanted: bool| -> usize {
        let of = |k: usize| {
            let mine = made.eligible.iter().filter(|&&i| made.labels[i] == k as u32);
            mine.filter(|i| made.kept.contains(i) == wanted).count().min(8)
        };
        (0..10).map(of).sum()
    };
    assert_eq!(html.matches("alt=\"kept, ").count(), shown(true));
    assert_eq!(html.matches("alt=\"dropped, ").count(), shown(false));
    assert!(html.contains(&set.next) && html.contains(&set.command));
    assert!(html.contains("r = \u{2212}.97") && html.contains("46"));
    let kept: usize = made.classes.iter().map(|c| c.kept).sum();
    assert!(html.contains(&format!("<td class=\"n\">{kept}</td></tr></tfoot>")), "no sum");
    assert_eq!(html, render_pruned(&set, Some(&picture)), "two renderings differ");
}

/// The strip begins with what the score keeps first, whichever end that is.
#[test]
fn dropped_samples_and_the_real_folder_are_named() {
    let made = Made::new(&ten(), 40);
    let html = page("dropped", &made.set(), false);
    let section = html.split("id=\"dropped\"").nth(1).unwrap().split("</section>").next().unwrap();
    assert!(section.contains("dropped.csv") && section.contains("held out"));
    assert_eq!(section.matches("<tr><th scope=\"row\">").count(), 3, "{section}");
    assert!(html.contains("ImageFolder(&quot;FOLDER/train&quot;)"));
    let elsewhere = PrunedSet { train_folder: None, dropped: Vec::new(), ..made.set() };
    let html = page("elsewhere", &elsewhere, false);
    assert!(!html.contains("ImageFolder") && !html.contains("id=\"dropped\""));
    assert!(html.contains("kept/kept.npy"));
}

#[test]
fn strips_follow_the_ranking() {
    let made = Made::new(&names(1, |_| "only".into()), 200);
    let first = |highest_first: bool| {
        let mut set = made.set();
        set.score = Some(ShownScore { highest_first, ..set.score.unwrap() });
        let html = render_pruned(&set, Some(&picture));
        let at = html.find("alt=\"kept, sample ").unwrap() + "alt=\"kept, sample ".len();
        let number: String = html[at..].chars().take_while(char::is_ascii_digit).collect();
        made.scores[number.parse::<usize>().unwrap()]
    };
    let of_kept = || made.kept.iter().map(|&i| made.scores[i]);
    assert_eq!(first(true), of_kept().fold(f64::NEG_INFINITY, f64::max));
    assert_eq!(first(false), of_kept().fold(f64::INFINITY, f64::min));
}

#[test]
fn picks_with_and_without_pictures() {
    let made = Made::new(&ten(), 100);
    let mut set = made.set();
    set.strategy = "Facility location + MetriQ".into();
    set.score = None;
    set.picks = Some(ShownPicks { order: &made.order, weights: Some(&made.weights) });
    let html = page("picks", &set, true);
    assert!(html.contains("First picks") && html.contains(", pick 1, weight "));
    assert!(!html.contains("id=\"scores\"") && !html.contains("not at hand"));
    let html = page("names", &set, false);
    assert!(!html.contains("<img") && html.contains("not at hand"));
    let first = made.order[0];
    assert!(html.contains(&format!("{first:08}.JPEG</code>")), "no name of the first pick");
}

#[test]
fn a_thousand_classes_with_long_names() {
    let long =
        "great white shark, white shark, man-eater, man-eating shark, Carcharodon carcharias";
    let made = Made::new(&names(1000, |k| format!("n{:08} {long}", k * 7919)), 20);
    let html = page("many", &made.set(), true);
    assert!(html.contains("classes, sorted") && html.contains("of 1,000 classes are shown"));
    assert!(html.len() < 3_000_000, "{} bytes", html.len());
}

#[test]
fn little_is_known() {
    // Random, uniform: no recalls, no scores, every class alike.
    let mut made = Made::new(&ten(), 100);
    for c in &mut made.classes {
        (c.recall, c.recall_sd, c.density) = (None, None, 0.3);
    }
    made.warnings.clear();
    let set = PrunedSet {
        strategy: "Random + uniform".into(),
        quota: "uniform".into(),
        score: None,
        correlation: None,
        ..made.set()
    };
    let html = page("random", &set, false);
    assert!(html.contains("30 % of every class") && !html.contains("recall of"));
    // Nothing at all, and what does not fit together.
    let empty = PrunedSet { classes: Vec::new(), labels: &[], ids: &[], ..made.set() };
    page("empty", &empty, true);
    let beyond = [usize::MAX, 3];
    let odd = PrunedSet { kept: &beyond, eligible: &beyond, density: f64::NAN, ..made.set() };
    page("odd", &odd, true);
}

#[test]
fn scores_that_are_odd() {
    let mut made = Made::new(&names(3, |k| format!("c{k}")), 60);
    made.scores.fill(0.0);
    page("equal", &made.set(), true);
    made.scores.fill(f64::NAN);
    assert!(!page("no-scores", &made.set(), true).contains("id=\"scores\""));
    made.scores = (0..made.labels.len()).map(|i| [f64::INFINITY, 1e300, -1e300][i % 3]).collect();
    page("huge", &made.set(), true);
}

#[test]
fn names_from_outside_are_text() {
    let evil = "<script>alert(\"x\" + 'y')</script>&amp;\u{202e}\u{7}";
    let made = Made::new(&names(3, |_| evil.to_owned()), 60);
    let mut set = made.set();
    (set.data, set.strategy, set.quota) = (evil.into(), evil.into(), evil.into());
    (set.command, set.next, set.kept_file) = (evil.into(), evil.into(), evil.into());
    set.recipe.push((evil.into(), evil.into()));
    let warnings = [evil.to_owned()];
    set.warnings = &warnings;
    set.score = Some(ShownScore { label: evil, ..set.score.unwrap() });
    let html = page("evil", &set, false);
    assert!(!html.contains("<script") && !html.contains('\u{7}') && !html.contains("alert(\""));
}
