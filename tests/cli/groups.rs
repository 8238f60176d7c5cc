//! `--groups`: quotas and metrics over class x attribute.

use std::collections::BTreeMap;

use crate::*;

const RUN: &str = "--arch resnet8 --width 4 --epochs 1 --batch 32 --threads 1";

/// `birds`: two classes on two places, with a `metadata.csv`; sizes of land, water by class.
fn birds(place: &Path) {
    let mut list = String::from("img_filename,y,split,place\n");
    let mut number = 0;
    for (split, sizes) in [(0, [12, 4, 3, 11]), (1, [4, 4, 4, 4]), (2, [3, 3, 3, 3])] {
        for (group, size) in sizes.into_iter().enumerate() {
            for _ in 0..size {
                let name = format!("i/{number:03}.png");
                put(place, &format!("birds/{name}"), &png(group, number));
                list += &format!("{name},{},{split},{}\n", group / 2, group % 2);
                number += 1;
            }
        }
    }
    put(place, "birds/metadata.csv", list.as_bytes());
}

const NAMES: [&str; 4] = ["0 / 0", "0 / 1", "1 / 0", "1 / 1"];

fn folder() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    birds(place.path());
    place
}

/// Rows of a CSV file without quotes, by header.
fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|l| l.split(',').map(str::to_owned).collect::<Vec<_>>());
    let header = lines.next().unwrap();
    lines.map(|l| header.iter().cloned().zip(l).collect()).collect()
}

#[test]
fn the_default_comparison_leaves_out_what_groups_do_not_have() {
    let place = folder();
    let line =
        format!("run --data birds --groups place {RUN} --seeds 1 --min-per-class 1 --out out");
    let summary = json(place.path(), &line);
    let strategies = summary["strategies"].as_array().unwrap();
    let names: Vec<&str> = strategies.iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["full", "random", "el2n", "metriq"]);
}

#[test]
fn a_run_measures_and_prunes_groups() {
    let place = folder();
    let place = place.path();
    let flags = "--strategies full,random,random+balanced --density .5 --seeds 2";
    let line = format!("run --data birds --groups place {RUN} {flags} --out out");
    let summary = json(place, &line);
    assert_eq!(summary["settings"]["groups"], "place");
    let sizes = [12, 4, 3, 11];
    for (k, name) in NAMES.iter().enumerate() {
        assert_eq!(summary["classes"][k]["name"], *name);
        assert_eq!(summary["classes"][k]["train_size"], sizes[k]);
    }
    for strategy in summary["strategies"].as_array().unwrap() {
        for run in strategy["points"][0]["runs"].as_array().unwrap() {
            let last = &run["last"];
            let recalls: Vec<f64> =
                last["recalls"].as_array().unwrap().iter().map(|r| r.as_f64().unwrap()).collect();
            assert_eq!(recalls.len(), 4);
            let close = |key: &str, expected: f64| {
                let found = last[key].as_f64().unwrap();
                assert!((found - expected).abs() < 1e-12, "{key}: {found} is not {expected}");
            };
            // Test groups have three images each, so the plain average is the mean recall.
            let mean = recalls.iter().sum::<f64>() / 4.0;
            close("average_accuracy", mean);
            close("balanced_accuracy", mean);
            let weighted: f64 = recalls.iter().zip(sizes).map(|(r, n)| r * f64::from(n)).sum();
            close("weighted_accuracy", weighted / 30.0);
            let worst = recalls.iter().copied().fold(1.0, f64::min);
            close("worst_recall", worst);
            assert_eq!(recalls[last["worst_class"].as_u64().unwrap() as usize], worst);
            close("gap", recalls.iter().copied().fold(0.0, f64::max) - worst);
        }
    }
    // Balanced: 15 of 30 over four groups, of which two have fewer than their share.
    let balanced = &summary["strategies"][2]["points"][0]["runs"][0];
    let counts: Vec<u64> =
        balanced["class_counts"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
    assert_eq!((counts.iter().sum::<u64>(), counts[2]), (15, 3));
    assert!(counts[0].abs_diff(counts[1]) <= 1 && counts[0].abs_diff(counts[3]) <= 1, "{counts:?}");
    let classes = rows(&place.join("out/classes-random+balanced-0.csv"));
    let names: Vec<&str> = classes.iter().map(|r| r["name"].as_str()).collect();
    assert_eq!(names, NAMES);
    let stated: Value =
        serde_json::from_slice(&fs::read(place.join("out/kept-random+balanced-0.json")).unwrap())
            .unwrap();
    assert_eq!(stated["methods"][0]["hyper_parameters"]["groups"], "place");
    let report = fs::read_to_string(place.join("out/report.html")).unwrap();
    for text in ["0 / 1", "Worst group", "Weighted"] {
        assert!(report.contains(text), "{text}");
    }
    assert!(!report.contains("Worst class"), "groups are called groups");
    // For people, by the finished runs: names and both averages.
    let told = good(place, &line);
    for text in ["worst group", "weighted", "training samples"] {
        assert!(told.out.contains(text), "{text} is not in\n{}", told.out);
    }
    assert!(told.err.contains("class x place: 0 / 0, 0 / 1, 1 / 0, 1 / 1"), "{}", told.err);
    // The same folder for another partition is another job.
    let other = line.replace("--groups place", "--groups classes");
    refused(place, &other, &["groups"]);
}

#[test]
fn training_on_groups_is_training_on_classes() {
    let place = folder();
    let place = place.path();
    good(place, &format!("train --data birds {RUN} --out a"));
    let by_group = json(place, &format!("train --data birds --groups attribute {RUN} --out b"));
    let model = |out: &str| fs::read(place.join(out).join("model.safetensors")).unwrap();
    assert!(model("a") == model("b"), "the loss knows classes alone");
    // Recalls of both are written either way.
    for out in ["a", "b"] {
        let classes = rows(&place.join(out).join("recalls.csv"));
        let groups = rows(&place.join(out).join("recalls-groups.csv"));
        assert_eq!((classes.len(), groups.len()), (2, 4));
        let sum = |rows: &[BTreeMap<String, String>], key: &str| -> u64 {
            rows.iter().map(|r| r[key].parse::<u64>().unwrap()).sum()
        };
        for key in ["val_correct", "val_total", "train_size"] {
            for k in 0..2 {
                assert_eq!(sum(&classes[k..=k], key), sum(&groups[2 * k..2 * k + 2], key), "{key}");
            }
        }
    }
    // eval says the same of the same images, and of classes what follows from it.
    let eval = |groups: &str| {
        json(place, &format!("eval --weights a/model.safetensors --data birds --groups {groups}"))
    };
    let (groups, classes) = (eval("place,y"), eval("class"));
    assert_eq!(groups["recalls"], by_group["recalls"]);
    assert_eq!(groups["recalls"][3]["name"], "1 / 1");
    assert_eq!(groups["recalls"][3]["group"], 3);
    assert_eq!(groups["weighted_accuracy"], by_group["weighted_accuracy"]);
    assert_eq!(groups["average_accuracy"], classes["average_accuracy"]);
    assert!(NAMES.contains(&groups["worst_group"].as_str().unwrap()));
    assert!(classes.get("weighted_accuracy").is_none() && classes.get("worst_group").is_none());
    let correct = |of: &Value, k: usize| of["recalls"][k]["correct"].as_u64().unwrap();
    assert_eq!(correct(&classes, 1), correct(&groups, 2) + correct(&groups, 3));
    let text = good(place, "eval --weights a/model.safetensors --data birds --groups place").out;
    assert!(text.contains("worst group") && text.contains("weighted"), "{text}");
}

#[test]
fn group_quotas_follow_from_scores_or_from_a_file_of_recalls() {
    let place = folder();
    let place = place.path();
    good(place, &format!("score --data birds {RUN} --runs 2 --method el2n --out scores -q"));
    let csv = fs::read_to_string(place.join("scores/scores.csv")).unwrap();
    assert!(csv.starts_with("index,id,label,part,attribute,el2n\n"), "{csv}");
    // Without the data: groups, names and recalls are those of the folder.
    let recalls = "group,name,train_size,val_correct,val_total,recall,recall_sd\n\
                   0,0 / 0,12,9,10,.9,\n1,0 / 1,4,6,10,.6,\n2,1 / 0,3,7,10,.7,\n3,1 / 1,11,8,10,.8,\n";
    put(place, "given.csv", recalls.as_bytes());
    let line = "prune --scores scores --groups place --recalls given.csv --density .3";
    let by_scores = json(place, &format!("{line} --out a"));
    // 9 of weights .1 12, .4 4, .3 3, .2 11 = 1.2, 1.6, .9, 2.2 of 5.9: 1.8, 2.4, 1.4, 3.4.
    let counts = |of: &Value| -> Vec<u64> {
        of["classes"].as_array().unwrap().iter().map(|c| c["kept"].as_u64().unwrap()).collect()
    };
    assert_eq!(counts(&by_scores), [2, 3, 1, 3]);
    assert_eq!(by_scores["classes"][1]["name"], "0 / 1");
    assert_eq!(by_scores["groups"], "place");
    let line = "prune --data birds --groups place --recalls given.csv --density .3";
    let by_data = json(place, &format!("{line} --out b"));
    assert_eq!(counts(&by_data), counts(&by_scores));
    let kept = |out: &str| fs::read(place.join(out).join("kept.npy")).unwrap();
    assert_eq!(kept("a"), kept("b"), "the same draw with and without the data");
    // Of the folder's own recalls, per group; labels in kept.csv stay classes.
    let own = json(place, "prune --scores scores --groups place --density .3 --out c");
    let written = rows(&place.join("scores/recalls-groups.csv"));
    for (class, row) in own["classes"].as_array().unwrap().iter().zip(&written) {
        assert_eq!(class["recall"].as_f64().unwrap(), row["recall"].parse::<f64>().unwrap());
    }
    assert!(rows(&place.join("c/kept.csv")).iter().all(|r| r["label"] == "0" || r["label"] == "1"));
    let told = good(place, "prune --scores scores --groups place --density .3 --out c");
    assert!(told.err.contains("samples are kept of \"0 / 0\""), "{}", told.err);
    // The same counts from the file alone.
    let quota = json(place, "quota --recalls-from given.csv --density .3");
    assert_eq!(quota["counts"], serde_json::json!(counts(&by_scores)));
    assert_eq!(quota["names"], serde_json::json!(NAMES));
    let table = good(place, "quota --recalls-from given.csv --density .3");
    assert!(table.out.contains("group") && table.out.contains("1 / 1"), "{}", table.out);
    assert!(table.err.contains("\"0 / 0\""), "{}", table.err);
    refused(place, "quota --recalls-from given.csv --sizes 1,2 --density .3", &["--sizes"]);
    // Recalls of groups are no recalls of classes, nor of other groups.
    let line = "prune --scores scores --recalls given.csv --density .3 --out x";
    refused(place, line, &["given.csv", "recalls of groups", "--groups"]);
    put(place, "other.csv", recalls.replace("0 / 1", "gull / sea").as_bytes());
    let line = "prune --scores scores --groups place --recalls other.csv --density .3 --out x";
    refused(place, line, &["other.csv, group 1", "gull / sea", "0 / 1"]);
    let fewer: Vec<&str> = recalls.lines().filter(|l| !l.starts_with("2,")).collect();
    put(place, "fewer.csv", fewer.join("\n").as_bytes());
    let line = "prune --scores scores --groups place --recalls fewer.csv --density .3 --out x";
    refused(place, line, &["recall of group \"1 / 0\"", "the group has 3 samples"]);
}

#[test]
fn recorded_dynamics_know_their_groups() {
    let place = folder();
    let place = place.path();
    let flags = "--flip false --translate 0 --dynamics";
    good(place, &format!("train --data birds {RUN} {flags} --out a"));
    good(place, "score --dynamics a/dynamics --method forgetting,aum --out s");
    let read = |name: &str| fs::read_to_string(place.join(name)).unwrap();
    assert!(read("s/scores.csv").starts_with("index,id,label,part,attribute,forgetting,aum\n"));
    for file in ["recalls.csv", "recalls-groups.csv"] {
        assert_eq!(read(&format!("s/{file}")), read(&format!("a/{file}")), "{file}");
    }
    // Attributes and classes are those of the images.
    let listed = rows(&place.join("birds/metadata.csv"));
    let listed = listed.iter().filter(|r| r["split"] == "0");
    let wanted: Vec<[&str; 2]> = listed.map(|r| [&*r["y"], &*r["place"]]).collect();
    let scores = rows(&place.join("s/scores.csv"));
    let found: Vec<[&str; 2]> = scores.iter().map(|r| [&*r["label"], &*r["attribute"]]).collect();
    assert_eq!(found, wanted);
    let line = "prune --scores s --groups place --strategy forgetting --quota metriq --smooth \
                laplace --density .5 --out k";
    let document = json(place, line);
    assert_eq!(document["classes"][3]["name"], NAMES[3]);
    assert_eq!(document["groups"], "place");
    // Whatever ranks: the same recorded run inside `score`, `prune` and `run`.
    let line =
        format!("prune --data birds --groups place {RUN} --strategy forgetting --smooth laplace");
    good(place, &format!("{line} --density .5 --out p"));
    assert!(place.join("p/scores/recalls-groups.csv").is_file());
    for (from, to, words) in [
        ("attribute,presentations", "attribute,other", &["samples.csv", "presentations"][..]),
        (",train,1,", ",train,2,", &["samples.csv", "column attribute", "below 2"]),
        (",attribute,", ",kind,", &["samples.csv", "dynamics.json"]),
    ] {
        let table = read("a/dynamics/samples.csv");
        put(place, "a/dynamics/samples.csv", table.replacen(from, to, 1).as_bytes());
        refused(place, "score --dynamics a/dynamics --out no", words);
        put(place, "a/dynamics/samples.csv", table.as_bytes());
    }
    // A recording of a set without attributes, or of an earlier version, has none.
    let description = read("a/dynamics/dynamics.json");
    let mut older: Value = serde_json::from_str(&description).unwrap();
    for key in ["attribute", "content_digest", "samples_digest"] {
        older.as_object_mut().unwrap().remove(key).unwrap();
    }
    older["validation"].as_object_mut().unwrap().remove("groups").unwrap();
    put(place, "a/dynamics/dynamics.json", older.to_string().as_bytes());
    refused(place, "score --dynamics a/dynamics --out no", &["an attribute in one of"]);
    let mut table: Vec<String> =
        read("a/dynamics/samples.csv").lines().map(str::to_owned).collect();
    for line in &mut table {
        let mut cells: Vec<&str> = line.split(',').collect();
        cells.remove(4);
        *line = cells.join(",");
    }
    put(place, "a/dynamics/samples.csv", (table.join("\n") + "\n").as_bytes());
    good(place, "score --dynamics a/dynamics --method aum --out plain");
    assert!(!place.join("plain/recalls-groups.csv").exists());
    assert_eq!(read("plain/recalls.csv"), read("a/recalls.csv"));
}

const STUDY: &str = "\
[flags]\ndata = 'set'\ngroups = 'background'\nepochs = 1\nbatch = 16\nwidth = 4\nquery-runs = 1\n\
smooth = 'laplace'\n[[panel]]\narch = 'resnet8'\n[[panel.block]]\n\
strategies = ['full', 'random', 'metriq', 'random+balanced', 'forgetting+metriq']\n\
density = [0.5]\nseeds = 2\n[[claim]]\ntext = 'Quotas help the worst group'\n\
metric = 'worst_group'\nmethod = 'metriq'\ndirection = 'higher'\n";

#[test]
fn a_study_over_groups() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    good(place, "data make shapes:spurious --as metadata --per-class 20,4,4 --out set -q");
    put(place, "study.toml", STUDY.as_bytes());
    let line = "study study.toml --threads 1 --out out";
    let document = json(place, line);
    assert_eq!(document["claims"].as_array().unwrap().len(), 1);
    assert_eq!(fs::read_to_string(place.join("out/failures.csv")).unwrap().lines().count(), 1);
    let cells = rows(&place.join("out/cells.csv"));
    assert_eq!(cells.len(), 10);
    let groups = rows(&place.join("out/classes.csv"));
    assert_eq!(groups.len(), 8 * cells.len());
    assert_eq!(groups[7]["name"], "brick / cool");
    // Recalls of the cells are those of their groups.
    for cell in &cells {
        let own = |g: &&BTreeMap<String, String>| {
            ["strategy", "density", "seed"].iter().all(|key| g[*key] == cell[*key])
        };
        let recalls = groups.iter().filter(own).map(|g| g["recall"].parse::<f64>().unwrap());
        let worst = recalls.fold(1.0, f64::min);
        assert!((worst - cell["worst_recall"].parse::<f64>().unwrap()).abs() < 1e-9, "{cell:?}");
    }
    let page = fs::read_to_string(place.join("out/report.html")).unwrap();
    assert!(page.contains("brick / cool") && page.contains("Worst group"), "groups are named");
    assert!(!page.contains("Worst class"));
    let text = good(place, line).out;
    assert!(text.contains("Quotas help the worst group"), "{text}");
}

#[test]
fn sets_without_attributes_and_wrong_names_are_refused() {
    let place = Place::new();
    place.score();
    place.train();
    let words = ["--groups of data", "without an attribute", "metadata.csv", "shapes:spurious"];
    for line in [
        format!("run --data data --groups place {TINY} --out x"),
        format!("train --data data --groups attribute {TINY} --out x"),
        "prune --data data --groups place --density .5 --quota none --out x".to_owned(),
        "eval --weights out/model.safetensors --data data --groups place".to_owned(),
    ] {
        refused(place.path(), &line, &words);
    }
    let line = "prune --scores scores --groups place --density .5 --out x";
    refused(place.path(), line, &["--groups with the scores scores", "without an attribute"]);
    birds(place.path());
    let line = "prune --data birds --groups background --density .5 --quota none --out x";
    refused(place.path(), line, &["\"background\"", "classes, or place"]);
    let line = "prune --data birds --groups place,place --density .5 --quota none --out x";
    refused(place.path(), line, &["place,place"]);
    good(place.path(), "prune --data birds --groups y --density .5 --quota none --out y");
    place.write("s.toml", "[flags]\ndata = \"data\"\ngroups = \"place\"\n[[panel]]\n[[panel.block]]\nstrategies = [\"full\"]\ndensity = [0.5]\nseeds = 1\n");
    refused(place.path(), "study s.toml --out x", &words);
}

#[test]
fn the_built_in_set_becomes_files_with_its_groups() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    let line = "data make shapes:spurious --as metadata --per-class 20,2,4 --out set -q";
    good(place, line);
    let info = json(place, "data info set");
    assert_eq!(info["format"], "metadata");
    assert_eq!(info["groups"]["attribute"], "background");
    assert_eq!(info["groups"]["values"], serde_json::json!(["warm", "cool"]));
    assert_eq!(info["groups"]["names"][3], "hexagon / cool");
    assert_eq!(
        info["parts"]["train"]["group_sizes"],
        serde_json::json!([19, 1, 1, 19, 19, 1, 1, 19])
    );
    assert_eq!(info["parts"]["test"]["group_sizes"], serde_json::json!(vec![2; 8]));
    let folders = good(place, "data make shapes:spurious --per-class 2,0,1 --out folders");
    assert!(folders.err.contains("no place for the background"), "{}", folders.err);
    fs::write(place.join("set/background.txt"), "warm\nwarm\n").unwrap();
    refused(place, "data info set", &["background.txt", "different names"]);
}

/// A group that has training images and none to validate on has no recall: said before anything is trained.
#[test]
fn quotas_of_groups_that_nothing_validates_are_refused_before_training() {
    let place = folder();
    let list = place.path().join("birds/metadata.csv");
    let text = fs::read_to_string(&list).unwrap();
    let unvalidated = |line: &&str| !line.contains(",1,1,1");
    let text: Vec<&str> = text.lines().filter(unvalidated).collect();
    fs::write(&list, text.join("\n")).unwrap();
    let words = ["no validation image of group \"1 / 1\"", "--smooth"];
    let run =
        format!("run --data birds --groups place {RUN} --seeds 1 --strategies full,random+metriq");
    refused(place.path(), &format!("{run} --out out"), &words);
    let prune = format!(
        "prune --data birds --groups place {RUN} --runs 1 --strategy el2n --quota metriq --density .5"
    );
    refused(place.path(), &format!("{prune} --out out"), &words);
    assert!(!place.path().join("out").exists());
    good(place.path(), &format!("{prune} --smooth laplace --out out"));
}
