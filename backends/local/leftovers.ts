import { join } from 'node:path';
import { WAITS } from './bounds.ts';
import type { ControlGroups } from './cgroup/group.ts';
import { labelledContainers, removeContainer } from './engine/container.ts';
import type { Engine } from './engine/engine.ts';
import { jobFolderNames, removeFolder } from './job-folder.ts';
import { checkedName } from './job-terms.ts';
import { kill, markedProcesses, processesMarked } from './process-table.ts';
import { waitUntil } from './wait-until.ts';

export interface Traces {
  stateFolder: string;
  stateId: string;
  groups: ControlGroups | null;
  engine: Engine | null;
}

/** The environment's mark of everything that belongs to one attempt on this machine. */
export function markOf(stateId: string, name: string): string {
  return `${stateId}/${name}`;
}

/**
 * Ends and removes whatever carries one of the names, whoever started it; "already gone" is success. Answers the names
 * whose processes do not end.
 */
export async function removeTraces(traces: Traces, names: string[]): Promise<string[]> {
  if (names.length === 0) return [];
  const stuck: string[] = [];
  const wanted = new Set(names.map(checkedName));
  if (traces.engine !== null)
    for (const { name, container } of await labelledContainers(traces.engine, traces.stateId))
      if (wanted.has(name)) await removeContainer(container);
  for (const name of wanted) {
    const group = traces.groups?.names().includes(name) === true ? traces.groups.open(name) : null;
    const gone = await waitUntil(() => {
      const left = [...processesMarked(markOf(traces.stateId, name)), ...(group?.processes() ?? [])];
      left.forEach(kill);
      return left.length === 0;
    }, WAITS.treeGoneMs);
    if (!gone) {
      stuck.push(name);
      continue;
    }
    await group?.remove();
    await removeFolder(join(traces.stateFolder, 'jobs', name));
  }
  return stuck;
}

/** Every name that something of ours on this machine still carries. */
export async function tracedNames(traces: Traces): Promise<string[]> {
  const names = new Set(await jobFolderNames(traces.stateFolder));
  for (const name of traces.groups?.names() ?? []) names.add(name);
  for (const { mark } of markedProcesses(markOf(traces.stateId, '')))
    names.add(mark.slice(traces.stateId.length + 1));
  if (traces.engine !== null)
    for (const { name } of await labelledContainers(traces.engine, traces.stateId)) names.add(name);
  return [...names].filter((name) => !name.startsWith('probe-'));
}
