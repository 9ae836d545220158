"""Work on Colab with nobody there: machine after machine is taken with the `colab` command until the work is done.

`deciding` says what to do next from what was seen, `supervisor` does it, `command` is the only module that knows the command, and
`job` is the only one that runs on the machine.
"""
