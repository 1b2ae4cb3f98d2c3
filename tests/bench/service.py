"""A sevird of one's own to be measured: started, told of an object, waited for through its event stream."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path


class Unix(http.client.HTTPConnection):
    def __init__(self, path, timeout=600):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Service:
    def __init__(self, build, base, raw, wrapper=(), env=None, **changes):
        self.base, self.raw, self.build = Path(base), raw, Path(build)
        self.socket, self.processed = self.base / "s", self.base / "processed"
        self.processed.mkdir(parents=True, exist_ok=True)
        self.wrapper, self.env = list(wrapper), env or {}
        self.config = {
            "state_dir": str(self.base / "state"),
            "raw": {"uri": raw.as_uri() if isinstance(raw, Path) else raw},
            "processed": {"uri": self.processed.as_uri()},
            "sources": {"list": {"interval": "0s"}, "settle": "0s", "watch": False},
            "control": {"socket": str(self.socket)},
            "http": {"listen": None},
            "log": {"level": "warn"},
            **changes,
        }

    def start(self, paused=False, wait=True):
        """Until it has listed its store and is idle; `paused`: until it has listed, and without jobs."""
        path = self.base / "sevird.json"
        path.write_text(json.dumps(self.config))
        probe = self.build / "daemon" / "h5probe" / "sevird-h5probe"
        with open(self.base / "log", "a") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, self.build / "daemon" / "sevird", "--config", path],
                env={**os.environ, "SEVIRD_H5PROBE": str(probe), **self.env},
                stderr=log,
            )
        told = False
        while True:
            try:
                if paused and not told:
                    self.ask("POST", "/v1/pause")
                    told = True
                if self.ask("GET", "/v1/status")["listed"] or not wait:
                    break
            except OSError:
                pass
            if self.process.poll() is not None:
                sys.exit((self.base / "log").read_text())
            time.sleep(0.005)
        self.pid = self.process.pid
        if self.wrapper:
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            self.pid = int(children[0])
        if wait and not paused:
            self.wait_idle()
        return self

    def ask(self, method, path, body=None):
        connection = Unix(self.socket)
        connection.request(method, path, body=json.dumps(body or {}) if method == "POST" else None)
        answer = connection.getresponse()
        told = json.loads(answer.read())
        if answer.status != 200:
            sys.exit(f"{path}: {told}")
        return told

    def wait_idle(self):
        while not self.ask("GET", "/v1/status")["idle"]:
            time.sleep(0.005)

    def clear(self):
        """As if nothing had been made: the same pages of the tmpfs are used again."""
        for path in self.processed.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def submit(self, keys, touch=True):
        """Seconds from the sighting of new versions of `keys` to the last one's DONE, and the stages'."""
        if touch:
            for key in keys:
                os.utime(self.raw / key)
        base = self.config["raw"]["uri"]

        def tell():
            for start in range(0, len(keys), 1000):
                uris = [f"{base}/{key}" for key in keys[start : start + 1000]]
                self.ask("POST", "/v1/submit", {"uris": uris})

        return self.watch(keys, tell)

    def reload(self, keys, **changes):
        """The same from a change of the configuration on, which makes the jobs of `keys` run again."""
        self.config.update(changes)
        (self.base / "sevird.json").write_text(json.dumps(self.config))
        return self.watch(keys, lambda: self.ask("POST", "/v1/reload"))

    def watch(self, keys, tell):
        stream = Unix(self.socket)
        stream.request("GET", "/v1/events")
        lines = stream.getresponse()
        last, stages = {}, {}
        waiting = set(keys)
        began = time.perf_counter()
        tell()
        while waiting:
            line = lines.readline()
            if not line:
                sys.exit("the event stream ended")
            if not line.startswith(b"data:"):
                continue
            event = json.loads(line[5:])
            key = event.get("key")
            if key not in waiting or "to" not in event:
                continue
            now = time.perf_counter()
            if key in last:
                stages[event["from"]] = stages.get(event["from"], 0) + now - last[key]
            last[key] = now
            if event["to"] in ("QUARANTINED", "BACKOFF", "WAITING", "SKIPPED"):
                sys.exit(f"{key}: {event}")
            if event["to"] == "DONE":
                waiting.discard(key)
        took = time.perf_counter() - began
        stream.close()
        return took, stages

    def status(self, name):
        with open(f"/proc/{self.pid}/status") as file:
            return int(next(line for line in file if line.startswith(name)).split()[1])

    def cpu(self):
        """Seconds, with those of the helpers that have ended."""
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def switches(self):
        """Times that a thread of it was woken up."""
        total = 0
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{task}/status") as file:
                total += sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)
        return total

    def stop(self):
        os.kill(self.pid, signal.SIGTERM)
        code = self.process.wait(120)
        if code != 0:
            sys.exit(f"sevird ended with {code}:\n{(self.base / 'log').read_text()[-4000:]}")
