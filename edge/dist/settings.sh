# shellcheck shell=bash
# Reading and changing a file of settings such as headwater.env, for cloud/deploy and edge/ship. The caller sets `env_file`.
: "${env_file:?}"
settings_example=$(dirname "${BASH_SOURCE[0]}")/headwater.env.example

# The value of a setting, or nothing.
setting() { [ ! -e "$env_file" ] || sed -n "s/^$1=//p" "$env_file" | tail -n 1; }

# Gives settings the values of the lines NAME=VALUE on standard input: each in its place, also where it is commented out, else at the end.
# The other lines stay. The file, made from the example if it is missing, is replaced in one step and is never readable by others.
set_settings() {
  local start=$env_file
  [ -e "$start" ] || start=$settings_example
  (
    umask 077
    awk '
      FNR == NR { at = index($0, "="); name = substr($0, 1, at - 1); value[name] = substr($0, at + 1); order[++n] = name; next }
      { at = index($0, "="); name = substr($0, 1, at - 1); sub(/^#/, "", name) }
      at && name in value { if (!done[name]++) print name "=" value[name]; next }
      { print }
      END { for (i = 1; i <= n; i++) if (!done[order[i]]++) print order[i] "=" value[order[i]] }
    ' - "$start" >"$env_file.new"
  )
  if [ -e "$env_file" ] && cmp -s "$env_file" "$env_file.new"; then
    rm "$env_file.new"
    chmod 600 "$env_file"
  else
    mv "$env_file.new" "$env_file"
  fi
}
