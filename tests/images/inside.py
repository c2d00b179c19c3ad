"""What we run inside a container, by its own Python: it looks at the container from where an intruder would stand."""

ASK = """
import sys, time, urllib.request
deadline = time.monotonic() + 60
for path in sys.argv[1:]:
    while True:
        try:
            answer = urllib.request.urlopen(f"http://127.0.0.1:8000{path}", timeout=3).status
        except OSError as error:
            answer = error
        if answer == 200 or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    print(path, answer)
"""
"""What the kubelet would: each path again until it says 200, for as long as a start may take."""
WHO = """
import glob
for file in glob.glob("/proc/[0-9]*/status"):
    told = dict(line.split(":", 1) for line in open(file))
    ids = {word for name in ("Uid", "Gid") for word in told[name].split()}
    capabilities = {int(told[f"Cap{name}"], 16) for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")}
    print(*ids, *capabilities, int(told["NoNewPrivs"]), int(told["Seccomp"]))
"""
"""One line per process: its ids, its capabilities (each named once), no new privileges (1), seccomp's filter (2)."""
LOCKED = "10001 0 1 2"
WRITABLE = """
import os, stat
for folder, inner, files in os.walk("/"):
    inner[:] = [name for name in inner if os.path.join(folder, name) not in ("/proc", "/sys", "/tmp")]
    for path in (folder, "/tmp", *(os.path.join(folder, name) for name in files)):
        kind = os.lstat(path).st_mode
        if (stat.S_ISDIR(kind) or stat.S_ISREG(kind)) and os.access(path, os.W_OK):
            print(path)
"""
"""Every file and folder that this user may write; links and devices are no place to write to."""
REACH = """
import errno, socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5)
    print("connected")
except OSError as error:
    print(errno.errorcode.get(error.errno, error))
"""
FILL = """
import sys
kept = b"x" * (int(sys.argv[1]) // 2)
print("half", flush=True)
more = b"x" * int(sys.argv[1])
print("all", flush=True)
"""
SLOW = """
import socket, sys
line = socket.create_connection(("127.0.0.1", 8000), timeout=30)
head = f"POST {sys.argv[1]} HTTP/1.1\\r\\nHost: 127.0.0.1:8000\\r\\nContent-Type: application/x-www-form-urlencoded\\r\\n"
line.sendall(f"{head}Content-Length: 10\\r\\n\\r\\nhalf=".encode())
print("begun", flush=True)
line.settimeout(3)
try:
    print("answered before its end:", line.recv(4096))
except TimeoutError:
    line.settimeout(30)
    line.sendall(b"other")
    print(line.recv(4096).decode().split("\\r\\n")[0] or "nothing")
"""
"""Its second half is sent 3 s after its first; SIGTERM comes between them."""
