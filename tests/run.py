#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs tests and counts them.

    tests/run.py [-j N] [--build DIR] [--timeout S] [--all] [FILE...]

FILE is a cmocka program or a python unittest file; --all adds every tests/{integration,failclosed,attack,environment}/test_*.py.
One line per file, the output of those that failed, and last `N passed, N failed` over all test functions. Exit code 0
only when something ran, nothing failed, and every file ended by itself in time."""
import argparse
import concurrent.futures
import glob
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDERS = ("environment", "integration", "failclosed", "attack")  # the longest file first


class Result:
    def __init__(self, name):
        self.name, self.passed, self.failed, self.skipped, self.output, self.seconds = name, 0, 0, [], "", 0.0


def count_unittest(result, status):
    ran = re.findall(r"^Ran (\d+) tests? in", result.output, re.M)
    last = re.findall(r"^(?:OK|FAILED)(?: \((.*)\))?$", result.output, re.M)
    figures = dict(re.findall(r"([a-z ]+?)=(\d+)", last[-1] if last else ""))
    result.failed = sum(int(figures.get(k, 0)) for k in ("failures", "errors", " errors", "unexpected successes"))
    result.skipped = re.findall(r"^(\S+) \(.*\).* \.\.\. skipped '(.*)'$", result.output, re.M)
    result.passed = max(int(ran[-1]) - result.failed - len(result.skipped), 0) if ran else 0
    if status and not result.failed:
        result.failed = 1


def count_cmocka(result, status):
    result.passed = sum(map(int, re.findall(r"^\[  PASSED  \] (\d+) test", result.output, re.M)))
    result.failed = sum(map(int, re.findall(r"^\[  FAILED  \] \S*: (\d+) test", result.output, re.M)))
    result.skipped = [(n, "") for n in re.findall(r"^\[  SKIPPED \] (\S+)$", result.output, re.M)]
    if status and not result.failed:
        result.failed = 1


def run_file(path, build, timeout):
    result = Result(os.path.relpath(path, ROOT) if path.startswith(ROOT) else path)
    python = path.endswith(".py")
    command = ["/usr/bin/python3", "-u", path, "-v"] if python else [path]
    start = time.monotonic()
    # Output goes to a file: a daemon that a test left behind must not keep a pipe open.
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT,
                                 start_new_session=True, env=dict(os.environ, SLAPENIR_BUILD=build))
        try:
            status = child.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGTERM)  # harness.py takes its gateways down on SIGTERM
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
            status = 124
        out.seek(0)
        result.output = out.read().decode(errors="replace")
    if status == 124:
        result.output += f"\n{path}: stopped after {timeout} s\n"
    (count_unittest if python else count_cmocka)(result, status)
    if not result.passed and not result.failed and not result.skipped:
        result.failed, result.output = 1, result.output + f"\n{path}: ran no test\n"
    result.seconds = time.monotonic() - start
    return result


def collect(arguments):
    files = [os.path.abspath(f) for f in arguments.files]
    if arguments.all:
        for folder in FOLDERS:
            files += sorted(glob.glob(f"{ROOT}/tests/{folder}/test_*.py"), reverse=folder == "environment")
    return list(dict.fromkeys(files))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-j", type=int, default=2, metavar="N", help="files at the same time (2)")
    parser.add_argument("--build", default="build", metavar="DIR", help="where slapenir and its module lie (build)")
    parser.add_argument("--timeout", type=int, default=900, metavar="S", help="for each file (900)")
    parser.add_argument("--all", action="store_true", help="add every python test file of the tree")
    parser.add_argument("files", nargs="*", metavar="FILE")
    arguments = parser.parse_args()
    files = collect(arguments)
    results = []
    with concurrent.futures.ThreadPoolExecutor(arguments.j) as pool:
        jobs = [pool.submit(run_file, f, os.path.join(ROOT, arguments.build), arguments.timeout) for f in files]
        for job in concurrent.futures.as_completed(jobs):
            r = job.result()
            results.append(r)
            if r.failed:
                print(f"----- {r.name}\n{r.output.rstrip()}\n-----")
            print(f"{'FAILED' if r.failed else 'ok    '} {r.name}: {r.passed} passed, {r.failed} failed,"
                  f" {len(r.skipped)} skipped in {r.seconds:.1f} s", flush=True)
    for r in sorted(results, key=lambda r: r.name):
        for name, why in r.skipped:
            print(f"skipped {r.name} {name}{': ' + why if why else ''}")
    failing = [r.name for r in results if r.failed]
    if failing:
        print("failing: " + " ".join(sorted(failing)))
    passed, failed = sum(r.passed for r in results), sum(r.failed for r in results)
    skipped = sum(len(r.skipped) for r in results)
    if skipped:
        print(f"{skipped} skipped, named above")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


main()
