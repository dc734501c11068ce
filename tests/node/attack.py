"""What somebody who runs code in a pod would try: prints each attempt, and what came of it.

attack.py NAMESPACE TOKEN    the token of the pod's account, as if it had been stolen
"""

import ctypes
import json
import os
import socket
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path

NAMESPACE, TOKEN = sys.argv[1:]
SERVER = "https://kubernetes.default.svc"
TOKENS = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
CLONE_NEWUSER = 0x10000000
_libc = ctypes.CDLL(None, use_errno=True)


def refused(attempt, *words):
    """Whether the system refuses it."""
    try:
        attempt(*words)
    except OSError as error:
        return f"refused: {error.strerror}"
    return "done"


def write(folder):
    path = Path(folder) / "attack"
    path.write_text("x", encoding="utf-8")
    path.unlink()


def call(name, *words):
    if getattr(_libc, name)(*words) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def raw_socket():
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()


def asked(path, token):
    # The server's certificate is not what is tried here.
    context = ssl._create_unverified_context()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(SERVER + path, headers=headers)
    try:
        with urllib.request.urlopen(request, context=context, timeout=10):
            return "done"
    except urllib.error.HTTPError as error:
        return f"refused: {error.code}"
    except urllib.error.URLError as error:
        return f"refused: {error.reason}"


lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
status = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
secrets = f"/api/v1/namespaces/{NAMESPACE}/secrets"
others = "/api/v1/namespaces/kube-system/secrets"
own = TOKENS.read_text(encoding="utf-8") if TOKENS.exists() else ""
found = {
    "write to /": refused(write, "/"),
    "write to /etc": refused(write, "/etc"),
    "change the code": refused(write, "/opt"),
    "become root": refused(os.setuid, 0) if os.getuid() else "done",
    "a user namespace of one's own": refused(call, "unshare", CLONE_NEWUSER),
    "mount": refused(call, "mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "a raw socket": refused(raw_socket),
    "capabilities": "refused: none" if int(status["CapBnd"], 16) == 0 else "done",
    "privileges by a set-uid program": "refused: no" if status["NoNewPrivs"] == "1" else "done",
    "any system call": "refused: seccomp" if status["Seccomp"] == "2" else "done",
    "the pod's token": "done" if own else "refused: none is there",
    "secrets of the namespace": asked(secrets, own),
    "secrets of the namespace, the account's token stolen": asked(secrets, TOKEN),
    "secrets of another namespace, the same": asked(others, TOKEN),
}
if Path("/mnt/models").exists():
    found["change the bundle"] = refused(write, "/mnt/models")
sys.stdout.write(json.dumps(found) + "\n")
