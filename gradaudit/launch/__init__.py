"""Become ``python script.py`` or ``python -m module``, and nothing else.

``session`` composes the others; each of them holds one idea:

``request``       what the user asked for, and ``RequestError``: why it cannot be done
``assignment``    what of it concerns every process of the run
``surroundings``  the interpreter as it was before the script could change it
``target``        a script or a module, and how it becomes ``__main__``
``installed``     is there a torch to audit, without importing it
``imports``       a call right after the script's own import of a module
``watch``         the recorder's life: none, begun, finished
``attendant``     what is done for the user between two iterations
``live``          findings that are proven are told while the script runs
``proofs``        what is proven by now: the rules, imported no earlier
``progress``      how far it is, in the title of the terminal
``checkpoints``   what was seen until now, saved at ever longer distances
``interpreter``   what the interpreter does when a program ends, in its order
``tracebacks``    no frame of ours in anything that is shown
``failure``       the exception that ended the script, as the report tells it
``ending``        how the script ended
``signals``       dying of SIGTERM and SIGHUP, but not without a report
``exits``         ``os._exit``, but not without a report
``sources``       the user's decisions that stand in the source files
``output``        where the report goes: a stderr of our own, and a file replaced at once
``reporter``      the report made, and brought there

Several processes of one run:

``processes``     those that the script starts by ``multiprocessing``
``boarding``      how such a one comes to be audited, a spawned one too
``child``         its audit, from its beginning to its part of the report
``local_world``   those that a launcher has started, and which of them is the last
``launchers``     what torchrun, mpirun or srun have told one of these
``parts``         what each of them has seen, in files
``gathering``     who makes one report of these
"""
