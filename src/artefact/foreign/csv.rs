//! Reading a CSV of names and scores.

use std::path::Path;

use super::NamedScores;
use crate::artefact::tables::{ATTRIBUTE, SCORE_TABLE_COLUMNS, open};
use crate::error::{Error, Result};

/// Headers of the column that names the sample, in any case; the first that is there counts.
pub const NAME_COLUMNS: [&str; 8] =
    ["id", "sample_id", "filename", "file_name", "file", "path", "image", "img_filename"];

/// Headers of the column that holds the score, in any case, where none is asked for.
pub const SCORE_COLUMNS: [&str; 2] = ["score", "aum"];

/// The columns that were read, by their headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoreColumns {
    /// Header of the column that names the sample.
    pub name: String,
    /// Header of the column that holds the score.
    pub score: String,
    /// Whether the table is one of ours, `scores.csv`: its rows say then whether they are held out.
    pub own: bool,
}

/// The headers of the columns that are asked for, in any case; that of a column without a header is
/// empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct WantedColumns<'a> {
    /// The column that names the sample; `None` takes the first of [`NAME_COLUMNS`].
    pub name: Option<&'a str>,
    /// The column that holds the score; `None` takes one of [`SCORE_COLUMNS`], else the only one beside
    /// the name.
    pub score: Option<&'a str>,
    /// Whether the column `part` (or `split`) says which samples are held out; tables of ours say it
    /// always.
    pub parts: bool,
}

/// The columns that may say which samples are held out, and what their cells say, in any case.
const PART_COLUMNS: [&str; 2] = ["part", "split"];
const TRAINED_ON: [&str; 2] = ["train", "training"];
const HELD_OUT: [&str; 9] =
    ["val", "valid", "validation", "dev", "test", "testing", "eval", "evaluation", "out"];

/// Returns the names and scores of every row.
///
/// # Errors
/// A column is missing or several may be meant, a cell is no number (it is named by its line), or
/// there is no row at all.
pub fn read(path: &Path, wanted: WantedColumns) -> Result<(ScoreColumns, NamedScores)> {
    let column = wanted.score;
    let mut table = open(path)?;
    let header: Vec<String> = table.header.iter().map(|h| h.trim().to_lowercase()).collect();
    let places = |wanted: &str| -> Vec<usize> {
        header.iter().enumerate().filter(|(_, h)| *h == wanted).map(|(i, _)| i).collect()
    };
    let first = |names: &[&str]| -> Vec<usize> {
        names.iter().map(|n| places(n)).find(|found| !found.is_empty()).unwrap_or_default()
    };
    let own = table.header.iter().take(SCORE_TABLE_COLUMNS.len()).eq(SCORE_TABLE_COLUMNS);
    let part = match (own || wanted.parts, &first(&PART_COLUMNS)[..]) {
        (false, _) => None,
        (true, [part]) => Some(*part),
        (true, _) => {
            let expected = "one column part or split, which says what is held out";
            return Err(table.wrong_header(expected));
        }
    };
    let named = match wanted.name {
        Some(column) => places(&column.trim().to_lowercase()),
        None => first(&NAME_COLUMNS),
    };
    let [name] = named[..] else {
        let expected = match wanted.name {
            Some(column) => format!("one column {column:?}"),
            None => format!(
                "one column that names the samples: {}; or `name_column` NAME (\"\" for one without a \
                 header)",
                NAME_COLUMNS.join(", ")
            ),
        };
        return Err(table.wrong_header(expected));
    };
    let found = match column {
        Some(column) => places(&column.to_lowercase()),
        None => first(&SCORE_COLUMNS),
    };
    let fixed = |i: usize| own && (i < SCORE_TABLE_COLUMNS.len() || header[i] == ATTRIBUTE);
    let others: Vec<usize> =
        (0..header.len()).filter(|&i| i != name && Some(i) != part && !fixed(i)).collect();
    let score = match (&found[..], &others[..], column) {
        ([score], _, _) if *score != name => *score,
        ([], [only], None) => *only,
        (_, _, Some(column)) => {
            return Err(table.wrong_header(format!("one column {column:?}")));
        }
        _ => {
            let names: Vec<&str> = match own {
                true => others.iter().map(|&i| table.header.get(i).unwrap_or("")).collect(),
                false => SCORE_COLUMNS.to_vec(),
            };
            let expected = format!("one column {}; or `score_column` NAME", names.join(" or "));
            return Err(table.wrong_header(expected));
        }
    };
    let [name_header, score_header] = [name, score].map(|i| table.header[i].to_owned());
    let columns = ScoreColumns { name: name_header, score: score_header, own };
    let mut rows = NamedScores::default();
    while let Some((line, record)) = table.next_record()? {
        let cell = |i: usize| record.get(i).unwrap_or("").trim();
        if let Some(part) = part {
            let text = cell(part).to_lowercase();
            if HELD_OUT.contains(&text.as_str()) {
                rows.held_out.push(cell(name).to_owned());
                continue;
            }
            if !TRAINED_ON.contains(&text.as_str()) {
                let expected = "train for a sample that may be kept, or val, test or out";
                return Err(table.cell(line, &header[part], cell(part), expected));
            }
        }
        let value: Option<f64> = cell(score).parse().ok().filter(|v: &f64| !v.is_nan());
        let Some(value) = value else {
            return Err(table.cell(line, &columns.score, cell(score), "a number"));
        };
        rows.names.push(cell(name).to_owned());
        rows.scores.push(value);
    }
    if rows.names.is_empty() {
        return Err(Error::invalid(path.display().to_string(), "no rows", "at least one"));
    }
    Ok((columns, rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, column: Option<&str>) -> Result<(ScoreColumns, NamedScores)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.csv");
        std::fs::write(&path, text).unwrap();
        read(&path, WantedColumns { score: column, ..WantedColumns::default() })
    }

    #[test]
    fn the_column_of_names_may_be_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.csv");
        for (header, name) in [("filepath,score", "FilePath"), (",score", ""), ("id,n,score", "n")]
        {
            let cells = if header.starts_with("id") { "q,a,1" } else { "a,1" };
            std::fs::write(&path, format!("{header}\n{cells}\n")).unwrap();
            let wanted = WantedColumns { name: Some(name), score: Some("score"), parts: false };
            assert_eq!(read(&path, wanted).unwrap().1.names, ["a"], "{header}");
        }
        let wanted = WantedColumns { name: Some("x"), ..WantedColumns::default() };
        let text = read(&path, wanted).unwrap_err().to_string();
        assert!(text.contains("one column \"x\""), "{text}");
    }

    #[test]
    fn columns_are_found_by_name_or_by_being_the_only_one() {
        for (text, column, header) in [
            ("filename,score\na,1\nb,-2e3\n", None, ("filename", "score")),
            ("aum,sample_id\n1,a\n-2000,b\n", None, ("sample_id", "aum")),
            ("path,el2n\na,1\nb,-2000\n", None, ("path", "el2n")),
            ("epoch,file,x,y\n0,a,1,9\n0,b,-2000,9\n", Some("X"), ("file", "x")),
            ("id,score,filename\na,1,q\nb,-2000,q\n", None, ("id", "score")),
        ] {
            let (columns, rows) = of(text, column).unwrap();
            assert_eq!((columns.name.as_str(), columns.score.as_str()), header, "{text}");
            assert_eq!(
                (rows.names, rows.scores),
                (vec!["a".into(), "b".into()], vec![1.0, -2000.0])
            );
        }
    }

    #[test]
    fn parts_say_which_rows_are_held_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.csv");
        let read_parts = |text: &str, parts: bool| {
            std::fs::write(&path, text).unwrap();
            read(&path, WantedColumns { parts, ..WantedColumns::default() })
        };
        // A table of ours says it always, and held-out rows need no number.
        let own = "index,id,label,part,el2n\n0,a,0,train,1\n1,b,0,val,\n2,c,1,out,3\n";
        let (columns, rows) = read_parts(own, false).unwrap();
        assert_eq!((columns.score.as_str(), columns.own), ("el2n", true));
        assert_eq!((&rows.names[..], &rows.scores[..]), (&["a".to_owned()][..], &[1.0][..]));
        assert_eq!(rows.held_out, ["b", "c"]);
        let two = "index,id,label,part,attribute,el2n,aum2\n0,a,0,train,0,1,2\n";
        let text = read_parts(two, false).unwrap_err().to_string();
        assert!(text.contains("one column el2n or aum2"), "{text}");
        // Another's says it if that is asked for.
        let other = "file,Split,score\na,Training,1\nb,valid,2\n";
        assert_eq!(read_parts(other, false).unwrap().1.held_out, [""; 0]);
        assert_eq!(read_parts(other, true).unwrap().1.held_out, ["b"]);
        let text = read_parts(&other.replace("valid", "maybe"), true).unwrap_err().to_string();
        assert!(text.contains("line 3, column split") && text.contains("maybe"), "{text}");
        let text = read_parts("file,score\na,1\n", true).unwrap_err().to_string();
        assert!(text.contains("one column part or split"), "{text}");
    }

    #[test]
    fn what_is_no_table_of_scores_is_refused() {
        for (text, column, word) in [
            ("name,score\na,1\n", None, "names the samples"),
            ("id,x,y\na,1,2\n", None, "`score_column`"),
            ("id,score,score\na,1,2\n", None, "score or aum"),
            ("id,score\na,1\n", Some("aum"), "\"aum\""),
            ("id,score\na,1\n", Some("id"), "\"id\""),
            ("id,score\na,high\n", None, "line 2, column score"),
            ("id,score\na,NaN\n", None, "\"NaN\""),
            ("id,score\na,\n", None, "line 2"),
            ("id,score\na,1,2\n", None, "3 cells"),
            ("id,score\n", None, "no rows"),
            ("", None, "names the samples"),
        ] {
            let error = of(text, column).unwrap_err().to_string();
            assert!(error.contains(word), "{text:?}: {error}");
        }
    }
}
