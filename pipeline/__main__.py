"""`python -m pipeline` is `glotmill`."""

from pipeline.cli.main import main

main()
