//! Quotas by prediction: what is kept for it, what is said of it, what is refused.

use crate::*;

/// The forecast that kept.json states.
fn forecast(place: &Place, kept: &str) -> Value {
    let document: Value = serde_json::from_str(&place.read(&format!("{kept}/kept.json"))).unwrap();
    document["methods"][0]["hyper_parameters"]["forecast"].clone()
}

#[test]
fn scores_keep_what_predictions_are_made_of() {
    let place = Place::new();
    place.score();
    let table = place.read("scores/validation-rows.csv");
    let rows: Vec<&str> = table.lines().skip(1).collect();
    let runs = |r: &str| rows.iter().filter(|row| row.split(',').nth(1) == Some(r)).count();
    assert!(runs("0") > 5 && runs("0") == runs("1") && runs("0") + runs("1") == rows.len());

    // MetriQ's quotas are forecast, and so are those of the rule; both say what they expect.
    let line = "prune --scores scores --density .5 --quota";
    for (quota, rule) in [("metriq", false), ("predicted:average-loss=.5:gain=1", true)] {
        let text = good(place.path(), &format!("{line} {quota} --out kept-{rule} -v"));
        assert!(text.out.contains("predicted recalls, gain"), "{}", text.out);
        let stated = forecast(&place, &format!("kept-{rule}"));
        assert_eq!(stated["quotas"].as_array().unwrap().len(), 3);
        assert_eq!(stated["rule"].is_object(), rule, "{stated}");
        assert_eq!(stated["gain"], if rule { 1.0 } else { 1.5 });
        let interval = |key: &str| stated[key]["interval"].as_array().unwrap().clone();
        for key in ["worst", "average"] {
            let [low, high] = [0, 1].map(|i| interval(key)[i].as_f64().unwrap());
            assert!(low <= high, "{stated}");
        }
    }
    // The same quotas from the recalls' file alone.
    let line = "quota --recalls-from scores/recalls.csv --density .5 --quota";
    let text = good(place.path(), &format!("{line} predicted:average-loss=.5:gain=1 -v"));
    assert!(text.out.contains("mostly"), "{}", text.out);
    let document = json(place.path(), &format!("{line} predicted:average-loss=.5:gain=1"));
    assert_eq!(document["predicted_recalls"], forecast(&place, "kept-true")["quotas"]);
    assert_eq!(document["predicted_without_quotas"], forecast(&place, "kept-true")["equal"]);
}

#[test]
fn damaged_or_missing_predictions_are_refused() {
    let place = Place::new();
    place.score();
    let line = "prune --scores scores --density .5 --quota predicted --out kept";
    let array = place.path().join("scores/validation-log-probabilities.npy");
    let bytes = fs::read(&array).unwrap();
    let mut changed = bytes.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    fs::write(&array, &changed).unwrap();
    refused(place.path(), line, &["validation-log-probabilities.npy", "other bytes"]);
    fs::remove_file(&array).unwrap();
    refused(place.path(), line, &["validation-rows.csv", "no validation-log-probabilities.npy"]);
    fs::remove_file(place.path().join("scores/validation-rows.csv")).unwrap();
    refused(place.path(), line, &["--quota predicted", "no validation predictions"]);
    // MetriQ needs none.
    good(place.path(), "prune --scores scores --density .5 --quota metriq --out metriq");
    let quota = "quota --sizes 10,10 --recalls .5,.5 --density .5 --quota predicted";
    refused(place.path(), quota, &["--quota predicted", "validation-log-probabilities.npy"]);
}

#[test]
fn unusable_options_are_named() {
    let place = Place::new();
    place.score();
    let line = "prune --scores scores --density .5 --out kept --quota";
    for (quota, words) in [
        ("predicted:gain=-1", ["gain", "[0, 10]"]),
        ("predicted:average-loss=2", ["average-loss", "[0, 1]"]),
        ("predicted:loss=.1", ["loss=.1", "average-loss=NUMBER"]),
        ("predicted:pilots=1", ["no pilots", "train pilots"]),
    ] {
        refused(place.path(), &format!("{line} {quota}"), &words);
    }
}

/// The rule chooses on one half of the validation images and judges on the other.
#[test]
fn too_few_validation_images_are_refused_before_anything_is_trained() {
    let place = Place::new();
    place.tree("few", &[("train", [8, 8, 8]), ("val", [3, 1, 3]), ("test", [2, 2, 2])]);
    let line = format!("run --data few {TINY} --seeds 1 --density .5 --out out");
    for strategies in ["", "--strategies predicted"] {
        let words = ["--quota predicted", "1 validation images of \"bee\"", "at least 2"];
        refused(place.path(), &format!("{line} {strategies}"), &words);
    }
    assert_eq!(names(&place.path().join("out")), Vec::<String>::new());
    good(place.path(), &format!("{line} --strategies metriq"));
}

/// With folds a pilot leaves the first of them out and validates on it.
#[test]
fn pilots_of_folds_leave_one_out() {
    let place = Place::new();
    let run = format!("run --data data {TINY} --seeds 1 --density .5 --split crossfit:2");
    let line = format!("{run} --strategies predicted:pilots=1 --out out");
    let summary = json(place.path(), &line);
    let run = &summary["strategies"][0]["points"][0]["runs"][0];
    assert_eq!(run["preparation"]["query_runs"], 3);
    assert!(run["forecast"]["gain"].is_number(), "{run}");
    let array = place.path().join("out/work/pilot0-metriq-d0.5/validation-log-probabilities.npy");
    // Half of 36 images, three classes, behind a header of 128 bytes.
    assert_eq!(fs::metadata(array).unwrap().len(), 128 + 18 * 3 * 4);
}

#[test]
fn runs_forecast_train_pilots_and_count_them() {
    let place = Place::new();
    let run = format!("run --data data {TINY} --seeds 2 --density .5 --out");
    let line = format!("{run} out --strategies full,random,metriq,predicted,predicted:pilots=2");
    let summary = json(place.path(), &line);
    let point = |name: &str| {
        let strategies = summary["strategies"].as_array().unwrap();
        strategies.iter().find(|s| s["name"] == name).unwrap()["points"][0].clone()
    };
    for name in ["metriq", "predicted", "predicted:pilots=2"] {
        let point = point(name);
        assert!(point["forecast_fit"]["recalls"]["rmse"].is_number(), "{name}: {point}");
        assert!(point["runs"][0]["forecast"]["gain"].is_number(), "{name}");
        let total: u64 = point["runs"][0]["confusion"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c[2].as_u64().unwrap())
            .sum();
        assert_eq!(total, 12, "{name}");
    }
    assert!(point("random").get("forecast_fit").is_none());
    // Two full-data runs stand in for query runs; each pilot is one more.
    let queries = |name: &str| point(name)["runs"][0]["preparation"]["query_runs"].clone();
    assert_eq!([queries("predicted"), queries("predicted:pilots=2")], [2, 4]);
    let phases = summary["phases"].as_array().unwrap();
    assert_eq!(phases.iter().filter(|p| p["name"] == "train pilots").count(), 2);

    // Without its result a pilot is trained again, to the same subsets.
    let kept =
        |seed: u32| fs::read(place.path().join(format!("out/kept-predicted-pilots-2-{seed}.npy")));
    let before = [kept(0).unwrap(), kept(1).unwrap()];
    let pilots: Vec<String> = names(&place.path().join("out/work"))
        .into_iter()
        .filter(|name| name.starts_with("pilot"))
        .collect();
    assert_eq!(pilots.len(), 2, "{pilots:?}");
    fs::remove_file(place.path().join(format!("out/work/{}/result.json", pilots[1]))).unwrap();
    let again = json(place.path(), &line);
    assert_eq!(before, [kept(0).unwrap(), kept(1).unwrap()]);
    assert_eq!(
        again["strategies"][4]["points"][0]["forecast_fit"],
        point("predicted:pilots=2")["forecast_fit"]
    );

    let page = place.read("out/report.html");
    for text in ["Predicted and measured", "What is taken for what", "What you should do"] {
        assert!(page.contains(text), "{text}");
    }
    let text = good(place.path(), &format!("{line} -v"));
    assert!(text.out.contains("predicted and measured recalls"), "{}", text.out);
}

#[test]
fn groups_are_not_predicted() {
    let place = Place::new();
    let line =
        "run --data shapes:spurious --groups attribute --strategies random,predicted --out out";
    refused(
        place.path(),
        line,
        &["--quota predicted", "groups by background", "a network answers classes"],
    );
}
