# Sourced by the top-level scripts. Prints one line of progress for each step; the step's output goes to a log.
#   step "Building" COMMAND…   runs COMMAND; on failure shows the end of the log and stops
#   A command can update the line: text that it prints after a carriage return or as "[12/340] …" (ninja, ctest) is
# shown.

progress_logs=${progress_logs:-build/logs}

die() {
  printf '%s\n' "$@" >&2
  exit 1
}

# Shows each "[done/total]" of the log while the step runs. Prints nothing if there is no terminal.
show_progress_of() {
  local log=$1 text=$2 start=$SECONDS last
  while sleep 0.5; do
    last=$(grep -aoE '^ *\[?[0-9]+/[0-9]+\]?|^ *[0-9]+% ' "$log" 2>/dev/null | tail -n 1 | tr -d '[] ')
    printf '\r\033[K %s … %s (%d s)' "$text" "$last" "$((SECONDS - start))"
  done
}

step() {
  local text=$1 log start=$SECONDS shower= status=0
  shift
  mkdir -p "$progress_logs"
  log=$progress_logs/$(printf '%s' "$text" | tr -c 'A-Za-z0-9\n' '_').log
  : >"$log"
  if [ -t 1 ]; then
    show_progress_of "$log" "$text" &
    shower=$!
  else
    printf ' %s …' "$text"
  fi
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if [ -n "$shower" ]; then
    kill "$shower" 2>/dev/null
    wait "$shower" 2>/dev/null || true
    printf '\r\033[K %s …' "$text"
  fi
  if [ "$status" -ne 0 ]; then
    printf ' failed\n'
    tail -n 40 "$log" >&2
    die "" "\"$text\" failed (status $status). All of its output: $log"
  fi
  printf ' %d s\n' "$((SECONDS - start))"
}
