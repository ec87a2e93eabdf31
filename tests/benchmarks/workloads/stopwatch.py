"""Times a training step from inside the script, so that nothing around the loop is counted.

Called as ``workload.py WARM_UP TIMED``; prints one line of JSON: milliseconds per iteration by the
clock on the wall and of the processor (which other processes hardly disturb), medians over the
timed ones; the first three together; and the seconds of all of them.
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
    for _ in range(warm_up + timed):
        began, processor = time.perf_counter(), time.process_time()
        step()
        spent.append((time.perf_counter() - began) * 1000)
        computed.append((time.process_time() - processor) * 1000)
    result = {
        "first": sum(spent[:FIRST]),
        "wall": statistics.median(spent[warm_up:]),
        "processor": statistics.median(computed[warm_up:]),
        "total": sum(computed) / 1000,
    }
    print(json.dumps(result))
