"""A tiny HTTP server that can misbehave in every way a real service does. Standard library only, so that it starts fast.

It answers GET on any path with what it was told, and writes what it was started with to its log.
"""

import argparse
import os
import signal
import socket
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--status", type=int, default=200)
parser.add_argument("--healthy-after", type=float, default=0.0)
parser.add_argument("--die", type=int)
parser.add_argument("--die-after", type=float)
parser.add_argument("--say", action="append", default=[])
parser.add_argument("--ignore-term", action="store_true")
parser.add_argument("--never-listen", action="store_true")
parser.add_argument("--chatter-bytes", type=int, default=0)
parser.add_argument("--grandchild", action="store_true")
options = parser.parse_args()

if options.ignore_term:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
for line in options.say:
    print(line, flush=True)
if options.die is not None:
    sys.exit(options.die)
if options.grandchild and os.fork() == 0:
    while True:
        signal.pause()
if options.never_listen:
    while True:
        signal.pause()

began = time.monotonic()
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", options.port))
listener.listen(16)
listener.settimeout(options.die_after)
number = 0
while True:
    try:
        connection, _ = listener.accept()
    except TimeoutError:
        sys.exit(3)
    with connection:
        request = connection.recv(4096)
        if b"/env" in request:
            body = "\n".join(f"{name}={value}" for name, value in os.environ.items())
        elif b"/limits" in request:
            import resource

            body = " ".join(map(str, resource.getrlimit(resource.RLIMIT_NOFILE)))
        elif b"/chatter" in request:
            for _ in range(options.chatter_bytes // 100):
                number += 1
                os.write(1, f"line {number:<94}\n".encode())
            body = str(number)
        else:
            body = str(os.getpid())
        is_early = time.monotonic() - began < options.healthy_after
        status = 503 if is_early else options.status
        connection.sendall(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
