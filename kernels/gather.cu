// Input pipeline: a batch of u8 images from the device-resident data set, augmented and normalised
// to f32 NHWC, or to bf16 with 8 channels.
//
//   out[i,h,w,c] = (u8 / 255 - mean[c]) / std[c],  outside the image u8 = 0
//
// Image i is the data set's order[state[0] * batch + i]; it is mirrored, then shifted by draws of
// Philox (seed; epoch = state[1], sample), the CPU's words exactly (ops::gather::Augmentation). A
// sample that is not there (a defect of the caller) is NaN, which the loss then reports. Where sources
// are given, sample i has the pixels of image sources[i] and the draws of i.
//
// Grid: blocks an image x images, in one dimension, an image's blocks next to each other. Block:
// ELEMENTWISE_THREADS, a thread an output value, in bf16 a pixel of 16 bytes. No shared memory, no
// sums: f32 is equal to the CPU bit for bit, bf16 is that rounded to nearest. Oracle: reference::gather.
#define FAMILY "gather"
#include "kernel.cuh"
#include "tiles.h"

#include "bf16.cuh"
#include "divisor.cuh"
#include "philox.cuh"

struct GatherArgs {
    const uint8_t* images;
    const uint32_t* order;
    // An image a sample; null where a sample's image has its own number.
    const uint32_t* sources;
    const uint32_t* state;
    // f32 or bf16.
    void* out;
    uint32_t image_count, order_length, batch, h, w;
    // Blocks of an image, values (bf16: pixels) of a row.
    Divisor by_blocks, by_row;
    float mean[3], std[3];
    uint32_t key_low, key_high, stream;
    uint32_t flip, translate, augment, source_count;
};

// A shift in -translate..=translate.
DEVICE int32_t shift(uint32_t word, uint32_t translate) {
    return int32_t(multiply_high(word, 2 * translate + 1)) - int32_t(translate);
}

// The pixel (y, x) of the data set that a pixel of the output shows, or none: the image outside.
struct Pixel {
    int32_t y, x;
    bool inside;
};

DEVICE Pixel pixel_of(const GatherArgs& args, uint32_t sample, uint32_t row, uint32_t column) {
    int32_t y = int32_t(row), x = int32_t(column);
    if (args.augment) {
        const PhiloxBlock words =
            philox4x32_10({sample, args.state[1], 0, args.stream}, args.key_low, args.key_high);
        y -= shift(words.y, args.translate);
        x -= shift(words.z, args.translate);
        // Mirroring keeps the inside inside.
        if (args.flip && (words.x & 1)) x = int32_t(args.w) - 1 - x;
    }
    return {y, x, uint32_t(y) < args.h && uint32_t(x) < args.w};
}

// The sample at a place of the batch, NONE where there is none.
constexpr uint32_t NONE = 0xffffffffu;

DEVICE uint32_t sample_of(const GatherArgs& args, uint32_t image) {
    const uint64_t place = uint64_t(args.state[0]) * args.batch + image;
    return place < args.order_length ? args.order[place] : NONE;
}

// The image of a sample, NONE where it is not there.
DEVICE uint32_t image_of(const GatherArgs& args, uint32_t sample) {
    uint32_t source = sample;
    if (args.sources) source = sample < args.source_count ? args.sources[sample] : NONE;
    return source < args.image_count ? source : NONE;
}

KERNEL(gather_f32, GatherArgs, FAIRPRUNE_ELEMENTWISE_THREADS, 4) {
    uint32_t image = blockIdx.x;
    const uint32_t block = divide(image, args.by_blocks);
    const uint32_t value = block * FAIRPRUNE_ELEMENTWISE_THREADS + threadIdx.x;
    const uint32_t size = args.h * args.w * 3;
    if (value >= size) return;
    float* const out = static_cast<float*>(args.out) + image * size + value;
    const uint32_t sample = sample_of(args, image), number = image_of(args, sample);
    if (number == NONE) {
        *out = NAN;
        return;
    }
    uint32_t row = value;
    const uint32_t in_row = divide(row, args.by_row), channel = in_row % 3;
    const Pixel source = pixel_of(args, sample, row, in_row / 3);
    float byte = 0.0f;
    if (source.inside) {
        const uint8_t* const pixels = args.images + uint64_t(number) * size;
        byte = float(pixels[(uint32_t(source.y) * args.w + uint32_t(source.x)) * 3 + channel]);
    }
    *out = (byte / 255.0f - args.mean[channel]) / args.std[channel];
}

// The same as bf16, each value rounded once, with five channels of zeros behind the three: a thread a
// pixel of the output, by_row a row's pixels.
KERNEL(gather_bf16, GatherArgs, FAIRPRUNE_ELEMENTWISE_THREADS, 4) {
    uint32_t image = blockIdx.x;
    const uint32_t block = divide(image, args.by_blocks);
    const uint32_t pixel = block * FAIRPRUNE_ELEMENTWISE_THREADS + threadIdx.x;
    const uint32_t size = args.h * args.w;
    if (pixel >= size) return;
    float values[8] = {};
    const uint32_t sample = sample_of(args, image), number = image_of(args, sample);
    if (number == NONE) {
        UNROLL for (int c = 0; c < 3; c++) values[c] = NAN;
    } else {
        uint32_t row = pixel;
        const uint32_t column = divide(row, args.by_row);
        const Pixel source = pixel_of(args, sample, row, column);
        const uint8_t* const bytes =
            args.images +
            (uint64_t(number) * size + uint32_t(source.y) * args.w + uint32_t(source.x)) * 3;
        UNROLL for (int c = 0; c < 3; c++) {
            const float byte = source.inside ? float(bytes[c]) : 0.0f;
            values[c] = (byte / 255.0f - args.mean[c]) / args.std[c];
        }
    }
    store_eight(static_cast<bf16_t*>(args.out) + (uint64_t(image) * size + pixel) * 8,
                round_eight(values));
}
