# Sourced by tools/gpu_check: collects what the build needs on a machine with a registry, and uses it on a machine
# without one.
carried=.deps/carried
carried_root=build/gpu_check/carried
carried_data=fashion-mnist

# The packages come from Debian, and the machines run a newer Ubuntu. That works because they are headers, static
# libraries and a few tools that need no newer libraries.
carried_packages=(libvulkan1 libvulkan-dev libvulkan-volk-dev glslang-dev glslc libshaderc1 libglslang11 spirv-tools libcli11-dev
  nlohmann-json3-dev zlib1g-dev zlib1g libssl-dev libssl3)

download_packages() {
  local package
  for package in "${carried_packages[@]}"; do
    # Packages that this distribution does not have belong to another distribution.
    (cd "$carried" && apt-get download -q "$package") || echo "$package is not here"
  done
}

collect_carried() {
  rm -rf "$carried"
  mkdir -p "$carried"
  step "Downloading packages" download_packages
  local there
  there=$(find "$carried" -name '*.deb' | wc -l)
  [ "$there" -ge 10 ] || die "gpu_check: only $there of the packages could be downloaded; build/gpu_check/logs has the reasons"
  ./setup.sh quickstart
  step "Packing oneDNN" tar -C .deps -cJf "$carried/onednn.tar.xz" include lib onednn_version
  step "Packing images" python3 tools/gpu_check_parts/some_images.py /usr/share/datasets/fashion-mnist "$carried/images"
  du -sh "$carried"
}

unpack_carried() {
  local package
  rm -rf "$carried_root"
  mkdir -p "$carried_root"
  for package in "$carried"/*.deb; do dpkg -x "$package" "$carried_root"; done
  # Absolute links refer to the root that the packages were made for.
  local link target
  find "$carried_root" -type l -lname '/*' | while read -r link; do
    target=$(readlink "$link")
    [ ! -e "$PWD/$carried_root$target" ] || ln -sf "$PWD/$carried_root$target" "$link"
  done
  if [ ! -e .deps/onednn_version ]; then tar -C .deps -xJf "$carried/onednn.tar.xz"; fi
}

# Sets carried_options for CMake, and the search paths for programs and libraries.
use_carried() {
  carried_options=()
  [ -d "$carried" ] || return 0
  step "Unpacking what is carried" unpack_carried
  local root=$PWD/$carried_root/usr
  local libraries=$root/lib/x86_64-linux-gnu
  export PATH=$PATH:$root/bin
  export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$libraries
  carried_options=("-DCMAKE_PREFIX_PATH=$root" "-DCMAKE_LIBRARY_PATH=$libraries" "-DCMAKE_INCLUDE_PATH=$root/include;$root/include/x86_64-linux-gnu"
    "-DCMAKE_CXX_STANDARD_INCLUDE_DIRECTORIES=$root/include;$root/include/x86_64-linux-gnu")
  carried_data=$PWD/$carried/images
}
