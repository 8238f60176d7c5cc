//! The stack machine: what each instruction does. Its errors say what was found.

use std::borrow::Cow;
use std::collections::HashMap;

use super::value::{Global, Id, MOST_AXES, MOST_NAME, PickleValue, Stored};

/// Most values that a pickle may make or use again. CIFAR-100's 50,000 records make some 150,000.
const MOST_VALUES: usize = 1 << 21;

/// The machine between two instructions.
pub(super) struct StackMachine<'a> {
    bytes: &'a [u8],
    pub at: usize,
    pub values: Vec<PickleValue<'a>>,
    stack: Vec<Id>,
    pushes: usize,
    memo: HashMap<u32, Id>,
    /// Number of bytes that texts may still be re-encoded to. It starts with as many as the file
    /// has.
    encodable: usize,
}

type StepResult<T> = Result<T, String>;

impl<'a> StackMachine<'a> {
    /// At the start of a pickle, with an empty stack.
    pub fn new(bytes: &'a [u8]) -> Self {
        StackMachine {
            bytes,
            at: 0,
            values: Vec::new(),
            stack: Vec::new(),
            pushes: 0,
            memo: HashMap::new(),
            encodable: bytes.len(),
        }
    }

    fn take(&mut self, count: u64) -> StepResult<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        match usize::try_from(count).ok().and_then(|n| rest.get(..n)) {
            Some(taken) => {
                self.at += taken.len();
                Ok(taken)
            }
            None => Err(format!("{count} bytes announced and {} left", rest.len())),
        }
    }

    /// Reads a little-endian number of `width` bytes, at most eight.
    fn number(&mut self, width: u64) -> StepResult<u64> {
        Ok(self.take(width)?.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b)))
    }

    fn line(&mut self) -> StepResult<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().take(MOST_NAME).position(|&b| b == b'\n');
        let line = &rest[..end.ok_or("a name without an end")?];
        self.at += line.len() + 1;
        Ok(line)
    }

    fn push(&mut self, value: PickleValue<'a>) -> StepResult<()> {
        self.push_id(self.values.len())?;
        self.values.push(value);
        Ok(())
    }

    fn push_id(&mut self, id: Id) -> StepResult<()> {
        self.pushes += 1;
        if self.pushes > MOST_VALUES {
            return Err(format!("more than {MOST_VALUES} values"));
        }
        self.stack.push(id);
        Ok(())
    }

    fn push_text(&mut self, width: u64) -> StepResult<()> {
        let length = self.number(width)?;
        let text = self.take(length)?;
        self.push(PickleValue::Bytes(Cow::Borrowed(text)))
    }

    fn top(&self) -> StepResult<Id> {
        self.stack.last().copied().ok_or_else(|| "an empty stack".to_owned())
    }

    fn pop(&mut self) -> StepResult<Id> {
        self.stack.pop().ok_or_else(|| "an empty stack".to_owned())
    }

    /// Takes the values above the last mark, and the mark.
    fn marked(&mut self) -> StepResult<Vec<Id>> {
        let mark = self.stack.iter().rposition(|&id| matches!(self.values[id], PickleValue::Mark));
        let items = self.stack.split_off(mark.ok_or("items without a mark")? + 1);
        self.stack.pop();
        Ok(items)
    }

    fn tuple(&mut self, count: usize) -> StepResult<()> {
        let from = self.stack.len().checked_sub(count).ok_or("an empty stack")?;
        let items = self.stack.split_off(from);
        self.push(PickleValue::Tuple(items))
    }

    fn append(&mut self, items: Vec<Id>) -> StepResult<()> {
        let top = self.top()?;
        match &mut self.values[top] {
            PickleValue::List(list) => list.extend(items),
            _ => return Err("items for something that is no list".to_owned()),
        }
        Ok(())
    }

    fn set(&mut self, items: Vec<Id>) -> StepResult<()> {
        let top = self.top()?;
        match &mut self.values[top] {
            PickleValue::Dict(pairs) if items.len().is_multiple_of(2) => {
                pairs.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
            }
            _ => return Err("pairs for something that is no dictionary".to_owned()),
        }
        Ok(())
    }

    fn remember(&mut self, key: u64) -> StepResult<()> {
        let key = u32::try_from(key).map_err(|_| format!("memory cell {key}"))?;
        let top = self.top()?;
        self.memo.insert(key, top);
        if self.memo.len() > MOST_VALUES {
            return Err(format!("more than {MOST_VALUES} memory cells"));
        }
        Ok(())
    }

    fn recall(&mut self, width: u64) -> StepResult<()> {
        let key = self.number(width)?;
        let known = u32::try_from(key).ok().and_then(|k| self.memo.get(&k).copied());
        let id = known.ok_or_else(|| format!("empty memory cell {key}"))?;
        self.push_id(id)
    }

    /// Runs to the end and returns the value on top.
    pub fn run(&mut self) -> StepResult<Id> {
        loop {
            let code = self.take(1)?[0];
            match code {
                b'.' => return self.pop(),
                0x80 => match self.number(1)? {
                    2..=5 => {}
                    n => return Err(format!("protocol {n}; 2 to 5 are known")),
                },
                // A frame only says how much may be read at once.
                0x95 => drop(self.take(8)?),
                b'(' => self.push(PickleValue::Mark)?,
                b'N' => self.push(PickleValue::None)?,
                0x88 => self.push(PickleValue::Int(1))?,
                0x89 => self.push(PickleValue::Int(0))?,
                b'K' | b'M' | b'J' | 0x8a => self.integer(code)?,
                b'U' | b'C' | 0x8c => self.push_text(1)?,
                b'T' | b'X' | b'B' => self.push_text(4)?,
                0x8d | 0x8e | 0x96 => self.push_text(8)?,
                b']' => self.push(PickleValue::List(Vec::new()))?,
                b'}' => self.push(PickleValue::Dict(Vec::new()))?,
                b')' => self.tuple(0)?,
                0x85..=0x87 => self.tuple(usize::from(code - 0x84))?,
                b't' | b'a' | b'e' | b's' | b'u' => self.gather(code)?,
                b'q' | b'r' | 0x94 | b'h' | b'j' => self.memory(code)?,
                b'c' | 0x93 => self.named(code)?,
                b'R' => self.reduce()?,
                b'b' => self.build()?,
                _ => return Err(format!("instruction {:?}", char::from(code))),
            }
        }
    }

    /// Pushes the integer that follows: of one byte, two, four, or a stated number of bytes.
    fn integer(&mut self, code: u8) -> StepResult<()> {
        let n = match code {
            b'K' => self.number(1)? as i64,
            b'M' => self.number(2)? as i64,
            b'J' => i64::from(self.number(4)? as u32 as i32),
            _ => {
                let width = self.number(1)?;
                if width > 8 {
                    return Err(format!("a number of {width} bytes"));
                }
                let n = self.number(width)?;
                let unused = 64 - 8 * width as u32;
                (n as i64).checked_shl(unused).map_or(0, |n| n >> unused)
            }
        };
        self.push(PickleValue::Int(n))
    }

    /// Makes a tuple of the values above the last mark, or adds values to a list or a dictionary.
    fn gather(&mut self, code: u8) -> StepResult<()> {
        match code {
            b't' => {
                let items = self.marked()?;
                self.push(PickleValue::Tuple(items))
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])
            }
            b'e' => {
                let items = self.marked()?;
                self.append(items)
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(vec![key, value])
            }
            _ => {
                let items = self.marked()?;
                self.set(items)
            }
        }
    }

    /// Remembers the value on top, or pushes a value that was remembered.
    fn memory(&mut self, code: u8) -> StepResult<()> {
        match code {
            b'h' => return self.recall(1),
            b'j' => return self.recall(4),
            _ => {}
        }
        let key = match code {
            b'q' => self.number(1)?,
            b'r' => self.number(4)?,
            _ => self.memo.len() as u64,
        };
        self.remember(key)
    }

    /// Pushes the function or class whose module and name follow as lines, or lie on the stack.
    fn named(&mut self, code: u8) -> StepResult<()> {
        if code == b'c' {
            let (module, name) = (self.line()?, self.line()?);
            return self.global(module, name);
        }
        let (name, module) = (self.pop()?, self.pop()?);
        let (module, name) = (self.name(module)?, self.name(name)?);
        self.global(&module, &name)
    }

    fn name(&self, id: Id) -> StepResult<Vec<u8>> {
        match &self.values[id] {
            PickleValue::Bytes(text) if text.len() <= MOST_NAME => Ok(text.to_vec()),
            _ => Err("a name that is no short text".to_owned()),
        }
    }

    fn global(&mut self, module: &[u8], name: &[u8]) -> StepResult<()> {
        match Global::named(module, name) {
            Some(global) => self.push(PickleValue::Global(global)),
            None => Err(format!(
                "{}.{}, which would be imported and perhaps run",
                String::from_utf8_lossy(&module[..module.len().min(80)]),
                String::from_utf8_lossy(&name[..name.len().min(80)])
            )),
        }
    }

    /// Calls a function: takes it and the tuple of its arguments, and leaves its result.
    fn reduce(&mut self) -> StepResult<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let PickleValue::Global(function) = self.values[function] else {
            return Err("a call of something that is no function".to_owned());
        };
        let arguments = match &self.values[arguments] {
            PickleValue::Tuple(arguments) if arguments.len() <= 4 => arguments.clone(),
            _ => return Err("a call without a tuple of at most four arguments".to_owned()),
        };
        let value = match (function, &arguments[..]) {
            (Global::Reconstruct, [class, _, _])
                if matches!(self.values[*class], PickleValue::Global(Global::Ndarray)) =>
            {
                PickleValue::Array(None)
            }
            (Global::Dtype, [name, ..]) => {
                let name = &self.values[*name];
                let unsigned_byte = matches!(name, PickleValue::Bytes(b) if **b == *b"u1");
                PickleValue::Dtype { unsigned_byte }
            }
            (Global::FromBuffer, [data, dtype, shape, order]) => {
                let order = &self.values[*order];
                let fortran = matches!(order, PickleValue::Bytes(b) if **b == *b"F");
                PickleValue::Array(Some(self.array(*shape, *dtype, fortran, *data)?))
            }
            (Global::Encode, [text, _]) => PickleValue::Bytes(self.encode(*text)?),
            (function, arguments) => {
                return Err(format!("{function:?} with {} arguments", arguments.len()));
            }
        };
        self.push(value)
    }

    /// Gives an array or a type its state.
    fn build(&mut self) -> StepResult<()> {
        let state = self.pop()?;
        let top = self.top()?;
        let PickleValue::Tuple(state) = &self.values[state] else {
            return Err("a state that is no tuple".to_owned());
        };
        match (&self.values[top], &state[..]) {
            // The state has byte order and alignment, which do not matter to bytes.
            (PickleValue::Dtype { .. }, _) => Ok(()),
            (PickleValue::Array(None), &[_, shape, dtype, fortran, data]) => {
                let fortran = matches!(self.values[fortran], PickleValue::Int(1));
                let stored = self.array(shape, dtype, fortran, data)?;
                self.values[top] = PickleValue::Array(Some(stored));
                Ok(())
            }
            _ => Err("a state for something that has none".to_owned()),
        }
    }

    fn array(&self, shape: Id, dtype: Id, fortran: bool, data: Id) -> StepResult<Stored> {
        let PickleValue::Tuple(axes) = &self.values[shape] else {
            return Err("an array whose shape is no tuple".to_owned());
        };
        let axis = |id: &Id| match self.values[*id] {
            PickleValue::Int(n) => usize::try_from(n).map_err(|_| format!("an axis of {n}")),
            _ => Err("an axis that is no number".to_owned()),
        };
        let [rows, columns] = &axes[..] else {
            return Err(format!("an array of {} axes; {MOST_AXES} are expected", axes.len()));
        };
        let shape = [axis(rows)?, axis(columns)?];
        if !matches!(self.values[dtype], PickleValue::Dtype { unsigned_byte: true }) {
            return Err("an array of something else than unsigned bytes".to_owned());
        }
        Ok(Stored { shape, fortran, data })
    }

    /// Returns the bytes that Python 3 wrote under protocol 2 as text whose code points are the
    /// bytes.
    fn encode(&mut self, text: Id) -> StepResult<Cow<'a, [u8]>> {
        let PickleValue::Bytes(text) = &self.values[text] else {
            return Err("an encoding of something that is no text".to_owned());
        };
        self.encodable =
            self.encodable.checked_sub(text.len()).ok_or("more encoded text than the file has")?;
        let text = std::str::from_utf8(text).map_err(|_| "text that is not UTF-8".to_owned())?;
        let bytes: Option<Vec<u8>> =
            text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
        bytes.map(Cow::Owned).ok_or_else(|| "text that is no latin-1".to_owned())
    }
}
