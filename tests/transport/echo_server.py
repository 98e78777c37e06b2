"""A process that answers every request with its body: ``python echo_server.py URL [LIMIT]``."""

from __future__ import annotations

import select
import sys

from transport.nng import NngServer


def main(url: str) -> None:
    server = NngServer()
    sys.stdout.write(server.listen(url) + "\n")
    sys.stdout.flush()
    while True:
        select.select([server.fileno()], [], [])
        for header, body in server.drain(256):
            server.reply(header, body)


if __name__ == "__main__":
    main(sys.argv[1])
