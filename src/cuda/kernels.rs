//! Every kernel by name, looked up once when a card is opened.

use std::sync::Arc;

use cudarc::driver::sys::{CUfunction, CUfunction_attribute as Attribute};

use super::absence::Absence;
use super::context::Context;
use super::images::Module;
use super::terms::{DriverError, ImageSource};

/// One kernel, ready to be launched.
pub struct Kernel {
    pub(super) function: CUfunction,
    /// Its place in `KERNEL_NAMES`.
    pub(super) index: u32,
    pub(super) limits: KernelLimits,
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

// SAFETY: a handle of the driver, whose functions may be called from any thread.
unsafe impl Send for Kernel {}
// SAFETY: as above.
unsafe impl Sync for Kernel {}

macro_rules! kernels {
    ($($family:ident { $($kernel:ident),* $(,)? })*) => {
        /// All kernels. A field is named as the kernel in `kernels/<family>.cu`.
        pub struct Kernels {
            $($(pub $kernel: Kernel,)*)*
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

            /// All kernels, in the order of the list.
            pub fn all(&self) -> Vec<&Kernel> {
                vec![$($(&self.$kernel),*),*]
            }
        }
    };
}

kernels! {
    echo { echo_fields }
    gather { gather_f32, gather_bf16, gather_crop_f32, gather_crop_bf16 }
    cast { cast_f32_to_bf16, cast_bf16_to_f32 }
    conv2d_fprop { conv2d_fprop_wide_f32, conv2d_fprop_narrow_f32 }
    conv2d_dgrad { conv2d_dgrad_wide_f32, conv2d_dgrad_narrow_f32 }
    conv2d_wgrad {
        conv2d_wgrad_wide_f32,
        conv2d_wgrad_narrow_f32,
        conv2d_bias_grad_f32,
        conv2d_wgrad_reduce_f32,
    }
    conv2d_fprop_bf16 {
        conv2d_fprop_wide_bf16,
        conv2d_fprop_medium_bf16,
        conv2d_fprop_narrow_bf16,
        conv2d_fprop_halo_wide_bf16,
        conv2d_fprop_halo_medium_bf16,
        conv2d_fprop_halo_narrow_bf16,
    }
    conv2d_dgrad_bf16 {
        conv2d_dgrad_wide_bf16,
        conv2d_dgrad_medium_bf16,
        conv2d_dgrad_narrow_bf16,
        conv2d_dgrad_halo_wide_bf16,
        conv2d_dgrad_halo_medium_bf16,
        conv2d_dgrad_halo_narrow_bf16,
    }
    conv2d_wgrad_bf16 {
        conv2d_wgrad_wide_bf16,
        conv2d_wgrad_medium_bf16,
        conv2d_wgrad_narrow_bf16,
        conv2d_wgrad_halo_bf16,
        conv2d_bias_grad_bf16,
    }
    conv2d_grad_norm {
        conv2d_grad_norm_instantiate_wide_f32,
        conv2d_grad_norm_instantiate_narrow_f32,
        conv2d_grad_norm_gram_f32,
        conv2d_grad_norm_pixel_gram_f32,
        conv2d_grad_norm_shifted_gram_f32,
        conv2d_grad_norm_reduce_f32,
    }
    conv2d_grad_norm_bf16 {
        conv2d_grad_norm_instantiate_wide_bf16,
        conv2d_grad_norm_instantiate_medium_bf16,
        conv2d_grad_norm_instantiate_narrow_bf16,
        conv2d_grad_norm_instantiate_halo_bf16,
        conv2d_grad_norm_gram_bf16,
        conv2d_grad_norm_pixel_gram_bf16,
        conv2d_grad_norm_shifted_gram_bf16,
        conv2d_grad_norm_reduce_bf16,
    }
    batch_norm {
        batch_norm_statistics_f32,
        batch_norm_merge_f32,
        batch_norm_finalize_f32,
        batch_norm_eval_affine_f32,
        batch_norm_apply_vector_f32,
        batch_norm_apply_scalar_f32,
        batch_norm_backward_reduce_f32,
        batch_norm_backward_sum_f32,
        batch_norm_backward_apply_f32,
        batch_norm_backward_eval_f32,
    }
    batch_norm_bf16 {
        batch_norm_statistics_bf16,
        batch_norm_merge_tiles_f32,
        batch_norm_sum_tiles_f32,
        batch_norm_apply_bf16,
        batch_norm_backward_reduce_bf16,
        batch_norm_backward_apply_bf16,
        batch_norm_backward_eval_bf16,
    }
    pool { max_pool_f32, max_pool_backward_f32, global_pool_f32, global_pool_backward_f32 }
    pool_bf16 {
        max_pool_bf16,
        max_pool_backward_bf16,
        global_pool_bf16,
        global_pool_backward_bf16,
    }
    loss_score { loss_score_f32, store_norms_f32 }
    sgd { sgd_f32, advance_u32 }
}

impl Kernel {
    fn find(
        context: &Context,
        module: &Module,
        name: &'static str,
        index: Option<u32>,
    ) -> Result<Kernel, Absence> {
        let function = module.function(name)?;
        let limits = limits(context, function).map_err(Absence::DriverFails)?;
        Ok(Kernel { function, index: index.unwrap_or_default(), limits })
    }

    /// As in the sources.
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
