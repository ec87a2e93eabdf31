"""What a script makes and drops by the thousand leaves nothing behind in the audit."""

from __future__ import annotations

import textwrap

import pytest
from launch.twins import write

#: MB that the second half of a run may add, beyond what it adds under plain Python.
BOUND = 6

MEASURED = """
    import resource
    import torch
    from torch import nn

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    def measured(work, times):
        for _ in range(times):
            work()
        before = peak()
        for _ in range(2 * times):
            work()
        print(peak() - before)

    torch.manual_seed(0)
"""

SCRIPTS = {
    "modules that live for a moment": """
        def work():
            module = nn.Module()
            module.weight = nn.Parameter(torch.empty(1))
            module.inner = nn.Module()
        measured(work, 2000)
    """,
    "parameters made in every iteration": """
        kept = nn.Linear(3, 1)
        optimizer = torch.optim.SGD(kept.parameters(), lr=1e-3)
        def work():
            adapter = nn.Linear(3, 3)
            optimizer.zero_grad()
            kept(adapter(torch.ones(1, 3))).sum().backward()
            optimizer.step()
        measured(work, 250)
    """,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_peak_memory_stays_what_it_is(warm, tmp_path, name):
    source = textwrap.dedent(MEASURED) + textwrap.dedent(SCRIPTS[name])
    script = write(tmp_path / "train.py", source)
    plain = warm.plain(tmp_path, str(script))
    audited = warm.audited(tmp_path, "run", "--quiet", "--fail-on", "never", "train.py")
    assert (audited.code, audited.err) == (0, "")
    assert int(audited.out) <= int(plain.out) + BOUND
