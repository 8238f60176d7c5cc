// What one card reaches: the ceilings that fractions in docs and benchmarks refer to. Needs nvcc only:
//
//   nvcc -O3 -std=c++17 -gencode arch=compute_90a,code=sm_90a -o ceilings ceilings.cu && ./ceilings
//
// One JSON line a ceiling: median, p10, p90 over repeats.
//
//   copy       device-to-device, bytes read plus written, buffers far past the L2
//   l2_read    repeated reads of a buffer that fits in half of the L2
//   mma_sync   bf16 mma.sync m16n8k16 with f32 accumulation, operands in registers
//   wgmma      bf16 wgmma m64n256k16 with f32 accumulation, operands in shared memory (sm_90a only)
//   launch_gap from the end of one empty kernel to the end of the next, in a stream and in a graph
#include <cuda_runtime.h>
#include <stdint.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#define CHECK(call)                                                                               \
    do {                                                                                          \
        cudaError_t status = (call);                                                              \
        if (status != cudaSuccess) {                                                              \
            fprintf(stderr, "%s:%d %s: %s\n", __FILE__, __LINE__, #call, cudaGetErrorString(status)); \
            exit(1);                                                                              \
        }                                                                                         \
    } while (0)

constexpr int REPEATS = 21;

// Milliseconds of each repeat of `work`, sorted; two rounds warm up.
static std::vector<float> time_of(cudaStream_t stream, const std::function<void()>& work) {
    cudaEvent_t start, end;
    CHECK(cudaEventCreate(&start));
    CHECK(cudaEventCreate(&end));
    std::vector<float> times;
    for (int i = 0; i < REPEATS + 2; i++) {
        CHECK(cudaEventRecord(start, stream));
        work();
        CHECK(cudaGetLastError());
        CHECK(cudaEventRecord(end, stream));
        CHECK(cudaEventSynchronize(end));
        float ms;
        CHECK(cudaEventElapsedTime(&ms, start, end));
        if (i >= 2) times.push_back(ms);
    }
    std::sort(times.begin(), times.end());
    return times;
}

// `amount` over the time (a rate: p10 is the slow end), or the time per item where `amount` is negative.
static void report(const char* name, const char* unit, const std::vector<float>& times, double amount) {
    auto at = [&](double share) { return times[(size_t)(share * (times.size() - 1) + .5)]; };
    auto value = [&](float ms) { return amount > 0 ? amount / (ms * 1e-3) : ms * 1e-3 / -amount; };
    printf("{\"ceiling\":\"%s\",\"unit\":\"%s\",\"median\":%.6g,\"p10\":%.6g,\"p90\":%.6g,\"repeats\":%d}\n", name,
           unit, value(at(.5)), value(at(.9)), value(at(.1)), REPEATS);
    fflush(stdout);
}

__global__ void copy_kernel(const uint4* __restrict__ from, uint4* __restrict__ to, size_t count) {
    size_t stride = (size_t)gridDim.x * blockDim.x, i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    for (; i + 3 * stride < count; i += 4 * stride) {
        uint4 a = from[i], b = from[i + stride], c = from[i + 2 * stride], d = from[i + 3 * stride];
        to[i] = a, to[i + stride] = b, to[i + 2 * stride] = c, to[i + 3 * stride] = d;
    }
    for (; i < count; i += stride) to[i] = from[i];
}

__global__ void read_kernel(const uint4* __restrict__ from, size_t count, int rounds, uint32_t* sink) {
    size_t stride = (size_t)gridDim.x * blockDim.x, first = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    uint32_t sum = 0;
    for (int round = 0; round < rounds; round++)
        for (size_t i = first; i < count; i += stride) {
            uint4 v;
            // Past the L1, which would serve the later rounds.
            asm volatile("ld.global.cg.v4.u32 {%0,%1,%2,%3}, [%4];"
                         : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                         : "l"(from + i));
            sum += v.x ^ v.y ^ v.z ^ v.w;
        }
    if (sum == 0x12345678) *sink = sum;
}

// Eight independent accumulator tiles a warp hide the latency.
__global__ void __launch_bounds__(256) mma_kernel(int rounds, float* sink, uint32_t seed) {
    float c[8][4] = {};
    uint32_t a[4], b[2];
    for (int i = 0; i < 4; i++) a[i] = 0x3f803f80u + ((seed + threadIdx.x * 7 + i) & 0x007f007f);
    for (int i = 0; i < 2; i++) b[i] = 0x3c803c80u + ((seed + threadIdx.x * 3 + i) & 0x007f007f);
    for (int round = 0; round < rounds; round++)
#pragma unroll
        for (int t = 0; t < 8; t++)
            asm volatile(
                "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                "{%0,%1,%2,%3};"
                : "+f"(c[t][0]), "+f"(c[t][1]), "+f"(c[t][2]), "+f"(c[t][3])
                : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    float sum = 0;
    for (int t = 0; t < 8; t++)
        for (int i = 0; i < 4; i++) sum += c[t][i];
    if (sum == 1.25f) *sink = sum;
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
// Descriptor of a K-major bf16 tile of 16 columns without swizzle: core matrices of 8 rows x 16 bytes, the
// two of a row 128 bytes apart, the next eight rows 256 bytes on.
__device__ uint64_t descriptor(const void* tile) {
    uint64_t address = (uint32_t)__cvta_generic_to_shared(tile);
    return ((address & 0x3ffff) >> 4) | ((uint64_t)(128 >> 4) << 16) | ((uint64_t)(256 >> 4) << 32);
}
#endif

// One warpgroup: 64 x 256 x 16 a step, 128 accumulators a thread.
__global__ void __launch_bounds__(128) wgmma_kernel(int rounds, float* sink, uint32_t seed) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    __shared__ __align__(1024) uint32_t a[64 * 16 / 2], b[256 * 16 / 2];
    for (int i = threadIdx.x; i < 64 * 8; i += 128) a[i] = 0x3f803f80u + ((seed + i * 7) & 0x007f007f);
    for (int i = threadIdx.x; i < 256 * 8; i += 128) b[i] = 0x3c803c80u + ((seed + i * 3) & 0x007f007f);
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    float c[128] = {};
    uint64_t da = descriptor(a), db = descriptor(b);
#define C4(i) "+f"(c[i]), "+f"(c[i + 1]), "+f"(c[i + 2]), "+f"(c[i + 3])
#define C16(i) C4(i), C4(i + 4), C4(i + 8), C4(i + 12)
#define WGMMA() \
        asm volatile( \
            "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {" \
            "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27," \
            "%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52," \
            "%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63,%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77," \
            "%78,%79,%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95,%96,%97,%98,%99,%100,%101," \
            "%102,%103,%104,%105,%106,%107,%108,%109,%110,%111,%112,%113,%114,%115,%116,%117,%118,%119,%120,%121," \
            "%122,%123,%124,%125,%126,%127}, %128, %129, 1, 1, 1, 0, 0;" \
            : C16(0), C16(16), C16(32), C16(48), C16(64), C16(80), C16(96), C16(112) \
            : "l"(da), "l"(db))
    for (int round = 0; round < rounds; round += 4) {
        // The accumulators are final here; nothing but wgmma touches them until the wait.
        for (int i = 0; i < 128; i++) asm volatile("" : "+f"(c[i])::"memory");
        asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
        WGMMA();
        WGMMA();
        WGMMA();
        WGMMA();
        asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
        asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
        for (int i = 0; i < 128; i++) asm volatile("" : "+f"(c[i])::"memory");
    }
    float sum = 0;
    for (int i = 0; i < 128; i++) sum += c[i];
    if (sum == 1.25f) *sink = sum;
#endif
}

__global__ void empty_kernel() {}

int main() {
    cudaDeviceProp card;
    CHECK(cudaGetDeviceProperties(&card, 0));
    int driver;
    CHECK(cudaDriverGetVersion(&driver));
    printf("{\"card\":\"%s\",\"multiprocessors\":%d,\"l2_bytes\":%d,\"compute\":\"%d.%d\",\"driver\":%d}\n", card.name,
           card.multiProcessorCount, card.l2CacheSize, card.major, card.minor, driver);
    cudaStream_t stream;
    CHECK(cudaStreamCreate(&stream));
    const int sms = card.multiProcessorCount;
    uint4 *from, *to;
    uint32_t* sink;
    const size_t bytes = size_t(2) << 30;
    CHECK(cudaMalloc(&from, bytes));
    CHECK(cudaMalloc(&to, bytes));
    CHECK(cudaMalloc(&sink, 256));
    CHECK(cudaMemset(from, 0x5a, bytes));
    const size_t count = bytes / sizeof(uint4);
    report("copy", "B/s", time_of(stream, [&] { copy_kernel<<<sms * 8, 512, 0, stream>>>(from, to, count); }),
           2.0 * bytes);
    const size_t small = size_t(card.l2CacheSize) / 2 / sizeof(uint4);
    const int reads = 64;
    report("l2_read", "B/s",
           time_of(stream, [&] { read_kernel<<<sms * 4, 512, 0, stream>>>(from, small, reads, sink); }),
           double(small) * sizeof(uint4) * reads);
    const int rounds = 4096;
    const double mma_flop = 2.0 * 16 * 8 * 16 * 8 * rounds * 8 * sms * 4;
    report("mma_sync", "FLOP/s",
           time_of(stream, [&] { mma_kernel<<<sms * 4, 256, 0, stream>>>(rounds, (float*)sink, 1); }), mma_flop);
    if (card.major == 9) {
        const double wgmma_flop = 2.0 * 64 * 256 * 16 * rounds * sms * 2;
        report("wgmma", "FLOP/s",
               time_of(stream, [&] { wgmma_kernel<<<sms * 2, 128, 0, stream>>>(rounds, (float*)sink, 1); }),
               wgmma_flop);
    }
    const int launches = 2000;
    auto many = [&] {
        for (int i = 0; i < launches; i++) empty_kernel<<<sms, 128, 0, stream>>>();
    };
    report("launch_gap_stream", "s", time_of(stream, many), -launches);
    cudaGraph_t graph;
    cudaGraphExec_t executable;
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    many();
    CHECK(cudaStreamEndCapture(stream, &graph));
    CHECK(cudaGraphInstantiate(&executable, graph, 0));
    report("launch_gap_graph", "s", time_of(stream, [&] { CHECK(cudaGraphLaunch(executable, stream)); }), -launches);
    return 0;
}
