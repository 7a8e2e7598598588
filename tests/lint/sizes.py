#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Sizes of files and functions: C files under 700 lines with a median under 300, functions under 100 lines with nine of ten
under 60. A function begins at a `{` in the first column and ends at the `}` below it."""
import glob
import statistics

FILE_MAX, FILE_MEDIAN, FUNCTION_MAX, FUNCTION_P90 = 700, 300, 100, 60

files, functions = [], []
for path in sorted(glob.glob("spoa/*.c") + glob.glob("haproxy/filter/*.c")):
    with open(path) as f:
        lines = f.read().split("\n")
    files.append((len(lines), path))
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            functions.append((number - start - 1, f"{path}:{start}"))
            start = None

for size, path in files:
    if size > FILE_MAX:
        print(f"{path}:1: {size} lines; split it ({FILE_MAX} at most)")
for size, where in functions:
    if size > FUNCTION_MAX:
        print(f"{where}: a function of {size} lines ({FUNCTION_MAX} at most)")
median = statistics.median(size for size, _ in files)
if median > FILE_MEDIAN:
    print(f"spoa:0: the median file has {median:.0f} lines ({FILE_MEDIAN} at most)")
p90 = sorted(size for size, _ in functions)[len(functions) * 9 // 10]
if p90 > FUNCTION_P90:
    print(f"spoa:0: nine of ten functions are under {p90} lines ({FUNCTION_P90} at most)")
