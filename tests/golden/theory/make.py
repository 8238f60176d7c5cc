"""Makes gaussians.json with mpmath 1.3: two Gaussians from the definitions, to hundreds of digits.

    python make.py > gaussians.json

Thresholds are the roots of the quadratic equation phi_0 f_0 = phi_1 f_1 as every textbook has it,
quotas come from the risks themselves, and the rule of least risk is the best of all stationary
points, all edges of holes and both constant rules. What cancels in 16 digits does not in 1000.
"""
import json
import random

from mpmath import erfc, inf, isinf, log, mp, mpf, sqrt

mp.dps = 1000


def tail(z):
    """P(Z > z)."""
    if isinf(z):
        return mpf(0) if z > 0 else mpf(1)
    return erfc(z / sqrt(mpf(2))) / 2


class Classes:
    def __init__(self, mu0, mu1, s0, s1, n0, n1):
        # The float64 values, exactly.
        self.mu = [mpf(mu0), mpf(mu1)]
        self.s = [mpf(s0), mpf(s1)]
        self.n = [mpf(n0), mpf(n1)]

    def risks(self, t):
        return [tail((t - self.mu[0]) / self.s[0]), tail((self.mu[1] - t) / self.s[1])]

    def stationary(self, n):
        """All t with n_0 f_0(t) = n_1 f_1(t)."""
        (m0, m1), (s0, s1) = self.mu, self.s
        a = 1 / s1**2 - 1 / s0**2
        b = m0 / s0**2 - m1 / s1**2
        c = m1**2 / s1**2 - m0**2 / s0**2 + 2 * log(n[0] * s1 / (n[1] * s0))
        if a == 0:
            return [-c / (2 * b)]
        square = b * b - a * c
        if square < 0:
            return []
        return [(-b + sign * sqrt(square)) / a for sign in (1, -1)]

    def best(self, n, margin=mpf(0)):
        """The rule of least risk with class weights n on the samples outside the margins."""

        def errors(t):
            # Class 0 above t: x - mu_0 from t - mu_0 on; class 1 below t: mu_1 - x from mu_1 - t on.
            sides = [t - self.mu[0], self.mu[1] - t]
            total = mpf(0)
            for k, side in enumerate(sides):
                m = margin / self.s[k]
                z = side / self.s[k]
                upper = tail(max(z, m))
                # Both sides of the hole where the side reaches across it.
                lower = tail(m) - tail(-z) if z < -m else mpf(0)
                total += n[k] * (upper + lower)
            return total

        edges = [mu + sign * margin for mu in self.mu for sign in (1, -1)]
        candidates = self.stationary(n) + (edges if margin > 0 else [])
        return min(candidates + [-inf, inf], key=errors)

    def margin(self, density):
        mp.dps, digits = 40, mp.dps
        total, low, high = sum(self.n), mpf(0), 45 * max(self.s)
        for _ in range(300):
            middle = (low + high) / 2 if low == 0 else sqrt(low * high)
            if middle == 0:
                middle = high / 2
            kept = sum(n * 2 * tail(middle / s) for n, s in zip(self.n, self.s))
            low, high = (middle, high) if kept >= density * total else (low, middle)
        mp.dps = digits
        return low


def rule(classes, t):
    # The threshold also as distances from the means, which is where its digits are.
    number = not isinf(t)
    return {
        "threshold": float(t) if number else None,
        "always": None if number else (0 if t > 0 else 1),
        "risks": [float(r) for r in classes.risks(t)],
    }


def row(classes, t, density):
    d = mpf(density)
    out = {"density": density}
    if isinf(t):
        out["metriq"] = None
    else:
        weights = [n * r for n, r in zip(classes.n, classes.risks(t))]
        budget = d * sum(classes.n)
        kept = [budget * w / sum(weights) for w in weights]
        for k in (0, 1):
            if kept[k] > classes.n[k]:
                kept[k], kept[1 - k] = classes.n[k], budget - classes.n[k]
        densities = [float(a / b) for a, b in zip(kept, classes.n)]
        new = classes.best(kept) if min(kept) > 0 else (inf if kept[0] > 0 else -inf)
        out["metriq"] = {"densities": densities, **rule(classes, new)}
    margin = classes.margin(d) if density < 1 else mpf(0)
    out["ssp"] = {
        "margin": float(margin),
        "densities": [float(2 * tail(margin / s)) for s in classes.s],
        **rule(classes, classes.best(classes.n, margin)),
    }
    return out


def case(parameters, densities):
    classes = Classes(*parameters)
    t = classes.best(classes.n)
    (m0, m1), (s0, s1) = classes.mu, classes.s
    worst = (m0 * s1 + m1 * s0) / (s0 + s1)
    at_optimal = classes.best([s0, s1])
    reachable = not isinf(at_optimal)
    if reachable:
        assert abs(at_optimal - worst) < mpf(10) ** -900 * (m1 - m0)
    n0, n1 = classes.n
    # Densities d_k <= 1 with d_0 n_0 : d_1 n_1 = s_0 : s_1; the largest keeps one class whole.
    whole = min(n0 / s0, n1 / s1)
    return {
        "parameters": list(parameters),
        "full": rule(classes, t),
        "worst": rule(classes, worst),
        "optimal_priors": [float(s / (s0 + s1)) for s in classes.s] if reachable else None,
        "reachable_density": float(whole * (s0 + s1) / (n0 + n1)) if reachable else None,
        "rows": [row(classes, t, d) for d in densities],
    }


FEW = [0.9, 0.5, 0.1]
CASES = [
    ((-1, 1, 0.5, 1, 1, 1), [1.0, 0.9, 0.6, 0.475, 0.47, 0.3, 0.1, 0.001]),
    ((-1, 1, 0.25, 1, 1, 1), FEW),
    # Priors s_0 : s_1 are degenerate.
    ((0, 1, 0.1, 1, 10, 1), FEW),
    ((0, 1, 0.1, 1, 1, 10), FEW),
    ((0, 1, 1, 0.1, 1, 10), FEW),
    ((0, 1, 1, 0.1, 10, 1), FEW),
    ((0, 2, 1, 1, 3, 1), FEW),
    ((0, 2, 1, 1 + 1e-12, 1, 3), FEW),
    ((0, 2, 1 + 1e-12, 1, 1, 3), FEW),
    # Hardly apart; the threshold is far away from both.
    ((0, 1e-6, 1, 1, 1.000001, 1), FEW),
    ((0, 1e-4, 1, 1.0001, 1, 1), FEW),
    ((0, 0.01, 1, 2, 1, 1), FEW),
    # Far apart: tails of 1e-5, 1e-243 and 1e-450.
    ((0, 10, 1, 1.5, 5000, 50), FEW),
    ((0, 100, 1, 2, 1, 1), FEW),
    ((-100, 100, 1, 3.5, 1, 1000000), FEW),
    ((-100, 100, 3.5, 1, 1, 1000000), FEW),
    # One class is a point.
    ((0, 1, 1e-6, 1, 1, 1), FEW),
    ((0, 1, 1, 1e-6, 1, 1), FEW),
    ((0, 1e-3, 1e-9, 1, 1e6, 1), FEW),
    # Far from the origin: the means keep few digits of their distance, the risks do not care.
    ((1e9, 1e9 + 1, 0.25, 0.5, 2, 1), FEW),
    # The threshold is far outside the narrow class, whose prior is 1e-78 and less.
    ((0, 10, 1, 1.1, 1e-39, 1e39), FEW),
    ((0, 10, 1, 1.1, 1e-50, 1e50), FEW),
    ((0, 10, 1, 1.1, 1e-52, 1e52), FEW),
    ((0, 10, 1.1, 1, 1e50, 1e-50), FEW),
    ((0, 1e-70, 1e-70, 3e-70, 1, 1), FEW),
    ((0, 1e70, 1e70, 3e70, 1, 1), FEW),
]

if __name__ == "__main__":
    draw = random.Random(20240405)
    for _ in range(14):
        s0, s1 = (round(10 ** draw.uniform(-1.2, 0.4), 3) for _ in "01")
        sizes = [round(10 ** draw.uniform(0, 2), 1) for _ in "01"]
        densities = sorted(round(draw.uniform(0.02, 0.99), 3) for _ in range(3))
        CASES.append(((-1, round(draw.uniform(-0.9, 3), 2), s0, s1, *sizes), densities))
    lines = ",\n".join(json.dumps(case(*c)) for c in CASES)
    print(f"[\n{lines}\n]")
