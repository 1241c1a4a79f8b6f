"""`python -m pipeline` is `glotmill`."""

from pipeline.cli import main

main()
