"""Times a training step from inside the script, so that nothing around the loop is counted.

Called as ``workload.py WARM_UP TIMED``: after the warm-up it says so, and then times so many
iterations whenever it is told to by a line on stdin, until that ends.  It answers with lines of
JSON: milliseconds per iteration by the clock on the wall and of the processor, medians; of the
warm-up the first three iterations together, and in the end the processor's seconds of all.
"""

import json
import statistics
import sys
import time

import torch

FIRST = 3

# One thread: with two, whatever else the machine does decides how long a small operation takes.
torch.set_num_threads(1)
torch.manual_seed(0)


def measure(step):
    warm_up, timed = (int(word) for word in sys.argv[1:3])
    spent, computed = [], []

    def run(iterations):
        for _ in range(iterations):
            began, processor = time.perf_counter(), time.process_time()
            step()
            spent.append((time.perf_counter() - began) * 1000)
            computed.append((time.process_time() - processor) * 1000)

    run(warm_up)
    say(first=sum(spent[:FIRST]))
    for _ in sys.stdin:
        run(timed)
        wall, processor = statistics.median(spent[-timed:]), statistics.median(computed[-timed:])
        say(wall=wall, processor=processor)
    say(total=sum(computed) / 1000)


def say(**figures):
    print(json.dumps(figures), flush=True)
