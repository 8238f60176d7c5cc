#!/usr/bin/env python3
"""Damages saved state at random and looks whether a result changes without a word.

    scripts/damage.py --rounds 1000 [--program target/release/fairprune] [--seed 0] [--only TEXT]

Makes a small folder of every command (train, score, prune, run, study), finished and killed half-way, damages one
file of a copy (bits, cuts, zeroed blocks, deleted and exchanged files, edits of positions and results), and gives
the same command, or one that reads the folder. What it leaves must be, byte for byte, what the undamaged folder
leads to, or the command must refuse with exit code 2; then `--force` must lead to the same bytes. Prints a table
of what happened, and exits with 1 where a result differed, a command panicked, hung or stayed stuck.
"""

import argparse
import collections
import json
import pathlib
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib

TIME_LIMIT = 120
NETWORK = "--arch resnet8 --width 4 --batch 16 --threads 1 -q"
STUDY = """
[flags]
data = "data"
arch = "resnet8"
width = 4
batch = 16
epochs = 2
query-runs = 1
query-epochs = 2
checkpoint-every = 0
[[panel]]
[[panel.block]]
strategies = ["full", "random", "metriq"]
density = [0.5]
seeds = 1
"""

# Commands that are given again in their own folder. `{out}` is the folder.
RESUMED = {
    "train": f"train --data data --epochs 4 --dynamics --checkpoint-every 0 {NETWORK} --out {{out}}",
    "train, jtt": f"train --data data --epochs 3 --baseline jtt:epochs=2 --checkpoint-every 0 {NETWORK} --out {{out}}",
    "train, infobatch": f"train --data data --epochs 3 --baseline infobatch --checkpoint-every 0 {NETWORK} --out {{out}}",
    "score": "score --data data --epochs 3 --runs 2 --method el2n,grand,forgetting,ssp --save-features "
    f"--checkpoint-every 0 {NETWORK} --out {{out}}",
    "score, weights": f"score --data data --weights net/model.safetensors --method el2n,grand --save-features "
    "--checkpoint-every 0 --threads 1 -q --out {out}",
    "prune": f"prune --data data --strategy coreset --density .5 --runs 1 --epochs 2 --checkpoint-every 0 {NETWORK} --out {{out}}",
    "run": f"run --data data --epochs 2 --seeds 1 --density .5 --strategies random,el2n,metriq --checkpoint-every 0 {NETWORK} --out {{out}}",
    "study": "study study.toml --threads 1 -q --out {out}",
}

# Commands that read a finished folder of another command: that folder's job, the files that are damaged (what
# the command reads), and the command.
READING = {
    "prune of scores": (
        "score",
        r"(scores|recalls)\.(csv|json)",
        "prune --scores {in} --strategy el2n --quota metriq --density .5 -q --out {out}",
    ),
    "prune by features": (
        "score",
        r"(features|probabilities|scores)\.(npy|json|csv)",
        "prune --scores {in} --strategy coreset --density .5 -q --out {out}",
    ),
    "prune, predicted": (
        "score",
        r"(validation-.*|scores|recalls)\.(npy|json|csv)",
        "prune --scores {in} --strategy el2n --quota predicted --density .5 -q --out {out}",
    ),
    "ssp of features": (
        "score",
        r"features\.(npy|json)",
        "score --data data --features {in}/features.npy --method ssp --threads 1 -q --out {out}",
    ),
    "scores of dynamics": (
        "train",
        r"dynamics/(logit-margin|correct|samples|dynamics)\.(npy|csv|json)",
        "score --dynamics {in}/dynamics --method aum,forgetting -q --out {out}",
    ),
    "scores of weights": (
        "train",
        r"model\.safetensors",
        "score --data data --weights {in}/model.safetensors --method el2n --threads 1 -q --out {out}",
    ),
    "train on subset": (
        "prune",
        r"kept\.(npy|json)",
        f"train --data data --epochs 2 --subset {{in}}/kept.npy {NETWORK} --out {{out}}",
    ),
}


def png(pixel, side=10):
    """A PNG image of side x side pixels."""
    rows = b"".join(b"\0" + bytes(v for x in range(side) for v in pixel(x, y)) for y in range(side))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def make_data(root):
    for part, count in [("train", 40), ("val", 12), ("test", 12)]:
        for k, name in enumerate(["ant", "bee", "cat"]):
            folder = root / "data" / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                seed = k * 1000 + i + len(part) * 7919

                def pixel(x, y):
                    noise = (x * 131 + y * 71 + seed * 40503) % 97
                    return noise + 50 * k, x * 9, noise * 2

                (folder / f"{i:03}.png").write_bytes(png(pixel))


class Bench:
    """The working folder: data, undamaged folders, what they lead to."""

    def __init__(self, program, root, rng):
        self.program, self.root, self.rng = program, root, rng
        self.states = collections.defaultdict(list)
        self.expected = {}

    def command(self, line, limit=TIME_LIMIT):
        """Exit code (None: over the time limit) and what was said on stderr."""
        try:
            done = subprocess.run([self.program, *line.split()], cwd=self.root, capture_output=True, timeout=limit)
        except subprocess.TimeoutExpired:
            return None, ""
        return done.returncode, done.stderr.decode(errors="replace")

    def must(self, line):
        code, said = self.command(line)
        if code != 0:
            sys.exit(f"the undamaged {line} ended with {code}: {said}")

    def files(self, folder):
        """The bytes of all files that are results, by name."""
        root, found = self.root / folder, {}
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            name = str(path.relative_to(root))
            parts = pathlib.PurePath(name).parts
            inner = "work" in parts or ".fairprune" in parts or name.endswith("job.json")
            if not inner and not re.search(r"\.damaged$|\.unrecorded-\d+$", name):
                found[name] = path.read_bytes()
        return found

    def learn(self, name, line):
        """What a command leaves: the files that two runs of it agree in."""
        self.must(line.replace("{out}", "first"))
        self.must(line.replace("{out}", "second"))
        first, second = self.files("first"), self.files("second")
        self.expected[name] = {n: b for n, b in first.items() if second.get(n) == b}
        if not self.expected[name]:
            sys.exit(f"{name} leaves nothing that two runs agree in")
        shutil.rmtree(self.root / "second")

    def keep(self, name, folder="first"):
        state = f"state-{sum(map(len, self.states.values()))}"
        (self.root / folder).rename(self.root / state)
        self.states[name].append(state)

    def kill(self, name, line, count):
        """States of the command that was killed half-way, some of them twice."""
        start = time.monotonic()
        self.must(line.replace("{out}", "timed"))
        whole = time.monotonic() - start
        shutil.rmtree(self.root / "timed")
        for _ in range(count):
            words = [self.program, *line.replace("{out}", "killed").split()]
            child = subprocess.Popen(words, cwd=self.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                child.wait(whole * self.rng.uniform(0.15, 0.95))
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                child.wait()
            if (self.root / "killed").is_dir():
                self.keep(name, "killed")

    def differs(self, name, folder):
        """The first result that is not as expected."""
        found = self.files(folder)
        return next((n for n, b in self.expected[name].items() if found.get(n) != b), None)


def mutate(rng, folder, which=""):
    """Damages one file; says what was done, or nothing where there was nothing to do."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "lock")
    files = [p for p in files if not which or re.fullmatch(which, str(p.relative_to(folder)))]
    state = [p for p in files if "work" in p.parts or ".fairprune" in p.parts]
    path = rng.choice(state if state and rng.random() < 0.6 else files)
    data = bytearray(path.read_bytes())
    kind = rng.choice(["bit", "bit", "bits", "cut", "zeros", "bytes", "delete", "exchange", "edit", "edit", "empty"])
    if kind in ("bit", "bits", "cut", "zeros", "bytes") and not data:
        return None
    at = rng.randrange(len(data)) if data else 0
    if kind in ("bit", "bits"):
        for _ in range(1 if kind == "bit" else 5):
            data[at] ^= 1 << rng.randrange(8)
            at = rng.randrange(len(data))
    elif kind == "cut":
        del data[at:]
    elif kind == "zeros":
        data[at : at + 64] = bytes(len(data[at : at + 64]))
    elif kind == "bytes":
        data[at : at + 8] = rng.randbytes(len(data[at : at + 8]))
    elif kind == "empty":
        data.clear()
    elif kind == "delete":
        path.unlink()
        return f"delete {path.relative_to(folder)}"
    elif kind == "exchange":
        others = [p for p in files if p.suffix == path.suffix and p != path and p.read_bytes() != bytes(data)]
        if not others:
            return None
        other = rng.choice(others)
        mine, its = path.read_bytes(), other.read_bytes()
        path.write_bytes(its)
        # Half of the time only one of the two is another's.
        if rng.random() < 0.5:
            other.write_bytes(mine)
        return f"exchange {path.relative_to(folder)} and {other.relative_to(folder)}"
    elif kind == "edit":
        data = edit(rng, path, data)
    if data is None or bytes(data) == path.read_bytes():
        return None
    path.write_bytes(data)
    return f"{kind} {path.relative_to(folder)}"


def edit(rng, path, data):
    """A change that keeps the file readable: a number, a value of an array, a tensor's place, no digest."""
    if path.suffix == ".safetensors":
        (length,) = struct.unpack("<Q", data[:8])
        header, rest = json.loads(data[8 : 8 + length]), bytearray(data[8 + length :])
        about, names = header.get("__metadata__", {}), [n for n in header if n != "__metadata__"]
        choice = rng.randrange(4)
        if choice == 0 and "position" in about:
            about["position"] = other_number(rng, about["position"])
        elif choice == 1:
            about.pop("content_digest", None)
        elif choice == 2 and len(names) > 1:
            a, b = rng.sample(names, 2)
            if header[a]["shape"] != header[b]["shape"] or header[a]["dtype"] != header[b]["dtype"]:
                return None
            header[a], header[b] = header[b], header[a]
        elif len(rest) >= 4:
            at = rng.randrange(len(rest) // 4) * 4
            rest[at : at + 4] = struct.pack("<f", rng.uniform(-1, 1))
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        return bytearray(struct.pack("<Q", len(text)) + text + rest)
    if path.suffix == ".npy" and len(data) > 132:
        at = 128 + rng.randrange((len(data) - 128) // 4) * 4
        data[at : at + 4] = struct.pack("<f", rng.uniform(0, 1))
        return data
    if path.suffix in (".json", ".csv"):
        return bytearray(other_number(rng, data.decode()).encode())
    return None


def other_number(rng, text):
    """The text with one of its numbers changed by one."""
    numbers = list(re.finditer(r"(?<![\w.])\d+(?![\w.])|(?<=\.)\d+(?!\w)", text))
    if not numbers:
        return text
    found = rng.choice(numbers)
    return text[: found.start()] + str(int(found.group()) + 1) + text[found.end() :]


def judge(bench, name, line, out):
    """What became of the command in a damaged place."""
    code, said = bench.command(line)
    if code is None:
        return "hung", said
    if code in (101, 134) or code < 0:
        return "panicked", said
    if code == 0:
        other = bench.differs(name, out)
        if other:
            return "silent", f"{other}: {said}"
        return ("mended" if "set aside" in said or "done again" in said else "same"), said
    # A study goes on with its other panels, and says with 1 that one was refused.
    if code != 2 and not (code == 1 and name == "study" and "failed: " in said):
        return "failed", f"exit code {code}: {said}"
    return "refused", said


def one_round(bench, rng, name):
    """Damages a state and gives the command: what was damaged, what happened, what was said."""
    shutil.rmtree(bench.root / "out", ignore_errors=True)
    shutil.rmtree(bench.root / "in", ignore_errors=True)
    reading = name in READING
    source, which, line = READING[name] if reading else (name, "", RESUMED[name])
    states = bench.states[source]
    # The first state is the finished one.
    state = states[0] if reading else rng.choice(states)
    damaged = bench.root / ("in" if reading else "out")
    shutil.copytree(bench.root / state, damaged)
    what = mutate(rng, damaged, which)
    if what is None:
        return None
    line = line.replace("{in}", "in").replace("{out}", "out").replace(" -q", "")
    happened, said = judge(bench, name, line, "out")
    if happened == "refused" and not reading:
        code, freed = bench.command(line + " --force")
        if code == 0 and bench.differs(name, "out") is None:
            return what, "refused", said
        # A folder without the list of its files, or without its mark, is never deleted.
        owned = (damaged / ".fairprune" / "files").is_file()
        unowned = "study.json" in what or not owned or ".fairprune" in said
        return what, ("refused" if unowned else "stuck"), f"{said}; forced: {code} {freed}"
    return what, happened, said


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200, help="damages in all")
    parser.add_argument("--program", default="target/release/fairprune")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="only commands whose name matches this expression")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no damage after these")
    parser.add_argument("--kills", type=int, default=6, help="states of each command that was killed half-way")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(str(pathlib.Path(args.program).resolve()), pathlib.Path(folder), rng)
        failures = soak(bench, rng, args)
    sys.exit(1 if failures else 0)


def prepare(bench, args):
    make_data(bench.root)
    (bench.root / "study.toml").write_text(STUDY)
    bench.must(f"train --data data --epochs 2 {NETWORK} --out net")
    wanted = [n for n in [*RESUMED, *READING] if re.search(args.only, n)]
    sources = {n if n in RESUMED else READING[n][0] for n in wanted}
    for name in [n for n in RESUMED if n in sources]:
        bench.learn(name, RESUMED[name])
        bench.keep(name)
        if name in wanted:
            bench.kill(name, RESUMED[name], args.kills)
    for name in [n for n in READING if n in wanted]:
        source, _, line = READING[name]
        shutil.copytree(bench.root / bench.states[source][0], bench.root / "in")
        bench.learn(name, line.replace("{in}", "in"))
        shutil.rmtree(bench.root / "first")
        shutil.rmtree(bench.root / "in")
    return wanted


def soak(bench, rng, args):
    wanted = prepare(bench, args)
    kinds = ["same", "mended", "refused", "silent", "panicked", "hung", "stuck", "failed"]
    bad = {"silent", "panicked", "hung", "stuck", "failed"}
    table, done, start = collections.defaultdict(collections.Counter), 0, time.monotonic()
    while done < args.rounds and time.monotonic() - start < args.seconds:
        name = wanted[done % len(wanted)]
        result = one_round(bench, rng, name)
        if result is None:
            continue
        what, happened, said = result
        done += 1
        table[name][happened] += 1
        if happened in bad:
            print(f"{name}: {what}: {happened}: {said.strip()}", flush=True)
    print(f"{done} damages in {time.monotonic() - start:.0f} seconds")
    print("| command | damages | " + " | ".join(kinds) + " |")
    print("|---|" + "---|" * (len(kinds) + 1))
    for name in wanted:
        counts = table[name]
        print(f"| {name} | {counts.total()} | " + " | ".join(str(counts[k]) for k in kinds) + " |")
    total = sum(table.values(), collections.Counter())
    print(f"| all | {total.total()} | " + " | ".join(str(total[k]) for k in kinds) + " |")
    return sum(total[k] for k in bad)


if __name__ == "__main__":
    main()
