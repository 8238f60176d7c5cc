"""Writes early.json: python make_early.py (nothing but Python 3 is needed).

The mean probability of the label over the presentations of the first epochs, of the quantities in
scores.json, which PyTorch made of the logits. Sums are exact fractions of the decimals there.
"""

import json
import os
from fractions import Fraction

os.chdir(os.path.dirname(os.path.abspath(__file__)))
with open("scores.json") as f:
    golden = json.load(f, parse_float=Fraction)
samples = len(golden["labels"])
values = dict(golden["quantities"])["label-probability"]

cases = []
for epochs in [1, 10, 30]:
    means = []
    for sample in range(samples):
        seen = [v for v in values[sample : epochs * samples : samples] if v is not None]
        means.append(float(sum(map(Fraction, seen)) / len(seen)) if seen else None)
    cases.append({"trajectory": epochs, "values": means})
assert any(None in case["values"] for case in cases), "every sample was presented in the first epoch"
with open("early.json", "w") as f:
    f.write(json.dumps(cases, separators=(",", ":")).replace("},{", "},\n{") + "\n")
