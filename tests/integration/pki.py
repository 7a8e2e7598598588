# SPDX-License-Identifier: GPL-2.0-or-later
"""Throw-away certificate authorities for the upstreams of the tests, made with openssl at run time."""
import os
import subprocess


def openssl(*arguments, text=""):
    done = subprocess.run(["openssl", *arguments], input=text, capture_output=True, text=True, timeout=30)
    if done.returncode:
        raise RuntimeError(f"openssl {' '.join(arguments)}: {done.stderr}")
    return done.stdout


class Authority:
    """A root in `folder`; issue() gives (certificate file, key file) of a leaf."""

    def __init__(self, folder, name="test root"):
        self.folder, self.crt, self.key, self.count = folder, f"{folder}/ca.crt", f"{folder}/ca.key", 0
        os.makedirs(folder, exist_ok=True)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-keyout", self.key, "-out", self.crt, "-subj", f"/CN={name}",
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
        os.chmod(folder, 0o755)
        os.chmod(self.crt, 0o644)

    def issue(self, names, subject="/CN=leaf", usage="serverAuth", days=2, begin=None, end=None):
        """`names`: subjectAltName, DNS names or IPs. begin, end (YYYYMMDDHHMMSSZ): for certificates of the past."""
        self.count += 1
        base = f"{self.folder}/leaf{self.count}"
        lines = [f"extendedKeyUsage={usage}", "basicConstraints=critical,CA:FALSE"]
        if names:
            lines.append("subjectAltName=" + ",".join(("IP:" if n[0].isdigit() else "DNS:") + n for n in names))
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", base + ".key", "-out", base + ".csr", "-subj", subject)
        with open(base + ".ext", "w") as f:
            f.write("[e]\n" + "\n".join(lines) + "\n")
        if begin:
            self._issue_dated(base, begin, end)
        else:
            openssl("x509", "-req", "-in", base + ".csr", "-CA", self.crt, "-CAkey", self.key, "-set_serial",
                    str(1000 + self.count), "-days", str(days), "-extfile", base + ".ext", "-extensions", "e",
                    "-out", base + ".crt")
        return base + ".crt", base + ".key"

    def _issue_dated(self, base, begin, end):
        """`openssl x509` cannot set notBefore before OpenSSL 3.4; `openssl ca` can."""
        for name, text in (("index.txt", ""), ("serial", f"{4096 + self.count:x}\n"), ("ca.cnf", f"""[ca]
default_ca = x
[x]
database = {base}.index.txt
serial = {base}.serial
new_certs_dir = {self.folder}
default_md = sha256
policy = any
[any]
commonName = supplied
""")):
            with open(f"{base}.{name}", "w") as f:
                f.write(text)
        openssl("ca", "-batch", "-config", base + ".ca.cnf", "-cert", self.crt, "-keyfile", self.key, "-notext",
                "-in", base + ".csr", "-out", base + ".crt", "-startdate", begin, "-enddate", end,
                "-extfile", base + ".ext", "-extensions", "e")
