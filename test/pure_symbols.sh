#!/usr/bin/env bash
# Pure code does no I/O and reads no clock: its archives must not need a symbol that opens, reads,
# writes, waits or returns the time, or a file stream.
#   pure_symbols.sh ARCHIVE...
set -euo pipefail
forbidden='^(open|openat|read|write|pread|pwrite|socket|connect|bind|listen|accept|send|sendto|sendmsg|recv|recvfrom|recvmsg|ioctl|fopen|fread|fwrite|poll|ppoll|epoll_.*|select|getsockopt|setsockopt|pthread_create|fork|exec.*|system|popen|getenv|sleep|usleep|nanosleep|iptc_.*|ip6tc_.*|mnl_.*|nftnl_.*|SSL_.*|fopen64|open64|openat64|clock_gettime|gettimeofday|time|timespec_get|.*chrono.*_clock3nowEv|.*basic_[io]?f(stream|ilebuf)I.*|.*this_thread.*sleep.*)(@.*)?$'
bad=0
for archive in "$@"; do
  found=$(nm --undefined-only --format=posix "$archive" 2>/dev/null | awk 'NF >= 2 {print $1}' | sort -u | grep -E "$forbidden" || true)
  if [[ -n $found ]]; then
    echo "$archive needs:" $found
    bad=1
  fi
done
if ((bad)); then echo "0 passed, 1 failed"; else echo "1 passed, 0 failed"; fi
exit $bad
