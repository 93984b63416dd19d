import type { JobGroup } from './cgroup/group.ts';

/** Joins the groups before anything else runs, then becomes the program: no process of a job is ever outside. */
const JOIN =
  'n=$1; shift; while [ "$n" -gt 0 ]; do echo 0 > "$1" || exit 125; shift; n=$((n-1)); done; exec "$@"';

export function joining(group: JobGroup | null, argv: string[]): [string, ...string[]] {
  const files = group?.joinFiles ?? [];
  return ['/bin/sh', '-c', JOIN, 'join', String(files.length), ...files, ...argv];
}
