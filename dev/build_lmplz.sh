#!/bin/sh
# Build KenLM's lmplz, build_binary and query, which `pipeline.training.language_models` calls to train language models.
#
#   dev/build_lmplz.sh [BUILD_FOLDER]        (or: make lmplz)
#
# BUILD_FOLDER is build/kenlm of this repository unless given; the programs go to BUILD_FOLDER/bin, where
# `pipeline.training.language_models` looks (it also looks in $GLOTMILL_LMPLZ_DIR and on the PATH). The source is the sdist of the
# registry package kenlm 0.3.0, whose Python module reads the models; Debian has no package of it.
# Environment: PYTHON (python3), JOBS (2), KENLM_SDIST (a downloaded kenlm-0.3.0.tar.gz, to work offline).
set -eu

version=0.3.0
repository=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$repository/build/kenlm}
python=${PYTHON:-python3}
jobs=${JOBS:-2}

missing=""
need() { # need PACKAGE TEST...: remember the package if the test fails
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}
header() { printf '#include <%s>\nint main() { return 0; }\n' "$1" | g++ -x c++ -fsyntax-only -; }
need cmake command -v cmake
need make command -v make
need g++ command -v g++
if command -v g++ >/dev/null 2>&1; then
    need libboost-program-options-dev header boost/program_options.hpp
    need libboost-system-dev header boost/system/error_code.hpp
    need libboost-thread-dev header boost/thread.hpp
    need libboost-test-dev header boost/test/unit_test.hpp
    need zlib1g-dev header zlib.h
    need libbz2-dev header bzlib.h
    need liblzma-dev header lzma.h
fi
if [ -n "$missing" ]; then
    echo "build_lmplz.sh: these Debian packages are missing:$missing" >&2
    echo "  apt-get update && apt-get install -y$missing" >&2
    exit 1
fi

mkdir -p "$build/bin"
sdist=${KENLM_SDIST:-$build/kenlm-$version.tar.gz}
if [ ! -f "$sdist" ]; then
    "$python" -m pip download --quiet --no-deps --no-binary kenlm -d "$build" "kenlm==$version" || {
        echo "build_lmplz.sh: cannot download kenlm==$version; put its sdist at $sdist or name it in KENLM_SDIST" >&2
        exit 1
    }
fi
rm -rf "$build/kenlm-$version"
tar xzf "$sdist" -C "$build"
cmake -S "$build/kenlm-$version" -B "$build/cmake" -DCMAKE_BUILD_TYPE=Release -DKENLM_MAX_ORDER=6 >"$build/cmake.log" 2>&1 || {
    tail -n 30 "$build/cmake.log" >&2
    exit 1
}
make -C "$build/cmake" -j"$jobs" lmplz build_binary query >"$build/make.log" 2>&1 || {
    tail -n 30 "$build/make.log" >&2
    exit 1
}
for program in lmplz build_binary query; do
    cp "$build/cmake/bin/$program" "$build/bin/$program"
done
echo "built $(cd "$build/bin" && pwd)/{lmplz,build_binary,query}"
