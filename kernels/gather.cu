// Input pipeline: a batch of u8 images from the device-resident data set, augmented and normalised
// to f32 NHWC.
//
//   out[i,h,w,c] = (u8 / 255 - mean[c]) / std[c],  outside the image u8 = 0
//
// Image i is the data set's order[state[0] * batch + i]; it is mirrored, then shifted by draws of
// Philox (seed; epoch = state[1], sample), the CPU's words exactly (ops::gather::Augmentation). A
// sample that is not there (a defect of the caller) is NaN, which the loss then reports. Where sources
// are given, sample i has the pixels of image sources[i] and the draws of i.
//
// Grid: blocks an image x images, in one dimension, an image's blocks next to each other. Block:
// ELEMENTWISE_THREADS, a thread an output value. No shared memory, no sums: equal to the CPU bit
// for bit. Oracle: reference::gather.
#define FAMILY "gather"
#include "kernel.cuh"
#include "tiles.h"

#include "divisor.cuh"
#include "philox.cuh"
#include "vector.cuh"

struct GatherArgs {
    const uint8_t* images;
    const uint32_t* order;
    // An image a sample; null where a sample's image has its own number.
    const uint32_t* sources;
    const uint32_t* state;
    float* out;
    uint32_t image_count, order_length, batch, h, w;
    // Blocks of an image, values of a row.
    Divisor by_blocks, by_row;
    float mean[3], std[3];
    uint32_t key_low, key_high, stream;
    uint32_t flip, translate, augment, source_count;
};

// A shift in -translate..=translate.
DEVICE int32_t shift(uint32_t word, uint32_t translate) {
    return int32_t(multiply_high(word, 2 * translate + 1)) - int32_t(translate);
}

KERNEL(gather_f32, GatherArgs, FAIRPRUNE_ELEMENTWISE_THREADS, 4) {
    uint32_t image = blockIdx.x;
    const uint32_t block = divide(image, args.by_blocks);
    const uint32_t value = block * FAIRPRUNE_ELEMENTWISE_THREADS + threadIdx.x;
    const uint32_t size = args.h * args.w * 3;
    if (value >= size) return;
    float* const out = args.out + image * size + value;
    const uint64_t place = uint64_t(args.state[0]) * args.batch + image;
    const uint32_t sample = place < args.order_length ? args.order[place] : 0xffffffffu;
    uint32_t source = sample;
    if (args.sources) source = sample < args.source_count ? args.sources[sample] : 0xffffffffu;
    if (source >= args.image_count) {
        *out = NAN;
        return;
    }
    uint32_t row = value;
    const uint32_t in_row = divide(row, args.by_row), channel = in_row % 3;
    int32_t y = int32_t(row), x = int32_t(in_row / 3);
    if (args.augment) {
        const PhiloxBlock words =
            philox4x32_10({sample, args.state[1], 0, args.stream}, args.key_low, args.key_high);
        y -= shift(words.y, args.translate);
        x -= shift(words.z, args.translate);
        // Mirroring keeps the inside inside.
        if (args.flip && (words.x & 1)) x = int32_t(args.w) - 1 - x;
    }
    float byte = 0.0f;
    if (uint32_t(y) < args.h && uint32_t(x) < args.w) {
        const uint8_t* const pixels = args.images + uint64_t(source) * size;
        byte = float(pixels[(uint32_t(y) * args.w + uint32_t(x)) * 3 + channel]);
    }
    *out = (byte / 255.0f - args.mean[channel]) / args.std[channel];
}
