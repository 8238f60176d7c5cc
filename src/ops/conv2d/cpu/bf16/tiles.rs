//! Blocks of sums on AMX: four tiles of sums, two of left and two of right factors.

use std::arch::asm;

use super::block::{Shape, TILE, Tap};

/// The loop over taps and steps for one arrangement of tiles: what zeroes or loads the sums, the loads and
/// products of a step, and what stores the sums.
macro_rules! block {
    ($shape:ident, $left:ident, $right:ident, $taps:ident, $resume:ident, $sums:ident:
     start [$($start:literal),*] zero [$($zero:literal),*] step [$($step:literal),*]
     end [$($end:literal),*]) => {
        asm!(
            "mov {a2}, 128",
            "test {n}, {n}",
            "jnz 2f",
            $($zero,)*
            "jmp 3f",
            "2:",
            $($start,)*
            "3:",
            "test {count}, {count}",
            "jz 6f",
            "4:",
            "mov {a}, [{taps}]",
            "mov {b}, [{taps} + 8]",
            "lea {a}, [{left} + 2*{a}]",
            "lea {b}, [{right} + 2*{b}]",
            "mov {n}, [{args}]",
            "5:",
            "lea {a2}, [{a} + 8*{pitch}]",
            "lea {a2}, [{a2} + 8*{pitch}]",
            $($step,)*
            "add {a}, [{args} + 8]",
            "dec {n}",
            "jnz 5b",
            "add {taps}, 16",
            "dec {count}",
            "jnz 4b",
            "6:",
            "mov {a2}, 128",
            $($end,)*
            n = inout(reg) u64::from($resume) => _,
            count = inout(reg) $taps.len() => _,
            taps = inout(reg) $taps.as_ptr() => _,
            left = in(reg) $left,
            right = in(reg) $right,
            args = in(reg) &[$shape.steps, 2 * $shape.depth, 2 * $shape.depth * TILE],
            pitch = in(reg) 2 * $shape.pitch,
            sums = in(reg) $sums,
            line = in(reg) 64usize,
            a = out(reg) _,
            a2 = out(reg) _,
            b = out(reg) _,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack)
        )
    };
}

/// See [`Products::add`](super::products::Products::add).
///
/// # Safety
/// As there, on a processor whose tiles this process may use.
pub unsafe fn add(
    shape: &Shape,
    [left, right]: [*const u16; 2],
    taps: &[Tap],
    resume: bool,
    sums: *mut f32,
) {
    // SAFETY: all loads and stores are those that the caller vouches for; the second half of the sums' rows
    // begins 16 rows of 128 bytes behind the first.
    unsafe {
        match shape.tiles {
            [2, 2] => block!(shape, left, right, taps, resume, sums:
                start ["tileloadd tmm0, [{sums} + {a2}*1]", "tileloadd tmm1, [{sums} + {a2}*1 + 64]",
                       "tileloadd tmm2, [{sums} + {a2}*1 + 2048]", "tileloadd tmm3, [{sums} + {a2}*1 + 2112]"]
                zero ["tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3"]
                step ["tileloadd tmm6, [{b} + {line}*1]", "tileloadd tmm4, [{a} + {pitch}*1]",
                      "add {b}, [{args} + 16]",
                      "tdpbf16ps tmm0, tmm4, tmm6", "tileloadd tmm7, [{b} + {line}*1]",
                      "tdpbf16ps tmm1, tmm4, tmm7", "tileloadd tmm5, [{a2} + {pitch}*1]",
                      "add {b}, [{args} + 16]",
                      "tdpbf16ps tmm2, tmm5, tmm6", "tdpbf16ps tmm3, tmm5, tmm7"]
                end ["tilestored [{sums} + {a2}*1], tmm0", "tilestored [{sums} + {a2}*1 + 64], tmm1",
                     "tilestored [{sums} + {a2}*1 + 2048], tmm2", "tilestored [{sums} + {a2}*1 + 2112], tmm3"]),
            [2, 1] => block!(shape, left, right, taps, resume, sums:
                start ["tileloadd tmm0, [{sums} + {a2}*1]", "tileloadd tmm2, [{sums} + {a2}*1 + 2048]"]
                zero ["tilezero tmm0", "tilezero tmm2"]
                step ["tileloadd tmm6, [{b} + {line}*1]", "tileloadd tmm4, [{a} + {pitch}*1]",
                      "add {b}, [{args} + 16]",
                      "tdpbf16ps tmm0, tmm4, tmm6", "tileloadd tmm5, [{a2} + {pitch}*1]",
                      "tdpbf16ps tmm2, tmm5, tmm6"]
                end ["tilestored [{sums} + {a2}*1], tmm0", "tilestored [{sums} + {a2}*1 + 2048], tmm2"]),
            [1, 2] => block!(shape, left, right, taps, resume, sums:
                start ["tileloadd tmm0, [{sums} + {a2}*1]", "tileloadd tmm1, [{sums} + {a2}*1 + 64]"]
                zero ["tilezero tmm0", "tilezero tmm1"]
                step ["tileloadd tmm6, [{b} + {line}*1]", "tileloadd tmm4, [{a} + {pitch}*1]",
                      "add {b}, [{args} + 16]",
                      "tdpbf16ps tmm0, tmm4, tmm6", "tileloadd tmm7, [{b} + {line}*1]",
                      "add {b}, [{args} + 16]",
                      "tdpbf16ps tmm1, tmm4, tmm7"]
                end ["tilestored [{sums} + {a2}*1], tmm0", "tilestored [{sums} + {a2}*1 + 64], tmm1"]),
            _ => block!(shape, left, right, taps, resume, sums:
                start ["tileloadd tmm0, [{sums} + {a2}*1]"]
                zero ["tilezero tmm0"]
                step ["tileloadd tmm6, [{b} + {line}*1]", "tileloadd tmm4, [{a} + {pitch}*1]",
                      "add {b}, [{args} + 16]", "tdpbf16ps tmm0, tmm4, tmm6"]
                end ["tilestored [{sums} + {a2}*1], tmm0"]),
        }
    }
}
