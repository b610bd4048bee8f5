#!/usr/bin/env bash
# Packs a program of this machine into a container image, without Docker: the program, the
# libraries and the loader that `ldd` names, CA certificates, and a user. Nothing else is inside.
#
#   pack.sh NAME OUT.tar PROGRAM[:PATH_INSIDE]
#
#   e2e/images/pack.sh weir.test/weir:dev weir.tar target/debug/weir
#   kind load image-archive weir.tar                  # or: ctr -n k8s.io images import weir.tar
#
# PATH_INSIDE is /usr/local/bin/<file name> unless given; it is also the entry point. The same
# files give the same image, byte for byte. KEEP_SYMBOLS=1 leaves the debugging symbols in.
set -euo pipefail
[ $# -eq 3 ] || { sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }
name=$1 out=$2 program=${3%%:*} inside=${3#*:}
[ "$inside" != "$3" ] || inside=/usr/local/bin/$(basename "$program")
[ -f "$program" ] || { echo "$program is not there: build it first" >&2; exit 2; }

work=$(mktemp -d "${TMPDIR:-/tmp}/weir-image-XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root"/{tmp,proc,sys,etc/ssl/certs,var/lib/weir} "$root$(dirname "$inside")"
chmod 1777 "$root/tmp" "$root/var/lib/weir"

cp -L "$program" "$root$inside"
chmod 755 "$root$inside"
[ -n "${KEEP_SYMBOLS:-}" ] || strip "$root$inside" 2>/dev/null || true
# `ldd` fails on a static program, which needs nothing.
for library in $(ldd "$program" 2>/dev/null | grep -oE '/[^ ]+' || true); do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done
[ ! -f /etc/ssl/certs/ca-certificates.crt ] \
  || cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
printf 'root:x:0:0::/:/none\nweir:x:65532:65532::/var/lib/weir:/none\n' > "$root/etc/passwd"
printf 'root:x:0:\nweir:x:65532:\n' > "$root/etc/group"
# Names are looked up as everywhere: hosts first, then DNS.
printf 'hosts: files dns\n' > "$root/etc/nsswitch.conf"

tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$root" -cf "$work/layer.tar" .
digest=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
case $(uname -m) in x86_64) architecture=amd64 ;; aarch64) architecture=arm64 ;; *) architecture=$(uname -m) ;; esac
cat > "$work/config.json" <<J
{"architecture":"$architecture","os":"linux","config":{"User":"65532:65532","Entrypoint":["$inside"],
"Env":["PATH=/usr/local/bin:/usr/bin:/bin","SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"]},
"rootfs":{"type":"layers","diff_ids":["sha256:$digest"]},"history":[{}]}
J
printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' "$name" > "$work/manifest.json"
tar --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$work" -cf "$work/image.tar" manifest.json config.json layer.tar
mv "$work/image.tar" "$out"
