# shellcheck shell=bash
# What cloud/deploy and cloud/destroy share: calls of the `aws` CLI whose failures say what to do, and waiting for a stack.
# The caller sets `me` (its name, for errors), `region` and `yes`.
: "${me:?}"

# Version 2 of the CLI would show long answers in a pager.
export AWS_PAGER=""

say() { printf '%s\n' "$*"; }
die() { printf '%s: %s\n' "$me" "$*" >&2; exit 1; }
usage_error() { printf "%s: %s; '%s --help' lists the options\n" "$me" "$*" "$me" >&2; exit 2; }

# Asks a yes-or-no question; --yes answers it.
agree() {
  if [ -n "$yes" ]; then return 0; fi
  [ -t 0 ] || die "standard input is no terminal, so nobody can answer '$1': run it with --yes"
  local answer
  read -r -p "$1 [y/N] " answer
  [[ $answer == [yY]* ]]
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# One call of the CLI. Prints its answer; its complaint is left in $work/error.
try_aws() {
  aws --region "$region" --cli-connect-timeout 15 --cli-read-timeout 60 "$@" 2>"$work/error"
}

# The same, but a failure ends the script with what to do.
aws_or_die() { try_aws "$@" || die "aws $1 $2: $(explain)"; }

# Whether the last failure says this.
complained() { grep -qiE "$1" "$work/error"; }

# The last failure in one line, with what to do about it.
explain() {
  local said
  said=$(grep -v '^[[:space:]]*$' "$work/error" | tail -n 1)
  if complained 'Unable to locate credentials|NoCredentials'; then
    echo "there are no AWS credentials: run 'aws configure', or set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
  elif complained 'ExpiredToken|token .* expired|Token has expired|sso login'; then
    echo "your AWS credentials have expired: log in again (aws sso login, or new keys), then run this again"
  elif complained 'InvalidClientTokenId|SignatureDoesNotMatch|InvalidAccessKeyId|UnrecognizedClient|AuthFailure'; then
    echo "AWS does not accept your credentials: check the key with 'aws sts get-caller-identity' ($said)"
  elif complained 'AccessDenied|not authorized|UnauthorizedOperation|Forbidden'; then
    echo "you may not do this: give the user or role you deploy with this permission, then run this again ($said)"
  elif complained 'Could not connect|Connect timeout|Read timeout|EndpointConnectionError|Name or service'; then
    echo "AWS cannot be reached: check the network, and whether '$region' is a region; then run this again ($said)"
  elif complained 'Throttling|Rate exceeded|TooManyRequests'; then
    echo "AWS asks for fewer calls: wait a minute, then run this again"
  elif complained 'LimitExceeded|ServiceQuota'; then
    echo "a quota of the account is reached: raise it in the console of Service Quotas ($said)"
  else
    echo "$said"
  fi
}

# Ends unless the CLI is there, and its credentials work. Finds out the region.
need_account() {
  command -v aws >/dev/null ||
    die "the aws command is missing: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html, or pip install awscli"
  [ -n "$region" ] || region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region || true)}}
  [ -n "$region" ] || die "no region is set: name one with --region, such as --region eu-west-1"
  account=$(aws_or_die sts get-caller-identity --query Account --output text)
  say "account $account, region $region"
}

# The status of a stack, or NONE.
stack_status() {
  local status
  if status=$(try_aws cloudformation describe-stacks --stack-name "$1" --query 'Stacks[0].StackStatus' --output text); then
    echo "$status"
  elif complained 'does not exist'; then
    echo NONE
  else
    die "aws cloudformation describe-stacks: $(explain)"
  fi
}

output_of() {
  local value
  value=$(aws_or_die cloudformation describe-stacks --stack-name "$1" --query "Stacks[0].Outputs[?OutputKey=='$2'].OutputValue | [0]" --output text)
  [ "$value" != None ] || die "stack $1 has no output $2: it was not made from this project's template; choose another stack name"
  echo "$value"
}

# The newest event of a stack, below which everything is old; empty for a stack that is not there.
last_event() {
  try_aws cloudformation describe-stack-events --stack-name "$1" --query 'StackEvents[0].EventId' --output text || true
}

# Shows a stack's events after event $2 while it moves. Prints nothing but these; the status at the end is in $status.
follow_stack() {
  local stack=$1 seen=$2 event what id state why
  status=UNKNOWN
  while true; do
    # The status first: what happened before it is among the events then.
    status=$(stack_status "$stack")
    # Newest first, as CloudFormation lists them.
    try_aws cloudformation describe-stack-events --stack-name "$stack" --output text --query \
      'StackEvents[].[EventId, ResourceType, LogicalResourceId, ResourceStatus, ResourceStatusReason]' >"$work/events" || :>"$work/events"
    awk -F'\t' -v seen="$seen" '$1 == seen { exit } { print }' "$work/events" | tac >"$work/new"
    while IFS=$'\t' read -r event what id state why; do
      seen=$event
      [ "$why" != None ] || why=
      case $state in
        *FAILED) printf '  %-20s %-24s %s\n' "$state" "$id" "$why" ;;
        *COMPLETE) printf '  %-20s %-24s %s\n' "$state" "$id" "$what" ;;
      esac
    done <"$work/new"
    case $status in
      *_IN_PROGRESS) sleep 2 ;;
      *) return ;;
    esac
  done
}

delete_stack() {
  local before status
  before=$(last_event "$1")
  aws_or_die cloudformation delete-stack --stack-name "$1"
  follow_stack "$1" "$before"
  case $status in NONE | DELETE_COMPLETE) ;; *) die "stack $1 cannot be deleted ($status): the lines with FAILED above say why" ;; esac
}
