// Runs conformance.cu on the card at hand and prints what came out, a line of JSON a launch:
//
//   nvcc -O3 --fmad=false -std=c++17 -Ikernels -gencode arch=compute_90a,code=sm_90a \
//       -o record kernels/conformance/record.cu && ./record > kernels/conformance/vectors/CARD.jsonl
//
// Words are hexadecimal, thread by thread. The inputs are pseudo-random and the same every time.
#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "conformance.cu"

#define CHECK(call)                                                                               \
    do {                                                                                          \
        cudaError_t status = (call);                                                              \
        if (status != cudaSuccess) {                                                              \
            fprintf(stderr, "%s: %s\n", #call, cudaGetErrorString(status));                       \
            exit(1);                                                                              \
        }                                                                                         \
    } while (0)

constexpr int ROUNDS = 8;
enum class Kind { any, float_, half };

static uint64_t state = 0x9e3779b97f4a7c15;
static uint32_t random_word() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return uint32_t(state >> 32);
}

// Zeros, ones, the ends of the normal and subnormal range, infinities, NaN, ties of bf16.
static const uint32_t SPECIAL[] = {0x00000000, 0x80000000, 0x3f800000, 0xbf800000, 0x7f7fffff, 0x00800000,
                                   0x007fffff, 0x00000001, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001,
                                   0x3f808000, 0x3f818000, 0x3f808001, 0xbf807fff, 0x7f7f8000};

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits;
}

// In [-2, 2) with a few exponents.
static uint32_t moderate() {
    const float value = int32_t(random_word()) * 0x1p-30f;
    return bits_of(value * (1.0f / (1u << random_word() % 12)));
}

static uint32_t word_of(Kind kind, int round, uint32_t place, uint32_t words) {
    if (kind == Kind::float_) {
        if (random_word() % 4 == 0) return SPECIAL[random_word() % (sizeof SPECIAL / 4)];
        return round % 2 ? random_word() : moderate();
    }
    if (kind == Kind::half) {
        // Words 0 to 5 of 10 are pairs of bf16, the others floats.
        if (place % words < 6) return (moderate() >> 16) | (moderate() & 0xffff0000);
        return moderate();
    }
    return random_word();
}

static void print_words(const char* name, const std::vector<uint32_t>& words) {
    printf("\"%s\":\"", name);
    for (uint32_t word : words) printf("%08x", word);
    printf("\"");
}

template <typename Kernel>
static void record(const char* name, Kernel kernel, uint32_t threads, uint32_t in_words, uint32_t out_words,
                   Kind kind) {
    for (int round = 0; round < ROUNDS; round++) {
        std::vector<uint32_t> in(threads * in_words), out(threads * out_words);
        for (uint32_t i = 0; i < in.size(); i++) in[i] = word_of(kind, round, i, in_words);
        uint32_t *device_in, *device_out;
        CHECK(cudaMalloc(&device_in, in.size() * 4));
        CHECK(cudaMalloc(&device_out, out.size() * 4));
        CHECK(cudaMemcpy(device_in, in.data(), in.size() * 4, cudaMemcpyHostToDevice));
        CHECK(cudaMemset(device_out, 0xcd, out.size() * 4));
        kernel<<<1, threads, 4096>>>(ConformanceArgs{device_in, device_out});
        CHECK(cudaGetLastError());
        CHECK(cudaMemcpy(out.data(), device_out, out.size() * 4, cudaMemcpyDeviceToHost));
        CHECK(cudaFree(device_in));
        CHECK(cudaFree(device_out));
        printf("{\"function\":\"%s\",\"threads\":%u,", name, threads);
        print_words("in", in);
        printf(",");
        print_words("out", out);
        printf("}\n");
    }
}

int main() {
    cudaDeviceProp card;
    CHECK(cudaGetDeviceProperties(&card, 0));
    int driver;
    CHECK(cudaDriverGetVersion(&driver));
    printf("{\"card\":\"%s\",\"compute\":\"%d.%d\",\"driver\":%d}\n", card.name, card.major, card.minor, driver);
#define KIND_any Kind::any
#define KIND_float Kind::float_
#define KIND_half Kind::half
#define RECORD(function, threads, in, out, kind) \
    record(#function, conformance_##function, threads, in, out, KIND_##kind);
    CONFORMANCE_FUNCTIONS(RECORD)
    return 0;
}
