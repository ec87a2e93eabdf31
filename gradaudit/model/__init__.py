"""What the rooms hand to each other: frozen dataclasses, stdlib only, no behaviour that decides.

``events``     what the observers see, in the order in which it happened
``sites``      places in source code
``run``        how a run is limited, and how it ended
``findings``   what a rule says
``timelines``  what became of a gradient, told in fewer runs, and with its values
``report``     the contract that tools build on
"""
