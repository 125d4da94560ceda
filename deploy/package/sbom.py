#!/usr/bin/env python3
"""Software bill of materials (SPDX 2.3, JSON) of an image, from dpkg's own data in its root file system.

    sbom.py ROOT VERSION [--digest sha256:...] >nmanager.spdx.json

The same root gives the same bytes: the time is SOURCE_DATE_EPOCH, or 0."""
import argparse
import hashlib
import json
import os
import pathlib
import re
import time


def paragraphs(text):
    """dpkg's status file: one dictionary a package."""
    for block in text.split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", block, re.M))
        if fields.get("Status", "").endswith(" installed"):
            yield fields


def operating_system(root):
    return dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', (root / "etc/os-release").read_text(), re.M))


def licenses(root, package):
    """The licenses that a machine-readable copyright file names; a base without documents has no such file."""
    path = root / f"usr/share/doc/{package}/copyright"
    if not path.is_file():
        return "NOASSERTION"
    text = path.read_text(errors="replace")
    if not text.startswith("Format:"):
        return "NOASSERTION"
    names = sorted(set(re.findall(r"^License: *([\w.+-]+)$", text, re.M)))
    return " AND ".join(f"LicenseRef-{re.sub('[^A-Za-z0-9.-]', '-', name)}" for name in names) or "NOASSERTION"


def identifier(*parts):
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", "-".join(parts))


def document(root, version, digest):
    system = operating_system(root)
    program = root / "usr/local/bin/nmanager"
    checksum = hashlib.sha256(program.read_bytes()).hexdigest()
    packages = [{"SPDXID": "SPDXRef-nmanager", "name": "nmanager", "versionInfo": version, "downloadLocation": "NOASSERTION",
                 "filesAnalyzed": False, "licenseDeclared": "Apache-2.0", "licenseConcluded": "Apache-2.0", "copyrightText": "NOASSERTION",
                 "checksums": [{"algorithm": "SHA256", "checksumValue": checksum}], "primaryPackagePurpose": "APPLICATION"}]
    extracted = set()
    for fields in sorted(paragraphs((root / "var/lib/dpkg/status").read_text()), key=lambda f: (f["Package"], f["Architecture"])):
        name, number, architecture = fields["Package"], fields["Version"], fields["Architecture"]
        declared = licenses(root, name)
        extracted |= set(re.findall(r"LicenseRef-[A-Za-z0-9.-]+", declared))
        reference = f"pkg:deb/{system['ID']}/{name}@{number.replace(':', '%3A').replace('+', '%2B')}?arch={architecture}&distro={system['ID']}-{system.get('VERSION_ID', '')}"
        packages.append({
            "SPDXID": identifier("deb", name, architecture), "name": name, "versionInfo": number, "supplier": f"Organization: {system['NAME']}",
            "downloadLocation": "NOASSERTION", "filesAnalyzed": False, "licenseDeclared": declared, "licenseConcluded": "NOASSERTION",
            "copyrightText": "NOASSERTION", "sourceInfo": f"built from {fields.get('Source', name)}",
            "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": reference}]})
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", "0"))))
    out = {"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"nmanager-{version}",
           "documentNamespace": f"https://nmanager.example/spdx/nmanager-{version}-{checksum[:16]}",
           "creationInfo": {"created": moment, "creators": ["Tool: nmanager-sbom"]}, "packages": packages,
           "relationships": [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-nmanager"}] + [
               {"spdxElementId": "SPDXRef-nmanager", "relationshipType": "DEPENDS_ON", "relatedSpdxElement": p["SPDXID"]} for p in packages[1:]]}
    if extracted:
        out["hasExtractedLicensingInfos"] = [{"licenseId": name, "extractedText": "see the package's copyright file"} for name in sorted(extracted)]
    if digest:
        out["comment"] = f"image {digest}"
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("version")
    parser.add_argument("--digest", default="")
    arguments = parser.parse_args()
    print(json.dumps(document(arguments.root, arguments.version, arguments.digest), indent=1))


if __name__ == "__main__":
    main()
