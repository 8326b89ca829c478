"""A process of its own: an HTTP server that is down, slow, full or broken half of the time, as a seed says.

    python -m tests.alerts.bad_server SEED FILE

Prints its port. Each request that it takes (answers by 2xx, or after the client has gone) is a line of FILE, written
before it is answered: {"key": ..., "title": ..., "is_heard": whether the answer was sent in time}.
"""

from __future__ import annotations

import json
import random
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

SLOW_S = 0.16  # longer than the client of the campaign waits
_HOW = ("fine",) * 10 + ("broken", "broken", "full", "closed", "slow", "down")


def serve(seed: int, file: Path) -> None:
    """Answer until it is killed."""
    dice, port = random.Random(seed), 0
    while True:
        is_down = False

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                nonlocal is_down
                said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                how = dice.choice(_HOW)
                if how in ("fine", "slow"):
                    line = {"key": said["key"], "title": said["title"], "is_heard": how == "fine"}
                    with file.open("a") as log:
                        log.write(json.dumps(line) + "\n")
                match how:
                    case "slow":
                        time.sleep(SLOW_S)
                    case "down":
                        is_down = True
                    case "fine" | "broken" | "full":
                        self.send_response({"fine": 200, "broken": 500, "full": 429}[how])
                        self.send_header("Retry-After", "1")
                        self.send_header("Content-Length", "0")
                        self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        with HTTPServer(("127.0.0.1", port), Handler) as server:
            if not port:
                print(server.server_port, flush=True)
            port = server.server_port
            while not is_down:
                server.handle_request()
        time.sleep(SLOW_S)  # nobody listens


if __name__ == "__main__":
    socket.setdefaulttimeout(5.0)
    serve(int(sys.argv[1]), Path(sys.argv[2]))
