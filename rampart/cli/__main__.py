"""`python -m rampart.cli`: the command line where no script is on the path."""

from rampart.cli import main

main()
