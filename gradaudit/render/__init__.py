"""A report becomes text.  One module per reporter; none of them decides anything.

``console``      the report on a terminal, in a pipe or in a log file; with ``loop`` (the annotated
                 loop) and ``strips`` (the lives of all parameters in a few lines)
``difference``   what sets two reports apart, likewise
``json_report``  the JSON report, written and read back
``schema``       the JSON Schema of that report
``html``         one page to look around in; its parts lie in ``page``
``sarif``        SARIF, for code hosts and editors
``junit``        JUnit XML, for servers that show tests
``markdown``     Markdown, for a job summary or a comment
``live``         single lines, while the script still runs
``github``       workflow commands: annotations on the lines of a pull request
``plain``        what the console shows, as text
``notebook``     the page as the output of a cell
``documents``    which of these becomes which file
``catalogue``    the rules, as a table and one by one

Beneath them: ``terminal`` (what a stream can show), ``words`` (the sentences all of them say),
``names`` (many parameters in few words), ``excerpt`` (a source line and what is marked in it),
``listing`` (the loop, annotated), ``states`` (how they look), ``picture`` (timelines to be drawn),
``checkout`` (where a repository has the files) and ``unicode`` (what cannot be written or seen).
This file imports none of them: ``gradaudit show`` pays for the reporter it uses and no other.
"""
