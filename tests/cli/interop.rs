//! The Python lines of `docs/interop.md`, run as they stand there.
//!
//! Needs a Python with torch and torchvision (`FAIRPRUNE_PYTHON`, or `python3`), and for Hugging Face one with
//! datasets (`FAIRPRUNE_DATASETS_PYTHON`, or the same). Without them the tests say so and pass;
//! `FAIRPRUNE_REQUIRE_TORCH=1` and `FAIRPRUNE_REQUIRE_DATASETS=1` make that a failure.

use std::process::Command as Process;

use fairprune::artefact::npy;

use crate::*;

/// The `n`-th block of Python under a heading.
fn block(heading: &str, n: usize) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/interop.md");
    let page = fs::read_to_string(page).unwrap();
    let section = page.split(&format!("\n## {heading}\n")).nth(1).expect("a heading");
    let section = section.split("\n## ").next().unwrap();
    let block = section.split("```python\n").nth(n + 1).expect("a block of Python");
    let block = block.split("```").next().unwrap().to_owned();
    assert_eq!(block.lines().count(), 3, "three lines are promised:\n{block}");
    block
}

/// A Python that can import `modules`, or why not.
fn python(variables: &[&str], required: &str, modules: &str) -> Option<String> {
    let python = variables.iter().find_map(|v| std::env::var(v).ok());
    let python = python.unwrap_or_else(|| "python3".to_owned());
    let probe = Process::new(&python).args(["-c", &format!("import {modules}")]).output();
    let why = match probe {
        Ok(p) if p.status.success() => return Some(python),
        Ok(p) => String::from_utf8_lossy(&p.stderr).lines().last().unwrap_or("").to_owned(),
        Err(e) => e.to_string(),
    };
    println!("skipped: {python} cannot import {modules}: {why}");
    let must = std::env::var(required).is_ok_and(|v| v == "1");
    assert!(!must, "{required}=1, but {python} cannot import {modules}: {why}");
    None
}

fn torch() -> Option<String> {
    python(&["FAIRPRUNE_PYTHON"], "FAIRPRUNE_REQUIRE_TORCH", "torch, torchvision")
}

fn hugging_face() -> Option<String> {
    let variables = ["FAIRPRUNE_DATASETS_PYTHON", "FAIRPRUNE_PYTHON"];
    python(&variables, "FAIRPRUNE_REQUIRE_DATASETS", "datasets, PIL, numpy")
}

/// What the lines print at the end of `code`.
fn lines(python: &str, place: &Path, code: &str) -> Vec<String> {
    let mut process = Process::new(python);
    process.current_dir(place).args(["-c", code]).env("PYTHONDONTWRITEBYTECODE", "1");
    process.env("HF_HOME", place.join("hf")).env("HF_HUB_OFFLINE", "1");
    let output = process.output().unwrap();
    assert!(output.status.success(), "{code}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// `FOLDER` with names that sort in more ways than one, and `kept`, a subset of it; its ids.
fn folder(place: &Path) -> Vec<String> {
    for (class, count) in [("b", 7), ("Ant hill", 5), ("été", 6)] {
        for i in 0..count {
            let name = ["1.png", "10.png", "2.PNG", "a b.png", "A.png", "ü.png", "_.png"][i];
            put(place, &format!("FOLDER/train/{class}/{name}"), &png(i % 3, 10 * i + class.len()));
            put(place, &format!("FOLDER/test/{class}/{name}"), &png(i % 3, i));
        }
    }
    good(place, "prune --data FOLDER --split half-test --density .5 --quota uniform --out kept -q");
    let table = fs::read_to_string(place.join("kept/kept.csv")).unwrap();
    let kept = table.lines().skip(1).filter(|l| l.ends_with(",1"));
    let ids: Vec<String> = kept.map(|l| l.split(',').nth(1).unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 9);
    ids
}

#[test]
fn pytorch_takes_the_positions() {
    let Some(python) = torch() else { return };
    let place = tempfile::tempdir().unwrap();
    let ids = folder(place.path());
    let code = block("PyTorch", 0)
        + "for i in subset.indices: print(data.samples[i][0])\nassert len(list(subset)) == len(subset)\n";
    let found = lines(&python, place.path(), &code);
    assert_eq!(found, ids.iter().map(|id| format!("FOLDER/{id}")).collect::<Vec<_>>());
}

#[test]
fn torchvision_takes_the_list_and_the_links() {
    let Some(python) = torch() else { return };
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    let ids = folder(place);
    let export = "data export --data FOLDER --subset kept/kept.npy -q";
    good(place, &format!("{export} --as list --out kept.txt"));
    good(place, &format!("{export} --as links --out smaller"));
    let print = "for path, label in data.samples: print(path)\nprint(*data.classes, sep='|')\nfor image, label in data: image.load()\n";
    for (n, root) in [(0, "FOLDER"), (1, "smaller")] {
        let mut found = lines(&python, place, &(block("torchvision", n) + print));
        assert_eq!(found.pop().unwrap(), "Ant hill|b|été");
        assert_eq!(found, ids.iter().map(|id| format!("{root}/{id}")).collect::<Vec<_>>());
    }
}

#[test]
fn hugging_face_selects_rows_of_parquet_and_of_folders() {
    let Some(python) = hugging_face() else { return };
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/formats/parquet");
    std::os::unix::fs::symlink(golden, place.join("PARQUET")).unwrap();
    let images = json(place, "data info PARQUET")["parts"]["train"]["images"].as_u64().unwrap();
    let rows: Vec<i64> = (0..images as i64).filter(|i| i % 3 != 1).collect();
    fs::create_dir(place.join("kept-rows")).unwrap();
    npy::write(&place.join("kept-rows/kept.npy"), &[rows.len()], &rows).unwrap();
    // The pixels of every kept row, as both see them.
    let code = block("Hugging Face", 0)
        + "print(len(data))\nkey = next(k for k, f in data.features.items() if isinstance(f, datasets.Image))\n\
           for row in subset: print(np.asarray(row[key].convert('RGB')).tobytes().hex())\n";
    let mut found = lines(&python, place, &code);
    assert_eq!(found.remove(0), images.to_string());
    let set = fairprune::data::load(
        place.join("PARQUET").to_str().unwrap(),
        &fairprune::data::LoadOptions::default(),
        &|_, _| (),
    )
    .unwrap();
    let hex = |i: &i64| set.train.image(*i as usize).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(found, rows.iter().map(hex).collect::<Vec<String>>());
    // Names of a folder.
    let ids = folder(place);
    let code = block("Hugging Face", 1)
        + "paths = subset.cast_column('image', datasets.Image(decode=False))\n\
           for row in paths: print(row['image']['path'])\n";
    let found = lines(&python, place, &code);
    assert_eq!(found.len(), ids.len());
    for (path, id) in found.iter().zip(&ids) {
        assert!(path.ends_with(&format!("FOLDER/{id}")), "{path} is not {id}");
    }
}
