//! Methods that go by a score alone: Beta sampling, and the window of difficulties.

use crate::*;

/// Four epochs, and DUAL over all of them.
const SHORT: &str = "--arch resnet8 --width 4 --epochs 4 --batch 8 --threads 1 --window 3 \
                     --trajectory 4";

/// Positions and labels of the picks.
fn kept(place: &Place, out: &str) -> Vec<(usize, String)> {
    let table = place.read(&format!("{out}/picks.csv"));
    let cells = table.lines().skip(1).map(|l| l.split(',').collect::<Vec<_>>());
    cells.map(|c| (c[1].parse().unwrap(), c[3].to_owned())).collect()
}

fn stated(place: &Place, out: &str) -> Value {
    serde_json::from_str(&place.read(&format!("{out}/kept.json"))).unwrap()
}

/// A column of scores.csv by position; NaN where a sample has none.
fn scores(place: &Place, name: &str) -> Vec<f64> {
    let table = place.read("scores/scores.csv");
    let header: Vec<&str> = table.lines().next().unwrap().split(',').collect();
    let at = header.iter().position(|h| *h == name).unwrap();
    let cell = |l: &str| l.split(',').nth(at).unwrap().parse().unwrap_or(f64::NAN);
    table.lines().skip(1).map(cell).collect()
}

#[test]
fn beta_sampling_draws_by_dual_and_early_confidence() {
    let place = Place::new();
    let line =
        format!("score --data data {SHORT} --method dual,early-confidence,el2n --out scores");
    good(place.path(), &line);
    let line = "prune --scores scores --strategy beta-sampling --quota none";
    let outcome = good(place.path(), &format!("{line} --density .4 --exponent 2 --out a"));
    assert!(outcome.err.contains("picking   Beta sampling"), "{}", outcome.err);
    let picks = kept(&place, "a");
    assert_eq!(picks.len(), 7);
    let document = stated(&place, "a");
    let numbers = &document["methods"][0]["hyper_parameters"]["beta-sampling"];
    assert_eq!((&numbers["variant"], &numbers["base"]), (&"exponent 2".into(), &"dual".into()));
    let used: Vec<&Value> =
        document["methods"].as_array().unwrap()[1..].iter().map(|m| &m["name"]).collect();
    assert_eq!(used, ["dual", "early-confidence"]);
    // Another seed draws others, the same seed the same.
    good(place.path(), &format!("{line} --density .4 --exponent 2 --out b"));
    assert_eq!(place.read("a/picks.csv"), place.read("b/picks.csv"));
    let other = (1..6).map(|seed| {
        let out = format!("s{seed}");
        let line = format!("{line} --density .4 --exponent 2 --seed {seed} --out {out}");
        good(place.path(), &line);
        place.read(&format!("{out}/picks.csv"))
    });
    assert!(other.into_iter().any(|picks| picks != place.read("a/picks.csv")));
    // Everything at density 1; inside classes with quotas.
    good(place.path(), &format!("{line} --density 1 --out all"));
    assert_eq!(kept(&place, "all").len(), 18);
    let quotas = json(
        place.path(),
        "prune --scores scores --strategy beta-sampling --quota uniform --density .5 --out u",
    );
    let counts: Vec<&Value> =
        quotas["classes"].as_array().unwrap().iter().map(|c| &c["kept"]).collect();
    let expected = json(
        place.path(),
        "prune --scores scores --strategy random --quota uniform --density .5 --out r",
    );
    let same = expected["classes"].as_array().unwrap().iter().map(|c| &c["kept"]);
    assert!(counts.into_iter().eq(same));
    // NUCS goes by the score that the method draws by.
    let line = "prune --scores scores --strategy beta-sampling --quota nucs --density .5 --out n";
    good(place.path(), line);
    assert_eq!(stated(&place, "n")["methods"][0]["hyper_parameters"]["difficulty"], "dual");
    for (flags, words) in [
        ("--strategy beta-sampling --exponent 0", ["exponent", "above 0"]),
        ("--strategy beta-sampling --base loss", ["loss", "scores"]),
        ("--strategy difficulty-window --endpoint 0", ["endpoint", "at most 1"]),
        ("--strategy difficulty-window --endpoint 1.5", ["endpoint", "1.5"]),
    ] {
        let line = format!("prune --scores scores --quota none --density .5 --out x {flags}");
        refused(place.path(), &line, &words);
    }
}

#[test]
fn a_window_of_difficulties_ends_at_its_quantile() {
    let place = Place::new();
    place.score();
    let line = "prune --scores scores --strategy difficulty-window --quota uniform --density .34";
    good(place.path(), &format!("{line} --endpoint .5 --out half"));
    let values = scores(&place, "el2n");
    let parts: Vec<String> = {
        let table = place.read("scores/scores.csv");
        let header: Vec<&str> = table.lines().next().unwrap().split(',').collect();
        let at = header.iter().position(|h| *h == "part").unwrap();
        table.lines().skip(1).map(|l| l.split(',').nth(at).unwrap().to_owned()).collect()
    };
    let picks = kept(&place, "half");
    let labels = place.read("scores/scores.csv");
    let label = |i: usize| labels.lines().nth(i + 1).unwrap().split(',').nth(2).unwrap().to_owned();
    for class in ["0", "1", "2"] {
        let mut of: Vec<usize> =
            (0..36).filter(|&i| parts[i] == "train" && label(i) == class).collect();
        of.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
        let end = (of.len() as f64 * 0.5 + 0.5).floor() as usize;
        let mine: Vec<usize> = picks.iter().filter(|p| p.1 == class).map(|p| p.0).collect();
        let window: Vec<usize> = of[end - mine.len()..end].iter().rev().copied().collect();
        assert_eq!(mine, window, "class {class}");
    }
    // With the last quantile it is the ranking by the score itself.
    good(place.path(), &format!("{line} --out hard"));
    let line = "prune --scores scores --strategy el2n --quota uniform --density .34 --out el2n";
    good(place.path(), line);
    let bytes = |out: &str| fs::read(place.path().join(out).join("kept.npy")).unwrap();
    assert_eq!(bytes("hard"), bytes("el2n"));
}

#[test]
fn a_comparison_samples_by_beta() {
    let place = Place::new();
    let line = format!(
        "run --data data {SHORT} --seeds 1 --strategies beta-sampling,random+beta-samplingq,\
         difficulty-window+nucs --query-runs 1 --density .5 --endpoint .8 --out out"
    );
    let document = json(place.path(), &line);
    for name in ["beta-sampling", "random+beta-samplingq", "difficulty-window+nucs"] {
        assert!(document.to_string().contains(name), "{name}");
    }
    assert!(place.path().join("out/kept-beta-sampling-0.npy").exists());
    refused(place.path(), &line.replace("--endpoint .8", "--endpoint .7"), &["--force"]);
}
