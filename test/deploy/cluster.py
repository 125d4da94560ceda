"""A minimal API server with nodes on which DaemonSets roll out, for the documents' commands and a real kubectl.

Merging is done by real code: a strategic merge by kubectl (--local), a server-side apply by the API server's own library
(tools/apply). Requests advance the time: each is one turn of the DaemonSet controller and of the kubelets, so
nothing here waits or depends on the speed of the machine."""
import copy
import http.server
import json
import os
import pathlib
import subprocess
import tempfile
import threading
import urllib.parse

import yaml

from nodes import KINDS, Nodes, named

ROOT = pathlib.Path(__file__).resolve().parents[2]
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, code, body):
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        try:
            self.end_headers()
            self.wfile.write(text)
        except OSError:  # a client that was killed
            self.close_connection = True

    def refuse(self, code, reason, message):
        self.answer(code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message})

    def do_GET(self):
        self.handle_request("GET")

    def do_POST(self):
        self.handle_request("POST")

    def do_PATCH(self):
        self.handle_request("PATCH")

    def do_DELETE(self):
        self.handle_request("DELETE")

    def handle_request(self, verb):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        discovered = discovery(url.path)
        if discovered is not None:
            self.answer(200, discovered)
            return
        parts = url.path.strip("/").split("/")
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        if rest and rest[0] == "namespaces":
            rest = rest[2:]
        if not rest or rest[0] not in KINDS:
            self.refuse(404, "NotFound", f"no {url.path} here")
            return
        cluster = self.server.cluster
        resource, name = rest[0], rest[1] if len(rest) > 1 else None
        cluster.requests.append((verb, resource))
        if (verb, resource) in cluster.forbidden:
            self.refuse(403, "Forbidden", f"{verb} {resource} is forbidden")
        elif query.get("watch") in ("1", "true"):
            self.watch(cluster, resource, query)
        else:
            with cluster.lock:
                cluster.nodes.turn()
                code, answer = cluster.serve(verb, resource, name, query, body, self.headers.get("Content-Type", ""))
            self.answer(code, answer)

    def watch(self, cluster, resource, query):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            while not cluster.closed:
                with cluster.lock:
                    cluster.nodes.turn()
                    lines = [json.dumps({"type": "MODIFIED", "object": cluster.shown(o)}) for o in cluster.select(resource, query)]
                for line in lines:
                    data = (line + "\n").encode()
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                cluster.tick.wait(0.05)
        except OSError:
            pass
        self.close_connection = True


def discovery(path):
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    groups = sorted({version for version, _, _ in KINDS.values() if "/" in version})
    if path == "/apis":
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [
            {"name": g.split("/")[0], "versions": [{"groupVersion": g, "version": "v1"}],
             "preferredVersion": {"groupVersion": g, "version": "v1"}} for g in groups]}
    if path == "/version":
        return {"major": "1", "minor": "36", "gitVersion": "v1.36.0"}
    if path == "/openapi/v3":
        return {"paths": {("apis/" if "/" in g else "api/") + g: {"serverRelativeURL": "/openapi/v3/" + g} for g in ["v1", *groups]}}
    if path.startswith("/openapi/v3/"):
        group = path.removeprefix("/openapi/v3/")
        paths = {}
        for resource, (version, kind, _) in KINDS.items():
            if version == group:
                where, _, number = version.rpartition("/")
                paths[f"/{resource}/{{name}}"] = {"patch": {
                    "x-kubernetes-group-version-kind": {"group": where, "version": number, "kind": kind},
                    "parameters": [{"name": "fieldValidation", "in": "query"}]}}
        return {"openapi": "3.0.0", "info": {"title": "", "version": ""}, "paths": paths}
    for version in ["v1", *groups]:
        if path == ("/apis/" if "/" in version else "/api/") + version:
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": [
                {"name": name, "singularName": kind.lower(), "namespaced": namespaced, "kind": kind,
                 "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"]}
                for name, (where, kind, namespaced) in KINDS.items() if where == version]}
    return None


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Ignores killed clients; a fault of this file shows in the client's output."""


class Cluster:
    """`kubectl` runs the commands; `merger` is the kubectl that merges as the server would."""

    def __init__(self, kubectl, daemonset, nodes=3, merger=None, apply=None):
        self.scratch = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.scratch.name)
        self.merger, self.apply_tool = merger or kubectl, apply
        self.lock, self.tick, self.closed = threading.Lock(), threading.Event(), False
        self.forbidden, self.requests, self.managers = set(), [], {}
        self.objects = {}
        self.nodes = Nodes(self.objects)
        for number in range(nodes):
            node = named("nodes", f"node-{number}")
            node["metadata"]["labels"] = {"kubernetes.io/os": "linux"}
            node["status"] = {"conditions": [{"type": "Ready", "status": "True"}]}
            self.objects["nodes", node["metadata"]["name"]] = node
        if daemonset:
            # Written once by kubectl itself, which omits defaults and fields that its types do not know.
            daemonset = self.merge(daemonset, {"metadata": {"labels": {"written": "once"}}})
            del daemonset["metadata"]["labels"]["written"]
            self.objects["daemonsets", "kube-proxy"] = daemonset
        for _ in range(3):
            self.nodes.turn()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.cluster = self
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        (self.folder / "kubectl").symlink_to(pathlib.Path(kubectl).resolve())
        (self.folder / "kubeconfig").write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "here", "users": [],
            "contexts": [{"name": "here", "context": {"cluster": "here"}}],
            "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{self.server.server_port}"}}]}))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True
        self.tick.set()
        self.server.shutdown()
        self.server.server_close()
        self.scratch.cleanup()

    def kill(self, node):
        self.nodes.dead.add(node)
        for thing in [self.objects["nodes", node], *(p for p in self.nodes.pods() if p["spec"]["nodeName"] == node)]:
            thing["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]

    def revive(self, node):
        self.nodes.dead.discard(node)
        self.objects["nodes", node]["status"]["conditions"] = [{"type": "Ready", "status": "True"}]

    def environment(self):
        return {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}", "HOME": str(self.folder),
                "KUBECONFIG": str(self.folder / "kubeconfig")}

    def run(self, command, cwd=ROOT):
        """Runs a command as an operator types it; returns exit code and output."""
        result = subprocess.run(["bash", "-c", command], cwd=cwd, env=self.environment(), capture_output=True, text=True)
        return result.returncode, result.stdout + result.stderr

    def start(self, command):
        return subprocess.Popen(["bash", "-c", command], cwd=ROOT, env=self.environment(), start_new_session=True,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def daemonset(self, name="kube-proxy"):
        """The object as it was written, without what the server adds."""
        with self.lock:
            found = copy.deepcopy(self.objects.get(("daemonsets", name)))
        if found:
            found.pop("status", None)
            for key in ("generation", "resourceVersion", "uid", "managedFields"):
                found["metadata"].pop(key, None)
        return found

    # The server's side.

    def merge(self, thing, patch):
        with tempfile.TemporaryDirectory() as name:
            file = pathlib.Path(name) / "object.yaml"
            file.write_text(yaml.safe_dump(thing))
            command = [self.merger, "patch", "--local", "-f", str(file), "--type", "strategic", "-p", json.dumps(patch), "-o", "json"]
            result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "KUBECONFIG": "/dev/null"})
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def server_side(self, name, manager, configuration):
        state = self.folder / "state.json"
        state.write_text(json.dumps({"object": self.daemonset_unlocked(name), "managers": self.managers.get(name, {})}))
        result = subprocess.run([self.apply_tool, str(state), manager], input=json.dumps(configuration), capture_output=True, text=True)
        if result.returncode != 0:
            return None, result.stderr
        after = json.loads(state.read_text())
        self.managers[name] = after["managers"]
        return after["object"], ""

    def daemonset_unlocked(self, name):
        found = copy.deepcopy(self.objects["daemonsets", name])
        found.pop("status", None)
        return found

    def shown(self, thing):
        out = copy.deepcopy(thing)
        out["metadata"]["resourceVersion"] = str(self.nodes.version)
        for key in ("stamp", "owner"):
            out.pop(key, None)
        return out

    def select(self, resource, query):
        found = [o for (kind, _), o in self.objects.items() if kind == resource]
        for term in filter(None, query.get("fieldSelector", "").split(",")):
            key, _, value = term.partition("=")
            assert key == "metadata.name", term
            found = [o for o in found if o["metadata"]["name"] == value]
        for term in filter(None, query.get("labelSelector", "").split(",")):
            key, _, value = term.partition("!=" if "!=" in term else "=")
            labels = lambda o: o["metadata"].get("labels") or {}
            found = [o for o in found if (labels(o).get(key) == value) != ("!=" in term)]
        return found

    def serve(self, verb, resource, name, query, body, content_type):
        version, kind, _ = KINDS[resource]
        missing = (404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404, "reason": "NotFound",
                         "message": f"{resource} \"{name}\" not found"})
        if verb == "GET" and name is None:
            return 200, {"kind": kind + "List", "apiVersion": version, "metadata": {"resourceVersion": str(self.nodes.version)},
                         "items": [self.shown(o) for o in self.select(resource, query)]}
        if verb == "POST":
            thing = json.loads(body)
            thing["metadata"].setdefault("uid", "uid-" + thing["metadata"]["name"])
            self.objects[resource, thing["metadata"]["name"]] = thing
            return 201, self.shown(thing)
        if verb == "DELETE" and name is None:
            for thing in self.select(resource, query):
                del self.objects[resource, thing["metadata"]["name"]]
            return 200, {"kind": "Status", "apiVersion": "v1", "status": "Success"}
        thing = self.objects.get((resource, name))
        if thing is None:
            return missing
        if verb == "DELETE":
            if resource == "pods":
                thing["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z"
            else:
                del self.objects[resource, name]
        if verb == "PATCH":
            generation = thing["metadata"].get("generation", 1)
            status = thing.pop("status", None)
            if "apply-patch" in content_type:
                merged, problem = self.server_side(name, query["fieldManager"], yaml.safe_load(body))
                if merged is None:
                    return 409, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 409, "reason": "Conflict", "message": problem}
            else:
                assert "strategic-merge-patch" in content_type, content_type
                merged = self.merge(thing, json.loads(body))
            if merged.get("spec") != thing.get("spec"):
                generation += 1
            merged["metadata"]["generation"] = generation
            if status is not None:
                merged["status"] = status
            self.objects[resource, name] = thing = merged
        return 200, self.shown(thing)
