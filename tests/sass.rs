//! The machine code of the tensor-core kernels' main loops: enough products for each matrix load, only
//! 16-byte asynchronous copies, three stages of them or more, nothing through local memory, and registers
//! and shared memory that let the planned number of blocks share a multiprocessor. Needs cuobjdump and
//! nvdisasm beside nvcc's images; without them it says so, with `FAIRPRUNE_REQUIRE_NVCC=1` it fails.
//! The code itself is read in `code`.

mod code;

use std::path::Path;

use fairprune::cuda::{built, tiles};

use code::{Code, Instruction, cuobjdump, is, listing, main_loops, operation, read, reading_loops};

/// Families of products, each of wide, medium and narrow tiles and some with a halo, and how many kernels
/// it has with them.
const FAMILIES: [(&str, usize); 4] = [
    ("conv2d_fprop_bf16", 6),
    ("conv2d_dgrad_bf16", 6),
    ("conv2d_wgrad_bf16", 4),
    ("conv2d_grad_norm_bf16", 7),
];

/// Kernels that move tensors of bf16, by family: every access in a loop (of those without one, every
/// access) has 16 bytes.
const VECTOR: [(&str, &[&str], &[&str]); 3] = [
    (
        "batch_norm_bf16",
        &[
            "batch_norm_statistics_bf16",
            "batch_norm_backward_reduce_bf16",
            "batch_norm_backward_apply_bf16",
            "batch_norm_backward_eval_bf16",
        ],
        &["batch_norm_apply_bf16"],
    ),
    (
        "pool_bf16",
        &["max_pool_bf16", "max_pool_backward_bf16", "global_pool_bf16"],
        &["global_pool_backward_bf16"],
    ),
    ("conv2d_wgrad_bf16", &["conv2d_bias_grad_bf16"], &[]),
];

/// What is wrong with accesses to device memory: those of `bodies` must have 16 bytes.
fn narrow_accesses(bodies: &[&[Instruction]]) -> Vec<String> {
    let mut faults = Vec::new();
    if bodies.is_empty() {
        faults.push("nothing that reads device memory".to_owned());
    }
    for (address, text) in bodies.iter().copied().flatten() {
        let wide = operation(text).split('.').any(|part| part == "128");
        let global = is(text, "LDG") || is(text, "STG");
        let other = ["LDL", "STL", "LD", "ST"].iter().any(|name| is(text, name));
        if other || (global && !wide) {
            faults.push(format!("{text} at {address:#x}"));
        }
    }
    faults
}

/// What is wrong with a kernel's main loops.
fn faults(code: &Code) -> Vec<String> {
    let found = main_loops(code);
    if found.is_empty() {
        return vec!["no loop with products".to_owned()];
    }
    found.into_iter().flat_map(|body| faults_of(code, body)).collect()
}

/// Instructions of a loop that a branch passes over in most steps: those without copies, loads and products,
/// where an operand enters its next tap.
fn rare(body: &[Instruction]) -> usize {
    let working = ["LDGSTS", "LDSM", "HMMA", "DEPBAR", "BAR"];
    let mut rare = vec![false; body.len()];
    for (i, (_, text)) in body.iter().enumerate() {
        let target = text.split_whitespace().last().and_then(|t| t.strip_prefix("0x"));
        let Some(target) = target.and_then(|t| u64::from_str_radix(t, 16).ok()) else { continue };
        if !is(text, "BRA") || !text.starts_with('@') {
            continue;
        }
        let skipped = body.iter().enumerate().skip(i + 1).take_while(|(_, (at, _))| *at < target);
        let skipped: Vec<usize> = skipped.map(|(place, _)| place).collect();
        let idle = |&place: &usize| !working.iter().any(|name| is(body[place].1, name));
        if body.iter().any(|(at, _)| *at == target) && skipped.iter().all(idle) {
            skipped.iter().for_each(|&place| rare[place] = true);
        }
    }
    rare.iter().filter(|r| **r).count()
}

fn faults_of(code: &Code, body: &[Instruction]) -> Vec<String> {
    let count = |name: &str| body.iter().filter(|(_, t)| is(t, name)).count();
    let (products, loads, copies) = (count("HMMA"), count("LDSM"), count("LDGSTS"));
    println!(
        "{:<28} {:<7} {:>3} instructions in every step, {} at a new tap, {products} products, {loads} matrix \
         loads, {copies} copies",
        code.kernel,
        code.architecture,
        body.len() - rare(body),
        rare(body)
    );
    let mut faults = Vec::new();
    if 2 * products < 5 * loads || loads == 0 {
        faults.push(format!("{products} products for {loads} matrix loads, expected 2.5 each"));
    }
    if copies == 0 {
        faults.push("no asynchronous copies".to_owned());
    }
    // Groups of copies that may be under way while one stage is multiplied; one more stage is being filled.
    let pending = body.iter().filter(|(_, t)| is(t, "DEPBAR")).filter_map(|(_, text)| {
        let last = text.split_whitespace().last()?.strip_prefix("0x")?;
        u32::from_str_radix(last, 16).ok()
    });
    if pending.max().is_none_or(|groups| groups < 2) {
        faults.push("fewer than three stages of copies".to_owned());
    }
    for (address, text) in body {
        let part = |name: &str| operation(text).split('.').any(|p| p == name);
        // After copies the assembler itself loads nothing from nowhere.
        let idle = is(text, "LDS") && text.replace(' ', "").ends_with("LDSRZ,[RZ]");
        let bad = ["LDG", "STG", "LDL", "STL", "STS", "LD", "ST"].iter().any(|name| is(text, name))
            || (is(text, "LDS") && !idle)
            || (is(text, "LDGSTS") && !part("128"))
            || (is(text, "LDSM") && !(part("4") && (part("M88") || part("MT88"))));
        if bad {
            faults.push(format!("{text} at {address:#x}"));
        }
    }
    faults
}

#[test]
fn main_loops_are_products_fed_by_wide_copies() {
    let (Some(tool), Some(built)) = (cuobjdump(), built()) else {
        let required = std::env::var("FAIRPRUNE_REQUIRE_NVCC").is_ok_and(|v| v == "1");
        assert!(!required, "FAIRPRUNE_REQUIRE_NVCC=1, but no images or no cuobjdump and nvdisasm");
        println!("skipped: no images, or no cuobjdump and nvdisasm to read them with");
        return;
    };
    let mut found = Vec::new();
    let machines = built.architectures.iter().filter(|a| a.starts_with("sm_")).count();
    for (family, count) in FAMILIES {
        let listing = listing(&tool, family);
        let kernels = read(&listing);
        let sums = |c: &&Code| ["bias_grad", "reduce"].iter().all(|n| !c.kernel.contains(n));
        let own: Vec<_> = kernels.iter().filter(sums).collect();
        assert_eq!(own.len(), count * machines, "{family}: kernels in the listing");
        for code in own {
            let here = faults(code).into_iter();
            found.extend(here.map(|f| format!("{} on {}: {f}", code.kernel, code.architecture)));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn tensors_of_bf16_move_sixteen_bytes_at_a_time() {
    let (Some(tool), Some(built)) = (cuobjdump(), built()) else {
        println!("skipped: no images, or no cuobjdump and nvdisasm to read them with");
        return;
    };
    let machines = built.architectures.iter().filter(|a| a.starts_with("sm_")).count();
    let mut found = Vec::new();
    for (family, looping, straight) in VECTOR {
        let listing = listing(&tool, family);
        let kernels = read(&listing);
        let of = |names: &[&str]| kernels.iter().filter(|c| names.contains(&c.kernel)).count();
        assert_eq!(of(looping) + of(straight), (looping.len() + straight.len()) * machines);
        for code in &kernels {
            let bodies = match code.kernel {
                name if looping.contains(&name) => reading_loops(code),
                name if straight.contains(&name) => vec![code.instructions.as_slice()],
                _ => continue,
            };
            let faults = narrow_accesses(&bodies).into_iter();
            found.extend(faults.map(|f| format!("{} on {}: {f}", code.kernel, code.architecture)));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Whether a kernel, from its first instruction on and before any branch, waits for the kernels that it
/// depends on, without having touched device memory: it may have been begun before they ended.
fn waits_first(code: &Code) -> bool {
    let early = |text: &str| {
        let memory = ["LDG", "STG", "LDGSTS", "ATOMG", "ATOM", "RED", "LD", "ST", "UBLKCP"];
        memory.iter().any(|name| is(text, name)) || ["BRA", "EXIT"].iter().any(|n| is(text, n))
    };
    let first = code.instructions.iter().find(|(_, t)| is(t, "ACQBULK") || early(t));
    first.is_some_and(|(_, text)| operation(text) == "ACQBULK" && !text.starts_with('@'))
}

#[test]
fn every_kernel_waits_before_it_touches_memory() {
    let (Some(tool), Some(built)) = (cuobjdump(), built()) else {
        println!("skipped: no images, or no cuobjdump and nvdisasm to read them with");
        return;
    };
    if !built.architectures.contains(&"sm_90a") {
        println!("skipped: no images of sm_90a");
        return;
    }
    for (family, names) in fairprune::cuda::FAMILIES {
        let listing = listing(&tool, family);
        let hopper: Vec<_> =
            read(&listing).into_iter().filter(|c| c.architecture == "sm_90a").collect();
        assert_eq!(hopper.len(), names.len(), "{family}: kernels in the listing");
        for code in hopper {
            assert!(waits_first(&code), "{} of {family} does not wait first", code.kernel);
        }
    }
}

/// Registers of a multiprocessor; a warp gets whole groups of 256.
const REGISTERS: u32 = 65_536;
/// Shared memory of a multiprocessor of sm_90, 1024 bytes a block of it the system's.
const SHARED: u32 = 233_472;

#[test]
fn planned_blocks_fit_on_a_multiprocessor() {
    if built().is_none_or(|built| !built.architectures.contains(&"sm_90a")) {
        println!("skipped: no images of sm_90a");
        return;
    }
    for (family, _) in FAMILIES {
        let log = Path::new(env!("OUT_DIR")).join(format!("{family}.ptxas"));
        let messages = std::fs::read_to_string(log).unwrap();
        // Shared memory of a halo depends on the problem: the plan counts blocks by it.
        let wide = (tiles::MMA_WIDE_THREADS, tiles::MMA_WIDE_SHARED, tiles::MMA_WIDE_BLOCKS);
        let medium =
            (tiles::MMA_MEDIUM_THREADS, tiles::MMA_MEDIUM_SHARED, tiles::MMA_MEDIUM_BLOCKS);
        let narrow =
            (tiles::MMA_NARROW_THREADS, tiles::MMA_NARROW_SHARED, tiles::MMA_NARROW_BLOCKS);
        let tall = (tiles::MMA_TALL_THREADS, tiles::MMA_TALL_SHARED, tiles::MMA_TALL_BLOCKS);
        let halos = match family {
            "conv2d_fprop_bf16" | "conv2d_dgrad_bf16" => {
                vec![("halo_wide", wide), ("halo_medium", medium), ("halo_narrow", narrow)]
            }
            _ => vec![("halo", tall)],
        };
        let gathered = [("wide", wide), ("medium", medium), ("narrow", narrow)];
        for (name, (threads, shared, blocks)) in gathered.into_iter().chain(halos) {
            let form = if family.contains("grad_norm") { "_instantiate" } else { "" };
            let kernel = family.replace("_bf16", &format!("{form}_{name}_bf16"));
            let start = format!("'{kernel}' for 'sm_90a'");
            let (_, after) = messages.split_once(&start).unwrap_or_else(|| panic!("no {start}"));
            let (_, used) = after.split_once("Used ").unwrap();
            let registers: u32 = used.split(' ').next().unwrap().parse().unwrap();
            let a_warp = (32 * registers).next_multiple_of(256);
            // A quarter of the registers, and of the warps, belongs to each scheduler.
            let all = a_warp * (threads / 32 * blocks).div_ceil(4);
            assert!(all <= REGISTERS / 4, "{kernel}: {registers} registers, {blocks} blocks");
            assert!(blocks * (shared + 1024) <= SHARED, "{kernel}: {shared} B shared memory");
        }
    }
}

const GOOD: &str = "\
\tcode for sm_90a
\t\tFunction : k
        /*0000*/                   LDG.E R2, [R4.64] ;        /* 0x0 */
                                                              /* 0x0 */
        /*0008*/                   DEPBAR.LE SB0, 0x2 ;       /* 0x0 */
        /*0010*/                   LDSM.16.M88.4 R4, [R2] ;   /* 0x0 */
        /*0020*/                   LDSM.16.MT88.4 R8, [R2] ;  /* 0x0 */
        /*0030*/                   HMMA.16816.F32.BF16 R12, R4, R8, R12 ; /* 0x0 */
        /*0040*/                   HMMA.16816.F32.BF16 R12, R4, R8, R12 ; /* 0x0 */
        /*0050*/                   HMMA.16816.F32.BF16 R12, R4, R8, R12 ; /* 0x0 */
        /*0060*/                   HMMA.16816.F32.BF16 R12, R4, R8, R12 ; /* 0x0 */
        /*0070*/                   HMMA.16816.F32.BF16 R12, R4, R8, R12 ; /* 0x0 */
        /*0080*/              @!P1 LDGSTS.E.BYPASS.128 [R6], [R2.64], P0 ; /* 0x0 */
        /*0090*/                   LDS RZ, [RZ] ;             /* 0x0 */
        /*00a0*/               @P0 BRA 0x8 ;                  /* 0x0 */
        /*00b0*/                   STG.E.128 [R2.64], R4 ;    /* 0x0 */
        /*00c0*/                   BRA 0xc0 ;                 /* 0x0 */
";

#[test]
fn planted_faults_are_found() {
    let good = read(GOOD);
    assert_eq!(good.len(), 1);
    assert!(!waits_first(&good[0]));
    for (wait, waits) in [("ACQBULK", true), ("@P0 ACQBULK", false), ("NOP", false)] {
        let code = GOOD.replace(
            "\t\tFunction : k\n",
            &format!("\t\tFunction : k\n        /*0000*/                   {wait} ;   /* 0x0 */\n"),
        );
        assert_eq!(waits_first(&read(&code)[0]), waits, "{wait}");
    }
    let lengths = |code| main_loops(code).into_iter().map(<[_]>::len).collect::<Vec<_>>();
    assert_eq!(lengths(&good[0]), [11]);
    assert_eq!(faults(&good[0]), Vec::<String>::new());
    // A branch over what only computes, and one over a copy.
    assert_eq!(rare(main_loops(&good[0])[0]), 0);
    for (passed, count) in [("LDS RZ, [RZ]", 1), ("LDGSTS.E.BYPASS.128 [R6], [R2.64]", 0)] {
        let code = GOOD
            .replace("@!P1 LDGSTS.E.BYPASS.128 [R6], [R2.64], P0", "@P2 BRA 0xa0")
            .replace("LDS RZ, [RZ]", passed);
        assert_eq!(rare(main_loops(&read(&code)[0])[0]), count, "{code}");
    }
    // The loop reads nothing itself; with a narrow access in it, or through local memory, it is found.
    assert!(reading_loops(&good[0]).is_empty());
    let wide = GOOD.replace("LDS RZ, [RZ]", "LDG.E.128 R4, [R8.64]");
    assert_eq!(narrow_accesses(&reading_loops(&read(&wide)[0])), Vec::<String>::new());
    for narrow in ["LDG.E.64 R4, [R8.64]", "LDG.E R4, [R8.64]"] {
        let bad = wide.replace("LDSM.16.M88.4 R4, [R2]", narrow);
        assert_eq!(narrow_accesses(&reading_loops(&read(&bad)[0])).len(), 1, "{narrow}");
    }
    for (from, to) in [
        ("LDSM.16.M88.4", "LDSM.16.M88.2"),
        ("BYPASS.128", "ACCESS.64"),
        ("@!P1 LDGSTS.E.BYPASS.128 [R6], [R2.64], P0", "LDG.E.128 R6, [R2.64]"),
        ("LDS RZ, [RZ]", "LDS R4, [R5]"),
        ("LDS RZ, [RZ]", "STL [R1], R4"),
        ("/*0030*/                   HMMA.16816.F32.BF16", "/*0030*/ FFMA"),
        ("SB0, 0x2", "SB0, 0x1"),
        ("DEPBAR.LE SB0, 0x2", "NOP"),
        ("BRA 0x8", "BRA 0x1000"),
    ] {
        let bad = GOOD.replace(from, to);
        assert_ne!(bad, GOOD);
        assert!(!faults(&read(&bad)[0]).is_empty(), "{bad}");
    }
}
