//! Every kernel by name, looked up once when a card is opened.

use std::marker::PhantomData;
use std::sync::Arc;

use super::bindings::{CUfunction, CUfunction_attribute as Attribute};

use super::absence::Absence;
use super::args;
use super::context::Context;
use super::images::Module;
use super::terms::{DriverError, ImageSource};

/// Most blocks along x, and along y and z, on every card.
const MOST_BLOCKS: [u32; 3] = [i32::MAX as u32, u16::MAX as u32, u16::MAX as u32];

/// One kernel that takes a structure `A`, ready to be launched.
pub struct Kernel<A> {
    pub(super) function: CUfunction,
    /// Its place in `KERNEL_NAMES`.
    pub(super) index: u32,
    pub(super) limits: KernelLimits,
    args: PhantomData<fn(&A)>,
}

/// What a launch of a kernel must keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelLimits {
    /// Most threads of a block.
    pub threads: u32,
    /// Most bytes of dynamic shared memory a block.
    pub shared_bytes: u32,
    /// Bytes of the kernel's one parameter; None where the driver is too old to tell.
    pub parameter_bytes: Option<usize>,
    /// Registers a thread, and bytes of local memory (spills and stack).
    pub registers: u32,
    pub local_bytes: u32,
    /// Compute capability of the machine code in use, 90 for 9.0, and of the PTX it was made from.
    pub(super) binary: u32,
    pub(super) ptx: u32,
}

impl KernelLimits {
    /// What is wrong with a launch of so many blocks of so many threads, with so much dynamic shared
    /// memory and so many bytes of parameters; None where the kernel takes it.
    pub(super) fn refusal(
        &self,
        grid: [u32; 3],
        threads: u32,
        shared_bytes: u32,
        parameter_bytes: usize,
    ) -> Option<String> {
        if (0..3).any(|i| grid[i] > MOST_BLOCKS[i]) {
            return Some(format!("expected at most {MOST_BLOCKS:?} blocks"));
        }
        if threads == 0 || threads > self.threads {
            return Some(format!("expected 1 to {} threads", self.threads));
        }
        if shared_bytes > self.shared_bytes {
            return Some(format!("expected at most {} bytes of shared memory", self.shared_bytes));
        }
        let expected = self.parameter_bytes.filter(|expected| *expected != parameter_bytes)?;
        Some(format!("{parameter_bytes} bytes of parameters, expected {expected}"))
    }
}

// SAFETY: a handle of the driver, whose functions may be called from any thread.
unsafe impl<A> Send for Kernel<A> {}
// SAFETY: as above.
unsafe impl<A> Sync for Kernel<A> {}

macro_rules! kernels {
    ($($family:ident { $($kernel:ident: $args:ident,)* })*) => {
        /// All kernels. A field is named as the kernel in `kernels/<family>.cu`.
        pub struct Kernels {
            $($(pub $kernel: Kernel<args::$args>,)*)*
            /// After the kernels, which are part of them.
            _modules: Vec<Module>,
        }

        /// Families and their kernels: `kernels/<family>.cu` holds them.
        pub const FAMILIES: &[(&str, &[&str])] =
            &[$((stringify!($family), &[$(stringify!($kernel)),*])),*];

        /// Kernels in the order of the list.
        pub(super) const KERNEL_NAMES: &[&str] = &[$($(stringify!($kernel)),*),*];

        impl Kernels {
            /// Loads all families and looks all kernels up.
            pub(super) fn load(context: &Arc<Context>, source: &ImageSource) -> Result<Self, Absence> {
                let mut modules = Vec::new();
                let mut index = 0..;
                $(
                    let module = Module::load(context, source, stringify!($family))?;
                    $(let $kernel =
                        Kernel::find(context, &module, stringify!($kernel), index.next())?;)*
                    modules.push(module);
                )*
                Ok(Kernels { $($($kernel,)*)* _modules: modules })
            }
        }
    };
}

// What the sources in `kernels/` declare, from build.rs.
include!(concat!(env!("OUT_DIR"), "/kernels.rs"));

impl<A> Kernel<A> {
    fn find(
        context: &Context,
        module: &Module,
        name: &'static str,
        index: Option<u32>,
    ) -> Result<Kernel<A>, Absence> {
        let function = module.function(name)?;
        let limits = limits(context, function).map_err(Absence::DriverFails)?;
        Ok(Kernel { function, index: index.unwrap_or_default(), limits, args: PhantomData })
    }

    /// The kernel's name in the sources.
    pub fn name(&self) -> &'static str {
        KERNEL_NAMES[self.index as usize]
    }

    /// What its launches must keep to.
    pub fn limits(&self) -> KernelLimits {
        self.limits
    }
}

/// Reads a kernel's limits, and lets it use all the shared memory that the card has for a block.
fn limits(context: &Context, function: CUfunction) -> Result<KernelLimits, DriverError> {
    let attribute = |attribute: Attribute| {
        let mut value = 0;
        // SAFETY: `value` is writable, the function that of a loaded module.
        context.try_call(|d| unsafe { d.cuFuncGetAttribute(&mut value, attribute, function) })?;
        Ok(value.unsigned_abs())
    };
    let fixed = attribute(Attribute::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES)?;
    let shared_bytes = context.properties.shared_bytes.saturating_sub(fixed);
    let most = Attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
    // SAFETY: as above; the value is within the card's limit.
    context.try_call(|d| unsafe { d.cuFuncSetAttribute(function, most, shared_bytes as i32) })?;
    Ok(KernelLimits {
        threads: attribute(Attribute::CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK)?,
        shared_bytes,
        // SAFETY: the function is that of a loaded module.
        parameter_bytes: unsafe { context.driver.parameter_bytes(function) },
        registers: attribute(Attribute::CU_FUNC_ATTRIBUTE_NUM_REGS)?,
        local_bytes: attribute(Attribute::CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES)?,
        binary: attribute(Attribute::CU_FUNC_ATTRIBUTE_BINARY_VERSION)?,
        ptx: attribute(Attribute::CU_FUNC_ATTRIBUTE_PTX_VERSION)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image may be of other sources than this program.
    #[test]
    fn parameters_of_another_size_are_refused_where_the_driver_tells() {
        let known = KernelLimits {
            threads: 32,
            shared_bytes: 0,
            parameter_bytes: Some(32),
            registers: 0,
            local_bytes: 0,
            binary: 90,
            ptx: 90,
        };
        assert_eq!(known.refusal([1; 3], 32, 0, 32), None);
        let refusal = known.refusal([1; 3], 32, 0, 28);
        assert_eq!(refusal.as_deref(), Some("28 bytes of parameters, expected 32"));
        assert_eq!(
            KernelLimits { parameter_bytes: None, ..known }.refusal([1; 3], 32, 0, 28),
            None
        );
    }
}
