# Sourced after progress.sh: build PRESET configures and builds a preset of CMakePresets.json in build/PRESET.
build() {
  local preset=$1
  if [ ! -f "build/$preset/build.ninja" ]; then
    step "Configuring ($preset)" cmake --preset "$preset"
  fi
  # A dry run shows whether there is anything to build.
  if ! ninja -C "build/$preset" -n 2>/dev/null | grep -q 'no work to do'; then
    step "Building ($preset)" cmake --build --preset "$preset"
  fi
}
