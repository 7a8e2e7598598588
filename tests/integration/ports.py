# SPDX-License-Identifier: GPL-2.0-or-later
"""Listening ports below 32768: above, they collide with the ephemeral ones of other connections."""
import fcntl
import os
import random
import socket
import tempfile

FOLDER = os.path.join(tempfile.gettempdir(), "slapenir-test-ports")
held = []  # descriptors, open for as long as this process lives, so that no other test file is given the same port


def free_port(address="127.0.0.1"):
    os.makedirs(FOLDER, exist_ok=True)
    for _ in range(1000):
        port = random.randrange(10240, 32000)
        lock = os.open(f"{FOLDER}/{port}", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind((address, port))
            held.append(lock)
            return port
        except OSError:
            os.close(lock)
    raise RuntimeError("no free port")
