"""Strict validation against Kubernetes' published schemas, in the form of the declarations in the npm packages
kubernetes-models and @kubernetes-models/apimachinery, which are made from its OpenAPI document. A field that does not exist,
one that is missing and one of a wrong type or value is an error."""
import copy
import re
import tarfile

from report import check

COMMENT = re.compile(r"[ \t]*/\*.*?\*/[ \t]*\n?", re.S)
INTERFACE = re.compile(r"^export interface (\w+)(?: extends \w+)? \{\n(.*?)^\}", re.S | re.M)
FIELD = re.compile(r'^    "([^"]+)"(\??): (.*?);\n(?=    "|\Z)', re.S | re.M)


class Schemas:
    def __init__(self, *packages):
        self.types, self.kinds, alias = {}, {}, {}
        for package in packages:
            with tarfile.open(package) as archive:
                for member in archive:
                    if member.name.endswith(".d.ts"):
                        self.read(COMMENT.sub("", archive.extractfile(member).read().decode()), alias)
        self.alias = alias

    def read(self, text, alias):
        found = INTERFACE.search(text)
        exported = re.search(r"^export type \{ (\w+) as (\w+)", text, re.M)
        other = re.search(r"^export (?:declare )?type (\w+) = (.*?);", text, re.M | re.S)
        if found:
            fields = {name: (optional == "?", " ".join(kind.split())) for name, optional, kind in FIELD.findall(found[2])}
            name = exported[2] if exported else found[1]
            self.types[name] = fields
            version, kind = fields.get("apiVersion", ("", ""))[1], fields.get("kind", ("", ""))[1]
            if version.startswith('"') and kind.startswith('"'):
                self.kinds[version.strip('"'), kind.strip('"')] = name
        elif other:
            alias[exported[2] if exported and exported[1] == other[1] else other[1]] = other[2]

    def problems(self, document):
        key = document.get("apiVersion"), document.get("kind")
        if key not in self.kinds:
            return [f"no kind {key}"]
        return list(self.of_type(self.kinds[key], document, document["kind"]))

    def of_type(self, kind, value, where):
        kind = kind.strip()
        if value is None:
            yield f"{where}: empty"
        elif kind in self.types:
            yield from self.of_fields(self.types[kind], value, where)
        elif kind in self.alias:
            yield from self.of_type(self.alias[kind], value, where)
        elif kind.startswith("Array<"):
            if not isinstance(value, list):
                yield f"{where}: not a list"
                return
            for number, item in enumerate(value):
                yield from self.of_type(kind[6:-1], item, f"{where}[{number}]")
        elif kind.startswith("{ [key: string]: "):
            if not isinstance(value, dict):
                yield f"{where}: not a map"
                return
            for key, item in value.items():
                yield from self.of_type(kind[len("{ [key: string]: "):-3], item, f"{where}.{key}")
        elif " | " in kind:
            if all(list(self.of_type(one, value, where)) for one in kind.split(" | ")):
                yield f"{where}: {value!r} is none of {kind}"
        elif not self.is_scalar(kind, value):
            yield f"{where}: {value!r} is not {kind}"

    def of_fields(self, fields, value, where):
        if not isinstance(value, dict):
            yield f"{where}: not a map"
            return
        for name in value.keys() - fields.keys():
            yield f"{where}: there is no field {name}"
        for name, (optional, kind) in fields.items():
            if name in value:
                yield from self.of_type(kind, value[name], f"{where}.{name}")
            elif not optional:
                yield f"{where}: {name} is missing"

    def is_scalar(self, kind, value):
        if kind.startswith('"'):
            return value == kind.strip('"')
        if kind in ("unknown", "any", "object") or kind.startswith("{"):
            return True
        python = {"string": str, "boolean": bool, "number": (int, float)}.get(kind)
        assert python, f"an unknown type: {kind}"
        return isinstance(value, python) and not (kind == "number" and isinstance(value, bool))

    def check(self, documents, label):
        for document in documents:
            if document["apiVersion"].startswith("monitoring.coreos.com/"):
                continue  # the operator's own, not Kubernetes'
            where = f"{label}: {document['kind']} {document['metadata']['name']}"
            problems = self.problems(document)
            check(not problems, f"{where}: {problems[:5]}")

    def check_itself(self, document):
        """The validation finds a misspelt, a missing and a wrong field in a good document."""
        check(not self.problems(document), "the recorded DaemonSet is valid")
        spec = document["spec"]["template"]["spec"]
        for change in (lambda: spec.update({"hostNetworks": True}), lambda: spec["containers"][0].pop("name"),
                       lambda: spec.update({"hostNetwork": "yes"}), lambda: spec["containers"][0].update({"imagePullPolicy": "Sometimes"})):
            before = copy.deepcopy(spec)
            change()
            check(len(self.problems(document)) == 1, f"one problem is found: {self.problems(document)}")
            spec.clear()
            spec.update(before)
