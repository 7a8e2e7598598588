# SPDX-License-Identifier: GPL-2.0-or-later
"""What is compared. Each variant is a gateway that is started as users start it, its HAProxy's configuration changed where the
comparison asks for it:

    plain          without our filters, exchanges and canary: same CONNECT, same interception, same TLS on both sides
    ours           as it is
    prefilter off  as it is, everything exchanged
    nginx          plain, with nginx between it and the upstream: sub_filter, and a map for the credential header
    mitmproxy      plain, with mitmdump between it and the upstream: an add-on that does heads and bodies

The peers do less than ours: raw spellings only, no body of a request with nginx, whole bodies with mitmproxy."""
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "integration"))
import harness

HOST = "api.bench.test"


def edited_tree(folder, *edits):
    tree = harness.copy_of_tree(folder)
    path = pathlib.Path(tree) / "haproxy/haproxy.cfg"
    text = path.read_text()
    for edit in edits:
        changed = edit(text)
        if changed == text:
            raise RuntimeError(f"{edit.__name__} finds nothing to change in haproxy.cfg any more")
        text = changed
    path.write_text(text)
    return tree


def without_us(text):
    text = re.sub(r"^\tfilter (spoe engine slapenir-re|slapenir ).*\n", "", text, flags=re.M)
    text = re.sub(r"^\tacl (serving|canary_up) .*$", r"\tacl \1 always_true", text, flags=re.M)
    return re.sub(r"^\thttp-request set-var\(txn.code\) str\(agent_unavailable\) .*\n", "", text, flags=re.M)


def through(port):
    def through_a_peer(text):
        text = text.replace("use_backend %[var(txn.route),field(1,|)]", "use_backend peer")
        return text + f"\nbackend peer\n\tmode http\n\thttp-reuse safe\n\tserver peer 127.0.0.1:{port}\n"
    return through_a_peer


def with_threads(count):
    def threads(text):
        return text.replace("\nglobal\n", f"\nglobal\n\tnbthread {count}\n", 1)
    return threads


class Place:
    """Where a variant lives, and what all variants of one comparison share."""

    def __init__(self, folder, upstream_port, certificate, values, placeholders=None):
        self.folder, self.upstream_port, self.certificate = pathlib.Path(folder), upstream_port, certificate
        self.values, self.placeholders = values, placeholders

    def gateway(self, name, extra="", tree=None, workers=2):
        place = self.folder / name.replace(" ", "-")
        place.mkdir()
        shutil.copy(self.certificate, place / "upstream.crt")
        settings = {n: {"hosts": [HOST], "inject": ["header", "body"]} for n in self.values}
        policy = harness.policy_text(settings, {HOST: {"connect": f"127.0.0.1:{self.upstream_port}", "ca": "upstream.crt"}}, extra)
        more = {"root": edited_tree(str(place / "tree"), *tree)} if tree else {}
        gateway = harness.Gateway(str(place), policy, self.values, workers, **more)
        return gateway.up()


class Variant:
    def __init__(self, name, gateway, peer=None):
        self.name, self.gateway, self.peer = name, gateway, peer
        self.pids = {"haproxy": [], "agent": [], "peer": []}
        for pid in harness.processes_of(gateway.state):
            kind = {"haproxy": "haproxy", "slapenir": "agent"}.get(os.path.basename(os.readlink(f"/proc/{pid}/exe")))
            if kind:
                self.pids[kind].append(pid)
        if peer:
            self.pids["peer"] = peer.pids()

    def cpu(self):
        """Seconds on a processor so far, of HAProxy, of the agent, of the peer."""
        return {kind: sum(ran_ns(pid) for pid in pids) / 1e9 for kind, pids in self.pids.items()}

    def resident(self):
        return {kind: sum(resident_kib(pid) for pid in pids) for kind, pids in self.pids.items()}

    def close(self):
        self.gateway.down()
        if self.peer:
            self.peer.close()


def ran_ns(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as f:
            total += int(f.read().split()[0])
    return total


def resident_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M)[1])


class Peer:
    """A program of somebody else's that listens on self.port."""

    def __init__(self, folder, command, log, **how):
        self.port, self.log = command.port, open(log, "wb")
        self.process = subprocess.Popen(command.words, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=folder, **how)
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    self.close()
                    raise RuntimeError(f"{command.words[0]} did not come up: {pathlib.Path(log).read_text()[-500:]}")
                time.sleep(0.1)

    def pids(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


class Command:
    def __init__(self, words, port):
        self.words, self.port = words, port


def nginx(folder, upstream_port, certificate, values, placeholders):
    port = harness.ports.free_port()
    quoted = {n: (placeholders[n], v) for n, v in values.items()}
    subs = "".join(f"\t\tsub_filter '{value}' '{fake}';\n" for fake, value in quoted.values())
    credentials = "".join(f"\t\t'Bearer {fake}' 'Bearer {value}';\n" for fake, value in quoted.values())
    config = f"""pid {folder}/nginx.pid;
error_log {folder}/nginx.err warn;
worker_processes 2;
events {{ worker_connections 8192; }}
http {{
	access_log off;
	client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
	client_max_body_size 0;
	keepalive_requests 1000000;
	map_hash_bucket_size 512;
	map_hash_max_size 8192;
	map $http_authorization $credential {{
		default $http_authorization;
{credentials}	}}
	upstream bench {{ server 127.0.0.1:{upstream_port}; keepalive 128; keepalive_requests 1000000; }}
	server {{
		listen 127.0.0.1:{port} backlog=4096;
		sub_filter_once off;
		sub_filter_types *;
{subs}		location / {{
			proxy_pass https://bench;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Host $http_host;
			proxy_set_header Authorization $credential;
			proxy_set_header Accept-Encoding identity;
			proxy_ssl_trusted_certificate {certificate};
			proxy_ssl_verify on;
			proxy_ssl_name {HOST};
			proxy_ssl_server_name on;
			proxy_request_buffering off;
			proxy_buffering off;
			proxy_buffer_size 32k;
			proxy_buffers 8 32k;
			proxy_busy_buffers_size 64k;
		}}
	}}
}}
"""
    pathlib.Path(folder, "nginx.conf").write_text(config)
    return Peer(folder, Command([shutil.which("nginx") or "/usr/sbin/nginx", "-p", str(folder), "-c", f"{folder}/nginx.conf", "-g", "daemon off;"], port), f"{folder}/nginx.log")


def mitmproxy(folder, upstream_port, certificate, values, placeholders):
    port = harness.ports.free_port()
    pathlib.Path(folder, "pairs.json").write_text(json.dumps([[placeholders[n], v] for n, v in values.items()]))
    words = ["mitmdump", "-q", "--mode", f"reverse:https://127.0.0.1:{upstream_port}", "--listen-host", "127.0.0.1", "--listen-port", str(port),
             "--set", f"ssl_verify_upstream_trusted_ca={certificate}", "--set", "keep_host_header=true", "--set", "connection_strategy=lazy",
             "--set", f"confdir={folder}", "-s", str(HERE / "mitm_addon.py")]
    return Peer(folder, Command(words, port), f"{folder}/mitmproxy.log", env=dict(os.environ, PAIRS=f"{folder}/pairs.json"))


PEERS = {"nginx": (nginx, "/usr/sbin/nginx"), "mitmproxy": (mitmproxy, "/usr/bin/mitmdump")}


def start(names, place):
    """name -> Variant. What cannot be had is said and left out."""
    running = {}
    try:
        for name in names:
            if name in PEERS:
                make, program = PEERS[name]
                if not os.path.exists(program):
                    print(f"{name}: not installed, left out", file=sys.stderr)
                    continue
                folder = place.folder / f"peer-{name}"
                folder.mkdir()
                peer = make(str(folder), place.upstream_port, place.certificate, place.values, running["ours"].gateway.placeholders)
                running[name] = Variant(name, place.gateway(name, tree=(without_us, through(peer.port))), peer)
            elif name == "plain":
                running[name] = Variant(name, place.gateway(name, tree=(without_us,)))
            else:
                running[name] = Variant(name, place.gateway(name, "prefilter: off\n" if name == "prefilter off" else ""))
    except Exception:
        for variant in running.values():
            variant.close()
        raise
    return running
