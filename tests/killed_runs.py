"""Runs the pipeline in forks that kill themselves (SIGKILL) just before a change of their output folder.

Started with the folder of an undisturbed run, which it makes first, in its own process: so every fork has models and
kernels loaded and takes parts of a second. A line of stdin is then {"config": ..., "moment": ...}, a line of stdout
[exit code, changes of the folder]. A moment is a number (the n-th change), EVENT:FRAGMENT (the first change of that
kind, such as os.rename, os.link or open, of a path with that fragment), or "never". Python announces changes before
they happen (audit hooks); Arrow's own files become visible by such a change, too.
"""

import json
import os
import signal
import sys
from typing import Any

from pipeline.config.run_settings import RunConfig
from pipeline.operations.run import run

WRITING = os.O_WRONLY | os.O_RDWR
CHANGES = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"}


def run_and_count(config: RunConfig, moment: str) -> int:
    """Run, or die at the moment; returns how often the output folder was changed."""
    output = os.path.abspath(config.output)
    event_wanted, _, fragment = moment.partition(":")
    seen = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event not in CHANGES and not (event == "open" and arguments[2] & WRITING):
            return
        path = os.path.abspath(str(arguments[1] if event in ("os.rename", "os.link") else arguments[0]))
        if not path.startswith(output):
            return
        seen += 1
        if moment == str(seen) or (fragment and event == event_wanted and fragment in path):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    run(config, force=True)  # a test changes settings of annotate
    return seen


def serve() -> None:
    """Answer requests until stdin ends."""
    for line in sys.stdin:
        request = json.loads(line)
        answers, told = os.pipe()
        process = os.fork()
        if process == 0:
            code = 1
            try:
                count = run_and_count(RunConfig.model_validate(request["config"]), request["moment"])
                os.write(told, str(count).encode())
                code = 0
            finally:
                os._exit(code)
        os.close(told)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        with os.fdopen(answers) as stream:
            print(json.dumps([code, int(stream.read() or 0)]), flush=True)


if __name__ == "__main__":
    run(RunConfig.model_validate_json(sys.argv[1]))
    serve()
