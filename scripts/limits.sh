#!/usr/bin/env bash
# Tries limits and neighbours against the program, and prints a table: what is in the way, how it ends, how long that
# took, the most memory. Pipes and devices, threads and memory that are refused, large files, bombs, signals.
#   scripts/limits.sh [PROGRAM]
# PROGRAM is target/release/fairprune by default. Exit code 1 if a promise is broken. Linux, python3; two minutes.
set -uo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${1:-target/release/fairprune}")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
export CUDA_VISIBLE_DEVICES=

python3 - <<'PYTHON'
import os, struct, zlib

def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

def png(side, extra=b"", seed=0, level=9):
    rows = b"".join(b"\0" + bytes((seed * 7 + x * y + c) % 251 for x in range(side) for c in range(3))
                    for y in range(side)) if side < 100 else (b"\0" * (1 + 3 * side)) * side
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", zlib.compress(rows, level)) + chunk(b"IEND", b"")

def tree(root, train, test=4, extra=b"", side=8):
    for part, count in (("train", train), ("test", test)):
        for k, name in enumerate(("ant", "bee", "cat")):
            folder = f"{root}/{part}/{name}"
            os.makedirs(folder)
            for i in range(count):
                open(f"{folder}/{i:03}.png", "wb").write(png(side, extra, 10 * k + i))

tree("data", 14)
tree("more", 400)
zeros = zlib.compress(b"\0" * (400 << 20), 9)
tree("iccp", 2, extra=chunk(b"iCCP", b"x\0\0" + zeros))
tree("ztxt", 2, extra=chunk(b"zTXt", b"x\0\0" + zeros))
tree("itxt", 2, extra=chunk(b"iTXt", b"x\0\1\0\0\0" + zeros))
tree("large", 1, 1, side=7000)
os.mkfifo("pipe.csv")
os.symlink("/dev/zero", "zero.csv")
with open("sparse.csv", "wb") as file:
    file.truncate(1 << 43)
PYTHON

tiny="--arch resnet8 --width 4 --epochs 1 --batch 8"
broken=0
printf '| tried | exit code | s | MB | message |\n|---|---|---|---|---|\n'

# try WHAT CODES SECONDS MEGABYTES COMMAND...: codes are those that are allowed, separated by |
try() {
    local what=$1 codes=$2 most=$3 memory=$4; shift 4
    # The last line is of the shell that measures.
    /usr/bin/env python3 - "$what" "$codes" "$most" "$memory" "$@" <<'PYTHON' || broken=1
import resource, subprocess, sys, time
what, codes, most, memory, *command = sys.argv[1:]
start = time.monotonic()
try:
    done = subprocess.run(["bash", "-c", " ".join(command)], capture_output=True, timeout=120)
    code, text = done.returncode, done.stderr.decode(errors="replace").strip()
except subprocess.TimeoutExpired:
    code, text = "hung", ""
seconds = time.monotonic() - start
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
last = text.splitlines()[-1] if text else ""
fine = str(code) in codes.split("|") and seconds <= float(most) and peak <= float(memory) and "panicked" not in text
print(f"| {what} | {code} | {seconds:.1f} | {peak:.0f} | {last[:110].replace('|', '/')}{'' if fine else ' **BROKEN**'} |")
sys.exit(not fine)
PYTHON
}

for file in pipe.csv zero.csv sparse.csv; do
    try "recalls from $file" 2 5 200 "$program" quota --recalls-from $file --density .5
    try "weights from $file" 2 5 200 "$program" eval --weights $file --data data
    try "scores from $file" 2 5 200 "$program" prune --data data --density .5 --scores $file --as-ranks --out o
    try "study from $file" 2 5 200 "$program" study $file
    try "data from $file" 2 5 200 "$program" data info $file
done
for chunk in iccp ztxt itxt; do
    try "PNG, $chunk of 400 MB" 0 20 200 "$program" data info $chunk
done
try "6 PNG images of 49 million pixels, 8 threads" 0 100 1500 "$program" data info large --image-size 8 --threads 8
for limit in 60000 100000 150000 250000; do
    try "ulimit -v $limit" "0|1|2|127" 20 500 "ulimit -v $limit; $program train --data data $tiny --threads 1 --out v$limit"
done
try "ulimit -v 400000, 1000 threads" 2 20 500 "ulimit -v 400000; $program train --data data $tiny --threads 1000 --out t"
try "rho:candidates=1000000 in 900 MB" 2 20 1000 \
    "ulimit -v 900000; $program train --data data $tiny --threads 1 --baseline rho:candidates=1000000 --out r"
try "files of 1 kB" 2 20 500 "ulimit -f 1; $program data cache data --out c.fpc"

# One computing thread: the time of all threads but the busiest.
"$program" theory --mu0 0 --mu1 1 --samples 1000000000000 --threads 1 >/dev/null 2>&1 &
pid=$!
sleep 4
python3 - $pid <<'PYTHON' || broken=1
import os, sys
tasks = f"/proc/{sys.argv[1]}/task"
times = sorted(sum(map(int, open(f"{tasks}/{t}/stat").read().rsplit(")", 1)[1].split()[11:13])) for t in os.listdir(tasks))
rest = sum(times[:-1]) / max(1, sum(times))
print(f"| --threads 1 | | | | {len(times)} threads, {100 * rest:.1f} % of the time outside of the busiest |")
sys.exit(rest > .05)
PYTHON
kill -KILL $pid
wait $pid 2>/dev/null

# Signals, in phases that save nothing: how long the program lives after one.
signal() {
    local what=$1 after=$2; shift 2
    python3 - "$what" "$after" "$@" <<'PYTHON' || broken=1
import signal, subprocess, sys, time
what, after, *command = sys.argv[1:]
worst, codes = 0, []
for sent in (signal.SIGTERM, signal.SIGINT):
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(float(after))
    start = time.monotonic()
    child.send_signal(sent)
    codes.append(child.wait(60))
    worst = max(worst, time.monotonic() - start)
broken = worst > 2.2 or codes != [75, 1]
found = ", ".join(map(str, codes))
print(f"| SIGTERM, Ctrl-C while {what} | {found} | {worst:.1f} | | {'**BROKEN**: 75, 1 expected' if broken else ''} |")
sys.exit(broken)
PYTHON
}
signal "simulating" 1 "$program" theory --mu0 0 --mu1 1 --samples 1000000000000
# Enough of them for any program to be stopped on the way.
for i in {100..199}; do ln large/train/ant/000.png "large/train/ant/$i.png"; done
signal "reading" .3 "$program" data info large --image-size 8 --threads 1
signal "training" 2 "$program" train --data more --arch resnet56 --epochs 100 --out s --threads 1
exit $broken
