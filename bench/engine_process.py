"""The media engine alone: reads `[caller port, callee port, codec, codec]` a line, bridges, prints its own ports."""

from __future__ import annotations

import json
import resource
import sys

from sent.media.engine import RustEngine
from sent.media.port import MediaEngine
from sent.media.types import Codec, MediaLegId, RtpSettings

_NAMES = {0: "PCMU", 8: "PCMA"}


def main() -> None:
    # Each leg has two sockets; the usual limit of 1024 open files is too low for 600 legs.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    engine = RustEngine(20_000, 29_999)
    try:
        for line in sys.stdin:
            caller, callee, caller_codec, callee_codec = json.loads(line)
            a, port_a = _leg(engine, caller, caller_codec)
            b, port_b = _leg(engine, callee, callee_codec)
            engine.bridge(a, b)
            print(json.dumps([port_a, port_b]), flush=True)
    finally:
        engine.shut_down()


def _leg(engine: MediaEngine, remote_port: int, payload_type: int) -> tuple[MediaLegId, int]:
    codec = Codec(payload_type, _NAMES[payload_type])
    leg, ports = engine.open_rtp("127.0.0.1")
    engine.configure(leg, RtpSettings(receive=(codec,), send=codec, remote=("127.0.0.1", remote_port)))
    return leg, ports.port


if __name__ == "__main__":
    main()
