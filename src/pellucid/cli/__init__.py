"""The command line: one file per command, each a few lines between the options and the library.

What belongs here is options, messages, tables and exit codes. What a command finds out is found out by the library, so
that both give the same result. Importing this package loads no torch; a command loads it when it runs.
"""

from pellucid.cli.running import main as main
from pellucid.cli.running import run as run
