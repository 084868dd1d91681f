# Completions of headwater for bash, made from the program's own tables by edge/tests/pages.rs.
_headwater() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  # --option=value comes in three words.
  if [ "$word" = = ]; then word=; elif [ "$before" = = ]; then before=${COMP_WORDS[COMP_CWORD-2]}; fi
  case $before in
    --source) mapfile -t COMPREPLY < <(compgen -W 'x jetstream lines' -- "$word"); return ;;
    --input) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    --spool) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    --when-full) mapfile -t COMPREPLY < <(compgen -W 'drop-oldest drop-newest block' -- "$word"); return ;;
    --wire) mapfile -t COMPREPLY < <(compgen -W 'json cbor' -- "$word"); return ;;
    --metrics-file) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    --partition-key|--stream|--region|--endpoint|--spool-size|--durable-within|--linger|--max-record-size|--max-rate|--max-bytes-per-day|--max-per-day|--gap-at-most|--report-every|--board) return ;;
  esac
  local words='--source --input --partition-key --stream --region --endpoint --spool --spool-size --when-full --durable-within --ordered --fresh-first --linger --pack --wire --max-record-size --max-rate --max-bytes-per-day --max-per-day --gap-at-most --no-gap-fill --no-retweets --report-every --board --metrics-file --quiet --help --version'
  case ${COMP_WORDS[1]} in
    status) words='--json --watch --spool' ;;
    spool)
      if [ "$COMP_CWORD" = 2 ]; then words='stat verify peek export'; else mapfile -t COMPREPLY < <(compgen -f -- "$word"); return; fi ;;
  esac
  [ "$COMP_CWORD" = 1 ] && words="check status spool $words"
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _headwater headwater
