#!/usr/bin/env bash
# usage: deploy/glibc.sh PROGRAM [OBJDUMP]
# Says which C library PROGRAM needs, and fails if that is newer than Debian 12's although this system's is not: a binary
# built here is to start on both. Built on a newer system it needs that system's, which is said and no failure.
set -euo pipefail

program=$1 objdump=${2:-objdump}
debian_12=2.36
newer() { [ "$1" != "$2" ] && [ "$(printf '%s\n' "$1" "$2" | sort -V | tail -1)" = "$1" ]; } # $1 than $2

needs=$("$objdump" -T "$program" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -1)
needs=${needs#GLIBC_}
[ -n "$needs" ] || { echo "$program: needs no version of glibc, which cannot be" >&2; exit 1; }
here=$(getconf GNU_LIBC_VERSION | awk '{ print $2 }')
if newer "$needs" "$debian_12" && ! newer "$here" "$debian_12"; then
    echo "$program needs glibc $needs; Debian 12 has $debian_12" >&2
    exit 1
fi
echo "$program: starts where glibc is $needs or newer"
