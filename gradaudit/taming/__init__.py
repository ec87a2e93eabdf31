"""Which findings count: a report is compared with another one, or with what its reader decided.

Everything here is a pure step over reports; nothing is observed, judged anew or shown.

``difference``  what is new, gone or changed between two reports
"""
