"""Measures each contender in turn, round after round, and writes what it found to bench/results/.

Machines are noisy: a figure is the median of its rounds, and what counts is how contenders of the same round compare.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from contenders import CONTENDERS, ROOT, Contender, Run, Sink, line_bytes, posts
from report import write_results

LIVE_PER_S = 100
LIVE_S = 8
SLOW_PER_S = 10
SLOW_S = 12
PATIENCE_S = 300
BOARD = "armv7-unknown-linux-gnueabihf"


class Bench:
    def __init__(self, sink: Sink, folder: Path, count: int):
        self.sink = sink
        self.folder = folder
        self.count = count
        self.inputs = {}
        self.make_spool()

    def input(self, contender: Contender, count: int) -> Path:
        """A file of so many posts for the contender."""
        length = line_bytes(contender)
        if (length, count) not in self.inputs:
            path = self.folder / f"posts-{length}-{count}"
            path.write_bytes(posts(count, length))
            self.inputs[length, count] = path
        return self.inputs[length, count]

    def start(self, contender: Contender, stdin, **options) -> Run:
        return Run(contender, self.sink, self.folder, stdin, **({"spool": self.folder / "spool"} | options))

    def make_spool(self):
        """The disk queue's file is made once in its life, before anything is measured."""
        run = self.start(CONTENDERS[0], subprocess.PIPE)
        wait_until((self.folder / "spool").exists, "the spool is made")
        run.process.stdin.close()
        run.end()

    def drain(self, contender: Contender) -> dict:
        """A backlog, sent as fast as it goes. headwater's waits in its spool: all of it was read while no call was answered."""
        # What needs a call a post takes long, and each post costs the same.
        count = self.count if contender.per_call > 1 else max(self.count // 20, 1)
        start_up_s = self.start_up(contender)["cpu_s"]
        if contender.is_headwater:
            self.sink.tell("hold")
        path = self.input(contender, count)
        written = disk_bytes(self.folder)
        with open(path, "rb") as stdin:
            run = self.start(contender, stdin)
        begun_ns = run.started_ns
        filled = {}  # what it cost until then
        if contender.is_headwater:
            wait_until(lambda: run.read_total() == count, "all posts are in the spool")
            filled["fill_us"] = (run.cpu_s() - start_up_s) / count * 1e6
            begun_ns = time.monotonic_ns()
            self.sink.tell("open")
        usage = run.end()
        seen = self.delivered(count)
        cpu_s = usage.ru_utime + usage.ru_stime
        drain_us = (cpu_s - start_up_s) / count * 1e6
        if filled:
            filled["send_us"] = drain_us - filled["fill_us"]
        return filled | {
            "drain_us": drain_us,
            "posts_per_s": count / (seen["last_ns"] - begun_ns) * 1e9,
            "peak_kib": run.peak_kib,
            "up_bytes": seen["read"] / count,
            "down_bytes": seen["written"] / count,
            "drain_flash_bytes": (disk_bytes(self.folder) - written) / count if contender.is_headwater else 0,
            "drain_posts_per_call": count / seen["calls"],
        }

    def catch_up(self, contender: Contender) -> dict:
        """The same posts with the network healthy all the time: what headwater is given faster than a board ever reads."""
        path = self.input(contender, self.count)
        written = disk_bytes(self.folder)
        with open(path, "rb") as stdin:
            run = self.start(contender, stdin)
        usage = run.end()
        self.delivered(self.count)
        return {
            "catch_up_us": (usage.ru_utime + usage.ru_stime) / self.count * 1e6,
            "catch_up_flash_bytes": (disk_bytes(self.folder) - written) / self.count,
        }

    def start_up(self, contender: Contender) -> dict:
        """One post: what starting, connecting and ending cost."""
        with open(self.input(contender, 1), "rb") as stdin:
            run = self.start(contender, stdin)
        usage = run.end()
        seen = self.delivered(1)
        return {
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "first_ms": (seen["first_ns"] - run.started_ns) / 1e6,
        }

    def live(self, contender: Contender) -> dict:
        """Posts as they come, 100 a second."""
        found, cpu_s, posts = self.paced(contender, contender.live, LIVE_PER_S, LIVE_S)
        return {
            "live_us": cpu_s / posts * 1e6,
            "live_posts_per_call": found["posts"] / found["calls"],
            "live_up_bytes": found["read"] / found["posts"],
            "live_down_bytes": found["written"] / found["posts"],
            "live_flash_bytes": found["flash"] / posts,
            "first_ms": self.start_up(contender)["first_ms"],
        }

    def slow(self, contender: Contender) -> dict:
        """Ten posts a second, as on a board."""
        found, _, _ = self.paced(contender, contender.slow, SLOW_PER_S, SLOW_S)
        return {
            "idle_kib": found["VmRSS"],
            "idle_anon_kib": found["RssAnon"],
            "slow_posts_per_call": found["posts"] / found["calls"],
            "slow_up_bytes": found["read"] / found["posts"],
            "slow_down_bytes": found["written"] / found["posts"],
        }

    def paced(self, contender: Contender, arguments: tuple[str, ...], per_s: int, seconds: int) -> tuple[dict, float, int]:
        """So many posts a second. What is counted begins with the third second: connecting is no part of a post. Waits for the last post
        to arrive, so that no end has a part in it either."""
        lines = self.input(contender, per_s * seconds).read_bytes().splitlines(keepends=True)
        begin = 2 * per_s
        run = self.start(contender, subprocess.PIPE, arguments=arguments)
        feed(run, lines[:begin], per_s)
        early, before = self.sink.report(), run.cpu_s()
        feed(run, lines[begin:], per_s)
        found, cpu_s = self.sink.report(), run.cpu_s() - before
        found |= {field: run.memory_kib(field) for field in ("VmRSS", "RssAnon")}
        # A clean end then writes the source's place and what was acknowledged, once.
        found["flash"] = run.flash_bytes()
        run.process.stdin.close()
        run.end()
        last = self.sink.report()
        came = early["posts"] + found["posts"] + last["posts"]
        if came != len(lines):
            raise SystemExit(f"{came} posts arrived, not {len(lines)}")
        if not found["posts"]:
            # It waits until a call is full: what it sent at its end is all there is.
            found |= {name: last[name] for name in ("posts", "calls", "read", "written")}
        return found, cpu_s, len(lines) - begin

    def one_shard(self, contender: Contender) -> dict:
        """A backlog, through one shard with Kinesis's limits. What it takes at once in the beginning counts as one second more."""
        count = self.count if "--pack" in contender.command else 5_000
        self.sink.tell("limit")
        with open(self.input(contender, count), "rb") as stdin:
            run = self.start(contender, stdin)
        run.end()
        self.sink.tell("unlimit")
        seen = self.delivered(count)
        return {"shard_posts_per_s": count / ((seen["last_ns"] - seen["first_ns"]) / 1e9 + 1)}

    def open_full_spool(self, contender: Contender) -> dict:
        """A spool of 1 GiB, filled by more posts than it holds; then the time from start to the first of them at the server."""
        spool = self.folder / "full"
        path = self.input(contender, self.count)
        # No call is answered, so that nothing leaves the spool; once it is full, nothing more is read.
        self.sink.tell("hold")
        rounds = -(-(2048 << 20) // path.stat().st_size)
        with subprocess.Popen(["cat"] + [path] * rounds, stdout=subprocess.PIPE) as cat:
            run = self.start(contender, cat.stdout, spool=spool, size="1GiB")
            cat.stdout.close()
            wait_until(lambda: run.read_total() > 0 and not grows(run.read_total, 5), "the spool is full")
            found = {"full_posts": run.read_total()}
            run.process.terminate()
            run.end()
        # The posts in flight belong to that run.
        self.sink.report()
        for name in ("open_cold_ms", "open_ms"):
            if name == "open_cold_ms" and not drop_caches():
                continue
            run = self.start(contender, subprocess.PIPE, spool=spool, size="1GiB")
            seen = {"calls": 0}
            wait_until(lambda: seen.update(self.sink.report()) or seen["calls"], "the first post arrives")
            found[name] = (seen["first_ns"] - run.started_ns) / 1e6
            run.process.terminate()
            run.end()
            self.sink.report()
        self.sink.tell("open")
        spool.unlink()
        return found

    def delivered(self, count: int) -> dict:
        seen = self.sink.report()
        if seen["posts"] != count:
            raise SystemExit(f"{seen['posts']} posts arrived, not {count}")
        return seen


def feed(run: Run, lines: list[bytes], per_s: int):
    """Writes the lines at a steady pace, and returns a moment after the last."""
    start = time.monotonic()
    for number, line in enumerate(lines):
        time.sleep(max(0, start + number / per_s - time.monotonic()))
        run.process.stdin.write(line)
        run.process.stdin.flush()
    time.sleep(max(0, start + len(lines) / per_s - time.monotonic()))


def wait_until(is_so, what: str):
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > end:
            raise SystemExit(f"waited in vain until {what}")
        time.sleep(0.01)


def grows(figure, seconds: float) -> bool:
    before = figure()
    time.sleep(seconds)
    return figure() != before


def disk_bytes(folder: Path) -> int:
    """Bytes the folder's disk was ever given to write. What the kernel counts for a process is more: pages beside those it wrote."""
    subprocess.run(["sync"], check=True)
    device = folder.stat().st_dev
    return int(Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat").read_text().split()[6]) * 512


def drop_caches() -> bool:
    """Makes the next reader read from the disk; only root may."""
    subprocess.run(["sync"], check=True)
    try:
        Path("/proc/sys/vm/drop_caches").write_text("1")
    except OSError:
        return False
    return True


def medians(rounds: list[dict]) -> dict:
    return {name: statistics.median(found[name] for found in rounds) for name in rounds[0]}


def sizes(contender: Contender) -> dict:
    found = {}
    if contender.program:
        found["binary_bytes"] = contender.program.stat().st_size
    board = ROOT / "target" / BOARD / "release/headwater"
    if contender.is_headwater and board.exists():
        found["binary_armv7_bytes"] = board.stat().st_size
    return found


def instructions() -> dict:
    """Instructions a post on armv7, step by step; nothing where they cannot be counted here."""
    counted = subprocess.run([ROOT / "bench/instructions.sh", "--board"], capture_output=True, text=True)
    if counted.returncode != 0:
        print(f"instructions are not counted: {counted.stderr.strip()[-200:]}", file=sys.stderr)
        return {}
    steps = {name: int(count) for name, count in (line.split() for line in counted.stdout.splitlines())}
    kept = steps["append"] + steps["commit"] + steps["peek"]
    return {
        "armv7_steps": steps,
        "armv7_instructions": kept + steps["request"] + steps["sign-500"],
        "armv7_pack_instructions": kept + steps["request-pack"] + steps["sign-pack"],
    }


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--posts", type=int, default=100_000)
    options = options.parse_args()

    # On a disk, not on tmpfs: what is written to flash is counted.
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=ROOT / "target"))
    runtime = Path(tempfile.mkdtemp(prefix="bench-", dir="/dev/shm"))
    (folder / "runtime").symlink_to(runtime)
    found = {contender.name: [] for contender in CONTENDERS}
    try:
        with Sink(folder) as sink:
            bench = Bench(sink, folder, options.posts)
            for number in range(options.rounds):
                for contender in CONTENDERS:
                    print(f"round {number + 1}: {contender.name}", file=sys.stderr)
                    figures = bench.drain(contender) | bench.live(contender) | bench.slow(contender)
                    if contender.is_headwater:
                        figures |= bench.catch_up(contender)
                    found[contender.name].append(figures)
            once = {contender.name: bench.one_shard(contender) for contender in CONTENDERS if contender.is_headwater}
            once[CONTENDERS[0].name] |= bench.open_full_spool(CONTENDERS[0])
    finally:
        shutil.rmtree(folder)
        shutil.rmtree(runtime)
    summary = {contender.name: medians(found[contender.name]) | sizes(contender) for contender in CONTENDERS}
    for name, figures in (once | {CONTENDERS[0].name: once[CONTENDERS[0].name] | instructions()}).items():
        summary[name] |= figures
    write_results(options.posts, found, summary, {contender.name: contender.shares_calls for contender in CONTENDERS})


if __name__ == "__main__":
    main()
