//! This file tests features of the user's own, which take the place of a network's, and checks which of
//! them are refused.

use fairprune::artefact::npy;

use super::{bytes, document, stated};
use crate::*;

#[test]
fn features_of_the_user_s_own() {
    let place = Place::new();
    let at = |name: &str| place.path().join(name);
    let values: Vec<f32> = (0..36 * 2).map(|i| ((i * 29) % 31) as f32 / 8.0).collect();
    npy::write(&at("single.npy"), &[36, 2], &values).unwrap();
    let wide: Vec<f64> = values.iter().map(|&v| v.into()).collect();
    npy::write(&at("double.npy"), &[36, 2], &wide).unwrap();
    let mut half = b"\x93NUMPY\x01\x00\x46\x00".to_vec();
    half.extend(
        format!("{:69}\n", "{'descr': '<f2', 'fortran_order': False, 'shape': (36, 2), }").bytes(),
    );
    half.extend(values.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()));
    put(place.path(), "half.npy", &half);
    for name in ["single", "double", "half"] {
        let line = format!(
            "score --data data --split holdout --features {name}.npy --method ssp --out {name}"
        );
        good(place.path(), &line);
        assert!(bytes(&place, &format!("{name}/ssp.npy")) == bytes(&place, "single/ssp.npy"));
    }
    let scores = document(&place, "single/scores.json");
    let ssp = stated(&scores, "ssp");
    assert!(ssp["variant"].as_str().unwrap().contains("the user's features"), "{ssp}");
    assert_eq!(ssp["hyper_parameters"]["features"]["width"], 2);
    good(place.path(), "prune --scores single --strategy ssp --quota none --density .5 --out kept");
    // Beside scores of trained networks, and in the place of a network's features.
    let line = format!(
        "score --data data {TINY} --runs 1 --features single.npy --method el2n,ssp --out both"
    );
    good(place.path(), &line);
    assert!(bytes(&place, "both/ssp.npy") == bytes(&place, "single/ssp.npy"));
    place.train();
    let line = "score --data data --weights out/model.safetensors --method ssp,grand --save-features \
                --out weights";
    good(place.path(), line);
    let line = "score --data data --split half-test --features weights/features.npy --method ssp \
                --out file";
    good(place.path(), line);
    assert!(bytes(&place, "weights/ssp.npy") == bytes(&place, "file/ssp.npy"));

    let array = |name: &str, shape: [usize; 2], change: &dyn Fn(&mut Vec<f32>)| {
        let mut values: Vec<f32> = (0..shape[0] * shape[1]).map(|i| i as f32).collect();
        change(&mut values);
        npy::write(&at(name), &shape, &values).unwrap();
    };
    array("few.npy", [35, 2], &|_| {});
    array("turned.npy", [2, 36], &|_| {});
    array("none.npy", [36, 0], &|_| {});
    array("nan.npy", [36, 2], &|v| v[5] = f32::NAN);
    array("infinite.npy", [36, 2], &|v| v[71] = f32::NEG_INFINITY);
    npy::write(&at("flat.npy"), &[36], &[0.0f32; 36]).unwrap();
    npy::write(&at("whole.npy"), &[36, 1], &[0i64; 36]).unwrap();
    npy::write(&at("huge.npy"), &[36, 1], &[1e300f64; 36]).unwrap();
    put(place.path(), "text.npy", b"0.5,0.5");
    for (name, words) in [
        ("few", &["35 rows", "36 rows", "data-set order"][..]),
        ("turned", &["2 rows of 36", "array.T"]),
        ("none", &["36 rows of 0"]),
        ("nan", &["row 2, column 1", "NaN", "finite"]),
        ("infinite", &["row 35, column 1", "-inf"]),
        ("flat", &["shape [36]", "two axes"]),
        ("whole", &["integers", "float32"]),
        ("huge", &["row 0, column 0", "f32"]),
        ("text", &["text.npy", "too early"]),
        ("nowhere", &["nowhere.npy", "No such file"]),
    ] {
        let line = format!("score --data data --features {name}.npy --method ssp --out refused");
        refused(place.path(), &line, words);
        assert!(!place.path().join("refused").exists(), "{name}");
    }
    let line = "score --data data --features single.npy --method el2n --out refused";
    refused(place.path(), line, &["--features", "--method ssp"]);
}
