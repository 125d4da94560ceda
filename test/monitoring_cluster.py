"""The parts of a cluster that authenticated scraping needs, for test/monitoring_scrape.py: an API server that answers
whose token it is (TokenReview), what an account may do (SubjectAccessReview) and what Prometheus discovers, all by the RBAC
objects that we ship; and a stand-in for kube-rbac-proxy that obeys the arguments in our manifest."""
import http.server
import json
import re
import ssl
import subprocess
import threading
import urllib.error
import urllib.request

# Kubernetes' own role, as in plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go.
DELEGATOR = {"kind": "ClusterRole", "metadata": {"name": "system:auth-delegator"}, "rules": [
    {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
    {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]}]}


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Ignores clients that closed the connection."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def token(self):
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def answer(self, code, text, kind="application/json"):
        data = text if isinstance(text, bytes) else json.dumps(text).encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def body(self):
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))


def started(handler, address, **fields):
    server = Server(address, handler)
    for name, value in fields.items():
        setattr(server, name, value)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Rbac:
    """Roles and bindings of `objects`; subjects are service accounts, as "namespace/name"."""

    def __init__(self, objects):
        self.objects = [*objects, DELEGATOR]

    def role(self, kind, name, namespace):
        for one in self.objects:
            if one["kind"] == kind and one["metadata"]["name"] == name and (kind == "ClusterRole" or one["metadata"]["namespace"] == namespace):
                return one["rules"]
        return []

    def rules(self, account, namespace):
        for binding in self.objects:
            where = binding["metadata"].get("namespace")
            if binding["kind"] == "ClusterRoleBinding" or (binding["kind"] == "RoleBinding" and where == namespace):
                if any(f"{s['namespace']}/{s['name']}" == account for s in binding["subjects"]):
                    yield from self.role(binding["roleRef"]["kind"], binding["roleRef"]["name"], where)

    def may(self, account, verb, namespace=None, group="", resource=None, url=None):
        for rule in self.rules(account, namespace):
            if verb in rule["verbs"]:
                if url and url in rule.get("nonResourceURLs", []):
                    return True
                if resource and resource in rule.get("resources", []) and group in rule.get("apiGroups", []):
                    return True
        return False


class Api(Handler):
    """`server.tokens`: token -> account; `server.endpoints`: (Service, {port, address}, {node})."""

    def do_POST(self):
        review, account, server = self.body(), self.server.tokens.get(self.token()), self.server
        group, resource = ("authentication.k8s.io", "tokenreviews") if self.path.endswith("tokenreviews") else ("authorization.k8s.io", "subjectaccessreviews")
        if account is None or not server.rbac.may(account, "create", group=group, resource=resource):
            self.answer(403, {"message": f"{account} may not create {resource}"})
        elif resource == "tokenreviews":
            who = server.tokens.get(review["spec"]["token"])
            self.answer(201, {"status": {"authenticated": who is not None, "user": {"username": who}}})
        else:
            spec = review["spec"]
            asked = spec["nonResourceAttributes"]
            self.answer(201, {"status": {"allowed": server.rbac.may(spec["user"], asked["verb"], url=asked["path"])}})

    def do_GET(self):
        """The result of Prometheus' discovery with the role `endpoints`, for its `http_sd_configs`: Debian's Prometheus is
        built without kubernetes_sd_configs. The account must have the rights that the documentation of that role names."""
        account, server = self.server.tokens.get(self.token()), self.server
        missing = [f"{verb} {resource}" for resource in ("services", "endpoints", "pods") for verb in ("list", "watch")
                   if account is None or not server.rbac.may(account, verb, "kube-system", "", resource)]
        if missing:
            self.answer(403, {"message": f"{account} may not {missing}"})
            return
        groups = []
        for service, endpoint, pod in server.endpoints:
            labels = {f"__meta_kubernetes_service_label_{re.sub(r'[^a-zA-Z0-9_]', '_', name)}": value
                      for name, value in service["metadata"].get("labels", {}).items()}
            labels.update({"__meta_kubernetes_namespace": "kube-system", "__meta_kubernetes_service_name": service["metadata"]["name"],
                           "__meta_kubernetes_endpoint_port_name": endpoint["port"], "__meta_kubernetes_pod_node_name": pod["node"]})
            groups.append({"targets": [endpoint["address"]], "labels": labels})
        self.answer(200, groups)


class Proxy(Handler):
    """The part of kube-rbac-proxy that our arguments use (its README: authentication by TokenReview, then a
    SubjectAccessReview for the path and the verb, then the upstream)."""

    def ask(self, path, spec):
        request = urllib.request.Request(self.server.api + path, data=json.dumps({"spec": spec}).encode(),
                                         headers={"Authorization": f"Bearer {self.server.own_token}"})
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)["status"]
        except urllib.error.HTTPError:
            return {}

    def do_GET(self):
        if self.path not in self.server.allowed:
            self.answer(404, b"")
            return
        who = self.ask("/apis/authentication.k8s.io/v1/tokenreviews", {"token": self.token()}) if self.token() else {}
        if not who.get("authenticated"):
            self.answer(401, b"Unauthorized")
            return
        attributes = {"path": self.path, "verb": "get"}
        if not self.ask("/apis/authorization.k8s.io/v1/subjectaccessreviews",
                        {"user": who["user"]["username"], "nonResourceAttributes": attributes}).get("allowed"):
            self.answer(403, b"Forbidden")
            return
        try:
            with urllib.request.urlopen(self.server.upstream + self.path.lstrip("/")) as answer:
                self.answer(200, answer.read(), answer.headers["Content-Type"])
        except OSError:
            self.answer(502, b"")


def start_proxy(arguments, address, api, own_token, folder):
    """`arguments`: as in the manifest; $(IP) is `address`. An unknown argument is an error."""
    flags = dict(argument.removeprefix("--").split("=", 1) for argument in arguments)
    host, _, port = flags.pop("secure-listen-address").replace("$(IP)", address).rpartition(":")
    upstream, allowed = flags.pop("upstream"), flags.pop("allow-paths").split(",")
    assert not flags, flags
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=self-signed", "-keyout", folder / "key", "-out", folder / "certificate"], check=True, capture_output=True)
    server = started(Proxy, (host.strip("[]"), int(port)), allowed=allowed, upstream=upstream, api=api, own_token=own_token)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate", folder / "key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server
