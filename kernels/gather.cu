// Input pipeline: a batch of u8 images, augmented and normalised to f32 NHWC, or to bf16 with 8
// channels. The images are the whole data set's, or those of this batch with their numbers (staged).
//
//   out[i,h,w,c] = (u8 / 255 - mean[c]) / std[c],  outside the image u8 = 0
//
// Image i is the data set's order[state[0] * batch + i]; the part of the network's size at (top, left)
// is seen, of the image mirrored and shifted by draws of Philox (seed; epoch = state[1], sample), the
// CPU's words exactly (ops::gather::Augmentation). A sample that is not there (a defect of the caller)
// is NaN, which the loss then reports. Where sources are given, sample i has the pixels of image
// sources[i] and the draws of i.
//
// gather_crop: u8 = the weighted mean over a random box of the image (ops::gather::crop), in whole
// numbers: equal to the CPU's. The block's first thread draws the box.
//
// Grid: blocks an image x images, in one dimension, an image's blocks next to each other. Block:
// ELEMENTWISE_THREADS, a thread an output value; in bf16 and of crops a pixel. Shared memory: the box
// of crops, 16 bytes. f32 is equal to the CPU bit for bit, bf16 is that rounded to nearest. Oracle:
// reference::gather.
#define FAMILY "gather"
#include "kernel.cuh"
#include "tiles.h"

#include "bf16.cuh"
#include "divisor.cuh"
#include "philox.cuh"

struct GatherArgs {
    const uint8_t* images;
    // Null, or the numbers of the images, which are this batch's then, in its order.
    const uint32_t* staged;
    const uint32_t* order;
    // An image a sample; null where a sample's image has its own number.
    const uint32_t* sources;
    const uint32_t* state;
    // f32 or bf16.
    void* out;
    uint32_t image_count, order_length, batch, h, w;
    // Of an image: rows, columns, bytes; and where the part that is seen starts.
    uint32_t stored_h, stored_w, stored_bytes, top, left;
    // Blocks of an image, values (bf16 and crops: pixels) of a row.
    Divisor by_blocks, by_row;
    float mean[3], std[3];
    uint32_t key_low, key_high, stream;
    uint32_t flags, translate, source_count;
};

enum Flag : uint32_t { FLIP = 1, AUGMENT = 2 };

DEVICE PhiloxBlock words_of(const GatherArgs& args, uint32_t sample, uint32_t line) {
    return philox4x32_10({sample, args.state[1], line, args.stream}, args.key_low, args.key_high);
}

// A shift in -translate..=translate.
DEVICE int32_t shift(uint32_t word, uint32_t translate) {
    return int32_t(multiply_high(word, 2 * translate + 1)) - int32_t(translate);
}

// The pixel (y, x) of the image that a pixel of the output shows, or none: the image outside.
struct Pixel {
    int32_t y, x;
    bool inside;
};

DEVICE Pixel pixel_of(const GatherArgs& args, uint32_t sample, uint32_t row, uint32_t column) {
    int32_t y = int32_t(row + args.top), x = int32_t(column + args.left);
    if (args.flags & AUGMENT) {
        const PhiloxBlock words = words_of(args, sample, 0);
        y -= shift(words.y, args.translate);
        x -= shift(words.z, args.translate);
        // Mirroring keeps the inside inside.
        if ((args.flags & FLIP) && (words.x & 1)) x = int32_t(args.stored_w) - 1 - x;
    }
    return {y, x, uint32_t(y) < args.stored_h && uint32_t(x) < args.stored_w};
}

// The sample at a place of the batch, NONE where there is none.
constexpr uint32_t NONE = 0xffffffffu;

DEVICE uint32_t sample_of(const GatherArgs& args, uint32_t image) {
    const uint64_t place = uint64_t(args.state[0]) * args.batch + image;
    return place < args.order_length ? args.order[place] : NONE;
}

// The image of the sample at a place of the batch, NONE where it is not there.
DEVICE uint32_t image_of(const GatherArgs& args, uint32_t sample, uint32_t image) {
    uint32_t source = sample;
    if (args.sources) source = sample < args.source_count ? args.sources[sample] : NONE;
    if (args.staged == nullptr) return source < args.image_count ? source : NONE;
    return image < args.image_count && args.staged[image] == source ? image : NONE;
}

DEVICE float normalised(const GatherArgs& args, float byte, uint32_t channel) {
    return (byte / 255.0f - args.mean[channel]) / args.std[channel];
}

// Three values with five channels of zeros behind them, as pixel `pixel` of image `image`.
DEVICE void store_pixel(const GatherArgs& args, uint32_t image, uint32_t pixel,
                        const float (&values)[8]) {
    const uint64_t at = uint64_t(image) * args.h * args.w + pixel;
    store_eight(static_cast<bf16_t*>(args.out) + at * 8, round_eight(values));
}

KERNEL(gather_f32, GatherArgs, FAIRPRUNE_ELEMENTWISE_THREADS, 4) {
    uint32_t image = blockIdx.x;
    const uint32_t block = divide(image, args.by_blocks);
    const uint32_t value = block * FAIRPRUNE_ELEMENTWISE_THREADS + threadIdx.x;
    const uint32_t size = args.h * args.w * 3;
    if (value >= size) return;
    float* const out = static_cast<float*>(args.out) + image * size + value;
    const uint32_t sample = sample_of(args, image), number = image_of(args, sample, image);
    if (number == NONE) {
        *out = NAN;
        return;
    }
    uint32_t row = value;
    const uint32_t in_row = divide(row, args.by_row), channel = in_row % 3;
    const Pixel source = pixel_of(args, sample, row, in_row / 3);
    float byte = 0.0f;
    if (source.inside) {
        const uint8_t* const pixels = args.images + uint64_t(number) * args.stored_bytes;
        byte = float(pixels[(uint32_t(source.y) * args.stored_w + uint32_t(source.x)) * 3 + channel]);
    }
    *out = normalised(args, byte, channel);
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
    const uint32_t sample = sample_of(args, image), number = image_of(args, sample, image);
    if (number == NONE) {
        UNROLL for (int c = 0; c < 3; c++) values[c] = NAN;
    } else {
        uint32_t row = pixel;
        const uint32_t column = divide(row, args.by_row);
        const Pixel source = pixel_of(args, sample, row, column);
        const uint8_t* const bytes =
            args.images + uint64_t(number) * args.stored_bytes +
            (uint32_t(source.y) * args.stored_w + uint32_t(source.x)) * 3;
        UNROLL for (int c = 0; c < 3; c++) {
            const float byte = source.inside ? float(bytes[c]) : 0.0f;
            values[c] = normalised(args, byte, c);
        }
    }
    store_pixel(args, image, pixel, values);
}

// ---- random-resized crops

// A part of an image: top, left, height, width.
struct Box {
    uint32_t top, left, height, width;
};

// e^x for |x| <= ln(4/3) / 2: Taylor's first terms, in the CPU's order.
DEVICE double exponential(double x) {
    double sum = 1.0;
    for (int k = 10; k >= 1; k--) sum = 1.0 + sum * x / double(k);
    return sum;
}

DEVICE uint32_t round_half_up(double x) { return uint32_t(x + 0.5); }

// The CPU's operations in its order (ops::gather::crop): a box inside the image in ten tries, else the
// centre.
DEVICE Box draw_box(const GatherArgs& args, uint32_t sample) {
    const double ln_ratio = 0.2876820724517809, unit = 1.0 / 4294967296.0;
    const uint32_t h = args.stored_h, w = args.stored_w;
    const double pixels = double(h) * double(w);
    for (uint32_t attempt = 1; attempt <= 10; attempt++) {
        const PhiloxBlock words = words_of(args, sample, attempt);
        const double share = 0.08 + (1.0 - 0.08) * (double(words.x) * unit);
        const double side = sqrt(pixels * share);
        const double stretch = exponential(ln_ratio * (double(words.y) * unit) - 0.5 * ln_ratio);
        const uint32_t width = round_half_up(side * stretch), height = round_half_up(side / stretch);
        if (width >= 1 && width <= w && height >= 1 && height <= h) {
            return {multiply_high(words.z, h - height + 1), multiply_high(words.w, w - width + 1),
                    height, width};
        }
    }
    const double ratio = double(w) / double(h), narrow = 3.0 / 4.0, broad = 4.0 / 3.0;
    uint32_t height = h, width = w;
    if (ratio < narrow) {
        height = round_half_up(double(w) / narrow);
        if (height > h) height = h;
    } else if (ratio > broad) {
        width = round_half_up(double(h) * broad);
        if (width > w) width = w;
    }
    return {(h - height) / 2, (w - width) / 2, height, width};
}

// Weights of a side's pixels for one output: reach - |(2x + 1) size - centre| from pixel `first` on
// while positive, and their sum.
struct Taps {
    int32_t first, reach, centre, size;
    uint32_t sum;
};

DEVICE int32_t weight_of(const Taps& taps, int32_t x) {
    const int32_t distance = (2 * x + 1) * taps.size - taps.centre;
    return taps.reach - (distance < 0 ? -distance : distance);
}

DEVICE Taps taps_of(uint32_t length, uint32_t size, uint32_t output) {
    Taps taps;
    taps.size = int32_t(size);
    taps.reach = 2 * int32_t(length > size ? length : size);
    taps.centre = int32_t((2 * output + 1) * length);
    const int32_t before = taps.centre - taps.reach - taps.size;
    taps.first = before < 0 ? 0 : before / (2 * taps.size) + 1;
    taps.sum = 0;
    for (int32_t x = taps.first; x < int32_t(length); x++) {
        const int32_t weight = weight_of(taps, x);
        if (weight <= 0) break;
        taps.sum += uint32_t(weight);
    }
    return taps;
}

// (2 sum + all) / (2 all), in 32 bits where sums of bytes fit.
DEVICE float mean_byte(uint64_t sum, uint64_t all) {
    if (all < (1u << 23)) {
        return float((2 * uint32_t(sum) + uint32_t(all)) / (2 * uint32_t(all)));
    }
    return float(uint32_t((2 * sum + all) / (2 * all)));
}

// The three values of an output pixel.
DEVICE void crop_pixel(const GatherArgs& args, uint32_t number, const Box& box, bool mirrored,
                       uint32_t row, uint32_t column, float (&values)[8]) {
    if (mirrored) column = args.w - 1 - column;
    const Taps down = taps_of(box.height, args.h, row);
    const Taps across = taps_of(box.width, args.w, column);
    uint64_t sums[3] = {};
    for (int32_t y = down.first; y < int32_t(box.height); y++) {
        const int32_t of_row = weight_of(down, y);
        if (of_row <= 0) break;
        const uint8_t* pixel =
            args.images + uint64_t(number) * args.stored_bytes +
            ((box.top + uint32_t(y)) * args.stored_w + box.left + uint32_t(across.first)) * 3;
        uint64_t line[3] = {};
        for (int32_t x = across.first; x < int32_t(box.width); x++, pixel += 3) {
            const int32_t weight = weight_of(across, x);
            if (weight <= 0) break;
            UNROLL for (int c = 0; c < 3; c++) line[c] += uint64_t(uint32_t(weight)) * pixel[c];
        }
        UNROLL for (int c = 0; c < 3; c++) sums[c] += uint64_t(uint32_t(of_row)) * line[c];
    }
    const uint64_t all = uint64_t(down.sum) * across.sum;
    UNROLL for (int c = 0; c < 3; c++) values[c] = normalised(args, mean_byte(sums[c], all), c);
}

// What gather_crop_f32 and gather_crop_bf16 share: whether this thread has a pixel, and its values.
DEVICE bool crop(const GatherArgs& args, Box* box, uint32_t& image, uint32_t& pixel,
                 float (&values)[8]) {
    image = blockIdx.x;
    const uint32_t block = divide(image, args.by_blocks);
    pixel = block * FAIRPRUNE_ELEMENTWISE_THREADS + threadIdx.x;
    const uint32_t sample = sample_of(args, image), number = image_of(args, sample, image);
    if (number != NONE && threadIdx.x == 0) *box = draw_box(args, sample);
    block_barrier();
    if (pixel >= args.h * args.w) return false;
    if (number == NONE) {
        UNROLL for (int c = 0; c < 3; c++) values[c] = NAN;
        return true;
    }
    const bool mirrored = (args.flags & FLIP) && (words_of(args, sample, 0).x & 1);
    uint32_t row = pixel;
    const uint32_t column = divide(row, args.by_row);
    crop_pixel(args, number, *box, mirrored, row, column, values);
    return true;
}

KERNEL(gather_crop_f32, GatherArgs, FAIRPRUNE_ELEMENTWISE_THREADS, 4) {
    SHARED_MEMORY(Box, box);
    uint32_t image, pixel;
    float values[8] = {};
    if (!crop(args, box, image, pixel, values)) return;
    float* const out = static_cast<float*>(args.out) + (image * args.h * args.w + pixel) * 3;
    UNROLL for (int c = 0; c < 3; c++) out[c] = values[c];
}

KERNEL(gather_crop_bf16, GatherArgs, FAIRPRUNE_ELEMENTWISE_THREADS, 4) {
    SHARED_MEMORY(Box, box);
    uint32_t image, pixel;
    float values[8] = {};
    if (crop(args, box, image, pixel, values)) store_pixel(args, image, pixel, values);
}
