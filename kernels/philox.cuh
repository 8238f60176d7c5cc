// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC 2011): the same words as src/rng.rs gives.
#pragma once

struct PhiloxBlock {
    uint32_t x, y, z, w;
};

DEVICE PhiloxBlock philox4x32_10(PhiloxBlock counter, uint32_t key_low, uint32_t key_high) {
    for (int round = 0; round < 10; round++) {
        if (round > 0) {
            key_low += 0x9E3779B9u;
            key_high += 0xBB67AE85u;
        }
        const uint32_t high_x = multiply_high(0xD2511F53u, counter.x);
        const uint32_t low_x = 0xD2511F53u * counter.x;
        const uint32_t high_z = multiply_high(0xCD9E8D57u, counter.z);
        const uint32_t low_z = 0xCD9E8D57u * counter.z;
        counter = {high_z ^ counter.y ^ key_low, low_z, high_x ^ counter.w ^ key_high, low_x};
    }
    return counter;
}
