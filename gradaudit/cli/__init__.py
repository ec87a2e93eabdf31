"""The command line: parse, ask, hand over.  One module per command; ``app`` is the entry.

``commands``    all of them as one application: ``run``, ``show``, ``diff``, ``merge``, ``rules``,
                ``explain``
``configured``  what the command line leaves open, from a file
``decisions``   what the reader decided, in both of them
``outputs``     which files a report becomes; ``writing`` them, and ``reading`` one
``completing``  what a shell may offer
``usage``       the usage line of a command
``refusal``     one clear sentence, and exit code 2
"""
