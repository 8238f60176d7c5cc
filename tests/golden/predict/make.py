"""Writes predict.json: python make.py (NumPy 2.4.6 and SciPy 1.17.1 were used).

Predicted recalls under class densities, and the densities of the best smooth worst class, once more:
float64, formulas as they read, SciPy's SLSQP from many starts instead of an ascent of our own.
"""

import json
import os

import numpy as np
from scipy.optimize import minimize

os.chdir(os.path.dirname(os.path.abspath(__file__)))
random = np.random.default_rng(11)

CLASSES, EACH = 5, 12
SIZES = [400, 300, 500, 60, 240]
DENSITY, GAIN, TEMPERATURE, SHARPNESS = 0.4, 1.5, 0.5, 40.0


def logits(samples):
    """Class 3 is taken for class 4 and the other way round; class 0 is easy."""
    labels = np.repeat(np.arange(CLASSES), samples)
    pull = np.diag([3.0, 1.5, 1.2, 1.0, 1.1])
    pull[3, 4] = pull[4, 3] = 0.8
    return labels, pull[labels] + random.normal(size=(len(labels), CLASSES))


def logs_of(z):
    z = z - z.max(axis=1, keepdims=True)
    return (z - np.log(np.exp(z).sum(axis=1, keepdims=True))).astype(np.float32)


def predicted(labels, logs, densities, gain):
    """Recalls, and counts of (class, answer)."""
    answers = (logs.astype(np.float64) + gain * np.log(densities)).argmax(axis=1)
    counts = np.zeros((CLASSES, CLASSES), int)
    np.add.at(counts, (labels, answers), 1)
    return (np.diag(counts) / counts.sum(axis=1)).tolist(), counts.tolist()


def soft(labels, logs, densities, gain):
    z = (logs.astype(np.float64) + gain * np.log(densities)) / TEMPERATURE
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    own = p[np.arange(len(labels)), labels]
    return np.array([own[labels == k].mean() for k in range(CLASSES)])


def worst(recalls):
    return -np.log(np.mean(np.exp(-SHARPNESS * recalls))) / SHARPNESS


labels, z = logits(EACH)
logs = logs_of(z)
cases = []
for gain in [0.0, 1.0, 2.0]:
    for _ in range(3):
        densities = random.uniform(0.05, 1.0, CLASSES)
        recalls, counts = predicted(labels, logs, densities, gain)
        cases.append({"gain": gain, "densities": densities.tolist(), "recalls": recalls, "counts": counts})

sizes = np.array(SIZES, float)
total = DENSITY * sizes.sum()
best = None
for start in range(40):
    x = random.uniform(0.1, 0.9, CLASSES)
    found = minimize(
        lambda d: -worst(soft(labels, logs, d, GAIN)),
        x,
        method="SLSQP",
        bounds=[(1e-3, 1.0)] * CLASSES,
        constraints={"type": "eq", "fun": lambda d: (sizes @ d - total) / total},
        options={"maxiter": 2000, "ftol": 1e-14},
    )
    if found.success and (best is None or found.fun < best.fun):
        best = found
equal = np.full(CLASSES, DENSITY)
print("best", -best.fun, best.x, "equal", worst(soft(labels, logs, equal, GAIN)))

json.dump(
    {
        "classes": CLASSES,
        "labels": labels.tolist(),
        "log_probabilities": [float(v) for v in logs.ravel()],
        "cases": cases,
        "rule": {
            "sizes": SIZES,
            "density": DENSITY,
            "gain": GAIN,
            "temperature": TEMPERATURE,
            "sharpness": SHARPNESS,
            "worst": -best.fun,
            "densities": best.x.tolist(),
            "equal": worst(soft(labels, logs, equal, GAIN)),
        },
    },
    open("predict.json", "w"),
)
