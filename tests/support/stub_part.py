"""A part of a stack that does nothing but answer GET requests: `python stub_part.py NAME DIRECTORY [options]`.

It appends `NAME started` and, when it is asked to end, `NAME ended` to DIRECTORY/story.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--publish", type=Path)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--die", action="store_true")
    parser.add_argument("--stubborn", action="store_true")
    parser.add_argument("--child", action="store_true")
    parser.add_argument("--sees", default="")
    arguments = parser.parse_args()

    def tell(what: str) -> None:
        with (arguments.directory / "story").open("a") as story:
            story.write(f"{arguments.name} {what}\n")

    def end(*_: object) -> None:
        tell("ended")
        if not arguments.stubborn:
            os._exit(0)

    signal.signal(signal.SIGTERM, end)
    tell(f"started {arguments.sees}".strip())
    if arguments.child:
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", str(arguments.directory)])
    if arguments.die:
        print("no luck today", flush=True)
        sys.exit(3)
    time.sleep(arguments.delay)
    server = HTTPServer(("127.0.0.1", arguments.port), _Answer)
    if arguments.publish:
        arguments.publish.write_text(f"127.0.0.1:{server.server_port}")
    server.serve_forever()


if __name__ == "__main__":
    main()
