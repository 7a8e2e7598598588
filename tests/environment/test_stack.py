#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""docker-compose.yml for real: the stack comes up, and everything below is tried from inside the sandbox's container."""
import hashlib
import json
import os
import pathlib
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import engine
import stepca

TOP = stepca.TOP
CACHE = TOP / "build" / "environment"
REAL = "sk-ant-api03-" + secrets.token_hex(40)


def wheel(directory):
    """A package with a shared library of its own, tagged for glibc: it can be installed and imported on a manylinux system only."""
    source = directory / "answer.c"
    source.write_text("#include <gnu/libc-version.h>\nint answer(void) { return gnu_get_libc_version()[0] == '2' ? 42 : 0; }\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", directory / "answer.so", source], check=True)
    index = directory / "files/simple/answer"
    index.mkdir(parents=True)
    name = "answer-1.0-py3-none-manylinux_2_17_x86_64.whl"
    with zipfile.ZipFile(index / name, "w") as z:
        z.write(directory / "answer.so", "answer/answer.so")
        z.writestr("answer/__init__.py", "import ctypes, os\nvalue = ctypes.CDLL(os.path.join(os.path.dirname(__file__), 'answer.so')).answer()\n")
        z.writestr("answer-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: answer\nVersion: 1.0\n")
        z.writestr("answer-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: py3-none-manylinux_2_17_x86_64\n")
        z.writestr("answer-1.0.dist-info/RECORD", "".join(f"{n},,\n" for n in ("answer/answer.so", "answer/__init__.py", "answer-1.0.dist-info/METADATA",
                                                                               "answer-1.0.dist-info/WHEEL", "answer-1.0.dist-info/RECORD")))
    (index / "index.html").write_text(f'<a href="{name}">{name}</a>')


def repository(directory):
    work, bare = directory / "work", directory / "files/repo.git"
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t.test", "-C"]
    subprocess.run(["git", "init", "-q", work], check=True)
    (work / "readme").write_text("hello from the repository\n")
    (work / "Cargo.toml").write_text('[package]\nname = "answer"\nversion = "0.1.0"\n')
    (work / "src").mkdir()
    (work / "src/lib.rs").touch()
    subprocess.run([*git, work, "add", "."], check=True)
    subprocess.run([*git, work, "commit", "-qm", "one"], check=True)
    subprocess.run(["git", "clone", "-q", "--bare", work, bare], check=True)
    subprocess.run(["git", "-C", bare, "update-server-info"], check=True)


def apt_repository(directory):
    """A flat one; a Release file is what apt asks for first."""
    index = directory / "files/debian"
    index.mkdir()
    packages = b"Package: answer\nVersion: 1.0\nArchitecture: all\nMaintainer: t <t@t.test>\nFilename: ./answer.deb\nSize: 1\nSHA256: " + b"0" * 64 + b"\nDescription: test\n"
    (index / "Packages").write_bytes(packages)
    (index / "Release").write_text(f"Date: Mon, 02 Nov 2026 00:00:00 UTC\nSHA256:\n {hashlib.sha256(packages).hexdigest()} {len(packages)} Packages\n")


class Stack(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tmp = tempfile.mkdtemp(prefix="stack-")
        cls.addClassCleanup(shutil.rmtree, cls.tmp, ignore_errors=True)
        cls.dir = pathlib.Path(cls.tmp)
        cls.dir.chmod(0o711)
        cls.engine = engine.Engine(cls.dir / "engine")
        why = cls.engine.missing()
        if why:
            raise unittest.SkipTest(why)
        CACHE.mkdir(parents=True, exist_ok=True)
        program = stepca.build(CACHE)
        if program is None:
            raise unittest.SkipTest("step-ca cannot be built: install golang-github-smallstep-certificates-dev and golang-go")
        cls.engine.start()
        cls.addClassCleanup(cls.engine.stop)
        cls.engine.base_image("base:test", CACHE)
        cls.ca_image(program)
        cls.material()
        cls.env = dict(cls.engine.env, SECRETS=str(cls.secrets), TEST_DIR=str(cls.dir), STEP_CA_IMAGE="step-ca:test", PUBLISH="127.0.0.1:0", SPOA_BASE="base:test",
                       HAPROXY_BASE="base:test", AGENT_BASE="base:test", AGENT_NPM="no")
        cls.addClassCleanup(cls.compose, "down", "-v", "-t", "5", check=False)
        cls.compose("build", "render", "haproxy", "agent", timeout=900)
        cls.compose("up", "-d", "--scale", "spoa=4", timeout=300, check=False)
        cls.until(lambda: cls.health("agent") == "healthy", 90, cls.complaint)

    @classmethod
    def ca_image(cls, program):
        context = cls.dir / "ca-image"
        context.mkdir()
        shutil.copy(program, context / "step-ca")
        (context / "Dockerfile").write_text("FROM base:test\nCOPY step-ca /usr/local/bin/step-ca\n")
        cls.engine.docker("build", "-t", "step-ca:test", context)

    @classmethod
    def material(cls):
        cls.secrets = cls.dir / "secrets"
        subprocess.run([TOP / "ca/step/secrets.sh", cls.secrets], check=True, capture_output=True)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", cls.dir / "upstream.key", "-out",
                        cls.secrets / "upstream.crt", "-days", "2", "-subj", "/CN=upstream", "-addext",
                        "subjectAltName=DNS:api.stack.test,DNS:index.stack.test"], check=True, capture_output=True)
        (cls.secrets / "upstream.crt").chmod(0o644)
        (cls.secrets / "real_tokens").write_text(f"API_KEY={REAL}\n")
        (cls.secrets / "policy.yaml").write_text("""secrets:
  API_KEY: { file: real_tokens, hosts: [api.stack.test] }
hosts:
  api.stack.test: { connect: "NET.9.10:443", ca: upstream.crt }
  index.stack.test: { connect: "NET.9.10:443", ca: upstream.crt }
agents:
  agent-1: { secrets: all }
""".replace("NET", cls.engine.net))
        (cls.dir / "files").mkdir()
        shutil.copy(TOP / "tests/environment/stack_upstream.py", cls.dir / "upstream.py")
        wheel(cls.dir)
        repository(cls.dir)
        apt_repository(cls.dir)
        # npm as npm ships it: Debian's is some hundred packages
        (cls.dir / "npm").mkdir()
        if shutil.which("npm"):
            subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", cls.dir / "npm", "npm@9"], check=False, capture_output=True)

    @classmethod
    def compose(cls, *args, check=True, timeout=120):
        command = ["docker-compose", "-f", TOP / "docker-compose.yml", "-f", TOP / "tests/environment/compose.test.yml", *args]
        ran = subprocess.run(list(map(str, command)), env=cls.env, cwd=TOP, capture_output=True, text=True, timeout=timeout)
        if check and ran.returncode:
            raise RuntimeError(f"docker-compose {' '.join(args)}: " + ran.stdout[-2500:] + ran.stderr[-1500:])
        return ran

    @classmethod
    def container(cls, service, index=0):
        ids = cls.compose("ps", "-q", service).stdout.split()
        return ids[index] if len(ids) > index else ""

    @classmethod
    def health(cls, service):
        ident = cls.container(service)
        if not ident:
            return "absent"
        return cls.engine.docker("inspect", "-f", "{{if .State.Health}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}", ident).stdout.strip()

    @classmethod
    def complaint(cls):
        said = cls.compose("ps", check=False).stdout
        for service in ("ca", "render", "spoa", "haproxy", "agent"):
            said += f"\n--- {service} ---\n" + cls.compose("logs", "--no-color", "--tail", "25", service, check=False).stdout
        return "the stack does not come up\n" + said

    @classmethod
    def until(cls, condition, seconds, complaint):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition():
                return
            time.sleep(0.5)
        raise RuntimeError(complaint() if callable(complaint) else complaint)

    def inside(self, script, user="agent", timeout=60):
        """Runs a script in the sandbox as the agent would, with the environment that its service has."""
        prologue = 'set -a; eval "$(SLAPENIR_LIB=/usr/local/lib/slapenir /usr/local/lib/slapenir/environment.sh)"; set +a; cd /home/agent; export HOME=/home/agent; '
        command = prologue + ("exec bash -c " if user == "root" else f"exec s6-setuidgid {user} bash -c ") + '"$SCRIPT"'
        return self.engine.docker("exec", "-e", "SCRIPT=" + script, self.container("agent"), "bash", "-c", command, check=False, timeout=timeout)

    def seen(self, path):
        rows = [json.loads(line) for line in (self.dir / "files/seen").read_text().splitlines()]
        return [headers for p, headers in rows if p == path]

    # --- the purpose ---

    def test_curl__placeholder__upstream_gets_the_secret_and_the_agent_its_placeholder(self):
        said = self.inside('curl -sS -H "Authorization: Bearer $API_KEY" https://api.stack.test/echo/curl; echo; echo "$API_KEY"')
        self.assertEqual(said.returncode, 0, said.stderr)
        body, placeholder = said.stdout.strip().split("\n")
        self.assertTrue(placeholder.startswith("sk-ant-"))
        self.assertEqual(json.loads(body)["authorization"], f"Bearer {placeholder}")
        self.assertEqual({h["authorization"] for h in self.seen("/echo/curl")}, {f"Bearer {REAL}"})
        self.assertNotIn(REAL, said.stdout + said.stderr)

    def test_unlisted_host__is_refused_with_the_code(self):
        said = self.inside("curl -sS -i https://other.stack.test/ 2>&1")
        self.assertIn("host_denied", said.stdout)

    def test_secret__is_nowhere_in_the_sandbox(self):
        said = self.inside(f"grep -rlF '{REAL[20:]}' /home /etc /run /tmp /proc/[0-9]*/environ 2>/dev/null", user="root")
        # the searching shell itself holds the pattern
        self.assertEqual([p for p in said.stdout.split() if "/proc/" not in p], [])

    def test_real_tokens__only_spoa_has_them(self):
        for service, has in (("spoa", True), ("haproxy", False), ("render", False), ("agent", False), ("ca", False)):
            found = self.engine.docker("exec", "-u", "root", self.container(service), "sh", "-c", "test -e /run/secrets/real_tokens", check=False).returncode == 0
            self.assertEqual(found, has, service)

    # --- every tool chain ---

    def tool(self, script, expect, timeout=90):
        said = self.inside(script, timeout=timeout)
        self.assertEqual(said.returncode, 0, said.stdout[-600:] + said.stderr[-600:])
        self.assertIn(expect, said.stdout)

    def test_python_urllib__through_the_gateway(self):
        self.tool("""python3 -c "import urllib.request as u; print(u.urlopen('https://api.stack.test/echo/urllib').read().decode())" """, '"host"')

    def test_python_requests__through_the_gateway(self):
        self.tool("""python3 -c "import os,requests; r=requests.get('https://api.stack.test/echo/requests', headers={'x-api-key': os.environ['API_KEY']}); print(r.text)" """,
                  '"x-api-key"')
        self.assertEqual(self.seen("/echo/requests")[-1].get("x-api-key"), REAL)

    def npm(self):
        if not (self.dir / "npm/node_modules/npm").is_dir():
            self.skipTest("npm could not be had: no npm on this machine, or its registry is out of reach")

    def test_node_fetch__through_the_gateway(self):
        self.tool("""node -e "fetch('https://api.stack.test/echo/node').then(r => r.text()).then(console.log)" """, '"host"')

    def test_git_clone__through_the_gateway(self):
        self.tool("rm -rf c && git clone -q https://index.stack.test/repo.git c && cat c/readme", "hello from the repository")

    def test_npm_ping__through_the_gateway(self):
        self.npm()
        self.tool("/opt/npm/node_modules/.bin/npm ping --registry=https://index.stack.test/ 2>&1", "PONG")

    def test_gcc__compiles_and_runs(self):
        self.tool("printf 'int main(void){return 0;}' > a.c && gcc a.c -o a.out && ./a.out && echo compiled", "compiled")

    def test_pip__manylinux_wheel__is_installed_and_imported(self):
        self.tool("rm -rf w && pip install -q --break-system-packages --no-cache-dir --target w --index-url https://index.stack.test/simple/ answer && "
                  "PYTHONPATH=w python3 -c 'import answer; print(answer.value)'", "42", timeout=120)

    def test_java__through_the_gateway(self):
        self.tool("""cat > Get.java <<'X'
import java.net.URL;
public class Get {
    public static void main(String[] a) throws Exception {
        System.out.println(new String(new URL(a[0]).openStream().readAllBytes()));
    }
}
X
java Get.java https://api.stack.test/echo/java""", '"host"')

    def test_go__through_the_gateway(self):
        self.tool("""mkdir -p goget && cat > goget/main.go <<'X'
package main

import (
	"io"
	"net/http"
	"os"
)

func main() {
	answer, err := http.Get(os.Args[1])
	if err != nil {
		panic(err)
	}
	io.Copy(os.Stdout, answer.Body)
}
X
cd goget && GOFLAGS=-mod=mod GOCACHE=/home/agent/go-cache go run main.go https://api.stack.test/echo/go""", '"host"')

    def test_cargo__dependency_from_git__through_the_gateway(self):
        self.tool("""rm -rf crate && mkdir -p crate/src && cd crate && touch src/lib.rs && cat > Cargo.toml <<'X'
[package]
name = "crate"
version = "0.1.0"
[dependencies]
answer = { git = "https://index.stack.test/repo.git" }
X
CARGO_HOME=/home/agent/cargo cargo fetch && cat /home/agent/cargo/git/checkouts/*/*/readme""", "hello from the repository")

    def test_gh__through_the_gateway__with_a_placeholder_for_a_token(self):
        self.tool("GH_HOST=api.stack.test GH_ENTERPRISE_TOKEN=$API_KEY gh api https://api.stack.test/echo/gh", '"authorization"')
        self.assertEqual({h.get("authorization", h.get("Authorization")) for h in self.seen("/echo/gh")}, {f"token {REAL}"})

    def test_apt__through_the_gateway(self):
        self.tool("""mkdir -p apt/lists/partial apt/cache/archives/partial && echo 'deb [trusted=yes] https://index.stack.test/debian ./' > apt/list &&
apt-get -o Dir::State=$PWD/apt -o Dir::State::lists=$PWD/apt/lists -o Dir::State::status=/dev/null -o Dir::Cache=$PWD/apt/cache \
    -o Dir::Etc::sourcelist=$PWD/apt/list -o Dir::Etc::sourceparts=/dev/null -o Debug::NoLocking=1 update &&
cat apt/lists/*Packages""", "Package: answer")

    # --- no way around ---

    def test_isolation__as_root__nothing_but_the_gateway_can_be_reached(self):
        attempts = {
            "direct address": f"curl -m 5 -sk --noproxy '*' https://{self.engine.net}.9.10/echo/direct",
            "direct name": "curl -m 5 -sk --noproxy '*' https://api.stack.test/echo/direct",
            "NO_PROXY": "NO_PROXY='*' no_proxy='*' curl -m 5 -sk https://api.stack.test/echo/direct",
            "public address": "curl -m 5 -sk --noproxy '*' https://1.1.1.1/",
            "metadata": "curl -m 5 -s --noproxy '*' http://169.254.169.254/",
            "IPv6": "curl -m 5 -6 -sk --noproxy '*' 'https://[2606:4700:4700::1111]/'",
            "the machine": f"curl -m 5 -sk --noproxy '*' http://{self.engine.net}.16.1/ || curl -m 5 -sk --noproxy '*' http://{self.engine.net}.9.1/",
            "the agent's port": "timeout 5 bash -c ': < /dev/tcp/spoa/9443'",
            "the agent by address": "timeout 5 bash -c ': < /dev/tcp/" + self.address("spoa", "backplane") + "/9443'",
            "another port of the gateway": "timeout 5 bash -c ': < /dev/tcp/haproxy/80'",
            "DNS of the world": "timeout 10 getent hosts example.org",
            "DNS over a chosen server": "timeout 5 python3 -c \"import socket; s=socket.socket(2,2); s.settimeout(3); s.sendto(b'xx\\x01\\x00\\x00\\x01'+b'\\x00'*6+b'\\x07example\\x03org\\x00\\x00\\x01\\x00\\x01',('9.9.9.9',53)); s.recv(512)\"",
            "raw socket": "python3 -c \"import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)\"",
            "packet socket": "python3 -c \"import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\"",
        }
        for name, attempt in attempts.items():
            with self.subTest(name):
                said = self.inside(attempt, user="root")
                self.assertNotEqual(said.returncode, 0, f"{name} succeeded: {said.stdout[:300]}")
        self.assertEqual(self.seen("/echo/direct"), [])
        self.assertEqual(self.inside("curl -sS https://api.stack.test/echo/still").returncode, 0, "and through the gateway it works")

    def address(self, service, network, index=0):
        shown = json.loads(self.engine.docker("inspect", self.container(service, index)).stdout)[0]
        return next(v["IPAddress"] for k, v in shown["NetworkSettings"]["Networks"].items() if k.endswith(network))

    def test_other_client__of_the_ca_but_not_of_the_policy__gets_nothing(self):
        """A certificate of the stack's own CA whose name the policy does not list."""
        said = self.engine.docker("exec", self.container("haproxy"), "sh", "-c",
                                  "curl -sS -m 10 -i -x https://localhost:443 --proxy-cacert /etc/slapenir/root.crt --proxy-cert /run/slapenir/tls/haproxy.crt "
                                  "--proxy-key /run/slapenir/tls/haproxy.key https://api.stack.test/echo/other 2>&1", check=False)
        self.assertIn("agent_unknown", said.stdout)
        self.assertEqual(self.seen("/echo/other"), [])

    # --- the stack itself ---

    def test_scale__haproxy_has_found_all_four(self):
        def up():
            said = self.engine.docker("exec", self.container("haproxy"), "sh", "-c", "echo show servers state spoa | socat - /run/slapenir/stats.sock").stdout
            return sum(1 for line in said.splitlines() if re.match(r"\d+ spoa \d+ spoa\d+ 10\.\S+ 2 ", line))
        self.until(lambda: up() == 4, 20, lambda: f"{up()} of 4 agents are up")

    def test_renewal__of_an_agents_certificate_for_spop__is_taken_by_the_running_agent(self):
        """By hand what `cert.sh watch` does at two thirds of the life: renew, then the hook of agent.sh."""
        spoa = self.container("spoa", 2)
        def served():
            said = self.engine.docker("exec", self.container("haproxy"), "sh", "-c",
                                      f"openssl s_client -connect {self.address('spoa', 'backplane', 2)}:9443 -cert /run/slapenir/tls/haproxy.crt "
                                      "-key /run/slapenir/tls/haproxy.key < /dev/null 2>/dev/null | openssl x509 -noout -serial", check=False)
            return said.stdout
        before = served()
        self.assertIn("serial=", before)
        hook = re.search(r'^CERT_HOOK="([^"]*)"', (TOP / "haproxy/stack/agent.sh").read_text(), re.M).group(1).replace("$$", "1")
        self.engine.docker("exec", spoa, "sh", "-c", "/usr/share/slapenir/stack/cert.sh renew /var/lib/slapenir/tls spoa && " + hook)
        self.until(lambda: "serial=" in served() and served() != before, 20, "the agent serves the old certificate")

    def test_kill_one_spoa__requests_go_on(self):
        victim = self.container("spoa", 1)
        self.engine.docker("kill", victim)
        try:
            for i in range(20):
                said = self.inside(f'curl -sS -m 10 -H "Authorization: Bearer $API_KEY" https://api.stack.test/echo/kill{i}')
                self.assertEqual(said.returncode, 0, said.stderr)
                self.assertEqual(self.seen(f"/echo/kill{i}")[-1]["authorization"], f"Bearer {REAL}")
        finally:
            self.engine.docker("start", victim)

    def test_zz_audit__outlives_the_container_and_holds_names_only(self):
        """Late, because the end of a request may come to another agent: then the one that has put the secret in writes it down after 60 s."""
        self.inside('curl -sS -H "Authorization: Bearer $API_KEY" https://api.stack.test/echo/audited')
        def lines():
            return "".join(self.engine.docker("exec", self.container("spoa", i), "cat", "/var/lib/slapenir/audit.log").stdout for i in range(4))
        self.until(lambda: "rehydrated" in lines(), 75, "no agent has written it down")
        self.assertNotIn(REAL, lines())
        self.engine.docker("run", "--rm", "-v", "slapenir-test_audit:/audit:ro", "base:test", "sh", "-c", "grep -l rehydrated /audit/*.log")

    def test_refusal_by_haproxy_alone__is_in_its_log(self):
        self.engine.docker("exec", self.container("haproxy"), "sh", "-c", "curl -sS -m 10 -x https://localhost:443 --proxy-cacert /etc/slapenir/root.crt "
                           "https://api.stack.test/ || true")
        self.until(lambda: '"code":"cert_required"' in self.compose("logs", "--no-color", "haproxy").stdout, 10, "HAProxy has not logged it")

    def test_certificates__come_from_step_ca_and_live_a_day(self):
        # as the file's owner: root has no capability there that would open it
        for service, owner, path in (("agent", "forwarder", "/run/slapenir/tls/agent-1.crt"), ("haproxy", "haproxy", "/run/slapenir/tls/haproxy.crt"),
                                     ("spoa", "root", "/var/lib/slapenir/tls/spoa.crt")):
            shown = self.engine.docker("exec", "-u", owner, self.container(service), "openssl", "x509", "-in", path, "-noout", "-issuer", "-checkend", str(25 * 3600),
                                       check=False)
            self.assertEqual(shown.returncode, 1, f"{service}: lives longer than a day")
            self.assertIn("SLAPENIR stack intermediate", shown.stdout)

    def test_renewal__of_the_agents_certificate__is_taken_by_the_running_forwarder(self):
        script = ("cd /run/slapenir/tls && before=$(openssl x509 -in agent-1.crt -noout -serial) && CA_URL=https://ca:9000 CA_ROOT=/etc/slapenir/root.crt "
                  "/usr/local/lib/slapenir/cert.sh renew /run/slapenir/tls agent-1 && /usr/local/lib/slapenir/push.sh admin.sock /run/slapenir/tls/agent-1.pem && "
                  "[ \"$before\" != \"$(openssl x509 -in agent-1.crt -noout -serial)\" ] && echo renewed")
        said = self.engine.docker("exec", "-u", "forwarder", self.container("agent"), "sh", "-c", script, check=False)
        self.assertIn("renewed", said.stdout, said.stderr)
        self.assertEqual(self.inside("curl -sS https://api.stack.test/echo/renewed").returncode, 0)

    def test_hardening__read_only_no_capabilities_limits(self):
        for service in ("ca", "spoa", "haproxy", "render", "agent"):
            shown = json.loads(self.engine.docker("inspect", self.container(service)).stdout)[0]["HostConfig"]
            self.assertTrue(shown["ReadonlyRootfs"], service)
            self.assertEqual(shown["CapDrop"], ["ALL"], service)
            self.assertGreater(shown["Memory"], 0, service)
            self.assertGreater(shown["PidsLimit"], 0, service)
        self.assertEqual(json.loads(self.engine.docker("inspect", self.container("agent")).stdout)[0]["HostConfig"]["Memory"], 4 << 30)

    def test_interception_key__only_render_has_it(self):
        for service in ("spoa", "haproxy", "agent", "ca"):
            said = self.engine.docker("exec", "-u", "root", self.container(service), "sh", "-c", "find / -xdev -name 'intercept*key' 2>/dev/null", check=False)
            self.assertEqual(said.stdout.strip(), "", service)

    def test_zz_logs__hold_no_secret(self):
        self.assertNotIn(REAL, self.compose("logs", "--no-color").stdout)


if __name__ == "__main__":
    unittest.main()
