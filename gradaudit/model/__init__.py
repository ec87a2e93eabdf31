"""What the rooms hand to each other: frozen dataclasses, stdlib only, no behaviour that decides."""
