#!/usr/bin/env python3
"""What a power cut left: survivors.py CONSOLE SPOOL LEDGER HEADWATER, or --total LEDGER.

CONSOLE is what the board said, with its uptime in front: which lines it had read when. The spool is verified and emptied by HEADWATER
itself (for the board: under qemu) into a Kinesis here. Every line that had reached its deadline must be there, and every line that LEDGER
knows of earlier cuts; none may be one that was never given, or be there twice. Prints the figures of this cut, and exits 1 if anything is
not as it must be.
"""
import base64, collections, http.server, json, pathlib, re, subprocess, sys, tempfile, threading

BOARD_ROOT = "/usr/arm-linux-gnueabihf"

DURABLE_WITHIN_S = 1.0
# An emulated board on a busy machine may stand still between the deadline and its timer.
MARGIN_S = 0.5

# Those of the first cut begin with this number, those of the second with twice as much.
LINES_OF_A_RUN = 100_000

DIGITS = "".join(map(str, range(1, 2001)))


def text_of(number):
    """The line with this number, as `feed` printed it."""
    start = number % 1000
    return f"{number} {DIGITS[start:start + 20 + number * 7919 % 1500]}"


def read_on(console):
    """The uptime at which each line had been read, that of the last sign of life, and how many records the spool was opened with."""
    read, last, opened = {}, 0.0, None
    for line in console.read_text(errors="replace").splitlines():
        match = re.fullmatch(r"(\d+\.\d\d) (read (\d+)|said (.*))", line)
        if not match:
            continue  # cut in the middle
        last = float(match[1])
        if match[3]:
            read[int(match[3])] = last
        elif waiting := re.search(r"(\d+) records wait, (\d+) of them on the card", match[4]):
            opened = int(waiting[2])
    return read, last, opened


class Kinesis(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lines = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        records = body.get("Records", [body])
        self.lines += [json.loads(base64.b64decode(record["Data"]))["line"] for record in records]
        taken = {"SequenceNumber": str(len(self.lines)), "ShardId": "shardId-000000000000"}
        answer = {"FailedRecordCount": 0, "Records": [taken] * len(records)} if "Records" in body else taken
        answer = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def run(headwater, *args, **variables):
    """Runs the board's program on this machine and returns how it ended."""
    # The path keeps a machine that has armhf packages of its own from mixing two C libraries.
    qemu = ["qemu-arm-static", "-L", BOARD_ROOT, "-E", f"LD_LIBRARY_PATH={BOARD_ROOT}/lib"]
    with tempfile.TemporaryDirectory(dir="/dev/shm") as ram:
        environment = {"RUNTIME_DIRECTORY": ram, **variables}
        return subprocess.run([*qemu, headwater, *args], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)


def deliver(headwater, spool):
    """The lines in the spool, as they arrive when the program empties it, and how that ended."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Kinesis)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ended = run(
        headwater,
        *("--source", "lines", "--spool-size", "16MiB", "--spool", spool),
        AWS_ENDPOINT_URL=f"http://127.0.0.1:{server.server_port}",
        AWS_REGION="eu-west-1",
        AWS_STREAM_NAME="posts",
        AWS_ACCESS_KEY_ID="AKIDEXAMPLE",
        AWS_SECRET_ACCESS_KEY="a-secret-of-the-board",
    )
    server.shutdown()
    return Kinesis.lines, ended


def look(console, spool, ledger_file, headwater):
    read, last, opened = read_on(console)
    ledger = json.loads(ledger_file.read_text()) if ledger_file.exists() else {"survivors": [], "cuts": []}
    earlier = set(ledger["survivors"])
    wrong = []

    lines = []
    if spool.exists():
        verified = run(headwater, "spool", "verify", spool)
        if verified.returncode:
            wrong.append(f"it does not verify: {verified.stdout}{verified.stderr}")
        lines, ended = deliver(headwater, spool)
        if ended.returncode:
            wrong.append(f"it cannot be emptied: {ended.stderr}")
    there = [int(line.split()[0]) if line.split()[0].isdigit() else -1 for line in lines]
    held = set(there)

    given = {number for number in held if number // LINES_OF_A_RUN == len(ledger["cuts"]) + 1}
    wrong += [f"never given: {line[:60]!r}" for line, number in zip(lines, there) if line != text_of(number)]
    wrong += [f"back from the dead: line {number}" for number in sorted(held - earlier - given)]
    wrong += [f"there {count} times: line {number}" for number, count in collections.Counter(there).items() if count > 1]
    if there != sorted(there):
        wrong.append("the lines are out of order")
    if read and opened != (len(earlier) or None):
        wrong.append(f"the board opened the spool with {opened} records, and {len(earlier)} had survived")

    age = {number: last - uptime for number, uptime in read.items()}
    due = {number for number in age if age[number] >= DURABLE_WITHIN_S + MARGIN_S}
    missing = due - held
    if missing:
        wrong.append(f"the oldest missing line, {min(missing)}, was {max(age[number] for number in missing):.2f} s old")
    if earlier - held:
        wrong.append(f"{len(earlier - held)} lines that had survived are gone, the first {min(earlier - held)}")
    lost = [age[number] for number in age.keys() - due - held]

    cut = {
        "read": len(read),
        "due": len(due),
        "missing": len(missing),
        "earlier": len(earlier),
        "gone": len(earlier - held),
        "survived": len(given - due),
        "lost": len(lost),
        "oldest_lost_s": round(max(lost, default=0), 2),
    }
    print(figures(cut))
    ledger["survivors"] = sorted(held)
    ledger["cuts"].append(cut)
    ledger_file.write_text(json.dumps(ledger))
    print("\n".join(wrong[:10]), end="\n" if wrong else "")
    return 1 if wrong else 0


def figures(cut):
    return (
        f"{cut['read']} lines read, {cut['due']} due, {cut['missing']} missing; of {cut['earlier']} earlier ones {cut['gone']} gone; "
        f"younger: {cut['survived']} survived, {cut['lost']} lost (the oldest {cut['oldest_lost_s']:.2f} s)"
    )


def total(ledger_file):
    cuts = json.loads(ledger_file.read_text())["cuts"]
    sums = {name: sum(cut[name] for cut in cuts) for name in cuts[0]}
    sums |= {"earlier": cuts[-1]["earlier"], "oldest_lost_s": max(cut["oldest_lost_s"] for cut in cuts)}
    print(f"{len(cuts)} cuts, and each time the spool opened and verified: {figures(sums)}")
    return 0 if sums["due"] and not sums["missing"] else 1


if sys.argv[1] == "--total":
    sys.exit(total(pathlib.Path(sys.argv[2])))
console, spool, ledger, headwater = map(pathlib.Path, sys.argv[1:])
sys.exit(look(console, spool, ledger, headwater))
