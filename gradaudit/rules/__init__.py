"""Everything that can go wrong in the life of a gradient: one module per rule, all of it in it.

``catalogue``  the table of contents
``lookup``     a rule by its code or its name
``rule``       what a rule is made of
``case``       the questions rules ask of a recording
``judge``      lets every rule speak once; one root cause, one finding
``assemble``   writes the report
"""
