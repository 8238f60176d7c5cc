//! Quotas by difficulty: `--quota nucs` in `prune`, `quota` and `run`.

use crate::*;

/// The kept counts of the classes.
fn kept(document: &Value) -> Vec<u64> {
    let classes = document["classes"].as_array().unwrap();
    classes.iter().map(|c| c["kept"].as_u64().unwrap()).collect()
}

/// The mean of a column of scores.csv over the eligible samples of each class, after replacing `cut`
/// values at each end.
fn means(table: &str, name: &str, cut: usize) -> Vec<f64> {
    let header: Vec<&str> = table.lines().next().unwrap().split(',').collect();
    let place = |name: &str| header.iter().position(|h| *h == name).unwrap();
    let mut of: Vec<Vec<f64>> = vec![Vec::new(); 3];
    for line in table.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        if cells[place("part")] == "train" {
            let class: usize = cells[place("label")].parse().unwrap();
            of[class].push(cells[place(name)].parse().unwrap());
        }
    }
    let mean = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        let last = values.len() - 1;
        let (low, high) = (values[cut], values[last - cut]);
        values.iter().map(|v| v.clamp(low, high)).sum::<f64>() / values.len() as f64
    };
    of.into_iter().map(mean).collect()
}

#[test]
fn class_densities_follow_the_winsorised_means_of_the_score() {
    let place = Place::new();
    place.score();
    // 7, 6 and 5 samples may be kept: .25 of each end is one sample.
    let line =
        "prune --scores scores --density .4 --strategy el2n --quota nucs --winsor .25 --out a";
    let document = json(place.path(), line);
    let difficulties = means(&place.read("scores/scores.csv"), "el2n", 1);
    let (sizes, all) = ([7.0, 6.0, 5.0], 0.4 * 18.0);
    let total: f64 = difficulties.iter().zip(sizes).map(|(s, n)| s * n).sum();
    for (k, &count) in kept(&document).iter().enumerate() {
        let share = all * difficulties[k] * sizes[k] / total;
        assert!((count as f64 - share).abs() < 1.0, "class {k}: {count} is far from {share}");
    }
    let stated: Value = serde_json::from_str(&place.read("a/kept.json")).unwrap();
    assert_eq!(stated["methods"][0]["name"], "el2n+nucs");
    let numbers = &stated["methods"][0]["hyper_parameters"];
    assert_eq!((&numbers["winsor"], &numbers["difficulty"]), (&0.25.into(), &"el2n".into()));
    assert!(place.read("a/report.html").contains("nucs: in proportion to size and difficulty"));
    // Another fraction is another job.
    let other = line.replace(".25", ".3");
    refused(place.path(), &other, &["--force"]);
    // The score of the difficulty may be another than the ranking's, or stand alone.
    let line = "prune --scores scores --density .4 --strategy random --out b --quota";
    let by_name = json(place.path(), &format!("{line} nucs:margin"));
    assert_eq!(by_name["strategy"], "random+nucs:margin");
    let default = json(place.path(), &format!("{line} nucs --force"));
    let stated: Value = serde_json::from_str(&place.read("b/kept.json")).unwrap();
    assert_eq!(stated["methods"][0]["hyper_parameters"]["difficulty"], "el2n");
    assert_eq!(kept(&default).iter().sum::<u64>(), 7);
    let text = good(place.path(), &format!("{line} uniform --winsor .1 --force"));
    assert!(text.err.contains("--winsor is about quotas of nucs"), "{}", text.err);
}

#[test]
fn the_scores_that_it_needs_are_asked_for_or_made() {
    let place = Place::new();
    let line = "prune --data data --density .4 --strategy random --quota nucs --out x";
    let trained = format!("{line} {TINY} --runs 1");
    let document = json(place.path(), &trained);
    assert_eq!(document["strategy"], "random+nucs");
    assert!(place.read("x/scores/scores.csv").contains("el2n"));
    place.score();
    let line = "prune --scores scores --density .4 --quota nucs:loss --strategy random --out y";
    refused(place.path(), line, &["loss"]);
    for (flags, words) in [
        ("--quota nucs --winsor .5", ["--winsor", "below .5"]),
        ("--quota nucs --winsor -1", ["--winsor", "at least 0"]),
        ("--quota nucs:coreset", ["nucs:coreset", "a score"]),
        ("--quota nucs:", ["--quota", "a score"]),
    ] {
        let line = format!("prune --scores scores --density .4 --strategy el2n --out z {flags}");
        refused(place.path(), &line, &words);
    }
}

#[test]
fn the_command_for_quotas_takes_difficulties() {
    let folder = tempfile::tempdir().unwrap();
    let line = "quota --sizes 100,100,50 --density .1 --quota nucs --difficulties 1,2,4";
    let document = json(folder.path(), line);
    // 25 samples in proportion to 100, 200 and 200.
    assert_eq!(document["counts"], serde_json::json!([5, 10, 10]));
    for (flags, words) in [
        ("--difficulties 1,2", ["2 values", "3, one for each class size"]),
        ("--difficulties 1,-2,3", ["difficulty of class 1", "from 0 up"]),
        ("--quota nucs", ["--difficulties", "one difficulty a class"]),
        ("--quota nucs:el2n", ["--quota", "nucs"]),
    ] {
        let line = format!("quota --sizes 100,100,50 --density .1 --quota nucs {flags}");
        let line = line.replacen("--quota nucs ", "", usize::from(flags.starts_with("--quota")));
        refused(folder.path(), &line, &words);
    }
    let line = "quota --sizes 10,10 --density .5 --quota uniform --difficulties 1,2";
    let text = good(folder.path(), line);
    assert!(text.err.contains("--difficulties does nothing to --quota uniform"), "{}", text.err);
}

#[test]
fn a_comparison_names_its_fraction() {
    let place = Place::new();
    let line = format!(
        "run --data data {TINY} --seeds 1 --strategies el2n+nucs,random+nucs:margin --density .5 \
         --winsor .2 --out out"
    );
    let document = json(place.path(), &line);
    let text = document.to_string();
    assert!(text.contains("el2n+nucs") && text.contains("random+nucs:margin"));
    assert!(place.path().join("out/kept-random+nucs-margin-0.npy").exists());
    let stated: Value =
        serde_json::from_str(&place.read("out/kept-random+nucs-margin-0.json")).unwrap();
    assert_eq!(stated["methods"][0]["hyper_parameters"]["difficulty"], "margin");
    assert_eq!(stated["methods"][0]["hyper_parameters"]["winsor"], 0.2);
    refused(place.path(), &line.replace("--winsor .2", "--winsor .1"), &["--force"]);
}
