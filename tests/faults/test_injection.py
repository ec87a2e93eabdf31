"""An error inside the audit is a gap in what it saw: never the user's problem, never a finding."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from launch.twins import environment

HERE = Path(__file__).parent

RUN = "import sys; path = sys.argv.pop(1); exec(compile(open(path).read(), '<injector>', 'exec'))"

#: Of all faults the part that is tried here, for the time it takes: ``injector.py SCRIPT 0 1``
#: tries them all.  It has early and lasting faults, in callables of all modules.
PART, OF = 0, 8

#: What takes observers away: where these fail themselves, something is left behind, and is deaf.
REMOVERS = frozenset(
    {
        "function_mode.CallMode._restack",
        "function_mode.CallMode._stack",
        "function_mode.CallMode.leave",
        "function_mode.CallMode.own_thread",
        "patches.Patches.undo",
        "probe.Probe._leave_for_good",
        "probe.Probe.close",
        "probe.Probe.end",
        "recorder.Recorder._uninstall",
        "tracer.LoopTracer.stop",
    }
)


def test_an_error_inside_the_audit_is_a_gap_and_nothing_else():
    done = subprocess.run(
        [sys.executable, "-c", RUN, HERE / "injector.py", HERE / "training.py", str(PART), str(OF)],
        env=environment(OMP_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    plain, sound, *faulty = map(json.loads, done.stdout.splitlines())
    assert plain["ended"] == sound["ended"] == ""
    assert sound["err"] == plain["err"]  # a warning of torch, if anything
    assert sound["out"] == plain["out"]
    assert sound["findings"] == sound["broken"] == sound["left"] == []
    raised = [result for result in faulty if result.get("raised") != 0]
    assert len(raised) > len(faulty) / 2  # a call that came before may not come again
    wrong = {result["name"]: trouble for result in raised if (trouble := troubles(result, plain))}
    assert wrong == {}


def troubles(result, plain):
    """What an injected error did that it must not."""
    if "crashed" in result:
        return ["the process died"]
    told = result["broken"] or (result["gaps"] and "the audit failed in" in result["err"])
    return [
        trouble
        for trouble, there in (
            (result["ended"], result["ended"]),
            ("the training computed something else", result["out"] != plain["out"]),
            (result["findings"], result["findings"]),
            (result["left"], result["left"] and result["name"] not in REMOVERS),
            ("nothing was said of it", not told),
        )
        if there
    ]
