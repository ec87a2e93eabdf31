"""Which findings count: a report is compared with another one, or with what its reader decided.

Nothing here observes, judges or shows; whoever runs the script, or reads a report, asks.

``settings``    what a reader can decide: rules, severities, ignores with a reason
``config``      these, and options of ``run``, from ``gradaudit.toml`` or ``pyproject.toml``
``comments``    ``# gradaudit: ignore[GA202] reason`` in a source file
``baseline``    findings that are known, in a file
``tame``        a report and all of these become the report that counts
``threshold``   from which severity on findings fail a run or a test
``difference``  what is new, gone or changed between two reports
"""
