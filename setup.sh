#!/usr/bin/env bash
# Installs what Lockstep needs and this machine lacks, and does nothing else. A second run installs nothing.
#   ./setup.sh              everything, for ./run_tests
#   ./setup.sh quickstart   only what ./quickstart needs
#   LOCKSTEP_CLANG=1 ./setup.sh   Clang too, which checks how mutexes are used (tools/thread_safety), if a package is found
# Debian 12 and Ubuntu 24.04. System packages through apt-get (as root or with sudo); oneDNN from PyPI into .deps/.
set -euo pipefail
cd "$(dirname "$0")"
source tools/setup/progress.sh

want=${1:-tests}
[[ $want =~ ^(quickstart|tests)$ ]] || die "setup.sh: unknown argument \"$want\"; use quickstart or tests"

packages=(g++ cmake ninja-build python3-pip libcli11-dev nlohmann-json3-dev zlib1g-dev libssl-dev dataset-fashion-mnist
  libvulkan-dev libvulkan-volk-dev glslang-dev glslc spirv-tools)
if [ "$want" = tests ]; then
  packages+=(ccache libgtest-dev libbenchmark-dev mesa-vulkan-drivers vulkan-validationlayers)
fi

# The last 3.x release with OpenMP and without SYCL; docs/design_choices.md explains why.
onednn=2023.2.0

missing_packages() {
  local package
  for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf '%s\n' "$package"
  done
}

install_packages() {
  local get=(env DEBIAN_FRONTEND=noninteractive apt-get -y -q --no-install-recommends)
  if [ "$(id -u)" -ne 0 ]; then get=(sudo "${get[@]}"); fi
  # Package lists may be missing or too old. They are fetched only if the installation fails.
  "${get[@]}" install "$@" || { "${get[@]}" update && "${get[@]}" install "$@"; }
}

install_clang() { install_packages clang-19 || install_packages clang-18; }

install_onednn() {
  rm -rf .deps.new
  python3 -m pip install --disable-pip-version-check --no-deps --no-compile --ignore-installed --prefix "$PWD/.deps.new" \
    "onednn-devel-cpu-gomp==$onednn" "onednn-cpu-gomp==$onednn"
  local root=.deps.new
  [ -d $root/local ] && root=.deps.new/local  # where Debian's pip puts it
  # The wheel contains the library three times, under three names.
  strip --strip-unneeded $root/lib/libdnnl.so.3.2
  ln -sf libdnnl.so.3.2 $root/lib/libdnnl.so.3
  ln -sf libdnnl.so.3 $root/lib/libdnnl.so
  rm -rf .deps
  mkdir .deps
  cp -a $root/include $root/lib .deps/
  rm -rf .deps.new .deps/lib/python3*
  echo "$onednn" >.deps/onednn_version
}

if command -v apt-get >/dev/null; then
  mapfile -t missing < <(missing_packages)
  if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
      die "setup.sh: as root, run: apt-get install ${missing[*]}"
    fi
    [ "$(id -u)" -eq 0 ] || sudo -v
    step "Installing ${#missing[@]} system packages" install_packages "${missing[@]}"
  fi
  if [ "${LOCKSTEP_CLANG:-}" = 1 ] && ! command -v clang++-19 clang++-18 >/dev/null; then
    # The check is skipped without Clang, so nothing else fails if there is no such package.
    (step "Installing Clang" install_clang) || echo " Clang is left out: neither clang-19 nor clang-18 can be installed"
  fi
else
  for program in g++ cmake ninja python3; do
    command -v "$program" >/dev/null ||
      die "setup.sh: $program is missing, and this is neither Debian nor Ubuntu." \
        "Install what corresponds to these Debian packages, then run it again: ${packages[*]}"
  done
fi

if [ "$(cat .deps/onednn_version 2>/dev/null || true)" != "$onednn" ]; then
  if [ "$(uname -m)" = x86_64 ]; then
    step "Installing oneDNN" install_onednn
  else
    echo " oneDNN is left out: its package is for x86_64, this is $(uname -m)"
  fi
fi
