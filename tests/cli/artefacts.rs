//! Artefacts in the wrong place: another data set, order, image size, or bytes that were changed.

use fairprune::artefact::npy;

use crate::*;

#[test]
fn changed_scores_and_recalls_are_noticed() {
    let place = Place::new();
    place.score();
    let line = "prune --scores scores --density .5 --strategy el2n --out out --force";
    good(place.path(), line);
    let whole = place.read("scores/scores.csv");
    // A plausible number in one cell.
    let row: Vec<&str> = whole.lines().nth(3).unwrap().split(',').collect();
    let forged = [&row[..4], &["0.123", row[5]]].concat().join(",");
    place.write("scores/scores.csv", &with_line(&whole, 4, &forged));
    refused(place.path(), line, &["scores/scores.csv", "other bytes", "--scores FILE --data DATA"]);
    place.write("scores/scores.csv", &whole);
    let recalls = place.read("scores/recalls.csv");
    let row: Vec<&str> = recalls.lines().nth(1).unwrap().split(',').collect();
    let forged = [&row[..5], &["0.321", row[6]]].concat().join(",");
    place.write("scores/recalls.csv", &with_line(&recalls, 2, &forged));
    refused(place.path(), line, &["scores/recalls.csv", "other bytes", "another folder"]);
    // Elsewhere they are the user's own.
    place.write("mine.csv", &with_line(&recalls, 2, &forged));
    place.write("scores/recalls.csv", &recalls);
    good(place.path(), &format!("{line} --recalls mine.csv"));
}

#[test]
fn recalls_of_a_training_run_know_their_data_set() {
    let place = Place::new();
    place.train();
    let line = "--recalls out/recalls.csv --density .5 --out kept --force";
    good(place.path(), &format!("prune --data data {line}"));
    place.tree("other", &[("train", [14, 12, 11]), ("test", [4, 4, 4])]);
    refused(
        place.path(),
        &format!("prune --data other {line}"),
        &["out/recalls.csv", "fingerprint"],
    );
    // They are those of the run, unless they lie elsewhere.
    let recalls = place.read("out/recalls.csv");
    let forged = recalls.replacen(",ant,", ",ant,0", 1);
    place.write("out/recalls.csv", &forged);
    let train = format!("prune --data data {line}");
    refused(place.path(), &train, &["out/recalls.csv", "other bytes", "summary.json"]);
    place.write("out/recalls.csv", &recalls);
    good(place.path(), &train);
    let summary: Value = serde_json::from_str(&place.read("out/summary.json")).unwrap();
    let info = json(place.path(), "data info data");
    assert_eq!(summary["data"]["fingerprint"], info["fingerprint"]);
    // The weights say what they were trained on, where every reader of safetensors finds it.
    let bytes = fs::read(place.path().join("out/model.safetensors")).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    assert_eq!(header["__metadata__"]["data"], info["fingerprint"]);
}

#[test]
fn changed_subsets_are_noticed_and_masks_know_their_json() {
    let place = Place::new();
    good(place.path(), "prune --data data --density .5 --quota none --out kept");
    let path = place.path().join("kept/kept.npy");
    let kept = npy::read(&path).unwrap().into_positions(36, "kept").unwrap();
    let line = |file: &str| {
        format!("data export --data data --subset kept/{file} --as csv --out o.csv --force")
    };
    let told = good(place.path(), &line("mask.npy"));
    assert!(!told.err.contains("comes without"), "{}", told.err);
    assert_eq!(place.read("o.csv").lines().count(), kept.len() + 1);
    // One position exchanged for another that is there.
    let mut forged: Vec<i64> = kept.iter().map(|&i| i as i64).collect();
    forged[0] = (0..36).find(|i| !kept.contains(&(*i as usize))).unwrap();
    npy::write(&path, &[forged.len()], &forged).unwrap();
    refused(place.path(), &line("kept.npy"), &["kept/kept.npy", "another subset", "digest"]);
    let mut mask = [true; 36];
    kept.iter().for_each(|&i| mask[i] = false);
    npy::write(&place.path().join("kept/mask.npy"), &[36], &mask).unwrap();
    refused(place.path(), &line("mask.npy"), &["kept/mask.npy", "another subset"]);
}

#[test]
fn positions_outlive_another_image_size_and_nothing_else() {
    let place = Place::new();
    good(place.path(), "prune --data data --image-size 6 --density .5 --quota none --out kept");
    // The same names, classes and order at another size: the same samples.
    let line = format!("train --data data {TINY} --subset kept/kept.npy --out net --force");
    let told = good(place.path(), &line);
    assert!(told.err.contains("kept/kept.npy was made on the same samples at 6x6"), "{}", told.err);
    // The same size, one image exchanged: not the same data set.
    let line = format!("train --data data --image-size 6 {TINY} --subset kept/kept.npy --out x");
    put(place.path(), "data/train/ant/00.png", &png(1, 77));
    refused(place.path(), &line, &["kept/kept.npy", "fingerprint"]);
    // Another order: a name that sorts elsewhere, at another size.
    put(place.path(), "data/train/ant/00.png", &png(0, 0));
    let train = place.path().join("data/train/ant");
    fs::rename(train.join("00.png"), train.join("zz.png")).unwrap();
    let line = format!("train --data data {TINY} --subset kept/kept.npy --out x");
    refused(place.path(), &line, &["kept/kept.npy", "fingerprint"]);
}

#[test]
fn features_of_another_data_set_are_refused() {
    let place = Place::new();
    let line =
        format!("score --data data {TINY} --runs 1 --method el2n --save-features --out net -q");
    good(place.path(), &line);
    let line = |data: &str| {
        format!("score --data {data} --features net/features.npy --method ssp --out ssp --force -q")
    };
    good(place.path(), &line("data"));
    place.tree("same", &[("train", [12, 14, 10]), ("test", [4, 4, 4])]);
    refused(place.path(), &line("same"), &["net/features.npy", "fingerprint"]);
}

#[test]
fn changed_recordings_are_noticed() {
    let place = Place::new();
    let flags = TINY.replace("--epochs 1", "--epochs 3");
    good(place.path(), &format!("train --data data {flags} --dynamics=plain --out net -q"));
    let line = "score --dynamics net/dynamics --method aum --out aum --force";
    good(place.path(), line);
    let path = place.path().join("net/dynamics/logit-margin.npy");
    let array = npy::read(&path).unwrap();
    let npy::ArrayValues::F32(mut values) = array.values else { panic!("float32") };
    let some = values.iter().position(|v| !v.is_nan()).unwrap();
    values[some] += 0.25;
    npy::write(&path, &array.shape, &values).unwrap();
    refused(place.path(), line, &["logit-margin.npy", "other values", "digest"]);
}
