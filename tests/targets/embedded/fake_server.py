"""A tiny HTTP server that can misbehave as real services do. Standard library only, so that it starts fast."""

import argparse
import os
import resource
import signal
import socket
import sys
import time
from pathlib import Path


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--status", type=int, default=200)
    parser.add_argument("--healthy-after", type=float, default=0.0)
    parser.add_argument("--healthy-when", help="a file that must exist")
    parser.add_argument("--die", type=int)
    parser.add_argument("--die-after", type=float)
    parser.add_argument("--say", action="append", default=[])
    parser.add_argument("--ignore-term", action="store_true")
    parser.add_argument("--never-listen", action="store_true")
    parser.add_argument("--grandchild", action="store_true")
    return parser.parse_args()


def misbehave(options: argparse.Namespace) -> None:
    """Do what does not need a port."""
    if options.ignore_term:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for line in options.say:
        os.write(1, f"{line}\n".encode())
    if options.die is not None:
        sys.exit(options.die)
    is_grandchild = options.grandchild and os.fork() == 0
    while is_grandchild or options.never_listen:
        signal.pause()


def answer(path: str) -> str:
    """Tell about this process; `/chatter/N` writes N bytes to the log, in numbered lines of 100."""
    match path.split("/"):
        case [_, "env"]:
            return "\n".join(f"{name}={value}" for name, value in os.environ.items())
        case [_, "limits"]:
            return " ".join(map(str, resource.getrlimit(resource.RLIMIT_NOFILE)))
        case [_, "chatter", first, last]:
            for number in range(int(first), int(last)):
                os.write(1, f"line {number:<94}\n".encode())
    return str(os.getpid())


def main() -> None:
    options = parse_options()
    misbehave(options)
    began = time.monotonic()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", options.port))
    listener.listen(16)
    listener.settimeout(options.die_after)
    while True:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            sys.exit(3)
        with connection:
            words = connection.recv(4096).decode().split()
            body = answer(words[1]) if len(words) > 1 else ""
            is_early = time.monotonic() - began < options.healthy_after
            is_early |= bool(options.healthy_when and not Path(options.healthy_when).exists())
            status = 503 if is_early else options.status
            connection.sendall(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())


if __name__ == "__main__":
    main()
