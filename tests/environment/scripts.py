# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the shell scripts of agent/ and ca/step/ under a line trace, and counts which lines ran."""
import os
import pathlib
import re
import shutil
import subprocess

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
SCRIPTS = ["ca/step/init.sh", "ca/step/jose.sh", "ca/step/token.sh", "ca/step/cert.sh", "ca/step/push.sh", "agent/trust.sh", "agent/environment.sh",
           "agent/entrypoint.sh", "agent/services/cert/run", "agent/services/forwarder/run", "agent/services/agent/run", "agent/services/agent/finish"]
MARK = "\x01"  # begins a trace line; no script prints it


class Tree:
    """A copy of the scripts in which bash runs each of them, because only bash tells file and line. Nothing else is changed."""

    def __init__(self, directory):
        self.top = pathlib.Path(directory) / "tree"
        self.trace = pathlib.Path(directory) / "trace"
        for name in SCRIPTS + ["agent/toolchain.env", "agent/forwarder.cfg"]:
            target = self.top / name
            target.parent.mkdir(parents=True, exist_ok=True)
            text = (TOP / name).read_text()
            target.write_text(re.sub(r"\A#!/bin/sh\n", "#!/bin/bash\n", text))
            shutil.copymode(TOP / name, target)
        # bash takes PS4 from nobody's environment when root runs it, so each script reads this first
        self.prologue = pathlib.Path(directory) / "prologue"
        self.prologue.write_text("case $0 in ./*) started=$PWD/${0#./} ;; *) started= ;; esac\n"  # as a supervisor starts its services
                                 f"BASH_XTRACEFD=9 PS4='+{MARK}${{started:-$BASH_SOURCE}}:${{LINENO}} '\n[ ! -e /dev/fd/9 ] || set -x\n")
        # where the image puts them all
        self.lib = self.top / "lib"
        self.lib.mkdir()
        for name in ["ca/step/cert.sh", "ca/step/push.sh", "agent/trust.sh", "agent/environment.sh", "agent/toolchain.env", "agent/forwarder.cfg"]:
            (self.lib / pathlib.Path(name).name).symlink_to(self.top / name)

    def env(self, **more):
        return dict(os.environ, BASH_ENV=str(self.prologue), SLAPENIR_LIB=str(self.lib), **{k: str(v) for k, v in more.items()})

    def command(self, script, *args):
        # the shell in front opens descriptor 9 without being traced itself
        return ["/bin/dash", "-c", 'exec 9>>"$0"; exec "$@"', str(self.trace), str(self.top / script), *map(str, args)]

    def run(self, script, *args, timeout=60, **env):
        return subprocess.run(self.command(script, *args), env=self.env(**env), capture_output=True, text=True, timeout=timeout)

    def start(self, script, *args, **env):
        return subprocess.Popen(self.command(script, *args), env=self.env(**env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def coverage(self):
        """{script: (lines that ran, lines that can run)}"""
        ran = {}
        for path, line in re.findall(MARK + r"([^:\n]+):(\d+) ", self.trace.read_text(errors="replace")):
            # the supervisor runs copies of the service directories
            service = re.search(r"services/\w+/\w+$", path)
            path = self.top / "agent" / service.group(0) if service else path
            ran.setdefault(os.path.realpath(path), set()).add(int(line))
        table = {}
        for name in SCRIPTS:
            can = executable_lines((self.top / name).read_text())
            table[name] = (len(can & ran.get(os.path.realpath(self.top / name), set())), len(can))
        return table


def executable_lines(text):
    """First lines of simple commands: what a trace can show. Structure words, function heads, here-documents, case patterns and
    continuation lines never appear in one."""
    lines, until, continued = set(), None, False
    for number, line in enumerate(text.split("\n"), 1):
        word = line.strip()
        if until:
            until = None if word == until else until
            continue
        was, continued = continued, word.endswith(("\\", "|", "||", "&&"))
        here = re.search(r"<<-?\s*'?([A-Z]+)'?", word)
        until = here.group(1) if here else None
        if was or not word or word.startswith("#"):
            continue
        if re.fullmatch(r"(then|else|fi|do|done.*|esac|;;|\{|\}.*|\w+\(\) \{.*|[^ ()]+\)|.*\) ?;;)", word) or re.match(r"(elif|shift \d|-\w)", word):
            continue
        lines.add(number)
    return lines
