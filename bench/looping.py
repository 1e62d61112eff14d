"""Long videos from short ones, without encoding them again."""

from fractions import Fraction
from pathlib import Path

import av


def looped(source: Path, target: Path, times: int) -> Path:
    """A clip several times in a row, its packets as they are."""
    with av.open(str(source)) as one, av.open(str(target), "w") as output:
        streams = [output.add_stream_from_template(stream) for stream in one.streams]
        packets = [packet for packet in one.demux() if packet.dts is not None]
        seconds = Fraction(one.duration or 0, av.time_base)
        for turn in range(times):
            for packet in packets:
                assert packet.time_base is not None
                ticks = round(seconds / packet.time_base) if turn else 0
                packet.stream = streams[packet.stream_index]
                packet.pts, packet.dts = (packet.pts or 0) + ticks, (packet.dts or 0) + ticks
                output.mux(packet)
    return target
