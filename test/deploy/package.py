#!/usr/bin/env python3
"""The program's hardening, `cmake --install`, the Debian package, its unit, the release script and the SBOM."""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # report.py
from manifests import ROOT
from report import check, skip, summary


def output(*command, **options):
    result = subprocess.run(command, capture_output=True, text=True, **options)
    return result.returncode, result.stdout + result.stderr


def check_hardening(program):
    header, dynamic, segments, symbols, notes = (output("readelf", "--wide", flag, program)[1] for flag in ("-h", "-d", "-l", "--dyn-syms", "-n"))
    check("DYN (Position-Independent Executable file)" in header, "PIE")
    check("GNU_RELRO" in segments, "RELRO")
    check(re.search(r"FLAGS_1.*\bNOW\b", dynamic), "BIND_NOW")
    check(re.search(r"GNU_STACK.*\sRW\s", segments), "a stack that cannot be executed")
    check("__stack_chk_fail" in symbols, "stack protector")
    check(len(set(re.findall(r"__\w+_chk\b", symbols)) - {"__stack_chk_fail"}) >= 3, "FORTIFY")
    check("TEXTREL" not in dynamic, "no relocation of text")
    if "X86-64" in header:
        code = output("objdump", "-d", "--no-show-raw-insn", "--disassemble=main", program)[1]
        check("endbr64" in code, "control-flow protection")
    check(str(ROOT) not in subprocess.run(["strings", "-a", program], capture_output=True, text=True).stdout or b".debug" in pathlib.Path(program).read_bytes(),
          "the build's folder is not in the program")


def check_install(build, version):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        code, said = output("cmake", "--install", build, "--strip", "--prefix", "/usr", env={"DESTDIR": name, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        if not check(code == 0, f"cmake --install: {said[-500:]}"):
            return
        for path in ("usr/sbin/nmanager", "usr/lib/systemd/system/nmanager.service", "etc/default/nmanager", "usr/share/doc/nmanager/copyright",
                     "usr/share/doc/nmanager/README.md", "usr/share/doc/nmanager/docs/platforms.md"):
            check((folder / path).is_file(), f"installed: {path}")
        check(".symtab" not in output("readelf", "-S", str(folder / "usr/sbin/nmanager"))[1], "installed: stripped")
        code, said = output(str(folder / "usr/sbin/nmanager"), "version")
        check(code == 0 and said.startswith(f"nmanager {version} (revision "), f"the installed program runs: {said}")
        for made, installed in (("nmanager.8", "usr/share/man/man8/nmanager.8"), ("completions/nmanager.bash", "usr/share/bash-completion/completions/nmanager")):
            if (pathlib.Path(build) / made).exists():
                check((folder / installed).is_file(), f"installed: {installed}")
            else:
                skip(f"{made}: this version does not build it")


def check_revision(program):
    said = output(program, "version")[1]
    revision = re.fullmatch(r"nmanager \S+ \(revision (\w+)\)\n", said)
    code, head = output("git", "-C", str(ROOT), "rev-parse", "HEAD")
    if check(revision, f"the program's revision: {said}"):
        check(head.startswith(revision[1]) if code == 0 else revision[1] == "unknown", f"the program's revision is {revision[1]}, git says {head}")


def check_debian(build, version):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        code, said = output("cpack", "-G", "DEB", "--config", f"{build}/CPackConfig.cmake", "-B", name)
        found = list(folder.glob("*.deb"))
        if not check(code == 0 and len(found) == 1, f"cpack: {said[-800:]}"):
            return
        package = str(found[0])
        fields = dict(re.findall(r"^ (\S+): (.*)$", output("dpkg-deb", "-I", package)[1], re.M))
        check(fields["Package"] == "nmanager" and fields["Version"] == version, f"package: {fields.get('Version')}")
        depends = fields["Depends"]
        check("libc6" in depends and "libmnl0" in depends and "libcpprest" in depends, f"package: dependencies from the libraries: {depends}")
        output("dpkg-deb", "-R", package, str(folder / "tree"))
        check((folder / "tree/DEBIAN/conffiles").read_text().split() == ["/etc/default/nmanager"], "package: its configuration file")
        for script in ("postinst", "prerm"):
            path = folder / "tree/DEBIAN" / script
            check(path.stat().st_mode & 0o111, f"package: {script} is executable")
            check(output("sh", "-n", str(path))[0] == 0, f"package: {script}")
        listed = output("dpkg-deb", "-c", package)[1]
        check(all(line.split()[1] == "root/root" for line in listed.splitlines()), "package: root owns all files")
        check(".symtab" not in output("readelf", "-S", str(folder / "tree/usr/sbin/nmanager"))[1], "package: stripped")
        if shutil.which("systemd-analyze"):
            unit = folder / "tree/usr/lib/systemd/system/nmanager.service"
            unit.write_text(unit.read_text().replace("/usr/sbin/nmanager", str(folder / "tree/usr/sbin/nmanager")))
            code, said = output("systemd-analyze", "verify", "--man=no", str(unit))
            check(code == 0 and "nmanager" not in said, f"unit: {said}")
            code, said = output("systemd-analyze", "security", "--offline=true", "--threshold=40", "--no-pager", str(unit))
            check(code == 0, f"unit: exposure above 4.0: {said[-200:]}")
        else:
            skip("systemd-analyze is not available here")


def check_release(version):
    script = str(ROOT / "deploy/release.sh")
    check(output(script, "version") == (0, version + "\n"), "release.sh version")
    code, said = output(script, "check")
    check(code == 0, f"release.sh check: {said}")
    with tempfile.TemporaryDirectory() as name:
        copy = pathlib.Path(name) / "tree"
        shutil.copytree(ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns("build", ".git", "fixtures"))
        run = lambda *arguments: output(str(copy / "deploy/release.sh"), *arguments)
        check(run("set", "9.8.7")[0] == 0 and run("version") == (0, "9.8.7\n"), "release.sh set")
        code, said = run("check")
        check(code == 1 and said.strip() == "CHANGELOG.md has no section 9.8.7", f"release.sh: only the notes are missing: {said}")
        (copy / "CHANGELOG.md").write_text("## [9.8.7]\n\nNew.\n\n## [0.1.0]\n")
        check(run("check")[0] == 0 and run("notes")[1].strip() == "New.", "release.sh notes")
        (copy / "deploy/cleanup/daemonset.yaml").write_text((copy / "deploy/cleanup/daemonset.yaml").read_text().replace("nmanager:9.8.7", "nmanager:9.8.6", 1))
        check(run("check")[0] == 1, "release.sh check finds another version")


def check_sbom(program):
    """Runs sbom.py on a root with this machine's dpkg data."""
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        for path in ("var/lib/dpkg", "etc", "usr/local/bin", "usr/share/doc/libmnl0"):
            (root / path).mkdir(parents=True)
        shutil.copy("/var/lib/dpkg/status", root / "var/lib/dpkg/status")
        shutil.copy("/etc/os-release", root / "etc/os-release")
        shutil.copy(program, root / "usr/local/bin/nmanager")
        command = [str(ROOT / "deploy/package/sbom.py"), name, "1.2.3"]
        code, text = output(*command)
        if not check(code == 0, f"sbom.py: {text[-300:]}"):
            return
        check(output(*command)[1] == text, "sbom.py: the same root gives the same bytes")
        document = json.loads(text)
        names = [p["name"] for p in document["packages"]]
        installed = [line for line in output("dpkg-query", "-W", "-f=${Package} ${db:Status-Status}\n")[1].splitlines() if line.endswith(" installed")]
        check(len(names) == len(installed) + 1 and names[0] == "nmanager", f"sbom.py: {len(names)} packages, installed are {len(installed)}")
        identifiers = [p["SPDXID"] for p in document["packages"]]
        check(len(set(identifiers)) == len(identifiers) and all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", i) for i in identifiers), "sbom.py: identifiers")
        check({r["relatedSpdxElement"] for r in document["relationships"]} == set(identifiers), "sbom.py: relationships")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    arguments = parser.parse_args()
    program = f"{arguments.build}/nmanager"
    version = output(program, "version")[1].split()[1]
    check_hardening(program)
    check_revision(program)
    check_install(arguments.build, version)
    check_debian(arguments.build, version)
    check_release(version)
    check_sbom(program)
    return summary()


if __name__ == "__main__":
    sys.exit(main())
