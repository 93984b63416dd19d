import { VARIABLES, type Values } from './variables.ts';

/** Variables of the command, of the tools and of the tests; not settings, but not misspelt either. */
const OTHERS = [
  'BEACON_API',
  'BEACON_KEY',
  'BEACON_OPERATOR_TOKEN',
  'BEACON_DEBUG',
  'HTTP_PROXY',
  'NO_PROXY',
];

const KNOWN: readonly string[] = Object.keys(VARIABLES);

/**
 * What is no mistake by itself, but hardly meant: said at the start and by `beacon config`. A misspelt variable is
 * not read, and nothing would tell: TRUST_ENFROCE=true leaves the trust open.
 */
export function doubts(env: NodeJS.ProcessEnv): string[] {
  return Object.keys(env).flatMap((name) => {
    const meant = nearest(name);
    return meant === undefined ? [] : [`${name} is no setting and not read; is ${meant} meant?`];
  });
}

/** Settings that contradict each other where the whole stack is one machine's. */
export function contradictions(values: Values): string[] {
  const said: string[] = [];
  const golem = Object.entries(values.BACKENDS).filter(([, kinds]) => kinds.includes('golem'));
  if (golem.length > 0 && values.GOLEM_API_KEY === null) {
    const regions = golem.map(([region]) => (region === '*' ? 'every region' : region)).join(', ');
    said.push(`BACKENDS sends ${regions} to golem, but GOLEM_API_KEY is not set: jobs wait there for ever`);
  }
  const services = values.IPFS_PINNING_SERVICES.length;
  if (values.IPFS_REPLICATION > services) {
    said.push(
      `IPFS_REPLICATION asks for ${values.IPFS_REPLICATION} services, IPFS_PINNING_SERVICES names ${services}`,
    );
  }
  if (values.TRUST_ENFORCE && values.TRUSTED_KEYS_JSON === null && values.TRUSTED_KEYS_FILE === null) {
    said.push(
      'TRUST_ENFORCE is on, but neither TRUSTED_KEYS_FILE nor TRUSTED_KEYS_JSON is set: nobody can submit',
    );
  }
  return said;
}

/** The setting whose name is one slip away, or two where it is long. */
function nearest(name: string): string | undefined {
  if (KNOWN.includes(name) || OTHERS.includes(name)) return undefined;
  return KNOWN.find((known) => {
    const allowed = known.length >= 10 ? 2 : 1;
    return Math.abs(known.length - name.length) <= allowed && slips(name, known) <= allowed;
  });
}

/** Letters left out, added, changed or exchanged with the next one (optimal string alignment). */
function slips(left: string, right: string): number {
  let before: number[] = [];
  let above = Array.from({ length: right.length + 1 }, (_, at) => at);
  for (let row = 1; row <= left.length; row += 1) {
    const here = [row];
    for (let at = 1; at <= right.length; at += 1) {
      const same = left[row - 1] === right[at - 1];
      let best = Math.min(above[at]! + 1, here[at - 1]! + 1, above[at - 1]! + (same ? 0 : 1));
      if (row > 1 && at > 1 && left[row - 1] === right[at - 2] && left[row - 2] === right[at - 1])
        best = Math.min(best, before[at - 2]! + 1);
      here.push(best);
    }
    [before, above] = [above, here];
  }
  return above[right.length]!;
}
