// Everything that is read off the logits, in one pass: the loss, its gradient and the scores of
// every sample; definitions in ops::loss_score. Then the root of the gradient norms.
//
// Sample i of the batch is order[state[0] * batch + i] of the part; its results go to that row of
// the table's columns (`capacity` values each). Logits are n x k, rows unaligned: a lane reads
// every 32nd class. Arithmetic is in f64 and rounded once, as on the CPU.
//
// Where `previous` is given, its row of the sample holds ln p of the last presentation and gets that
// of this one (f32); a lane reads and writes the same classes. Its sum is DIVERGENCE.
//
// Gradient: NONE; SAMPLE, p - onehot(y); MEAN, of the batch's objective
//   sum_i s_i [ (1-e) w_y (-ln p_y) + e/K sum_k w_k (-ln p_k) ] / sum_i w_{y_i},   0 if all weigh 0;
// s_i are the sample weights, 1 where none are given.
// Every block finds the sum of the batch's weights itself, in the same order.
//
// A non-finite loss, or a sample outside the order, the labels or the classes (a defect of the
// caller), records state[3] + 1 in state[2] if that is 0: all who do so write the same value.
//
// loss_score: grid ceil(n / LOSS_SAMPLES); block LOSS_THREADS, one warp a sample; shared memory
// LOSS_SHARED. store_norms: a thread a sample; ELEMENTWISE_THREADS.
// Sums: f64, a lane's classes in order, then the warp's tree: beyond one rounding to f32 only the
// last digits of f64. Deterministic. Oracle: reference::loss_score.
#define FAMILY "loss_score"
#include "kernel.cuh"
#include "tiles.h"

#include "reduce.cuh"
#include "vector.cuh"

enum Column : uint32_t {
    LOSS, EL2N, ENTROPY, MARGIN, LABEL_PROBABILITY, AUM, CORRECT, PREDICTION, TOP_PROBABILITY, GRAND, DIVERGENCE
};
enum Gradient : uint32_t { GRADIENT_NONE, GRADIENT_SAMPLE, GRADIENT_MEAN };

struct LossScoreArgs {
    const float* logits;
    const uint32_t* order;
    const uint32_t* labels;
    // A weight a class, for the mean objective.
    const float* weights;
    // A weight a sample of the part, for the same; null where all are 1.
    const float* sample_weights;
    uint32_t* state;
    float* table;
    float* dlogits;
    // k values a sample of the part; null where no divergence is wanted.
    float* previous;
    // Samples that have a label and a row; values from one column of the table to the next.
    uint32_t n, k, batch, order_length, samples, capacity, gradient;
    float smoothing;
};

constexpr uint32_t NOWHERE = 0xffffffffu;

// The part's position of sample i of the batch; NOWHERE outside order, part and classes.
DEVICE uint32_t sample_of(const LossScoreArgs& args, uint32_t i) {
    const uint64_t place = uint64_t(args.state[0]) * args.batch + i;
    const uint32_t sample = place < args.order_length ? args.order[place] : NOWHERE;
    return sample < args.samples && args.labels[sample] < args.k ? sample : NOWHERE;
}

DEVICE void record_bad_step(uint32_t* state) {
    atomic_compare_exchange(&state[2], 0, state[3] + 1);
}

// The first largest of the row on every lane, as a scan from class 0 finds it: NaN never wins, but
// stays if it is first.
struct Largest {
    float value;
    uint32_t index;
};

DEVICE Largest largest(const float* z, uint32_t k) {
    Largest best = {-INFINITY, NOWHERE};
    for (uint32_t j = threadIdx.x % 32; j < k; j += 32) {
        if (z[j] > best.value || (z[j] == best.value && j < best.index)) best = {z[j], j};
    }
    for (int mask = 16; mask > 0; mask >>= 1) {
        const float value = warp_shuffle_xor(best.value, mask);
        const uint32_t index = warp_shuffle_xor(best.index, mask);
        if (value > best.value || (value == best.value && index < best.index)) best = {value, index};
    }
    const bool first_is_nan = z[0] != z[0];
    return first_is_nan ? Largest{z[0], 0} : best;
}

// The two largest probabilities.
struct TopTwo {
    double first, second;

    DEVICE void add(double p) {
        if (p > first) {
            second = first;
            first = p;
        } else if (p > second) {
            second = p;
        }
    }
};

DEVICE TopTwo warp_top_two(TopTwo top) {
    for (int mask = 16; mask > 0; mask >>= 1) {
        const TopTwo other = {warp_shuffle_xor(top.first, mask), warp_shuffle_xor(top.second, mask)};
        top.add(other.first);
        top.add(other.second);
    }
    return top;
}

DEVICE float warp_max(float value) {
    for (int mask = 16; mask > 0; mask >>= 1) {
        const float other = warp_shuffle_xor(value, mask);
        if (other > value) value = other;
    }
    return value;
}

// Sums of the weights of the batch's labels and of all classes, the same on every thread.
struct WeightSums {
    double batch, classes;
};

DEVICE WeightSums weight_sums(const LossScoreArgs& args, double* shared) {
    double batch = 0.0, classes = 0.0;
    for (uint32_t i = threadIdx.x; i < args.n; i += FAIRPRUNE_LOSS_THREADS) {
        const uint32_t sample = sample_of(args, i);
        if (sample != NOWHERE) batch += double(args.weights[args.labels[sample]]);
    }
    for (uint32_t j = threadIdx.x; j < args.k; j += FAIRPRUNE_LOSS_THREADS) {
        classes += double(args.weights[j]);
    }
    constexpr int WARPS = FAIRPRUNE_LOSS_THREADS / 32;
    static_assert(2 * WARPS * sizeof(double) <= FAIRPRUNE_LOSS_SHARED, "tiles.h");
    batch = block_sum<FAIRPRUNE_LOSS_THREADS>(batch, shared);
    return {batch, block_sum<FAIRPRUNE_LOSS_THREADS>(classes, shared + WARPS)};
}

KERNEL(loss_score_f32, LossScoreArgs, FAIRPRUNE_LOSS_THREADS, 2) {
    SHARED_MEMORY(double, shared);
    static_assert(FAIRPRUNE_LOSS_SAMPLES * 32 == FAIRPRUNE_LOSS_THREADS, "tiles.h");
    const bool mean = args.gradient == GRADIENT_MEAN;
    WeightSums weights = {1.0, 1.0};
    if (mean) weights = weight_sums(args, shared);

    const uint32_t lane = threadIdx.x % 32, k = args.k;
    const uint32_t i = blockIdx.x * FAIRPRUNE_LOSS_SAMPLES + threadIdx.x / 32;
    if (i >= args.n) return;
    const uint32_t sample = sample_of(args, i);
    if (sample == NOWHERE) {
        if (lane == 0) record_bad_step(args.state);
        return;
    }
    const uint32_t label = args.labels[sample];
    const float* const z = args.logits + uint64_t(i) * k;

    const Largest best = largest(z, k);
    const double top = double(best.value);
    double sum = 0.0;
    for (uint32_t j = lane; j < k; j += 32) sum += exp(double(z[j]) - top);
    sum = warp_sum(sum);
    const double log_sum = log(sum);

    double squares = 0.0, entropy = 0.0, divergence = 0.0;
    float* const previous = args.previous ? args.previous + uint64_t(sample) * k : nullptr;
    TopTwo two = {0.0, 0.0};
    float rival = -INFINITY;
    const double main = mean ? (1.0 - double(args.smoothing)) * double(args.weights[label]) : 1.0;
    const double share = mean ? double(args.smoothing) / double(k) : 0.0;
    const double of_sample =
        mean && args.sample_weights ? double(args.sample_weights[sample]) : 1.0;
    for (uint32_t j = lane; j < k; j += 32) {
        const double p = exp(double(z[j]) - top) / sum;
        const double off = j == label ? p - 1.0 : p;
        squares += off * off;
        if (p > 0.0) entropy -= p * (double(z[j]) - top - log_sum);
        two.add(p);
        if (j != label && z[j] > rival) rival = z[j];
        if (previous) {
            const double log_p = double(z[j]) - top - log_sum;
            divergence += fabs(p * (log_p - double(previous[j])));
            previous[j] = float(log_p);
        }
        if (args.gradient != GRADIENT_NONE) {
            const double weight = mean ? double(args.weights[j]) : 1.0;
            const double value = main * off + share * (p * weights.classes - weight);
            // Weights of 0 for the whole batch: nothing to learn, not 0 / 0.
            args.dlogits[uint64_t(i) * k + j] =
                weights.batch > 0.0 ? float(of_sample * value / weights.batch) : 0.0f;
        }
    }
    squares = warp_sum(squares);
    entropy = warp_sum(entropy);
    if (previous) divergence = warp_sum(divergence);
    two = warp_top_two(two);
    rival = warp_max(rival);

    if (lane != 0) return;
    const double of_label = double(z[label]);
    const float loss = float(log_sum + top - of_label);
    float* const row = args.table + sample;
    const uint64_t column = args.capacity;
    row[LOSS * column] = loss;
    row[EL2N * column] = float(sqrt(squares));
    row[ENTROPY * column] = float(entropy);
    row[MARGIN * column] = float(two.first - two.second);
    row[LABEL_PROBABILITY * column] = float(exp(of_label - top) / sum);
    row[AUM * column] = float(of_label - double(rival));
    row[CORRECT * column] = best.index == label ? 1.0f : 0.0f;
    row[PREDICTION * column] = float(best.index);
    row[TOP_PROBABILITY * column] = float(two.first);
    if (previous) row[DIVERGENCE * column] = float(divergence);
    if (!(fabsf(loss) < INFINITY)) record_bad_step(args.state);
}

struct StoreNormsArgs {
    const float* norms;
    const uint32_t* order;
    const uint32_t* state;
    float* table;
    uint32_t n, batch, order_length, capacity;
};

// Column GRAND = sqrt(max(norms, 0)); NaN stays NaN.
KERNEL(store_norms_f32, StoreNormsArgs, FAIRPRUNE_ELEMENTWISE_THREADS, 4) {
    const uint32_t i = blockIdx.x * FAIRPRUNE_ELEMENTWISE_THREADS + threadIdx.x;
    if (i >= args.n) return;
    const uint64_t place = uint64_t(args.state[0]) * args.batch + i;
    const uint32_t sample = place < args.order_length ? args.order[place] : NOWHERE;
    if (sample >= args.capacity) return;
    const float square = args.norms[i];
    args.table[uint64_t(GRAND) * args.capacity + sample] = sqrtf(square < 0.0f ? 0.0f : square);
}
