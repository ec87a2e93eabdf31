"""A block inside a run: the run's report tells of it, though the block comes before torch."""

from __future__ import annotations

from launch.twins import run, write

SCRIPT = """
    import gradaudit

    with gradaudit.audit(max_iterations=2) as audit:
        import torch

        model = torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(4):
            model(torch.ones(1, 2)).sum().backward()
            optimizer.step()
    audit.assert_clean()
    audit.assert_gradients_arrive(model)
    print(*(f"{gap.what}: {gap.why}" for gap in audit.report.coverage.gaps))
"""


def test_the_run_reports_and_the_block_does_not(tmp_path):
    write(tmp_path / "train.py", SCRIPT)
    result = run(tmp_path, "run", "train.py")
    assert result.out == (
        "everything: `gradaudit run` audits all of this process, and reports on it\n"
    )
    assert result.code == 1
    assert "error[GA201]" in result.err
    assert "4 backward calls, 4 steps" in result.err
