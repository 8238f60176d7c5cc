//! The stack machine: what each instruction does. Its errors say what was found.

use std::borrow::Cow;
use std::collections::HashMap;

use super::text;
use super::value::{Global, Id, MOST_NAME, PickleValue};

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
    /// Number of bytes of text that may still be encoded anew. It starts with twice as many as the file
    /// has, since protocol 0 writes a byte for what takes two in UTF-8.
    pub encodable: usize,
}

pub(super) type StepResult<T> = Result<T, String>;

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
            encodable: bytes.len().saturating_mul(2),
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

    pub fn push(&mut self, value: PickleValue<'a>) -> StepResult<()> {
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

    pub fn top(&self) -> StepResult<Id> {
        self.stack.last().copied().ok_or_else(|| "an empty stack".to_owned())
    }

    pub fn pop(&mut self) -> StepResult<Id> {
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
        self.recall_cell(key)
    }

    fn recall_cell(&mut self, key: u64) -> StepResult<()> {
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
                    0..=5 => {}
                    n => return Err(format!("protocol {n}; 0 to 5 are known")),
                },
                // A frame only says how much may be read at once.
                0x95 => drop(self.take(8)?),
                b'(' => self.push(PickleValue::Mark)?,
                b'N' => self.push(PickleValue::None)?,
                0x88 => self.push(PickleValue::Int(1))?,
                0x89 => self.push(PickleValue::Int(0))?,
                b'K' | b'M' | b'J' | 0x8a => self.integer(code)?,
                b'I' | b'L' | b'S' | b'V' => self.written(code)?,
                b'U' | b'C' | 0x8c => self.push_text(1)?,
                b'T' | b'X' | b'B' => self.push_text(4)?,
                0x8d | 0x8e | 0x96 => self.push_text(8)?,
                b']' => self.push(PickleValue::List(Vec::new()))?,
                b'}' => self.push(PickleValue::Dict(Vec::new()))?,
                b')' => self.tuple(0)?,
                0x85..=0x87 => self.tuple(usize::from(code - 0x84))?,
                b't' | b'a' | b'e' | b's' | b'u' | b'l' | b'd' => self.gather(code)?,
                b'q' | b'r' | 0x94 | b'h' | b'j' | b'p' | b'g' => self.memory(code)?,
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

    /// Pushes a number or a text that protocol 0 writes in letters, up to the end of the line.
    fn written(&mut self, code: u8) -> StepResult<()> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&b| b == b'\n').ok_or("a line without an end")?;
        let line = &rest[..end];
        self.at += end + 1;
        let value = match code {
            b'I' | b'L' => PickleValue::Int(text::integer(line)?),
            b'S' => PickleValue::Bytes(text::quoted(line)?),
            _ => PickleValue::Bytes(text::unicode(line)?),
        };
        self.push(value)
    }

    /// Makes a tuple, a list or a dictionary of the values above the last mark, or adds values to one.
    fn gather(&mut self, code: u8) -> StepResult<()> {
        match code {
            b't' => {
                let items = self.marked()?;
                self.push(PickleValue::Tuple(items))
            }
            b'l' => {
                let items = self.marked()?;
                self.push(PickleValue::List(items))
            }
            b'd' => {
                let items = self.marked()?;
                self.push(PickleValue::Dict(Vec::new()))?;
                self.set(items)
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
            b'g' => {
                let key = text::integer(self.line()?)?;
                return self.recall_cell(u64::try_from(key).unwrap_or(u64::MAX));
            }
            _ => {}
        }
        let key = match code {
            b'p' => {
                let key = text::integer(self.line()?)?;
                u64::try_from(key).map_err(|_| format!("memory cell {key}"))?
            }
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
}
