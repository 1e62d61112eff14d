"""Opening videos that strangers uploaded: probing and extraction, in a child with limits.

`probe` and `extract` are the two operations. Both hand the bytes of the video to a child
process that holds no credentials, can open no file and no socket, and dies at its limits.
`warm_up` loads what both need ahead of the first video.

    sandbox.py     parent's end: starts the child, serves its reads, takes what it writes
    forkserver.py  has everything loaded, forks one child per task
    child.py       child's end: applies the limits, runs one task
    channel.py     the messages between the two
    source.py      where bytes come from; a local file
    sink.py        where bytes go; a local file
    s3.py          both for S3: reads in streams, writes in parts
    container.py   opens a container without following it anywhere
    probing.py     what a container says, and whether it is true
    packets.py     packets of both streams on one clock, going on behind damage
    timeline.py    exact time: stream timestamps -> one timeline starting at 0
    sampler.py     which frames are wanted, by their times alone
    selection.py   which of them are kept, by what they show
    groups.py      which packets have to be decoded for them
    numbering.py   times for the few containers that store none
    decoding.py    decodes groups of pictures side by side
    picture.py     one decoded frame -> one upright JPEG
    soundtrack.py  decoded audio -> 16 kHz mono FLAC whose sample number is its time
    sound_lane.py  the thread that does so
    extraction.py  one pass over one time range
"""

from screener.media.facts import MediaFacts, MediaLimits
from screener.media.sandbox import extract, probe, warm_up

__all__ = ["MediaFacts", "MediaLimits", "extract", "probe", "warm_up"]
