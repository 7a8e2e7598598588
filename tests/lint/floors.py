#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The floors of spoa/: a file includes only files of its own floor or lower ones, and floors 0 to 3 know neither libev nor
HAProxy, which is what lets tests run them without a server. A file that is in no floor is an error: put it into one."""
import fnmatch
import glob
import re

FLOORS = [  # by module name; the first pattern that fits
    (0, "buf log json clock vector"),
    (1, "ac* hostname path registry token_edit spelling* shape* carry* prefilter* placeholder token_formats frame exchange secret state report refusal key"
        " dial config* tokens tree yaml* stage runtime leaf audit audit_record suspended ipc process spread simd* scan* notify framing home"),
    (2, "policy* rewrite* ledger audit_ledger audit_log catalogue* limits grant* judge scope head_rewrite head_name trips"),
    (3, "session agent* render generations* explain* quick_policy toolchain"),
    (4, "conn gateway jail sandbox*"),
    (5, "server listen worker pool master rollout status control* auditor watchdog supervise* log_sock* private_gateway"),
    (6, "main verbs verb_*"),
]


def floor_of(module):
    for floor, patterns in FLOORS:
        if any(fnmatch.fnmatch(module, p) for p in patterns.split()):
            return floor
    return None


for path in sorted(glob.glob("spoa/*.[ch]")):
    module = path[len("spoa/"):-2]
    floor = floor_of(module)
    if floor is None:
        print(f"{path}:1: is on no floor; put its module into tests/lint/floors.py")
        continue
    with open(path) as f:
        for number, line in enumerate(f, 1):
            local = re.match(r'#include "(?:.*/)?(\w+)\.h"', line)
            if local:
                other = floor_of(local[1])
                if other is not None and other > floor:
                    print(f"{path}:{number}: floor {floor} includes {local[1]}.h of floor {other}")
            if floor <= 3 and re.match(r"#include <(ev\.h|haproxy/)", line):
                print(f"{path}:{number}: floor {floor} must not know {line.split('<')[1].strip('>').strip()}")

for path in sorted(glob.glob("haproxy/filter/*.[ch]")):
    with open(path) as f:
        for number, line in enumerate(f, 1):
            local = re.match(r'#include "(\w+)\.h"', line)
            if local and glob.glob(f"spoa/{local[1]}.h") and floor_of(local[1]) not in (0, 1):
                print(f"{path}:{number}: the filter links only floors 0 and 1 of spoa/, not {local[1]}.h")
