#!/usr/bin/env python3
"""X, Kinesis and STS for one board: stand_in.py POSTS. Prints its port.

The first connection to X's stream brings POSTS posts, each later one a tenth of that, and so does POST /more to the one that is
open. What arrives at Kinesis is counted by the posts' ids: GET /tally. Kinesis hangs from POST /hang until POST /go.
"""
import base64, http.server, json, sys, threading, time

posts, connections, tag = int(sys.argv[1]), 0, "none"
sent, arrived, twice = 0, set(), 0
lock, goes, more = threading.Lock(), threading.Event(), threading.Semaphore(0)
goes.set()


class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, value, status=200):
        body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/tally":
            self.answer({"sent": sent, "arrived": len(arrived), "twice": twice, "connections": connections})
        elif self.path.startswith("/2/tweets/search/stream/rules"):
            self.answer({"data": []})
        elif self.path.startswith("/2/tweets/search/stream"):
            self.stream()
        else:
            self.answer("")

    def stream(self):
        global connections
        self.close_connection = True
        self.send_response(200)
        self.end_headers()
        with lock:
            connections += 1
            count = posts if connections == 1 else posts // 10
        try:
            self.send_posts(count)
            while True:
                if more.acquire(timeout=5):
                    self.send_posts(posts // 10)
                self.wfile.write(b"\r\n")
        except ConnectionError:
            pass

    def send_posts(self, count):
        global sent
        with lock:
            first, sent = sent, sent + count
        for number in range(first, first + count):
            post = {
                "data": {"id": str(10**18 + number), "text": f"pizza number {number}", "author_id": "7"},
                "includes": {"users": [{"id": "7", "username": f"cook{number % 20}"}]},
                "matching_rules": [{"id": "1", "tag": tag}],
            }
            self.wfile.write(json.dumps(post).encode() + b"\r\n")

    def do_POST(self):
        global tag
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        call = self.headers.get("X-Amz-Target", self.path).split(".")[-1]
        if call == "/oauth2/token":
            self.answer({"token_type": "bearer", "access_token": "a-token-of-the-stand-in"})
        elif call.startswith("/2/tweets/search/stream/rules"):
            rules = json.loads(body).get("add", [])
            tag = rules[0]["tag"] if rules else tag
            self.answer({"data": [{"id": "1", **rule} for rule in rules]}, 201)
        elif call == "PutRecord":
            self.answer(*self.put([json.loads(body)], one=True))
        elif call == "PutRecords":
            self.answer(*self.put(json.loads(body)["Records"]))
        elif call in ("/hang", "/go", "/more"):
            {"/hang": goes.clear, "/go": goes.set, "/more": more.release}[call]()
            self.answer("")
        else:
            self.answer("<GetCallerIdentityResult><Arn>arn:aws:iam::1:user/board</Arn></GetCallerIdentityResult>")

    def put(self, records, one=False):
        global twice
        if any(int(record.get("ExplicitHashKey", 0)) >= 2**128 for record in records):
            return {"__type": "InvalidArgumentException", "message": "Invalid ExplicitHashKey."}, 400
        goes.wait()
        with lock:
            for record in records:
                post = json.loads(base64.b64decode(record["Data"]))["data"]["id"]
                twice += post in arrived
                arrived.add(post)
        taken = {"SequenceNumber": str(time.time_ns()), "ShardId": "shardId-000000000000"}
        return (taken if one else {"FailedRecordCount": 0, "Records": [taken] * len(records)},)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
server.daemon_threads = True
print(server.server_port, flush=True)
server.serve_forever()
