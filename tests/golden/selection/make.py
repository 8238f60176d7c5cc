"""Writes selection.json: python make.py (NumPy 2.4.6 was used).

Every method once more, as plainly as its formula reads: float64, matrices of all pairs, gradients
written out, no laziness. Draws are Philox4x32-10, written once more below. A pick that rounding
could decide (the runner-up within 2e-6, but not equal) fails here, so that the picks are facts.
"""

import json
import os

import numpy as np

os.chdir(os.path.dirname(os.path.abspath(__file__)))

SUBSET, TIES, KMEANS, START, NEIGHBOURS = 5, 6, 20, 21, 22
SEED = 7


def philox(counter, key):
    c, k = list(counter), list(key)
    for i in range(10):
        if i:
            k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
        p, q = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(q >> 32) ^ c[1] ^ k[0], q & 0xFFFFFFFF, (p >> 32) ^ c[3] ^ k[1], p & 0xFFFFFFFF]
    return tuple(c)


assert philox([0] * 4, [0] * 2) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)


def draw(stream, major, minor=0):
    return philox([minor, major & 0xFFFFFFFF, major >> 32, stream], [SEED & 0xFFFFFFFF, SEED >> 32])


def best(values, samples, scale=None):
    """The sample of the greatest value, equal ones by their draw; certain."""
    values = {i: float(values[i]) for i in samples}
    top = max(values.values())
    scale = scale or max(1e-9, max(abs(v) for v in values.values()))
    tied = [i for i in samples if values[i] >= top - 1e-11 * scale]
    rest = [v for i, v in values.items() if i not in tied]
    assert not rest or max(rest) < top - 2e-6 * scale, (top, max(rest), scale)
    return min(tied, key=lambda i: draw(TIES, i))


# The data: three classes of unequal size, held-out samples, duplicates inside a class.
rng = np.random.default_rng(20)
N, D, K, V = 72, 19, 3, 15
labels = rng.permutation([0] * 38 + [1] * 21 + [2] * 13)
centres = rng.normal(size=(K, D))
h = np.maximum(centres[labels] + 0.7 * rng.normal(size=(N, D)) + 0.3, 0)
h = np.round(h * 64) / 64
for a, b in [(5, 40), (11, 60)]:
    h[b], labels[b] = h[a], labels[a]


def predict(features, truth):
    z = 0.15 * features @ centres.T + np.eye(K)[truth] + 0.6 * rng.normal(size=(len(features), K))
    e = np.exp(z)
    return (e / e.sum(1, keepdims=True)).astype(np.float32)


p32 = predict(h, labels)
p32[40], p32[60] = p32[5], p32[11]
p = p32.astype(np.float64)
score = rng.normal(size=N) ** 2
score[[3, 17, 29]] = score[8]
margin = rng.normal(size=N)
margin[[2, 9]] = margin[50]
held_out = {1, 30, 31, 59, 71}
eligible = [int(i) for i in rng.permutation(N) if i not in held_out]
val_labels = rng.integers(0, K, V)
val_labels[:K] = range(K)
val_h = np.round(np.maximum(centres[val_labels] + 0.7 * rng.normal(size=(V, D)) + 0.3, 0) * 64) / 64
val_p = predict(val_h, val_labels)

# All pairs.
one_hot = np.eye(K)[labels]
residual = p - one_hot
bias = lambda x: np.concatenate([x, np.ones((len(x), 1))], 1)
g = (residual[:, :, None] * bias(h)[:, None, :]).reshape(N, -1)
distances = lambda x: np.sqrt(((x[:, None] - x[None]) ** 2).sum(-1))
cosines = lambda x: (x @ x.T) / np.maximum(1e-300, np.linalg.norm(x, axis=1)[:, None] * np.linalg.norm(x, axis=1))
euclid, gradient_distance = distances(h), distances(g)
floored = np.maximum(p32, np.float32(1e-12)).astype(np.float64)
kl = lambda a, b: (a * np.log(a / b)).sum(-1)
divergence = kl(floored[:, None], floored[None]) + kl(floored[None], floored[:, None])


def greedy(group, count, value):
    """Picks one after another by value(picks), an array over all samples."""
    picks = []
    while len(picks) < count:
        values, scale = value(picks)
        picks.append(best(values, [i for i in group if i not in picks], scale))
    return picks


def k_center(distance, to_mean, start, group, count):
    def value(picks):
        if picks:
            return distance[picks].min(0), None
        if start == "mean":
            return -to_mean(group), None
        first = min(group, key=lambda i: draw(START, i))
        return np.arange(N) == first, None

    return greedy(group, count, value), None


def core_set(o, group, count):
    to_mean = lambda group: np.linalg.norm(h - h[group].mean(0), axis=1)
    return k_center(euclid, to_mean, o["start"], group, count)


def contextual_diversity(o, group, count):
    def to_mean(group):
        mean = floored[group].mean(0)
        return kl(floored, mean) + kl(mean, floored)

    return k_center(divergence, to_mean, o["start"], group, count)


def herding(o, group, count):
    mean = h[group].mean(0)
    value = lambda S: (-np.linalg.norm(mean * (len(S) + 1) - h[S].sum(0) - h, axis=1), None)
    return greedy(group, count, value), None


def facility(distance, group, count):
    """Similarity const - distance, the constant being the greatest distance."""
    most = distance.max()
    cover = lambda S: (most - distance[np.ix_(group, S)]).max(1).sum() if S else 0.0

    def value(picks):
        gains = np.full(N, -np.inf)
        for j in group:
            gains[j] = cover(picks + [j]) - cover(picks)
        return gains, most

    picks = greedy(group, count, value)
    return picks, clusters(distance, group, picks)


def clusters(distance, group, picks):
    """How many samples have each pick as their nearest, the earlier of two."""
    nearest = distance[np.ix_(group, picks)].argmin(1)
    return np.bincount(nearest, minlength=len(picks)).astype(float)


def space(o):
    return h if o["space"] == "features" else g


def facility_location(o, group, count):
    return facility(1 - cosines(space(o)), group, count)


def craig(o, group, count):
    return facility(gradient_distance, group, count)


def graph_cut(o, group, count):
    s = cosines(space(o))
    value = lambda S: (o["lambda"] * s[group].sum(0) - 2 * s[S].sum(0), None)
    return greedy(group, count, value), None


def nnls(gram, target, lam):
    """Coordinate descent until nothing moves."""
    w = np.zeros(len(target))
    for _ in range(100_000):
        before = w.copy()
        for j in range(len(w)):
            slope = target[j] - gram[j] @ w - lam * w[j]
            w[j] = max(0.0, w[j] + slope / (gram[j, j] + lam))
        if np.abs(w - before).max() < 1e-15:
            return w
    raise AssertionError("no convergence")


def fit(picks, group, lam):
    return nnls(g[picks] @ g[picks].T, g[picks] @ g[group].mean(0), lam)


def grad_match(o, group, count):
    target = g[group].mean(0)

    def value(picks):
        missing = target - fit(picks, group, o["lambda"]) @ g[picks] if picks else target
        return g @ missing, np.abs(g @ target).max()

    picks = greedy(group, count, value)
    return picks, fit(picks, group, o["lambda"])


def glister(o, group, count, validation):
    logits = np.log(val_p[validation].astype(np.float64))
    hv, yv = bias(val_h[validation]), np.eye(K)[val_labels[validation]]
    state = {}

    def value(picks):
        if len(picks) % o["refresh"] == 0:
            step = residual[picks].T @ bias(h[picks]) if picks else np.zeros((K, D + 1))
            z = logits - o["step"] * hv @ step.T
            q = np.exp(z - z.max(1, keepdims=True))
            q /= q.sum(1, keepdims=True)
            state["gradient"] = ((q - yv).T @ hv / len(hv)).reshape(-1)
        return g @ state["gradient"], None

    return greedy(group, count, value), None


def moderate(o, group, count):
    distance = {}
    for k in set(labels[group]):
        members = [i for i in group if labels[i] == k]
        centre = (np.mean if o["centre"] == "mean" else np.median)(h[members], axis=0)
        distance.update({i: np.linalg.norm(h[i] - centre) for i in members})
    ranked = sorted(group, key=lambda i: (round(distance[i], 9), draw(TIES, i)))
    gaps = np.diff([distance[i] for i in ranked])
    assert all(gap == 0 or gap > 1e-5 for gap in gaps)
    rank = {i: r for r, i in enumerate(ranked)}
    order = sorted(group, key=lambda i: (abs(2 * rank[i] - (len(group) - 1)), draw(TIES, i)))
    return order[:count], None


def ccs(o, group, count):
    """Subsets of every size, so that the order is what one adds to the one before."""
    hardest = sorted(group, key=lambda i: (margin[i], draw(TIES, i)))
    dropped = hardest[: int(np.floor(o["beta"] * len(group) + 0.5))]
    pool = [i for i in group if i not in dropped]
    low, high = (min(score[pool]), max(score[pool])) if pool else (0, 0)
    edges = np.linspace(low, high, o["strata"] + 1)
    strata = []
    for b in range(o["strata"]):
        last = b == o["strata"] - 1
        inside = [i for i in pool if edges[b] <= score[i] and (last or score[i] < edges[b + 1])]
        strata += [inside] if inside else []
    assert sum(map(len, strata)) == len(pool)
    strata.sort(key=lambda s: (len(s), min(draw(TIES, i) for i in s)))
    order = []
    for size in range(1, count + 1):
        beyond = max(0, size - len(pool))
        left, subset = size - beyond, set(dropped[len(dropped) - beyond :])
        for b, members in enumerate(strata):
            budget = min(len(members), left // (len(strata) - b))
            subset |= set(sorted(members, key=lambda i: draw(SUBSET, i))[:budget])
            left -= budget
        new = subset - set(order)
        assert len(subset) == size and len(new) == 1, "not nested"
        order += new
    return order, None


def beta_sampling(o, group, count, kept=None):
    """Cho et al. 2025 as in the authors' beta_sampling, with an exponential race for the draw. Of the
    order the first `count`; the pruned fraction is that of a subset of `kept`."""
    x = p[np.arange(N), labels]
    highest = sorted(group, key=lambda i: (-score[i], draw(TIES, i)))[:10]
    rate = 1 - (kept or count) / len(group)
    b = 15 * (1 - np.mean([x[i] for i in highest])) * (1 - rate ** o["exponent"])
    a = 16 - b

    def arrival(i):
        word = draw(SUBSET, i)
        u = (((word[0] | word[1] << 32) >> 11) + 0.5) / 2**53
        return -np.log(u) / (score[i] * x[i] ** (a - 1) * (1 - x[i]) ** (b - 1))

    times = sorted((arrival(i), i) for i in group)
    assert all(q[0] / t[0] > 1 + 1e-6 for t, q in zip(times, times[1:])), "arrivals too close"
    return [i for _, i in times][:count], None


def difficulty_window(o, group, count):
    """Downwards from the quantile, then upwards."""
    ranked = sorted(group, key=lambda i: (score[i], draw(TIES, i)))
    end = int(np.floor(o["endpoint"] * len(group) + 0.5))
    return (ranked[:end][::-1] + ranked[end:])[:count], None


def neighbours(i, group, count):
    return sorted((j for j in group if j != i), key=lambda j: (euclid[i, j], draw(NEIGHBOURS, i, j)))[:count]


def d2(o, group, count):
    near = {i: neighbours(i, group, o["neighbours"]) for i in group}
    spread = lambda i: sum(np.exp(-o["forward"] * euclid[i, j]) * score[j] for j in near[i])
    passed = np.full(N, -np.inf)
    for i in group:
        passed[i] = score[i] + spread(i)
    picks = []
    while len(picks) < count:
        i = best(passed, [i for i in group if i not in picks])
        picks.append(i)
        for j in near[i]:
            passed[j] -= np.exp(-o["reverse"] * euclid[i, j]) * passed[i]
    return picks, None


METHODS = {
    "coreset": (core_set, [{"start": "mean"}, {"start": "random"}]),
    "contextual-diversity": (contextual_diversity, [{"start": "mean"}, {"start": "random"}]),
    "herding": (herding, [{}]),
    "facility-location": (facility_location, [{"space": "features"}, {"space": "gradients"}]),
    "craig": (craig, [{}]),
    "graph-cut": (graph_cut, [{"space": "features", "lambda": 1.0}, {"space": "gradients", "lambda": 0.4}]),
    "grad-match": (grad_match, [{"lambda": 0.5}, {"lambda": 1.0}]),
    "glister": (glister, [{"step": 0.1, "refresh": 1}, {"step": 0.01, "refresh": 4}]),
    "moderate": (moderate, [{"centre": "median"}, {"centre": "mean"}]),
    "ccs": (ccs, [{"beta": 0.1, "strata": 50}, {"beta": 0.25, "strata": 6}, {"beta": 1.0, "strata": 5}]),
    "beta-sampling": (beta_sampling, [{"exponent": 4.0}, {"exponent": 0.7}]),
    "difficulty-window": (difficulty_window, [{"endpoint": 1.0}, {"endpoint": 0.55}]),
    "d2": (d2, [{"neighbours": 5, "forward": 1.0, "reverse": 0.1}, {"neighbours": 3, "forward": 0.2, "reverse": 0.6}]),
}


def turns(picks):
    """Classes take turns in proportion to their counts."""
    return sorted(picks, key=lambda t: ((2 * t[0] + 1) / (2 * t[1]), draw(TIES, t[2])))


def run(name, options, scope, counts):
    """`counts` in all, or of each class; none: such that the whole order must be filtered."""
    method = METHODS[name][0]
    call = lambda group, n, val: method(options, group, n, *([val] if name == "glister" else []))
    if scope == "class":
        picks = []
        for k, n in enumerate(counts):
            group = [i for i in eligible if labels[i] == k]
            order, weights = call(group, n, np.flatnonzero(val_labels == k)) if n else ([], [])
            weights = [None] * n if weights is None else weights
            picks += [(r, n, i, w) for r, (i, w) in enumerate(zip(order, weights))]
        picks = turns(picks)
        order, weights = [t[2] for t in picks], [t[3] for t in picks]
    else:
        every = np.arange(V)
        if isinstance(counts, int):
            order, weights = call(eligible, counts, every)
        else:
            full, _ = call(eligible, 40, every)
            found = np.bincount(labels[full], minlength=K)
            counts = [int(found[0]) // 3, int(found[1]), int(found[2]) // 2]
            if name == "beta-sampling":
                full, _ = beta_sampling(options, eligible, len(eligible), sum(counts))
            left, order = list(counts), []
            for i in full:
                if left[labels[i]]:
                    left[labels[i]] -= 1
                    order.append(i)
            assert not any(left), (name, left)
            weights = {
                "facility-location": lambda: clusters(1 - cosines(space(options)), eligible, order),
                "craig": lambda: clusters(gradient_distance, eligible, order),
                "grad-match": lambda: fit(order, eligible, options["lambda"]),
            }.get(name, lambda: None)()
        weights = [None] * len(order) if weights is None else weights
    weights = None if weights[0] is None else [float(w) for w in weights]
    return {"method": name, "options": options, "scope": scope, "wanted": counts,
            "order": [int(i) for i in order], "weights": weights}


def k_means(metric, clusters, rounds=100):
    unit = h / np.maximum(1e-300, np.linalg.norm(h, axis=1, keepdims=True))
    x = unit if metric == "cosine" else h
    scaled = lambda c: c / np.linalg.norm(c) if metric == "cosine" else c
    cost = lambda c: 1 - x @ c if metric == "cosine" else ((x - c) ** 2).sum(1)
    centroids, weights = [], np.ones(N)
    for r in range(clusters):
        def race(i):
            word = draw(KMEANS, i, r)
            u = (((word[0] | word[1] << 32) >> 11) + 0.5) / 2**53
            return (-np.log(u) / weights[i] if weights[i] > 0 else np.inf, word)

        first = min(eligible, key=race)
        centroids.append(x[first])
        weights = cost(x[first]) if r == 0 else np.minimum(weights, cost(x[first]))
        weights[first] = 0
    owner = None
    for _ in range(rounds):
        costs = np.array([cost(c) for c in centroids])[:, eligible]
        now = costs.argmin(0)
        gaps = np.sort(costs, 0)
        assert (gaps[1] - gaps[0]).min() > 1e-5
        if owner is not None and (now == owner).all():
            break
        owner = now
        for k in range(clusters):
            members = [i for i, o in zip(eligible, owner) if o == k]
            assert members
            centroids[k] = scaled(x[members].mean(0))
    nearest = lambda i: min(1 - unit[i] @ (c / np.linalg.norm(c)) for c in centroids)
    return {i: nearest(i) for i in eligible}


def scores():
    in_class = {k: [i for i in eligible if labels[i] == k] for k in range(K)}
    to_centre = lambda centre: {
        i: np.linalg.norm(h[i] - centre(h[in_class[labels[i]]], axis=0)) for i in eligible}
    cal = {i: np.mean([divergence[i, j] for j in neighbours(i, eligible, 10)]) for i in eligible}
    found = {
        "ssp": to_centre(np.mean),
        "ssp-median": to_centre(np.median),
        "prototypes-cosine": k_means("cosine", 3),
        "prototypes-euclidean": k_means("euclidean", 4),
        "last-layer-grand": {i: np.linalg.norm(g[i]) for i in eligible},
        "least-confidence": {i: p[i].max() for i in eligible},
        "cal": cal,
    }
    return {name: [float(v[i]) if i in v else None for i in range(N)] for name, v in found.items()}


cases = []
for name, (_, variants) in METHODS.items():
    for options in variants:
        cases.append(run(name, options, "whole", 24))
        cases.append(run(name, options, "class", [12, 7, 5]))
    cases.append(run(name, variants[0], "whole", None))

flat = lambda x: [float(v) for v in np.asarray(x, dtype=np.float32).reshape(-1)]
with open("selection.json", "w") as f:
    json.dump({
        "seed": SEED, "dims": D, "classes": K, "labels": labels.tolist(), "eligible": eligible,
        "features": flat(h), "probabilities": flat(p32),
        "score": score.tolist(), "margin": margin.tolist(),
        "validation": {"features": flat(val_h), "probabilities": flat(val_p), "labels": val_labels.tolist()},
        "scores": scores(), "cases": cases,
    }, f, separators=(",", ":"))
    f.write("\n")
print(len(cases), "cases")
