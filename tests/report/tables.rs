//! The CSV files and the JSON beside them.

use fairprune::artefact::provenance::{DataIdentity, KeptEnd, MethodRecord, Provenance};
use fairprune::artefact::tables::{
    self, DroppedRow, KeptClassRow, KeptRow, Reason, RecallRow, SamplePart, ScoreTable, TableRow,
};
use fairprune::artefact::{atomic, provenance};
use std::fs;
use std::path::PathBuf;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn with(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        fs::write(self.file(name), text).unwrap();
        self.file(name)
    }
}

fn recalls() -> Vec<RecallRow> {
    let row = |class: u32, name: &str, recall, sd: Option<f64>| RecallRow {
        class,
        name: name.to_owned(),
        train_size: 500,
        val_correct: sd.map(|_| if recall == 0.0 { 0 } else { 41 }),
        val_total: sd.map(|_| 50),
        recall,
        recall_sd: sd,
    };
    vec![
        row(0, "a, \"quoted\"\nname", 0.1 + 0.2, Some(0.012345678901234567)),
        row(1, "žluťoučký", 1.0, None),
        row(2, "", 0.0, Some(0.0)),
    ]
}

#[test]
fn rows_come_back_bit_for_bit() {
    let folder = Folder::new();
    let path = folder.file("recalls.csv");
    tables::write(&path, &recalls()).unwrap();
    assert_eq!(tables::read::<RecallRow>(&path).unwrap(), recalls());
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("class,name,train_size,val_correct,val_total,recall,recall_sd\n0,"));
    assert!(text.contains(",0.30000000000000004,"), "not the shortest digits: {text}");

    let kept: Vec<KeptRow> = [(Some(0.1f32), true), (None, false), (Some(f32::INFINITY), true)]
        .into_iter()
        .enumerate()
        .map(|(i, (score, kept))| KeptRow {
            index: i as u64 * 7,
            id: format!("train/{i}.png"),
            label: i as u32,
            part: if kept { SamplePart::Train } else { SamplePart::Out },
            score,
            kept,
        })
        .collect();
    let path = folder.file("kept.csv");
    tables::write(&path, &kept).unwrap();
    assert_eq!(tables::read::<KeptRow>(&path).unwrap(), kept);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().nth(1), Some("0,train/0.png,0,train,0.1,1"));
    assert_eq!(text.lines().nth(2), Some("7,train/1.png,1,out,,0"));

    let dropped: Vec<DroppedRow> = Reason::ALL
        .into_iter()
        .enumerate()
        .map(|(i, reason)| DroppedRow {
            index: i as u64,
            id: format!("{i}.png"),
            label: 2,
            part: SamplePart::Val,
            score: (i % 2 == 0).then_some(0.5),
            reason,
        })
        .collect();
    let path = folder.file("dropped.csv");
    tables::write(&path, &dropped).unwrap();
    assert_eq!(tables::read::<DroppedRow>(&path).unwrap(), dropped);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().nth(1), Some("0,0.png,2,val,0.5,held out"));
    // Where everything is kept, there is none.
    tables::write::<DroppedRow>(&path, &[]).unwrap();
    assert_eq!(tables::read::<DroppedRow>(&path).unwrap(), []);

    let classes = vec![
        KeptClassRow {
            class: 0,
            name: "x".into(),
            size: 3,
            recall: Some(0.5),
            density: 1.0 / 3.0,
            kept: 1,
        },
        KeptClassRow { class: 1, name: "y".into(), size: 0, recall: None, density: 0.0, kept: 0 },
    ];
    let path = folder.file("classes.csv");
    tables::write(&path, &classes).unwrap();
    assert_eq!(tables::read::<KeptClassRow>(&path).unwrap(), classes);
}

#[test]
fn spreadsheets_may_reorder() {
    let folder = Folder::new();
    let text = "\u{feff}recall,class,name,train_size,val_correct,val_total,recall_sd\r\n\
                .5,1,b,10,,,\r\n1,0,a,20,3,3,0\r\n";
    let rows: Vec<RecallRow> = tables::read(&folder.with("r.csv", text)).unwrap();
    assert_eq!(rows[0].name, "a");
    assert_eq!((rows[1].recall, rows[1].val_total, rows[1].train_size), (0.5, None, 10));
}

fn refused<T: TableRow>(text: impl AsRef<[u8]>, says: &[&str]) {
    let folder = Folder::new();
    let path = folder.with("rows.csv", text.as_ref());
    let error = tables::read::<T>(&path).map(|_| ()).unwrap_err().to_string();
    for part in says.iter().chain(&["rows.csv"]) {
        let text = String::from_utf8_lossy(text.as_ref());
        assert!(error.contains(part), "{part:?} not in {error:?} for {text}");
    }
}

#[test]
fn bad_rows_are_named() {
    const HEAD: &str = "class,name,train_size,val_correct,val_total,recall,recall_sd\n";
    let one = |row: &str| format!("{HEAD}0,ok,5,1,2,0.5,0.1\n{row}\n");
    let recall = ["line 3, column recall", "a number from 0 to 1"];
    for cell in ["NaN", "nan", "inf", "-inf", "1.0000001", "-0.1", "", "x", "0,5"] {
        let says = if cell == "0,5" { &["line 3", "8 cells"][..] } else { &recall[..] };
        refused::<RecallRow>(one(&format!("1,b,5,1,2,{cell},0.1")), says);
    }
    refused::<RecallRow>(one("1,b,5,3,2,0.5,0.1"), &["line 3, column val_correct", "\"3\""]);
    refused::<RecallRow>(one("1,b,-5,1,2,0.5,0.1"), &["line 3, column train_size", "\"-5\""]);
    refused::<RecallRow>(one("1,b,5,1,2,0.5,NaN"), &["line 3, column recall_sd"]);
    refused::<RecallRow>(one("1,b,5"), &["line 3", "3 cells", "7"]);
    refused::<RecallRow>(one("0,again,5,1,2,0.5,0.1"), &["line 3, column class", "0 again"]);
    refused::<RecallRow>(one("2,skipped,5,1,2,0.5,0.1"), &["line 3, column class", "each once"]);
    refused::<RecallRow>(HEAD, &["no rows"]);
    refused::<RecallRow>("", &["line 1", "an empty file"]);
    refused::<RecallRow>("class,recall\n0,0.5\n", &["line 1", "class,recall", "recall_sd"]);
    refused::<RecallRow>(HEAD.replace("recall_sd", "extra"), &["line 1", "extra"]);
    refused::<RecallRow>(HEAD.replace(',', ";") + "0;a;5;1;2;0.5;0.1\n", &["line 1", "class;name"]);
    refused::<RecallRow>([HEAD.as_bytes(), b"0,\xff\xfe,5,1,2,0.5,0.1\n"].concat(), &["UTF-8"]);
    // Lines are counted in the file, also after a name that spans two.
    refused::<RecallRow>(format!("{HEAD}0,\"a\nb\",5,1,2,0.5,\n1,c,5,1,2,7,\n"), &["line 4"]);

    const KEPT: &str = "index,id,label,part,score,kept\n";
    refused::<KeptRow>(format!("{KEPT}0,a,0,train,0.5,2\n"), &["column kept", "0 or 1"]);
    refused::<KeptRow>(format!("{KEPT}0,a,0,train,NaN,1\n"), &["column score"]);
    refused::<KeptRow>(format!("{KEPT}0,a,0,test,1,1\n"), &["column part", "train, val or out"]);
    refused::<KeptRow>(
        format!("{KEPT}3,a,0,train,,1\n3,b,0,val,,0\n"),
        &["line 3, column index", "3 again"],
    );

    const CLASSES: &str = "class,name,size,recall,density,kept\n";
    refused::<KeptClassRow>(format!("{CLASSES}0,a,5,,0.5,6\n"), &["column kept", "at most size"]);
    refused::<KeptClassRow>(format!("{CLASSES}0,a,5,,1.5,5\n"), &["column density"]);

    // What could not be read back is not written.
    let folder = Folder::new();
    let mut rows = recalls();
    rows[1].recall = f64::NAN;
    let error = tables::write(&folder.file("r.csv"), &rows).unwrap_err().to_string();
    assert!(error.contains("class 1") && error.contains("recall"), "{error}");
    assert!(!folder.file("r.csv").exists());
}

fn scores() -> ScoreTable {
    ScoreTable {
        ids: vec!["a".into(), "b,c".into(), "d".into()],
        labels: vec![0, 2, 1],
        parts: vec![SamplePart::Train, SamplePart::Val, SamplePart::Train],
        attributes: Vec::new(),
        methods: vec![
            ("el2n".into(), vec![0.1, f32::NAN, 1.0e-7]),
            ("forgetting".into(), vec![3.0, 0.0, f32::INFINITY]),
        ],
    }
}

#[test]
fn scores_come_back() {
    let folder = Folder::new();
    let path = folder.file("scores.csv");
    scores().write(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(
        text,
        "index,id,label,part,el2n,forgetting\n0,a,0,train,0.1,3.0\n1,\"b,c\",2,val,,0.0\n\
         2,d,1,train,1e-7,inf\n"
    );
    let read = ScoreTable::read(&path).unwrap();
    assert!(read.methods[0].1[1].is_nan());
    assert_eq!(
        (&read.ids, &read.labels, &read.parts),
        (&scores().ids, &scores().labels, &scores().parts)
    );
    assert_eq!(read.method("forgetting", &path).unwrap(), [3.0, 0.0, f32::INFINITY]);
    assert_eq!(read.methods[0].1[2].to_bits(), 1.0e-7f32.to_bits());
    let error = read.method("grand", &path).unwrap_err().to_string();
    assert!(error.contains("el2n, forgetting") && error.contains("grand"), "{error}");
}

#[test]
fn bad_scores_are_named() {
    let folder = Folder::new();
    let head = "index,id,label,part,el2n\n";
    for (text, says) in [
        (format!("{head}0,a,0,train,NaN\n"), "line 2, column el2n"),
        (format!("{head}0,a,0,train,\n"), "line 2, column el2n"),
        (format!("{head}0,a,0,val,x\n"), "a number or nothing"),
        (format!("{head}0,a,0,test,1\n"), "train, val or out"),
        (format!("{head}0,a,-1,train,1\n"), "column label"),
        (format!("{head}1,a,0,train,1\n"), "data-set order"),
        (format!("{head}0,a,0,train,1\n0,b,0,train,1\n"), "line 3, column index"),
        (head.to_owned(), "no rows"),
        ("index,id,label\n0,a,0\n".to_owned(), "line 1"),
        ("index,id,part,label,el2n\n".to_owned(), "line 1"),
        ("index,id,label,part,el2n,el2n\n".to_owned(), "different names"),
    ] {
        let path = folder.with("scores.csv", &text);
        let error = ScoreTable::read(&path).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("scores.csv"), "{error} for {text}");
    }
    // Recalls alone leave no score: a table of samples is lawful.
    let bare = folder.with("scores.csv", "index,id,label,part\n0,a,0,train\n");
    assert!(ScoreTable::read(&bare).unwrap().methods.is_empty());
    let mut table = scores();
    table.parts[1] = SamplePart::Train;
    let error = table.write(&folder.file("new.csv")).unwrap_err().to_string();
    assert!(error.contains("el2n of training sample 1"), "{error}");
    let mut table = scores();
    table.labels.pop();
    assert!(table.write(&folder.file("new.csv")).is_err());
    assert!(!folder.file("new.csv").exists());
}

fn data(fingerprint: &str) -> DataIdentity {
    let fingerprint = fingerprint.to_owned();
    DataIdentity {
        name: "shapes".to_owned(),
        fingerprint,
        samples_fingerprint: None,
        size: None,
        samples: 5000,
        classes: 10,
        long_tail: None,
    }
}

#[test]
fn provenance_comes_back_and_guards() {
    let folder = Folder::new();
    let path = folder.file("scores.json");
    let method = MethodRecord {
        name: "el2n".to_owned(),
        variant: "mean over runs".to_owned(),
        direction: Some(KeptEnd::HigherFirst),
        hyper_parameters: serde_json::json!({"epochs": 10, "lr": 0.1}).as_object().unwrap().clone(),
    };
    let written = Provenance::new(data("abc"), vec![method], vec![u64::MAX, 0]);
    atomic::write_json(&path, &written).unwrap();
    let read = Provenance::read(&path).unwrap();
    assert_eq!(read, written);
    assert_eq!(read.version, env!("CARGO_PKG_VERSION"));
    assert!(fs::read_to_string(&path).unwrap().contains("\"direction\": \"higher-first\""));
    assert_eq!(read.method("el2n", &path).unwrap().variant, "mean over runs");
    assert!(read.method("grand", &path).unwrap_err().to_string().contains("el2n"));
    read.check_data("scores.json", &data("abc")).unwrap();
    let error = read.check_data("scores.json", &data("xyz")).unwrap_err().to_string();
    assert!(error.contains("fingerprint abc") && error.contains("fingerprint xyz"), "{error}");

    for (text, says) in [
        ("{", "malformed"),
        ("{}", "no format_version"),
        ("{\"format_version\": 2}", "found format_version 2, expected format_version 1"),
        ("{\"format_version\": 1}", "missing field"),
        ("[]", "no format_version"),
    ] {
        let path = folder.with("x.json", text);
        let read = provenance::read_json::<Provenance>(&path, 1);
        let error = read.unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("x.json"), "{error}");
    }
}
