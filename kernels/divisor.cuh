// Division by a number that the host knows: one multiplication and one shift.
#pragma once

// For n and d below 2^31: n / d = n * multiplier >> shift with shift = 31 + ceil(log2 d) and
// multiplier = ceil(2^shift / d) (Granlund, Montgomery 1994, theorem 4.2). The host fills it in.
struct Divisor {
    uint32_t value, multiplier, shift;
};

DEVICE uint32_t quotient(uint32_t n, const Divisor& d) {
    return uint32_t(uint64_t(n) * d.multiplier >> d.shift);
}

// n becomes n / d; the remainder is returned.
DEVICE uint32_t divide(uint32_t& n, const Divisor& d) {
    const uint32_t whole = quotient(n, d);
    const uint32_t rest = n - whole * d.value;
    n = whole;
    return rest;
}

// For numbers that a kernel finds out itself.
DEVICE Divisor divisor(uint32_t value) {
    uint32_t shift = 31;
    while (1u << (shift - 31) < value) shift++;
    return {value, uint32_t(((uint64_t(1) << shift) + value - 1) / value), shift};
}
