"""Services as in an API server: with labels, versions and a history."""

import copy
import threading
import time


class Selector:
    """The subset of label selectors in use: `key`, `!key`, `key=value`, `key!=value`."""

    def __init__(self, text):
        self.terms = [term.strip() for term in text.split(",") if term.strip()]

    def takes(self, item):
        labels = item["metadata"].get("labels") or {}
        for term in self.terms:
            if term.startswith("!"):
                if term[1:] in labels:
                    return False
            elif "!=" in term:
                key, value = term.split("!=")
                if labels.get(key) == value:
                    return False
            elif "=" in term:
                key, value = term.replace("==", "=").split("=")
                if labels.get(key) != value:
                    return False
            elif term not in labels:
                return False
        return True


class Store:
    """Services and their history of changes."""

    def __init__(self):
        self.changed = threading.Condition()
        self.items = {}
        self.version = 100
        self.oldest = 100  # a watch from before this is answered with 410
        self.history = []  # (version, item before, item after)
        self.epoch = 0  # grows when the history is replaced
        self.disturbed = 0.0  # when watchers last fell behind

    def put(self, item):
        with self.changed:
            key = (item["metadata"]["namespace"], item["metadata"]["name"])
            before = self.items.get(key)
            self.version += 1
            item = copy.deepcopy(item)
            item["metadata"]["resourceVersion"] = str(self.version)
            self.items[key] = item
            self.history.append((self.version, before, item))
            self.changed.notify_all()

    def remove(self, namespace, name):
        with self.changed:
            before = self.items.pop((namespace, name), None)
            if before is None:
                return
            self.version += 1
            gone = copy.deepcopy(before)
            gone["metadata"]["resourceVersion"] = str(self.version)
            self.history.append((self.version, gone, None))
            self.changed.notify_all()

    def compact(self):
        """Forgets the history: earlier watches get 410."""
        with self.changed:
            self.version += 1  # another object has changed: no watcher is up to date
            self.disturbed = time.monotonic()
            self.oldest = self.version
            self.history = []
            self.epoch += 1
            self.changed.notify_all()

    def restore(self, items, version):
        """Another history, as after a restore of etcd from a backup."""
        with self.changed:
            self.items = copy.deepcopy(items)
            self.disturbed = time.monotonic()
            self.version = version
            self.oldest = version
            self.history = []
            self.epoch += 1
            self.changed.notify_all()

    def list(self, selector):
        with self.changed:
            items = [item for _, item in sorted(self.items.items()) if selector.takes(item)]
            return str(self.version), items

    @staticmethod
    def event(selector, before, after):
        was = before is not None and selector.takes(before)
        now = after is not None and selector.takes(after)
        if now:
            return {"type": "MODIFIED" if was else "ADDED", "object": after}
        if was:
            gone = copy.deepcopy(before)
            if after is not None:
                gone["metadata"]["resourceVersion"] = after["metadata"]["resourceVersion"]
            return {"type": "DELETED", "object": gone}
        return None
