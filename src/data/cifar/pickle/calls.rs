//! The few functions that a pickle of CIFAR calls, and what they make: arrays, their types, numbers, bytes.

use std::borrow::Cow;

use super::machine::{StackMachine, StepResult};
use super::value::{Global, Id, ItemType, MOST_AXES, PickleValue, Stored};

impl<'a> StackMachine<'a> {
    /// Calls a function: takes it and the tuple of its arguments, and leaves its result.
    pub fn reduce(&mut self) -> StepResult<()> {
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
                let PickleValue::Bytes(name) = name else {
                    return Err("a type of values without a name".to_owned());
                };
                PickleValue::Dtype(ItemType::named(name))
            }
            (Global::FromBuffer, [data, dtype, shape, order]) => {
                let order = &self.values[*order];
                let fortran = matches!(order, PickleValue::Bytes(b) if **b == *b"F");
                PickleValue::Array(Some(self.array(*shape, *dtype, fortran, *data)?))
            }
            (Global::Encode, [text, _]) => PickleValue::Bytes(self.encode(*text)?),
            (Global::Scalar, [dtype, data]) => self.scalar(*dtype, *data)?,
            (function, arguments) => {
                return Err(format!("{function:?} with {} arguments", arguments.len()));
            }
        };
        self.push(value)
    }

    /// Gives an array or a type its state.
    pub fn build(&mut self) -> StepResult<()> {
        let state = self.pop()?;
        let top = self.top()?;
        let PickleValue::Tuple(state) = &self.values[state] else {
            return Err("a state that is no tuple".to_owned());
        };
        match (&self.values[top], &state[..]) {
            // The state has the byte order second; the rest is about structures and alignment.
            (PickleValue::Dtype(item), &[_, order, ..]) => {
                let order = &self.values[order];
                let big_endian = matches!(order, PickleValue::Bytes(b) if **b == *b">");
                self.values[top] = PickleValue::Dtype(ItemType { big_endian, ..*item });
                Ok(())
            }
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
        let (shape, flat) = match &axes[..] {
            [rows] => ([axis(rows)?, 1], true),
            [rows, columns] => ([axis(rows)?, axis(columns)?], false),
            _ => {
                let found = format!("an array of {} axes", axes.len());
                return Err(format!("{found}; at most {MOST_AXES} are expected"));
            }
        };
        match self.values[dtype] {
            PickleValue::Dtype(item) if item.width > 0 => {
                Ok(Stored { shape, flat, fortran, item, data })
            }
            _ => Err("an array of something else than whole numbers".to_owned()),
        }
    }

    /// Returns a number that NumPy keeps as the bytes of its type.
    fn scalar(&self, dtype: Id, data: Id) -> StepResult<PickleValue<'a>> {
        match (&self.values[dtype], &self.values[data]) {
            (PickleValue::Dtype(item), PickleValue::Bytes(bytes))
                if item.width > 0 && bytes.len() == usize::from(item.width) =>
            {
                Ok(PickleValue::Int(item.numbers(bytes)[0]))
            }
            _ => Err("a number of NumPy that is no whole number".to_owned()),
        }
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
