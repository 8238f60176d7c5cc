//! Reading a CSV of names and scores.

use std::path::Path;

use super::NamedScores;
use crate::artefact::tables::open;
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
}

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
    let others: Vec<usize> = (0..header.len()).filter(|&i| i != name).collect();
    let score = match (&found[..], &others[..], column) {
        ([score], _, _) if *score != name => *score,
        ([], [only], None) => *only,
        (_, _, Some(column)) => {
            return Err(table.wrong_header(format!("one column {column:?}")));
        }
        _ => {
            let names = SCORE_COLUMNS.join(" or ");
            let expected = format!("one column {names}; or `score_column` NAME");
            return Err(table.wrong_header(expected));
        }
    };
    let columns =
        ScoreColumns { name: table.header[name].to_owned(), score: table.header[score].to_owned() };
    let mut rows = NamedScores::default();
    while let Some((line, record)) = table.next_record()? {
        let cell = |i: usize| record.get(i).unwrap_or("").trim();
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
        read(&path, WantedColumns { name: None, score: column })
    }

    #[test]
    fn the_column_of_names_may_be_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.csv");
        for (header, name) in [("filepath,score", "FilePath"), (",score", ""), ("id,n,score", "n")]
        {
            let cells = if header.starts_with("id") { "q,a,1" } else { "a,1" };
            std::fs::write(&path, format!("{header}\n{cells}\n")).unwrap();
            let wanted = WantedColumns { name: Some(name), score: Some("score") };
            assert_eq!(read(&path, wanted).unwrap().1.names, ["a"], "{header}");
        }
        let wanted = WantedColumns { name: Some("x"), score: None };
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
