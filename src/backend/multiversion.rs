//! One loop, compiled once an instruction set, chosen at run time.
//!
//! The body uses only separate multiplications and additions in a fixed order, which Rust never
//! contracts, so every version gives the same bits.

/// Declares `fn name(isa, args...)` whose body is compiled for AVX-512, AVX2 and the baseline.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[expect(clippy::allow_attributes, reason = "the lint depends on the argument count")]
        #[allow(clippy::too_many_arguments)]
        $vis fn $name(isa: $crate::backend::Isa, $($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
                fn avx512($($arg: $ty),*) $(-> $ret)? { body($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) $(-> $ret)? { body($($arg),*) }
                match isa {
                    // SAFETY: `Cpu` only carries an `Isa` that this processor has.
                    $crate::backend::Isa::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::backend::Isa::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::backend::Isa::Portable => {}
                }
            }
            let _ = isa;
            body($($arg),*)
        }
    };
}

pub(crate) use multiversion;
