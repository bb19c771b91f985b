#!/usr/bin/env bash
# The fuzzer under sanitizers and with Cython's own checks; what is too slow for every test run.
#
#   tests/fuzz/run.sh [N] [parts…]
#
# N mutants of each format (default 20000) in each build. Parts, all of them by default:
#   asan     AddressSanitizer and UndefinedBehaviorSanitizer, gcc
#   cython   boundscheck, wraparound, initializedcheck on
#   tsan     ThreadSanitizer: eight threads load, predict and free one model
#   control  plants a defect in each build: sanitizers and fuzzer must find it
#   plain    the package as it is installed: mutants, every bit of the seed files, long rounds
#
# Everything is built in a temporary folder; the tree stays as it is. PYTHON picks the interpreter,
# which needs numpy, msgpack, Cython, setuptools ≥ 77 and pytest.
set -euo pipefail

cd "$(dirname "$0")/../.."
root=$PWD
python=$(command -v "${PYTHON:-$root/.venv/bin/python}")
count=${1:-20000}
shift || true
parts=${*:-control asan cython tsan plain}
seed=${SEED:-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

step() { printf '\n== %s\n' "$*"; }

# Build a copy of the package in $work/$1, with flags from the environment.
build() { # name [file and sed script of a planted defect]
    mkdir -p "$work/$1"
    cp -r instmodel setup.py pyproject.toml README.md LICENSE "$work/$1/"
    rm -f "$work/$1"/instmodel/*.so
    if [ $# -gt 1 ]; then
        sed -i "$3" "$work/$1/$2"
        ! cmp -s "$2" "$work/$1/$2" || { echo "no defect planted in $2"; exit 1; }
    fi
    (cd "$work/$1" && "$python" setup.py -q build_ext --inplace >build.log 2>&1) ||
        { tail -30 "$work/$1/build.log"; exit 1; }
}

# The compiler's runtime must be loaded before everything else.
runtime() { gcc -print-file-name="lib$1.so"; }

build_asan() {
    CC=gcc CFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all" \
        LDFLAGS="-fsanitize=address,undefined" build "$@"
}

# CPython never frees some of what it allocates: detect_leaks=0. PYTHONMALLOC: no pools, in which an
# overflow would go unseen.
under_asan() { # name, arguments of Python
    local name=$1
    shift
    env PYTHONPATH="$work/$name" PYTHONMALLOC=malloc LD_PRELOAD="$(runtime asan) $(runtime ubsan)" \
        ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:abort_on_error=1 \
        UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
        "$python" "$@"
}

run_asan() { # name, arguments of run.py
    local name=$1
    shift
    under_asan "$name" tests/fuzz/run.py "$@" --seed "$seed" --memory 0 --hang 120
}

build_tsan() {
    CC=gcc CFLAGS="-O1 -g -fsanitize=thread" LDFLAGS="-fsanitize=thread" build "$@"
}

run_tsan() { # name
    env PYTHONPATH="$work/$1" LD_PRELOAD="$(runtime tsan)" \
        TSAN_OPTIONS="halt_on_error=0:exitcode=66:suppressions=$root/tests/fuzz/tsan.supp" \
        "$python" tests/fuzz/threads.py
}

must_fail() { # what, command…
    local what=$1
    shift
    if "$@" >"$work/control.log" 2>&1; then
        cat "$work/control.log"
        echo "the planted defect went unseen: $what"
        exit 1
    fi
    grep -m1 -E "$what" "$work/control.log" || { tail -20 "$work/control.log"; exit 1; }
}

for part in $parts; do
    case $part in
    control)
        step "planted defects"
        build_asan bad1 instmodel/_engine.pyx 's/0, rows \* T \* sizeof(float))/0, (rows + 1) * T * sizeof(float))/'
        must_fail "heap-buffer-overflow" run_asan bad1 300 --kind json --corpus "$work/crashers"
        build_tsan bad2 instmodel/csrc/atomic.h 's/__atomic_compare_exchange_n([^;]*);/((*p == *expected) ? (*p = n, 1) : (*expected = *p, 0));/'
        must_fail "data race" run_tsan bad2
        ;;
    asan)
        step "AddressSanitizer and UBSan: $count mutants of each format"
        build_asan asan
        run_asan asan "$count"
        # Mutants are too small to be hashed side by side.
        (cd "$work/asan" && under_asan asan -m pytest -q -p no:cacheprovider "$root/tests/machine/test_sha256.py")
        ;;
    cython)
        step "Cython's checks: $count mutants of each format"
        INSTMODEL_CHECKED=1 build cython
        PYTHONPATH="$work/cython" "$python" tests/fuzz/run.py "$count" --seed "$seed" --hang 60
        ;;
    tsan)
        step "ThreadSanitizer: eight threads, one model"
        build_tsan tsan
        run_tsan tsan
        ;;
    plain)
        step "the package as it is: $count mutants of each format"
        "$python" tests/fuzz/run.py "$count" --seed "$seed"
        step "every prefix and every bit of the seed files"
        FUZZ_ALL=1 "$python" -m pytest -q --timeout=0 tests/formats/test_fuzz.py -k "prefixes or flipped"
        step "every allocation; memory over 100,000 rounds, 2000 forks"
        FAULTS_ALL=1 "$python" -m pytest -q --timeout=0 tests/model/test_faults.py
        ;;
    *)
        echo "no such part: $part" >&2
        exit 2
        ;;
    esac
done
