"""The programs that are compared, the server they send to, and the posts they are given."""

import itertools
import json
import os
import platform
import random
import resource
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILT = ROOT / "target/bench/release"
HEADWATER = ROOT / "target/release/headwater"
RECORD_BYTES = 570

# As often as English has them.
LETTERS, WEIGHTS = "etaoinshrdlcumwfgypbvk", (13, 9, 8, 8, 7, 7, 6, 6, 6, 4, 4, 3, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1)

# Credentials that sign, and mean nothing.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}


@dataclass(frozen=True)
class Contender:
    name: str
    command: tuple[str, ...]
    program: Path | None = None
    """What is shipped, where that is one file."""
    per_call: int = 1
    """Most records in a call."""
    is_headwater: bool = False
    live: tuple[str, ...] = ()
    """What it is told besides where posts come live, 100 a second."""
    slow: tuple[str, ...] = ()
    """The same, where ten come a second."""
    shares_calls: bool = False
    """Live posts wait for others to share a call with."""


PLAIN = (str(HEADWATER), "pizza", "--source", "lines")
LINGERS = {"live": ("--linger", "200ms"), "slow": ("--linger", "1s"), "shares_calls": True}

CONTENDERS = (
    Contender("headwater", PLAIN, HEADWATER, 500, True),
    Contender("headwater --pack", (*PLAIN, "--pack"), HEADWATER, 500, True, **LINGERS),
    Contender("headwater --pack --wire cbor", (*PLAIN, "--pack", "--wire", "cbor"), HEADWATER, 500, True, **LINGERS),
    Contender("aws-sdk-kinesis, 500 a call", (str(BUILT / "sdk"), "500"), BUILT / "sdk", 500, shares_calls=True),
    Contender("aws-sdk-kinesis, 1 a call", (str(BUILT / "sdk"), "1"), BUILT / "sdk"),
    Contender(
        "Python, boto3, 1 a call",
        (str(ROOT / "target/bench/venv/bin/python"), str(ROOT / "bench/loop.py")),
    ),
)


def posts(count: int, line_bytes: int) -> bytes:
    """Lines of JSON, of so many bytes each without the newline, in the shape of X's, all about pizza and no two alike.

    The texts are words drawn from a made-up language, a few of them often and most of them seldom, as in any: packed, a post takes about
    as much as one with an English text does.
    """
    drawn = random.Random(1)
    words = ["".join(drawn.choices(LETTERS, WEIGHTS, k=drawn.randint(2, 9))) for _ in range(5_000)]
    shares = list(itertools.accumulate(1 / rank for rank in range(1, len(words) + 1)))
    lines = []
    for number in range(count):
        author, second = drawn.randrange(10**9), number // 100
        head = (
            f'{{"data":{{"author_id":"{author}","created_at":"2026-01-15T{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}.000Z",'
            f'"id":"{1990000000000000000 + number * 41_943 + author % 4096}","lang":"en","text":"pizza '
        )
        tail = (
            f'"}},"includes":{{"users":[{{"id":"{author}","name":"{drawn.choice(words)}","username":"{drawn.choice(words)}{author % 100}"}}]}},'
            '"matching_rules":[{"id":"1990712345670000000","tag":"headwater:pizza"}]}'
        )
        room = line_bytes - len(head) - len(tail)
        text = " ".join(drawn.choices(words, cum_weights=shares, k=room // 3 + 1))
        # Some texts have what is to be escaped.
        quote = '\\"' if number % 4 == 0 else ""
        lines.append(f"{head}{(quote + text)[:room]}{tail}\n")
    return "".join(lines).encode()


def line_bytes(contender: Contender) -> int:
    """How long a line is whose record has RECORD_BYTES: headwater's lines travel in an envelope."""
    if not contender.is_headwater:
        return RECORD_BYTES
    at = "2026-01-15T10:35:00.123Z"
    envelope = {"headwater": 1, "id": "0" * 26, "at": at, "from": platform.node(), "line": None}
    return RECORD_BYTES - len(json.dumps(envelope, separators=(",", ":"))) + len("null")


class Sink:
    """The server, started for as long as `with` lasts."""

    def __init__(self, folder: Path):
        self.certificate = folder / "certificate.pem"

    def __enter__(self):
        command = [BUILT / "sink", self.certificate]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def tell(self, word: str):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def report(self) -> dict:
        """What came since the last report."""
        self.tell("report")
        return json.loads(self.process.stdout.readline())


class Run:
    """A contender at work. Its CPU time includes what the kernel does for it."""

    def __init__(self, contender: Contender, sink: Sink, folder: Path, stdin, spool: Path, size="128MiB", arguments=()):
        self.metrics = folder / "runtime/metrics"
        url = f"https://127.0.0.1:{sink.port}"
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": url,
            "AWS_CA_BUNDLE": str(sink.certificate),
            "SSL_CERT_FILE": str(sink.certificate),
            **CREDENTIALS,
        }
        if contender.is_headwater:
            environment |= {
                "AWS_REGION": "eu-west-1",
                "AWS_STREAM_NAME": "posts",
                "HEADWATER_SPOOL": str(spool),
                "HEADWATER_SPOOL_SIZE": size,
                "RUNTIME_DIRECTORY": str(folder / "runtime"),
                # A file is read faster than any card is written: the source waits, nothing is dropped.
                "HEADWATER_WHEN_FULL": "block",
                "HEADWATER_METRICS_FILE": str(self.metrics),
            }
        # On tmpfs: what is counted as written to flash is not what the bench wants to know.
        self.log = tempfile.TemporaryFile("w+", dir=folder / "runtime")
        self.started_ns = time.monotonic_ns()
        command = (*contender.command, *arguments)
        self.process = subprocess.Popen(command, stdin=stdin, stdout=self.log, stderr=self.log, env=environment)
        self.peak_kib = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self):
        while peak := self.memory_kib("VmHWM"):
            self.peak_kib = peak
            time.sleep(0.02)

    def memory_kib(self, field: str) -> int:
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return 0
        values = [line.split()[1] for line in status.splitlines() if line.startswith(field + ":")]
        return int(values[0]) if values else 0

    def flash_bytes(self) -> int:
        """Bytes it caused to be written to a disk so far; tmpfs is none."""
        io = Path(f"/proc/{self.process.pid}/io").read_text()
        return int(io.split("write_bytes: ")[1].split()[0])

    def cpu_s(self) -> float:
        """CPU seconds so far, by the process's own clock."""
        return time.clock_gettime(~self.process.pid << 3 | 2)

    def read_total(self) -> int:
        """How many posts headwater says it has read."""
        if not self.metrics.exists():
            return 0
        for line in self.metrics.read_text().splitlines():
            if line.startswith("headwater_read_total "):
                return int(line.split()[1])
        return 0

    def end(self) -> resource.struct_rusage:
        """Waits for the end; what the whole run cost."""
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        if self.process.returncode != 0:
            self.log.seek(0)
            raise SystemExit(f"{self.process.args} ended with {self.process.returncode}:\n{self.log.read()[-2000:]}")
        return usage
