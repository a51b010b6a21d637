# Sourced after progress.sh: build PRESET configures and builds a preset of CMakePresets.json in build/PRESET.
build() {
  local preset=$1
  if [ ! -f "build/$preset/build.ninja" ]; then
    step "Configuring ($preset)" cmake --preset "$preset"
  fi
  # A dry run shows whether there is anything to build. If it would configure again, it does not know.
  local pending
  pending=$(ninja -C "build/$preset" -n 2>/dev/null || true)
  if [[ $pending != *'no work to do'* || $pending == *'Re-running CMake'* ]]; then
    step "Building ($preset)" cmake --build --preset "$preset"
  fi
}
