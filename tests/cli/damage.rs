//! Damaged files of folders that were finished: refused with that reason, or made anew; never believed.

use fairprune::artefact::{integrity, npy};
use serde_json::json;

use crate::*;

/// Changes one byte in the middle of what follows `after` in the file.
fn spoil(place: &Place, name: &str, after: &str) {
    let path = place.path().join(name);
    let mut bytes = fs::read(&path).unwrap();
    let start = bytes.windows(after.len()).position(|w| w == after.as_bytes()).expect(after);
    bytes[start + after.len()] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// The header of a safetensors file, changed.
fn with_header(bytes: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    change(&mut header["__metadata__"]);
    let mut text = serde_json::to_vec(&header).unwrap();
    text.resize(text.len().next_multiple_of(8), b' ');
    [&(text.len() as u64).to_le_bytes(), text.as_slice(), &bytes[8 + length..]].concat()
}

#[test]
fn weights_are_whole_or_refused_and_those_of_others_are_taken() {
    let place = Place::new();
    place.train();
    let line =
        "score --data data --weights w.safetensors --method el2n --threads 1 --out s --force";
    let whole = fs::read(place.path().join("out/model.safetensors")).unwrap();
    let mut spoilt = whole.clone();
    let last = spoilt.len() - 40;
    spoilt[last] ^= 1;
    let key_lost = with_header(&whole, |about| {
        about.as_object_mut().unwrap().remove("content_digest");
    });
    for bytes in [&spoilt, &key_lost] {
        put(place.path(), "w.safetensors", bytes);
        refused(place.path(), line, &["w.safetensors", "digest", "damaged"]);
    }
    // The first version of the program wrote none, and other programs do not.
    let first = with_header(&key_lost, |about| about["format_version"] = json!("1"));
    let foreign = with_header(&key_lost, |about| {
        about.as_object_mut().unwrap().retain(|key, _| ["arch", "width", "stem"].contains(&&**key));
    });
    for bytes in [&whole, &first, &foreign] {
        put(place.path(), "w.safetensors", bytes);
        good(place.path(), line);
    }
    // What is made of a foreign file states its digest.
    let stated: Value = serde_json::from_str(&place.read("s/scores.json")).unwrap();
    let digest = fairprune::artefact::digest(&foreign);
    assert_eq!(stated["methods"][0]["hyper_parameters"]["weights"], json!(digest));
}

#[test]
fn documents_and_arrays_that_were_changed_are_refused() {
    let place = Place::new();
    let line = format!("score --data data {TINY} --runs 1 --method el2n --save-features --out net");
    good(place.path(), &line);
    let prune = "prune --scores net --strategy el2n --density .5 --out kept --force";
    good(place.path(), prune);
    let whole = fs::read(place.path().join("net/scores.json")).unwrap();
    spoil(&place, "net/scores.json", "\"an");
    refused(place.path(), prune, &["net/scores.json", "digest", "damaged"]);
    put(place.path(), "net/scores.json", &whole);
    let train = format!("train --data data {TINY} --subset kept/kept.npy --out x --force");
    good(place.path(), prune);
    spoil(&place, "kept/kept.json", "\"density\": 0.");
    refused(place.path(), &train, &["kept/kept.json", "digest", "damaged"]);
    // A value of an array: as features of one's own, and as those beside scores.
    let ssp =
        "score --data data --features net/features.npy --method ssp --threads 1 --out ssp --force";
    let picks = "prune --scores net --strategy coreset --density .5 --out picks --force";
    good(place.path(), ssp);
    good(place.path(), picks);
    let path = place.path().join("net/features.npy");
    let mut bytes = fs::read(&path).unwrap();
    bytes[1000] ^= 1;
    fs::write(path, bytes).unwrap();
    refused(place.path(), ssp, &["net/features.npy", "other bytes", "damaged"]);
    refused(place.path(), picks, &["net/features.npy", "other bytes", "damaged"]);
    // The same command makes what was lost anew, and says so.
    let mended = good(place.path(), &line);
    assert!(mended.err.contains("features.npy.damaged"), "{}", mended.err);
    good(place.path(), ssp);
}

#[test]
fn a_finished_run_is_done_again_where_something_of_it_is_lost_or_damaged() {
    let place = Place::new();
    let line = format!("score --data data {TINY} --runs 2 --method el2n --out scores");
    good(place.path(), &line);
    let expected = place.read("scores/scores.csv");
    fs::remove_file(place.path().join("scores/work/query-r1/el2n.npy")).unwrap();
    assert!(good(place.path(), &line).err.contains("query-r1 is done again"));
    assert_eq!(place.read("scores/scores.csv"), expected);
    for name in ["el2n.npy", "validation-log-probabilities.npy"] {
        let path = place.path().join("scores/work/query-r0").join(name);
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 2;
        bytes[last] ^= 1;
        fs::write(&path, bytes).unwrap();
        let said = good(place.path(), &line).err;
        assert!(said.contains(&format!("set aside as {name}.damaged")), "{said}");
        assert_eq!(place.read("scores/scores.csv"), expected);
    }
    spoil(&place, "scores/work/query-r0/result.json", "\"train_loss\": 1.");
    let said = good(place.path(), &line).err;
    assert!(said.contains("set aside as result.json.damaged"), "{said}");
    assert_eq!(place.read("scores/scores.csv"), expected);
    // Nothing of it is left by those who start anew.
    good(place.path(), &format!("{line} --force"));
    assert!(files(place.path()).iter().all(|p| p.extension().is_none_or(|e| e != "damaged")));
}

#[test]
fn force_frees_what_is_damaged() {
    let place = Place::new();
    let line = format!("train --data data {TINY} --out out");
    good(place.path(), &line);
    let model = fs::read(place.path().join("out/model.safetensors")).unwrap();
    for damage in [&b"{"[..], b"\xff\xfe", b""] {
        put(place.path(), "out/job.json", damage);
        refused(place.path(), &line, &["job.json"]);
        good(place.path(), &format!("{line} --force"));
        assert_eq!(fs::read(place.path().join("out/model.safetensors")).unwrap(), model);
    }
    // Without the record nothing is deleted, and nothing that is there is believed.
    put(place.path(), "out/.fairprune/files", b"");
    put(place.path(), "out/work/train/checkpoint.safetensors", b"of an earlier job");
    put(place.path(), "out/notes.txt", b"mine");
    good(place.path(), &format!("{line} --force --seed 1"));
    good(place.path(), &format!("{line} --force"));
    assert_eq!(fs::read(place.path().join("out/model.safetensors")).unwrap(), model);
    assert_eq!(place.read("out/notes.txt"), "mine");
    // A cache that was cut.
    let line = "data cache data --out data.fpc";
    good(place.path(), line);
    let whole = fs::read(place.path().join("data.fpc")).unwrap();
    for length in [0, 4, 40, whole.len() / 2] {
        put(place.path(), "data.fpc", &whole[..length]);
        refused(place.path(), line, &["data.fpc"]);
        good(place.path(), &format!("{line} --force"));
        assert_eq!(fs::read(place.path().join("data.fpc")).unwrap(), whole);
    }
}

/// Picking may take longer than training: a comparison that is begun again does not pick again.
#[test]
fn what_was_picked_is_kept_for_the_next_start() {
    let place = Place::new();
    let line = format!(
        "run --data data {TINY} --seeds 1 --query-runs 1 --density .5 --strategies random,coreset --out run"
    );
    good(place.path(), &line);
    let file = "run/work/picks/coreset-d0.5-s0.json";
    let kept = |strategy: &str| {
        let path = place.path().join(format!("run/kept-{strategy}-0.npy"));
        npy::read(&path).unwrap().into_positions(36, "kept").unwrap()
    };
    let (picks, before) = (place.read(file), kept("coreset"));
    // Damaged, it is set aside, and the same is picked.
    place.write(file, &picks.replacen("order", "ordeR", 1));
    let told = good(place.path(), &line);
    assert!(told.err.contains("coreset-d0.5-s0.json.damaged"), "{}", told.err);
    assert_eq!((place.read(file), kept("coreset")), (picks.clone(), before.clone()));
    // Others, with a digest of their own, show that nobody picks anew where they are whole.
    let mut document: Value = serde_json::from_str(&without_digests(&picks)).unwrap();
    let other = kept("random").into_iter().find(|i| !before.contains(i)).unwrap();
    document["order"][0] = other.into();
    integrity::write_json(&place.path().join(file), &document).unwrap();
    fs::remove_dir_all(place.path().join("run/work/coreset-d0.5-s0")).unwrap();
    good(place.path(), &line);
    assert!(kept("coreset").contains(&other));
}
