//! Convolution layers of the supported networks, GFLOP/s a direction.
//!
//! `cargo bench --bench conv -- [--threads T] [--only LAYER] [--column NAME] [--images N]
//! [--seconds S] [--isa portable|avx2|avx512]`. The time is the minimum over repeats: other load
//! on the machine only ever adds to it.

use std::time::{Duration, Instant};

use fairprune::backend::{ALIGN, Backend, Cpu, Isa, View};
use fairprune::ops::conv2d::{
    Conv2d, Conv2dDirection, Conv2dProblem, DgradOperands, Epilogue, FpropOperands, GradNormForm,
    GradNormOperands, WgradOperands,
};
use fairprune::tensor::Dtype;

/// Name, n, h (= w), c, k, r (= s), stride.
const LAYERS: &[(&str, [usize; 6])] = &[
    ("r8w8.stem", [32, 3, 8, 3, 1, 128]),
    ("r8w8.1", [32, 8, 8, 3, 1, 128]),
    ("r8w8.2down", [32, 8, 16, 3, 2, 128]),
    ("r8w8.2", [16, 16, 16, 3, 1, 128]),
    ("r8w8.3down", [16, 16, 32, 3, 2, 128]),
    ("r8w8.3", [8, 32, 32, 3, 1, 128]),
    ("r20.stem", [32, 3, 16, 3, 1, 128]),
    ("r20.1", [32, 16, 16, 3, 1, 128]),
    ("r20.2down", [32, 16, 32, 3, 2, 128]),
    ("r20.2proj", [32, 16, 32, 1, 2, 128]),
    ("r20.2", [16, 32, 32, 3, 1, 128]),
    ("r20.3down", [16, 32, 64, 3, 2, 128]),
    ("r20.3", [8, 64, 64, 3, 1, 128]),
    ("r18.stem", [32, 3, 64, 3, 1, 128]),
    ("r18.1", [32, 64, 64, 3, 1, 128]),
    ("r18.2down", [32, 64, 128, 3, 2, 128]),
    ("r18.2proj", [32, 64, 128, 1, 2, 128]),
    ("r18.2", [16, 128, 128, 3, 1, 128]),
    ("r18.3down", [16, 128, 256, 3, 2, 128]),
    ("r18.3", [8, 256, 256, 3, 1, 128]),
    ("r18.4down", [8, 256, 512, 3, 2, 128]),
    ("r18.4", [4, 512, 512, 3, 1, 128]),
    ("r50.stem", [224, 3, 64, 7, 2, 16]),
    ("r50.1a", [56, 256, 64, 1, 1, 16]),
    ("r50.1b", [56, 64, 64, 3, 1, 16]),
    ("r50.1c", [56, 64, 256, 1, 1, 16]),
    ("r50.3b", [14, 256, 256, 3, 1, 32]),
    ("r50.3c", [14, 256, 1024, 1, 1, 32]),
    ("r50.4a", [7, 2048, 512, 1, 1, 64]),
    ("r50.4b", [7, 512, 512, 3, 1, 64]),
];

const COLUMNS: [&str; 7] = ["fprop", "stats", "dgrad", "wgrad", "norm", "gram", "shifted"];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let option =
        |name: &str| args.iter().position(|a| a == name).and_then(|i| args.get(i + 1)).cloned();
    let threads = option("--threads").and_then(|v| v.parse().ok()).unwrap_or(1);
    let seconds: f64 = option("--seconds").and_then(|v| v.parse().ok()).unwrap_or(0.5);
    let only = option("--only").unwrap_or_default();
    let isa = match option("--isa").as_deref() {
        Some("portable") => Isa::Portable,
        Some("avx2") => Isa::Avx2,
        _ => Isa::detect(),
    };
    let cpu = Cpu::with_isa(threads, isa).expect("a thread pool");
    println!("{} threads {threads}; GFLOP/s of the convolution's own FLOPs", cpu.name());
    let wanted = option("--column");
    let images = option("--images").and_then(|v| v.parse().ok());
    print!("{:12}", "layer");
    COLUMNS.iter().for_each(|c| print!(" {c:>8}"));
    println!();
    for &(name, [h, c, k, r, stride, n]) in LAYERS.iter().filter(|l| l.0.contains(&only)) {
        let pad = [r / 2; 2];
        let n = images.unwrap_or(n);
        let p = Conv2dProblem { n, h, w: h, c, k, r, s: r, stride: [stride; 2], pad };
        print!("{name:12}");
        let rates = layer(&cpu, &p, Duration::from_secs_f64(seconds), wanted.as_deref());
        rates.iter().for_each(|r| match r {
            Some(r) => print!(" {r:8.1}"),
            None => print!(" {:>8}", "-"),
        });
        println!();
    }
}

/// GFLOP/s of every column that applies (and is asked for); the FLOPs are always those of the
/// convolution, so that larger is faster.
fn layer(cpu: &Cpu, p: &Conv2dProblem, budget: Duration, column: Option<&str>) -> [Option<f64>; 7] {
    let norm = Conv2dDirection::GradNorm;
    let directions = [
        Conv2dDirection::Fprop,
        Conv2dDirection::Fprop,
        Conv2dDirection::Dgrad,
        Conv2dDirection::Wgrad,
        norm(GradNormForm::Instantiate),
        norm(GradNormForm::Gram),
        norm(GradNormForm::ShiftedGram),
    ];
    // Gram matrices of large maps take seconds.
    let small = p.p() * p.q() <= 1024;
    let applies = |i: usize| {
        column.is_none_or(|c| c == COLUMNS[i]) && (i < 5 || small) && (i < 6 || p.stride == [1, 1])
    };
    let work =
        (0..7).filter(|&i| applies(i)).map(|i| cpu.conv2d_workspace(p, directions[i], Dtype::F32));
    let work = work.max().unwrap_or(0);
    let lens = [p.x_len(), p.w_len(), p.y_len(), p.x_len(), p.w_len(), p.k, p.k, p.n, work];
    let sizes = lens.map(|len| (len * 4).next_multiple_of(ALIGN));
    let mut memory = cpu.allocate(&sizes, false).expect("memory");
    let views: [View; 9] = std::array::from_fn(|i| View {
        buffer: i as u32,
        offset: 0,
        len: lens[i],
        dtype: Dtype::F32,
    });
    let [x, w, y, dx, dw, mean, m2, norms, work] = views;
    for view in [x, w, y] {
        let values: Vec<f32> = (0..view.len).map(|i| (i * 7 % 31) as f32 * 0.1 - 1.5).collect();
        cpu.upload(&mut memory, view, &values).expect("upload");
    }
    let mut run = |i: usize| {
        let m = &mut memory;
        match directions[i] {
            Conv2dDirection::Fprop => {
                let epilogue =
                    if i == 0 { Epilogue::None } else { Epilogue::Statistics { mean, m2 } };
                let bias = None;
                cpu.conv2d_fprop(m, p, &FpropOperands { x, w, bias, y, epilogue, workspace: work })
            }
            // The norm's gradient on the side is for tensor cores only.
            Conv2dDirection::Dgrad | Conv2dDirection::DgradNorm => {
                let (dy, accumulate, norm, workspace) = (y, false, None, work);
                cpu.conv2d_dgrad(m, p, &DgradOperands { dy, w, dx, accumulate, norm, workspace })
            }
            Conv2dDirection::Wgrad => {
                let (dy, db, workspace) = (y, None, work);
                cpu.conv2d_wgrad(m, p, &WgradOperands { x, dy, dw, db, workspace })
            }
            Conv2dDirection::GradNorm(form) => {
                let (dy, bias, workspace) = (y, false, work);
                let operands = GradNormOperands { x, dy, bias, norms, form, workspace };
                cpu.conv2d_grad_norm(m, p, &operands)
            }
        }
        .expect("a convolution");
    };
    std::array::from_fn(|i| {
        applies(i).then(|| {
            run(i);
            let (start, mut best) = (Instant::now(), f64::INFINITY);
            while start.elapsed() < budget {
                let t = Instant::now();
                run(i);
                best = best.min(t.elapsed().as_secs_f64());
            }
            2e-9 * p.macs() as f64 / best
        })
    })
}
