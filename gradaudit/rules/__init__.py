"""Everything that can go wrong in the life of a gradient: one module per rule, all of it in it.

``catalogue``  the table of contents
``lookup``     a rule by its code or its name
``rule``       what a rule is made of
``case``       the questions rules ask of a recording
``families``   which leaves are alike, and how those take turns
``cuts``       the words for what leaves the graph; ``reads`` for a `.grad` that was None
``provenance`` which backwards put what into the gradients that were applied
``windows``    what a step usually applies, and what clearings take out of that
``words``      small helps for the sentences
``follows``    what hangs below a cause
``judge``      lets every rule speak once; one root cause, one finding
``assemble``   writes the report; ``timelines`` what it tells of every iteration
``merge``      makes one report of those of several processes; ``alike`` is what they share
``ranks``      the questions rules ask across them
"""
