"""Objects and URLs against servers on this machine: an S3 emulator, and a web server that breaks connections."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config.run_settings import BoilerplateConfig, RunConfig
from pipeline.errors import ConfigError, InputError
from pipeline.execution import storage
from pipeline.execution.commit import committed, read_json, sha256_of, write_json
from pipeline.execution.inputs import resolve_inputs
from pipeline.execution.storage import ObjectPath, local_copy, locate, locate_output, put_if_absent, readable
from pipeline.operations.explain import explain
from pipeline.operations.remove.remove import remove
from pipeline.operations.run import check, reselect, run
from pipeline.output.baselines import configured_baselines
from pipeline.passes.audit import audit

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"


class _Shaky(BaseHTTPRequestHandler):
    """Serves the samples; the first answer to each file is 503, the second breaks off half-way."""

    protocol_version = "HTTP/1.1"
    tries: dict[str, int] = {}

    def do_HEAD(self) -> None:
        self._answer(head=True)

    def do_GET(self) -> None:
        self._answer(head=False)

    def _answer(self, head: bool) -> None:
        path = SAMPLES / self.path.lstrip("/")
        if self.path == "/list.paths":
            data = b"crawl-00004.warc.wet.gz\ncrawl-00003.warc.zst\n"
        elif path.is_file():
            data = path.read_bytes()
        else:
            self.send_error(404)
            return
        known = 0
        if not head:
            known = self.tries[self.path] = self.tries.get(self.path, 0) + 1
        if known == 1:
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = 0
        if (wanted := self.headers.get("Range")) is not None:
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", '"one"')
        self.end_headers()
        if not head:
            self.wfile.write(data[start : len(data) // 2] if known == 2 else data[start:])
            if known == 2:
                self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing on the test's screen."""


@pytest.fixture
def web() -> Iterator[str]:
    """The address of the shaky web server."""
    _Shaky.tries = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Shaky)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_json_and_parquet_come_back_as_they_were_written(bucket: str) -> None:
    folder = locate_output(f"{bucket}/one")
    write_json(folder / "a.json", {"language": "\u10e5\u10d0\u10e0\u10d7\u10e3\u10da\u10d8"})
    assert read_json(folder / "a.json") == {"language": "\u10e5\u10d0\u10e0\u10d7\u10e3\u10da\u10d8"}
    table = pa.table({"number": list(range(50_000)), "text": ["x" * 20] * 50_000})
    with committed(folder / "deep" / "t.parquet") as path:
        pq.write_table(table, path, row_group_size=5_000)
        digest = sha256_of(path)
    assert sha256_of(folder / "deep" / "t.parquet") == digest
    assert pq.read_table(readable(folder / "deep" / "t.parquet")).equals(table)
    with pq.ParquetFile(readable(folder / "deep" / "t.parquet"), pre_buffer=True) as file:
        assert file.read_row_group(3, columns=["number"])["number"][0].as_py() == 15_000


def test_an_object_that_failed_half_way_is_not_there(bucket: str) -> None:
    where = locate_output(f"{bucket}/half.bin")

    def fail() -> None:
        with committed(where) as path:
            path.write_bytes(b"half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert not where.exists()


@pytest.mark.parametrize("kind", ["local", "object"])
def test_of_sixteen_writers_one_creates(kind: str, bucket: str, tmp_path: Path) -> None:
    target = tmp_path / "manifest.json" if kind == "local" else locate_output(f"{bucket}/race/manifest.json")
    files = [tmp_path / f"writer-{number}" for number in range(16)]
    for number, file in enumerate(files):
        file.write_text(str(number))
    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(lambda file: put_if_absent(file, target), files))
    assert sum(won) == 1
    assert target.read_text() == str(won.index(True))


def test_globs_list_objects_and_a_star_stops_at_a_slash(bucket: str) -> None:
    for name in ("crawl/a.warc.gz", "crawl/b.warc.gz", "crawl/deep/c.warc.gz", "crawl/d.txt"):
        write_json(locate_output(f"{bucket}/{name}"), name)
    assert resolve_inputs([f"{bucket}/crawl/*.warc.gz"]) == [f"{bucket}/crawl/a.warc.gz", f"{bucket}/crawl/b.warc.gz"]
    deep = [f"{bucket}/crawl/{name}.warc.gz" for name in ("a", "b", "deep/c")]
    assert resolve_inputs([f"{bucket}/crawl/**/*.warc.gz"]) == deep
    with pytest.raises(InputError, match="matches no object"):
        resolve_inputs([f"{bucket}/crawl/*.arc"])
    with pytest.raises(InputError, match=r"s3://bucket/crawl/none\.warc\.gz: no such object"):
        resolve_inputs([f"{bucket}/crawl/none.warc.gz"])


def test_a_download_survives_503_and_a_broken_connection(web: str) -> None:
    with local_copy(locate(f"{web}/crawl-00004.warc.wet.gz")) as path:
        assert path.read_bytes() == (SAMPLES / "crawl-00004.warc.wet.gz").read_bytes()
    assert _Shaky.tries["/crawl-00004.warc.wet.gz"] == 3
    assert not path.exists()


def test_a_list_of_paths_stands_for_its_files(web: str, tmp_path: Path) -> None:
    both = [f"{web}/crawl-00004.warc.wet.gz", f"{web}/crawl-00003.warc.zst"]
    assert resolve_inputs([f"{web}/list.paths"]) == both
    local = tmp_path / "warc.paths"
    local.write_text("crawl-00004.warc.wet.gz\ncrawl-00003.warc.zst\n")
    assert resolve_inputs([str(local)], prefix=f"{web}/") == both
    assert resolve_inputs([str(local)]) == [str(tmp_path / Path(name).name) for name in both]
    local.write_text("")
    with pytest.raises(InputError, match="names no file"):
        resolve_inputs([str(local)])


def test_a_web_server_cannot_be_globbed_or_written(web: str) -> None:
    with pytest.raises(InputError, match="cannot be listed"):
        resolve_inputs([f"{web}/*.warc.gz"])
    with pytest.raises(ConfigError, match="cannot be written"):
        check(RunConfig(inputs=(f"{web}/crawl-00004.warc.wet.gz",), output=web))
    with pytest.raises(ConfigError, match="cannot read hdfs://"):
        check(RunConfig(inputs=("hdfs://a/b",), output="out"))


def test_a_run_from_the_web_into_a_bucket_equals_a_local_one(bucket: str, web: str, tmp_path: Path) -> None:
    names = ["crawl-00004.warc.wet.gz", "crawl-00003.warc.zst"]
    remote = RunConfig(
        inputs=tuple(f"{web}/{name}" for name in names),
        output=f"{bucket}/run",
        boilerplate=BoilerplateConfig(enabled=True, remove=True),
    )
    layout = run(remote)
    local = run(remote.model_copy(update={"output": str(tmp_path / "run")}))
    assert isinstance(local.root, Path)
    assert isinstance(layout.root, ObjectPath)
    keys = sorted(key.removeprefix("run/") for key in storage._keys(layout.root))
    files = sorted(
        str(path.relative_to(local.root))
        for path in local.root.rglob("*")
        if path.is_file() and path.name != "run.lock"
    )
    assert keys == files
    for name in files:
        assert (layout.root / name).read_bytes() == (local.root / name).read_bytes(), name
    assert audit(layout, "main") == audit(local, "main")
    reselect(remote, layout, {"rules": {"language_score": {"min": 0.9}}})
    before = read_json(layout.selection("main~1") / "manifest.json")["outcomes"]
    after = read_json(layout.selection("main") / "manifest.json")["outcomes"]
    kept = [sum(outcomes.get("kept", 0) for outcomes in one.values()) for one in (before, after)]
    assert kept[0] > kept[1] > 0
    table = pq.read_table(readable(next(iter(layout.selection("main").glob("clean/*/part-*.parquet")))))
    (explanation,) = explain(layout, "main", table["url"][0].as_py())
    assert explanation.decision["outcome"] == "kept"
    later = remote.model_copy(update={"baseline": (str(layout.root),), "output": "later"})
    assert sorted(configured_baselines(later).rows) == sorted(after)
    done = remove(layout, {"url": [table["url"][0].as_py()]}, purge=True)
    assert (done.documents, len(done.purged)) == (1, 1)
    assert explain(layout, "main", table["url"][0].as_py())[0].decision["outcome"] == "removed"
    assert not list(layout.root.glob("selections/main~1/*"))
    audit(layout, "main")


def test_a_bucket_that_does_not_exist_is_refused_before_any_work(bucket: str) -> None:
    with pytest.raises(ConfigError, match="no-such-bucket"):
        check(RunConfig(inputs=(str(SAMPLES / "crawl-00004.warc.wet.gz"),), output="s3://no-such-bucket/out"))


def test_more_than_a_thousand_objects_are_listed_and_deleted_and_folders_of_like_names_stay(
    bucket: str,
) -> None:
    import obstore

    names = [f"{number:04d}" for number in range(1005)]  # a store lists and deletes a thousand at a time
    store = storage._store(bucket)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: obstore.put(store, f"many/out/{name}", b"x"), names))
    beside = ["many/out2/a", "many/out.partial/a", "many/outer"]
    for key in beside:
        obstore.put(store, key, b"x")
    folder = locate(f"{bucket}/many/out")
    assert storage.names(folder) == names
    assert storage.names(locate(f"{bucket}/many")) == ["out", "out.partial", "out2", "outer"]
    storage.remove_tree(folder)
    assert storage.names(folder) == []
    parent = locate(f"{bucket}/many")
    assert isinstance(parent, ObjectPath)
    assert sorted(storage._keys(parent)) == sorted(beside)
