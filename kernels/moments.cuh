// Number, mean and sum of squared deviations of some values, and of several sets of them.
#pragma once

struct Moments {
    float count, mean, m2;
};

// Those of all values of a and of b (Chan, Golub, LeVeque 1983).
DEVICE Moments merge(const Moments& a, const Moments& b) {
    const float count = a.count + b.count;
    if (!(count > 0.0f)) return a;
    const float delta = b.mean - a.mean, share = b.count / count;
    return {count, a.mean + delta * share, a.m2 + b.m2 + delta * delta * (a.count * share)};
}
