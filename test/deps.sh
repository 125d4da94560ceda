#!/usr/bin/env bash
# Installs the missing packages for building and testing on Debian 12. Needs root to install.
set -euo pipefail

packages=(
  # build
  g++ cmake ninja-build ccache pkg-config git ca-certificates
  libcpprest-dev libspdlog-dev doctest-dev libboost-dev libyaml-cpp-dev libcli11-dev
  prometheus-cpp-dev libsimdjson-dev nlohmann-json3-dev libssl-dev libip4tc-dev libip6tc-dev libiptc-dev
  libmnl-dev libnftnl-dev libnetfilter-conntrack-dev
  # scenarios: the tools of an administrator and kube-proxy
  iptables nftables ipset conntrack nfacct iproute2 procps util-linux libfaketime libcap2-bin python3 python3-jsonschema openssl curl
)
if [[ "${1:-}" == "--tests" ]]; then
  packages+=(clang-format clang-tidy clang libclang-rt-14-dev)
fi

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
    missing+=("$package")
done
if ((${#missing[@]})); then
  echo "installing: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
