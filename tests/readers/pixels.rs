//! Decoded and resized pixels against Pillow and torchvision.

use std::io::Read;
use std::path::{Path, PathBuf};

use fairprune::data::{DecodeLimits, decode_image};
use flate2::read::GzDecoder;
use serde_json::Value;

use super::{golden, hex, load, put};

fn check(what: &str, ours: &[u8], theirs: &[u8]) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let different = ours.iter().zip(theirs).filter(|(x, y)| x != y).count();
    assert_eq!(different, 0, "{what}: values that differ, of {}", ours.len());
}

/// Loads one image file under its own name.
fn load_one(name: &str, file: &[u8], size: Option<usize>) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), &format!("train/a/{name}"), file);
    put(dir.path(), &format!("train/b/{name}"), file);
    load(dir.path(), size).unwrap_or_else(|e| panic!("{name}: {e}")).train.image(0).to_vec()
}

#[test]
fn every_kind_of_file_decodes_as_pillow_does() {
    let cases = golden("pixels.json");
    let cases = cases.as_array().unwrap();
    assert!(cases.len() > 20);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let file = hex(&case["file"]);
        check(name, &load_one(name, &file, None), &hex(&case["rgb"]));
        for resized in case["resized"].as_array().unwrap() {
            let size = resized["size"].as_u64().unwrap() as usize;
            let ours = load_one(name, &file, Some(size));
            check(&format!("{name} at {size}"), &ours, &hex(&resized["rgb"]));
        }
    }
}

/// What the decoders refuse: chroma of higher resolution than luma, baseline scans of two of three
/// components, CMYK with subsampled colours; TIFF of one bit, with a palette, with grey and alpha.
const REFUSED: [(&str, &str); 10] = [
    ("tiff-1.tiff", "does not support"),
    ("tiff-LA.tiff", "unsupported"),
    ("tiff-P.tiff", "unsupported"),
    ("sample-photo-1x1,2x1,1x1.jpg", "out-samples luma"),
    ("sample-progressive-photo-1x1,2x1,1x1.jpg", "out-samples luma"),
    ("sample-stripes-1x1,2x1,1x1.jpg", "out-samples luma"),
    ("sample-progressive-stripes-1x1,2x1,1x1.jpg", "out-samples luma"),
    ("scans-two-and-one-photo.jpg", "scan has 2 components"),
    ("scans-two-and-one-noise.jpg", "scan has 2 components"),
    ("cmyk-4:2:0.jpg", "unlike sampling"),
];

/// Every way of writing image files that was thought of (`golden/readers/make_variants.py`).
#[test]
fn variants_of_image_files_decode_to_pillows_bits() {
    let file = include_bytes!("../golden/readers/variants.json.gz");
    let mut text = String::new();
    GzDecoder::new(file.as_slice()).read_to_string(&mut text).unwrap();
    let limits = DecodeLimits { side: 4096, pixels: 1 << 24, file_bytes: 1 << 20 };
    let mut kinds = [0; 3];
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let name = case["name"].as_str().unwrap();
        let decoded = decode_image(&hex(&case["file"]), limits, name);
        if let Some((_, why)) = REFUSED.iter().find(|r| r.0 == name) {
            let error = decoded.unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
            continue;
        }
        let (height, width, rgb) = decoded.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(height as u64, case["height"].as_u64().unwrap(), "{name}");
        assert_eq!(width as u64, case["width"].as_u64().unwrap(), "{name}");
        check(name, &rgb, &hex(&case["rgb"]));
        let kind = [".jpg", ".png"].iter().position(|end| name.ends_with(end));
        kinds[kind.unwrap_or(2)] += 1;
    }
    assert!(kinds[0] >= 200 && kinds[1] >= 60 && kinds[2] >= 60, "{kinds:?}");
}

/// `$FAIRPRUNE_TEST_DATA` or `~/data`, where the real sets are looked for.
fn real_data(name: &str) -> Option<PathBuf> {
    let base = std::env::var_os("FAIRPRUNE_TEST_DATA").map(PathBuf::from);
    let base = base.or_else(|| std::env::var_os("HOME").map(|h| Path::new(&h).join("data")))?;
    let path = base.join(name);
    if !path.is_dir() {
        eprintln!("skipped: {} is not there", path.display());
    }
    path.is_dir().then_some(path)
}

#[test]
fn photographs_decode_and_resize_as_pillow_does() {
    let Some(root) = real_data("imagenette/imagenette-mini") else { return };
    let golden = golden("imagenette.json");
    let full = load(&root, None).unwrap();
    let small = load(&root, Some(32)).unwrap();
    assert_eq!(full.train.len() as u64, golden["count"].as_u64().unwrap());
    assert_eq!((full.height, full.width, small.height, small.width), (224, 224, 32, 32));
    for image in golden["images"].as_array().unwrap() {
        let i = image["index"].as_u64().unwrap() as usize;
        let id = &full.train.ids[i];
        assert_eq!(id, image["id"].as_str().unwrap());
        assert_eq!(u64::from(full.train.labels[i]), image["label"].as_u64().unwrap());
        let pixels = full.train.image(i);
        let every16: Vec<u8> = (0..224 * 224)
            .filter(|p| p / 224 % 16 == 0 && p % 224 % 16 == 0)
            .flat_map(|p| pixels[p * 3..p * 3 + 3].to_vec())
            .collect();
        check(id, &every16, &hex(&image["every16"]));
        check(&format!("{id} at 32"), small.train.image(i), &hex(&image["at32"]));
    }
}
