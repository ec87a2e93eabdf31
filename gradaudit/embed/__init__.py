"""Audit a block of a program from within: ``with gradaudit.audit() as audit: …``.

``audit``       the context manager, and what it offers when the block is over
``block``       the recorder's life over one block: begun, ended, what was seen
``place``       where a block stands
``notebook``    a report as the last value of a cell
``assertions``  what a test may ask of an audit, and the sentences that say why not

A block is not a whole program: gradients may be there when it begins and be applied behind its end.
The rules know (``Case.whole``), and so do the observers (``Recorder``'s ``whole``).
"""
