#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# fault: one of two workers stops (SIGSTOP): its connections stay open, and it answers nothing
# promise: no request takes 3 s longer than usual, and the worker is replaced
# without: spoa/pool.c s/kill(m->pid, SIGKILL);/(void)0;/
# shellcheck source=lib.sh disable=SC2046,SC2086,SC2154 # process ids are words, lib.sh sets state
. "$(dirname "$0")/lib.sh"

gateway_up
start=$SECONDS
promise "before" always 5 served
# on a busy machine a request takes its time without any fault, too
export LIMIT=$((3 + (SECONDS - start) / 5))
victim=$(worker)
stop "$victim"
promise "twenty requests, none slower than 3 s more" always 20 served
promise "the silent worker is killed" eventually 3 gone "$victim"
promise "... and replaced" eventually 3 two_workers
