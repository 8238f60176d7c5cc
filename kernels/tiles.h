// Numbers that kernels and host agree on: `#define FAIRPRUNE_X 1` here is `cuda::tiles::X` there.
// One positive integer literal a line.
#pragma once

// echo: threads a block, and words of a thread's record.
#define FAIRPRUNE_ECHO_THREADS 32
#define FAIRPRUNE_ECHO_WORDS 15

// Element-wise kernels, pooling, gather, SGD.
#define FAIRPRUNE_ELEMENTWISE_THREADS 256

// gather: shared memory of a block that crops, for the box that its image is cut to.
#define FAIRPRUNE_CROP_SHARED 16

// Batch normalisation, column sums: a block's threads, most of them along the channels, and the
// shared memory for one value of every thread, four channels each.
#define FAIRPRUNE_CHANNEL_THREADS 256
#define FAIRPRUNE_CHANNEL_SHARED 4096
// Rows of a batch that a block should sum at least, and the most parts the rows are cut into.
#define FAIRPRUNE_CHANNEL_PART_ROWS 64
#define FAIRPRUNE_CHANNEL_PARTS 512
// Rows that a block of batch norm's backward map covers for each of its threads' rows.
#define FAIRPRUNE_CHANNEL_ROWS_A_THREAD 16
// One warp a channel merges the parts.
#define FAIRPRUNE_MERGE_THREADS 128
// One block a channel merges what the tiles of a convolution in bf16 left.
#define FAIRPRUNE_MERGE16_THREADS 256
#define FAIRPRUNE_MERGE16_SHARED 3072

// loss_score: one warp a sample, this many samples a block.
#define FAIRPRUNE_LOSS_THREADS 256
#define FAIRPRUNE_LOSS_SAMPLES 8
#define FAIRPRUNE_LOSS_SHARED 128

// Convolution tiles, rows x columns of the product; columns are output channels of the direction.
// Depth is the number of terms that shared memory holds at a time.
#define FAIRPRUNE_CONV_DEPTH 16
#define FAIRPRUNE_CONV_THREADS 64
#define FAIRPRUNE_CONV_WIDE_ROWS 64
#define FAIRPRUNE_CONV_WIDE_COLUMNS 64
#define FAIRPRUNE_CONV_WIDE_SHARED 8704
#define FAIRPRUNE_CONV_NARROW_ROWS 128
#define FAIRPRUNE_CONV_NARROW_COLUMNS 16
#define FAIRPRUNE_CONV_NARROW_SHARED 9728
// Channels up to which the narrow tile wastes less than the wide one.
#define FAIRPRUNE_CONV_NARROW_CHANNELS 32

// The same on tensor cores: bf16 operands, DEPTH terms a stage. BLOCKS fit on a multiprocessor at once;
// tiles and splits are chosen for a card with MULTIPROCESSORS of them, whatever the card.
#define FAIRPRUNE_MMA_MULTIPROCESSORS 132
#define FAIRPRUNE_MMA_DEPTH 32
#define FAIRPRUNE_MMA_STAGES 4
// Rows of a warp's part of a tile: moments are taken of as many at a time.
#define FAIRPRUNE_MMA_WARP_ROWS 64
#define FAIRPRUNE_MMA_WIDE_ROWS 128
#define FAIRPRUNE_MMA_WIDE_COLUMNS 128
#define FAIRPRUNE_MMA_WIDE_THREADS 256
#define FAIRPRUNE_MMA_WIDE_SHARED 65536
#define FAIRPRUNE_MMA_WIDE_BLOCKS 2
#define FAIRPRUNE_MMA_MEDIUM_ROWS 128
#define FAIRPRUNE_MMA_MEDIUM_COLUMNS 64
#define FAIRPRUNE_MMA_MEDIUM_THREADS 128
#define FAIRPRUNE_MMA_MEDIUM_SHARED 49152
#define FAIRPRUNE_MMA_MEDIUM_BLOCKS 4
#define FAIRPRUNE_MMA_NARROW_ROWS 256
#define FAIRPRUNE_MMA_NARROW_COLUMNS 32
#define FAIRPRUNE_MMA_NARROW_THREADS 128
#define FAIRPRUNE_MMA_NARROW_SHARED 73728
#define FAIRPRUNE_MMA_NARROW_BLOCKS 3
// Halo kernels keep a range of pixels behind the stages of weights, behind a line of zeros; after that
// the sums are turned in the same memory.
#define FAIRPRUNE_MMA_HALO_ZEROS 128
#define FAIRPRUNE_MMA_WIDE_TURNED 43008
#define FAIRPRUNE_MMA_MEDIUM_TURNED 21504
#define FAIRPRUNE_MMA_NARROW_TURNED 21504
// wgrad's and gradient norms' with a halo.
#define FAIRPRUNE_MMA_TALL_ROWS 192
#define FAIRPRUNE_MMA_TALL_COLUMNS 64
#define FAIRPRUNE_MMA_TALL_THREADS 192
#define FAIRPRUNE_MMA_TALL_SHARED 33920
#define FAIRPRUNE_MMA_TALL_BLOCKS 2
// The bias gradient's shared memory: 256 channels, 8 rows of each.
#define FAIRPRUNE_BIAS16_SHARED 8192
// wgrad: positions a split has at least, most splits.
#define FAIRPRUNE_MMA_SPLIT_POSITIONS 256
#define FAIRPRUNE_MMA_SPLITS 128

// wgrad: positions a split has at least, blocks that are wanted, most splits.
#define FAIRPRUNE_WGRAD_SPLIT_POSITIONS 128
#define FAIRPRUNE_WGRAD_BLOCKS 1024
#define FAIRPRUNE_WGRAD_SPLITS 64

// Gram tiles are square.
#define FAIRPRUNE_GRAM_THREADS 128
#define FAIRPRUNE_GRAM_TILE 64
#define FAIRPRUNE_GRAM_SHARED 8704
// The same of bf16 operands on tensor cores.
#define FAIRPRUNE_MMA_GRAM_TILE 64
#define FAIRPRUNE_MMA_GRAM_THREADS 64
#define FAIRPRUNE_MMA_GRAM_SHARED 32768
#define FAIRPRUNE_MMA_GRAM_BLOCKS 4
