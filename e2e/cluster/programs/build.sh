#!/usr/bin/env bash
# `go build` of this module, with the arguments given: static programs without debugging
# information, which say the version of Kubernetes that the module pins.
set -euo pipefail
cd "$(dirname "$0")"
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
IFS=. read -r major minor _ <<< "${version#v}"
# What a component says of its version decides which others it works with.
set="-X k8s.io/component-base/version.git"
export CGO_ENABLED=0
exec go build -trimpath -gcflags=all=-dwarf=false \
  -ldflags "-s -w ${set}Version=$version ${set}Major=$major ${set}Minor=$minor" "$@"
