"""What tests share: one run of the demonstration, into which nobody writes, and an emulated bucket."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from pipeline.config.reading import load_run_config
from pipeline.config.run_settings import RunConfig
from pipeline.execution import storage
from pipeline.operations.run import run
from pipeline.output.output import Output

# The first call of a kernel loads it, and the machine may be busy: time is no property. The same examples each time.
hypothesis.settings.register_profile("glotmill", deadline=None, derandomize=True)
hypothesis.settings.load_profile("glotmill")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def demo_config(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    """recipes/demo.toml, inline, with little CPU time for a page."""
    output = tmp_path_factory.mktemp("demo") / "output"
    overrides: dict[str, Any] = {
        "output": str(output),
        "executor": "inline",
        "extract": {"cpu_seconds": 1.0},
    }
    return load_run_config(ROOT / "recipes" / "demo.toml", overrides)


@pytest.fixture(scope="session")
def demo(demo_config: RunConfig) -> Output:
    """The demonstration's output."""
    return run(demo_config)


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """An S3 bucket in an emulator, reached through the environment as a user would; each test has a prefix."""
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    here = f"http://{host}:{port}"
    given = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
    given |= {"AWS_ENDPOINT_URL": here, "AWS_ALLOW_HTTP": "true"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        storage._store.cache_clear()  # credentials are read when a store is opened
        urllib.request.urlopen(urllib.request.Request(f"{here}/bucket", method="PUT")).close()
        yield "s3://bucket"
    storage._store.cache_clear()
    server.stop()
