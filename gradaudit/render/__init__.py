"""A report becomes text.  One module per reporter; none of them decides anything.

``json_report``  the JSON report, written and read back
``schema``       the JSON Schema of that report
``console``      the report on a terminal, in a pipe or in a log file
``catalogue``    the rules, as a table and one by one

Beneath them: ``terminal`` (what a stream can show) and ``names`` (many parameters in few words).
This file imports none of them: ``gradaudit show`` pays for the reporter it uses and no other.
"""
