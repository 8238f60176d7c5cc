//! The little of Python's pickle format that CIFAR's files consist of: a dictionary of texts,
//! numbers, lists of them and NumPy arrays of whole numbers.
//!
//! A pickle is a program for a stack machine, and a general reader would run what it says. This one
//! knows the instructions that `pickle.dump` writes for such a dictionary (protocols 0 to 5, of
//! Python 2 and 3) and six names of functions of NumPy and the codecs. Everything else is refused
//! by name. Every instruction makes at most one value, the values are counted, and long texts stay
//! where they are in the file. Source: `pickletools.py` of CPython, `ndarray.__reduce__` and
//! `_frombuffer` of NumPy.

mod calls;
mod machine;
mod text;
mod value;

use std::borrow::Cow;

use self::machine::StackMachine;
use self::value::{Id, MOST_NAME, PickleValue};
use crate::error::{Error, Result};

/// A dictionary that was read.
#[derive(Debug)]
pub struct Pickle<'a> {
    values: Vec<PickleValue<'a>>,
    root: Id,
    what: String,
}

impl<'a> Pickle<'a> {
    /// Reads `bytes`; `what` names them in errors.
    ///
    /// # Errors
    /// The file has other instructions or names than CIFAR's files use, ends too early, or holds a
    /// value that is no dictionary.
    pub fn read(bytes: &'a [u8], what: &str) -> Result<Self> {
        let mut machine = StackMachine::new(bytes);
        let outcome = machine.run();
        let at = machine.at;
        let root = outcome.map_err(|found| {
            let place = format!("{what}, byte {at}");
            Error::invalid(place, found, "a pickle as CIFAR's Python version has it")
        })?;
        let pickle = Pickle { values: machine.values, root, what: what.to_owned() };
        match pickle.values[root] {
            PickleValue::Dict(_) => Ok(pickle),
            _ => Err(Error::invalid(what, "a pickle of something else", "a pickled dictionary")),
        }
    }

    /// Tells whether the dictionary has `key`.
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    fn get(&self, key: &str) -> Option<Id> {
        let PickleValue::Dict(pairs) = &self.values[self.root] else { return None };
        // A later pair replaces an earlier one.
        let named =
            |id: Id| matches!(&self.values[id], PickleValue::Bytes(b) if **b == *key.as_bytes());
        pairs.iter().rev().find(|(k, _)| named(*k)).map(|(_, v)| *v)
    }

    fn wrong(&self, key: &str, found: impl Into<String>, expected: &str) -> Error {
        Error::invalid(format!("{}, {key:?}", self.what), found, expected)
    }

    fn list(&self, key: &str, expected: &str) -> Result<&[Id]> {
        match self.get(key).map(|id| &self.values[id]) {
            Some(PickleValue::List(items)) => Ok(items),
            Some(_) => Err(self.wrong(key, "no list", expected)),
            None => Err(self.wrong(key, "nothing", expected)),
        }
    }

    /// Returns the integers under `key`: a list of them, or an array of one axis.
    pub fn integers(&self, key: &str) -> Result<Vec<i64>> {
        let expected = "a list of integers";
        if let Some(PickleValue::Array(Some(stored))) = self.get(key).map(|id| &self.values[id]) {
            let PickleValue::Bytes(data) = &self.values[stored.data] else {
                return Err(self.wrong(key, "an array without its bytes", expected));
            };
            let length = stored.shape[0].checked_mul(usize::from(stored.item.width));
            if !(stored.flat || stored.shape[1] == 1) || length != Some(data.len()) {
                let found = format!("{} bytes for shape {:?}", data.len(), stored.shape);
                return Err(self.wrong(key, found, "an array of integers, of one axis"));
            }
            return Ok(stored.item.numbers(data));
        }
        let each = self.list(key, expected)?.iter().enumerate();
        each.map(|(i, &id)| match self.values[id] {
            PickleValue::Int(n) => Ok(n),
            _ => Err(self.wrong(key, format!("no integer at position {i}"), expected)),
        })
        .collect()
    }

    /// Returns the `count` short texts listed under `key`.
    pub fn names(&self, key: &str, count: usize) -> Result<Vec<String>> {
        let expected = format!("a list of {count} names in UTF-8, of at most {MOST_NAME} bytes");
        let list = self.list(key, &expected)?;
        if list.len() != count {
            return Err(self.wrong(key, format!("a list of {}", list.len()), &expected));
        }
        let name = |(i, &id): (usize, &Id)| match &self.values[id] {
            PickleValue::Bytes(b) if b.len() <= MOST_NAME => String::from_utf8(b.to_vec())
                .map_err(|_| self.wrong(key, format!("no UTF-8 at position {i}"), &expected)),
            _ => Err(self.wrong(key, format!("no such name at position {i}"), &expected)),
        };
        list.iter().enumerate().map(name).collect()
    }

    /// Returns the two-dimensional array of bytes under `key`: the number of rows, and the values
    /// row after row.
    pub fn rows(&self, key: &str, columns: usize) -> Result<(usize, Cow<'_, [u8]>)> {
        let expected = format!("an array of bytes of shape (N, {columns})");
        let stored = match self.get(key).map(|id| &self.values[id]) {
            Some(PickleValue::Array(Some(stored))) => *stored,
            Some(_) => return Err(self.wrong(key, "no array of bytes", &expected)),
            None => return Err(self.wrong(key, "nothing", &expected)),
        };
        if !stored.item.is_byte() {
            let found = format!("an array of numbers of {} bytes", stored.item.width);
            return Err(self.wrong(key, found, "an array of unsigned bytes"));
        }
        let [rows, wide] = stored.shape;
        let PickleValue::Bytes(data) = &self.values[stored.data] else {
            return Err(self.wrong(key, "an array without its bytes", &expected));
        };
        if wide != columns {
            return Err(self.wrong(key, format!("an array of shape ({rows}, {wide})"), &expected));
        }
        if rows.checked_mul(wide) != Some(data.len()) {
            let found = format!("{} bytes for shape ({rows}, {wide})", data.len());
            return Err(self.wrong(key, found, &expected));
        }
        if !stored.fortran {
            return Ok((rows, Cow::Borrowed(data)));
        }
        // The values are stored column after column.
        let values = (0..data.len()).map(|i| data[i % wide * rows + i / wide]).collect();
        Ok((rows, Cow::Owned(values)))
    }
}
