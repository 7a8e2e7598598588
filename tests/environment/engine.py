# SPDX-License-Identifier: GPL-2.0-or-later
"""A Docker engine of the test's own, and images that need no registry: Debian by debootstrap and `docker import`."""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

# What the three Dockerfiles install, so that their own apt-get finds it done; and what the sandbox's tests use.
PACKAGES = ("build-essential ca-certificates cargo curl default-jdk-headless dpkg-dev gh git golang-go haproxy libev-dev libev4 liblua5.3-dev libpcre2-dev libseccomp-dev libseccomp2 libssl-dev "
            "libssl3 libyaml-0-2 libyaml-dev make node-undici nodejs openssl pkg-config procps python3 python3-pip python3-requests s6 socat "
            "xz-utils bash").split()


def free_net():
    """Two bytes of addresses that nothing on this machine has: neither another engine nor another run of this test."""
    used = subprocess.run(["ip", "-4", "route", "show", "table", "all"], capture_output=True, text=True, check=True).stdout
    return next(net for net in (f"10.{n}" for n in range(213, 1, -1)) if net + "." not in used)


class Engine:
    def __init__(self, directory):
        self.dir = pathlib.Path(directory)
        self.socket = self.dir / "docker.sock"
        self.host = f"unix://{self.socket}"
        self.net = free_net()
        self.env = dict(os.environ, DOCKER_HOST=self.host, DOCKER_BUILDKIT="0", COMPOSE_DOCKER_CLI_BUILD="0", COMPOSE_PROJECT_NAME="slapenir-test",
                        TEST_NET=self.net)

    def missing(self):
        """None, or why no engine can be started here."""
        if os.geteuid() != 0:
            return "starting a Docker engine needs root"
        for program, package in (("dockerd", "docker.io"), ("docker-compose", "docker-compose"), ("debootstrap", "debootstrap")):
            if not shutil.which(program):
                return f"{program} is missing: install {package}"
        return None

    def start(self):
        self.dir.mkdir(parents=True, exist_ok=True)
        self.log = open(self.dir / "log", "wb")
        self.process = subprocess.Popen(["dockerd", "--data-root", self.dir / "data", "--exec-root", self.dir / "exec", "--pidfile", self.dir / "pid",
                                         "-H", self.host, "--bip", f"{self.net}.0.1/24", "--default-address-pool", f"base={self.net}.16.0/20,size=24"],
                                        stdout=self.log, stderr=self.log, start_new_session=True)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.docker("version", check=False).returncode == 0:
                return
            time.sleep(0.2)
        raise RuntimeError("dockerd does not start: " + (self.dir / "log").read_text(errors="replace")[-800:])

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()

    def docker(self, *args, check=True, timeout=600, **kw):
        kw.setdefault("capture_output", True)
        kw.setdefault("text", True)
        return subprocess.run(["docker", *map(str, args)], env=self.env, check=check, timeout=timeout, **kw)

    def base_image(self, name, cache):
        """Debian with all packages; the root file system is kept in `cache` for the next run."""
        if self.docker("image", "inspect", name, check=False).returncode == 0:
            return
        archive = pathlib.Path(cache) / "bookworm.tar"
        if not archive.exists():
            make_root(archive)
        self.docker("import", archive, name)


def make_root(archive):
    """In memory where there is room: dpkg syncs after each file, which makes it many times slower on a disk."""
    memory = pathlib.Path("/dev/shm")
    there = memory if shutil.disk_usage(memory).free > 4 << 30 else archive.parent
    with tempfile.TemporaryDirectory(prefix="slapenir-root-", dir=there) as root:
        made = subprocess.run(["debootstrap", "--variant=minbase", "--include=" + ",".join(PACKAGES), "bookworm", root, *mirror_of_this_machine()],
                              capture_output=True, text=True)
        if made.returncode:
            raise RuntimeError("debootstrap: " + made.stdout[-800:] + made.stderr[-800:])
        copy_sources(pathlib.Path(root))
        subprocess.run(["tar", "-C", root, "-cf", archive.with_suffix(".part"), "."], check=True)
    archive.with_suffix(".part").rename(archive)


def mirror_of_this_machine():
    """The mirror that apt uses here, as debootstrap wants it."""
    said = subprocess.run(["apt-get", "indextargets", "--format", "$(SITE) $(CODENAME)", "Created-By: Packages"], capture_output=True, text=True).stdout
    for line in said.splitlines():
        site, _, codename = line.partition(" ")
        if codename == "bookworm":
            return [site]
    return []


def copy_sources(root):
    """The containers install from where this machine does."""
    apt = pathlib.Path("/etc/apt")
    for path in [apt / "sources.list", *(apt / "sources.list.d").glob("*")]:
        if path.is_file() and path.suffix in (".list", ".sources") and "debian" in path.name + path.read_text(errors="replace")[:400]:
            shutil.copy(path, root / path.relative_to("/"))
    if (apt / "sources.list.d/debian.sources").exists():
        (root / "etc/apt/sources.list").write_text("")
