# SPDX-License-Identifier: GPL-2.0-or-later
"""The real step-ca: built once from the distribution's package, started for a test, stopped by its pid."""
import fcntl
import os
import pathlib
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
GOCODE = pathlib.Path("/usr/share/gocode")


def build(into):
    """Returns the program's path, or None where the package is not installed."""
    program = pathlib.Path(into) / "step-ca"
    if program.exists():
        return program
    if not (GOCODE / "src/github.com/smallstep/certificates").is_dir():
        return None
    with open(pathlib.Path(into) / "step-ca.lock", "w") as lock:  # test files run side by side
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            compile_it(pathlib.Path(into), program)
    return program


def compile_it(into, program):
    gopath = into / "gopath"
    source = gopath / "src/stepca"
    source.mkdir(parents=True, exist_ok=True)
    (source / "main.go").write_text((HERE / "stepca/main.go").read_text())
    env = dict(os.environ, GO111MODULE="off", GOPATH=f"{gopath}:{GOCODE}", GOFLAGS="-trimpath", GOCACHE=str(gopath / "cache"))
    subprocess.run(["go", "build", "-o", f"{program}.new", "."], cwd=source, env=env, check=True, capture_output=True)
    os.rename(f"{program}.new", program)


class StepCA:
    def __init__(self, program, directory, port, password):
        self.directory, self.port, self.password = directory, port, password
        self.url = f"https://localhost:{port}"
        self.root = directory / "root.crt"
        self.log = open(directory / "log", "ab")
        self.process = subprocess.Popen([program, "--password-file", password, directory / "ca.json"], stdout=self.log, stderr=self.log)

    def wait(self, seconds=20):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            if subprocess.run(["curl", "-sf", "-m", "2", "--cacert", self.root, f"{self.url}/health"], capture_output=True).returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError("step-ca does not serve: " + (self.directory / "log").read_text()[-500:])

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)
        self.log.close()
