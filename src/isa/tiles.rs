//! AMX: whether this process may use a processor's tile registers, and their configuration.
//!
//! Linux gives the registers' state to processes that ask for it (`arch_prctl`), once for all threads.

use std::sync::OnceLock;

/// Rows of a tile register.
pub const ROWS: usize = 16;

/// How the eight tile registers are shaped: the operand of `LDTILECFG`.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
pub struct TileConfig {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl TileConfig {
    /// Tiles 0 to 3 are sums (16 x 16 f32), 4 and 5 left factors (16 rows of `depth` bf16 values), 6 and 7
    /// right factors (`depth / 2` rows of 16 pairs).
    pub fn products(depth: usize) -> Self {
        let mut config = TileConfig {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            row_bytes: [0; 16],
            rows: [0; 16],
        };
        for tile in 0..8 {
            let (rows, bytes) = match tile {
                4 | 5 => (ROWS, 2 * depth),
                6 | 7 => (depth / 2, 64),
                _ => (ROWS, 64),
            };
            config.rows[tile] = rows as u8;
            config.row_bytes[tile] = bytes as u16;
        }
        config
    }
}

/// Whether the processor multiplies tiles of bf16 and the system lets this process do so.
pub fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| has_instructions() && permitted())
}

#[cfg(target_arch = "x86_64")]
fn has_instructions() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};

    #[target_feature(enable = "xsave")]
    fn enabled_state() -> u64 {
        // SAFETY: the caller found OSXSAVE.
        unsafe { _xgetbv(0) }
    }
    // Leaf 7 tells AMX-BF16 (bit 22 of edx) and AMX-TILE (bit 24); leaf 1 that XGETBV may be used; and XCR0
    // that the system saves tile configurations (bit 17) and tiles (bit 18).
    if __cpuid(0).eax < 7 || __cpuid(1).ecx & (1 << 27) == 0 {
        return false;
    }
    let wanted = (1 << 22) | (1 << 24);
    // SAFETY: OSXSAVE was found above.
    let state = unsafe { enabled_state() };
    __cpuid_count(7, 0).edx & wanted == wanted && state & (0b11 << 17) == 0b11 << 17
}

#[cfg(not(target_arch = "x86_64"))]
fn has_instructions() -> bool {
    false
}

/// Asks Linux for the state of tiles (component 18).
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn permitted() -> bool {
    const ARCH_PRCTL: u64 = 158;
    const REQUEST_PERMISSION: u64 = 0x1023;
    let result: i64;
    // SAFETY: this system call reads no memory; it clobbers rcx and r11.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") REQUEST_PERMISSION,
            in("rsi") 18u64,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack)
        );
    }
    result == 0
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn permitted() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_has_the_documented_bytes() {
        let config = TileConfig::products(8);
        assert_eq!(std::mem::size_of::<TileConfig>(), 64);
        let bytes: [u8; 64] = bytemuck_bytes(&config);
        assert_eq!((bytes[0], bytes[16], bytes[24], bytes[28]), (1, 64, 16, 64));
        assert_eq!((bytes[48], bytes[52], bytes[54]), (16, 16, 4));
    }

    fn bytemuck_bytes(config: &TileConfig) -> [u8; 64] {
        // SAFETY: plain bytes without padding (checked by the size above).
        unsafe { std::mem::transmute_copy(config) }
    }
}
