import { nodeSha256, nodeVerifiers } from '../../attestation/keys/node-verifiers.ts';
import { createRemoteLog, RemoteLogError, type RemoteLog } from '../../attestation/log/remote-log.ts';
import { Findings } from '../../domain/log/audit/finding.ts';
import { told } from '../../domain/log/audit/group.ts';
import { mayFollow, readHead, type RememberedHead } from '../../domain/log/audit/head.ts';
import { createTreeAudit } from '../../domain/log/audit/tree-audit.ts';
import { treeHash } from '../../domain/log/hash.ts';
import { parseVkey } from '../../domain/log/vkey.ts';
import type { Trust } from '../../domain/receipt/verdict.ts';
import type { AuditOptions } from '../commands/audit.ts';
import type { Context } from '../context.ts';
import { CliError } from '../failure.ts';
import { connect, type Api } from '../http/api.ts';
import { fetchKeys } from '../http/log-keys.ts';
import { followKeys, trustForApi } from '../verify/trust.ts';
import { memoryFile, readMemory, writeMemory } from './memory.ts';
import { createProgress } from './progress.ts';
import { report } from './report.ts';

/** How often an audit writes down how far it is. */
const SAVE_EVERY_MS = 2_000;

/** A log of somebody else, and whom to trust about it. */
export interface WatchedLog {
  url: string;
  remote: RemoteLog;
  /** The head that is signed by a trusted key; undefined with a finding, or when there is none yet. */
  head(findings: Findings): Promise<RememberedHead | undefined>;
}

export async function watchLog(
  context: Context,
  url: string | undefined,
  options: AuditOptions,
): Promise<WatchedLog> {
  const api = await connect(url === undefined ? context : { ...context, api: url });
  const remote = createRemoteLog({ url: api.address.url, signal: context.io.signal });
  let trust: Trust = await trustForApi(context, api, options);
  return {
    url: api.address.url,
    remote,
    async head(findings) {
      const note = await told(remote.checkpoint(), findings);
      if (note === undefined) return undefined;
      const tried = new Findings();
      const head = readHead(note, keysOf(trust), nodeVerifiers, tried);
      if (head !== undefined) return head;
      if (tried.list[0]?.code === 'checkpoint_unsigned') trust = await followed(context, api, options, trust);
      return readHead(note, keysOf(trust), nodeVerifiers, findings);
    },
  };
}

const keysOf = (trust: Trust) => trust.vkeys.map((vkey) => parseVkey(vkey, nodeSha256));

/** The trust that follows where the log was rotated to another key; a log that lists no keys has none to follow. */
async function followed(context: Context, api: Api, options: AuditOptions, trust: Trust): Promise<Trust> {
  try {
    const listed = await fetchKeys(api.client, { logId: api.logId });
    return listed === undefined ? trust : await followKeys(context, options, trust, listed.logKeyStarts);
  } catch (thrown) {
    if (thrown instanceof CliError && thrown.code !== 'interrupted') return trust;
    throw thrown;
  }
}

/** What a log that cannot be read means for a command. */
export function remoteFailure(context: Context, thrown: unknown): unknown {
  if (context.io.signal.aborted)
    return new CliError('interrupted', 'interrupted; the same command goes on where it stopped', {
      cause: thrown,
    });
  if (!(thrown instanceof RemoteLogError)) return thrown;
  const code = thrown.code === 'timed_out' ? 'timed_out' : 'unreachable';
  return new CliError(code, thrown.message, { cause: thrown });
}

/** `beacon audit [url]`. */
export async function auditRemote(
  context: Context,
  given: string | undefined,
  options: AuditOptions,
): Promise<number> {
  const log = await watchLog(context, given, options);
  const { url, remote } = log;
  const file = memoryFile(context, url, options.memory);
  const memory = await readMemory(file, url);
  const from = options.sinceLast === true ? memory.audited : memory.interrupted;
  const findings = new Findings();
  const hash = treeHash(nodeSha256);
  const tree = createTreeAudit({ source: remote, hash, findings, ...(from === undefined ? {} : { from }) });
  let head: RememberedHead | undefined;
  try {
    head = await log.head(findings);
    if (head === undefined && memory.head !== undefined && findings.list.length === 0)
      findings.add(
        'log_rewound',
        'checkpoint',
        `none that can be trusted is served; one of ${memory.head.size} was`,
      );
    if (head !== undefined && (memory.head === undefined || mayFollow(head, memory.head, findings))) {
      const goal = { ...head, code: 'root_mismatch' as const, where: `checkpoint ${head.size}` };
      const before = memory.head && [
        { ...memory.head, code: 'log_forked' as const, where: `checkpoint ${memory.head.size}` },
      ];
      const progress = createProgress(context, () => goal.size);
      let saved = performance.now();
      while (!(await tree.next(goal, before)) && !tree.stuck) {
        progress.at(tree.edge.size);
        if (performance.now() - saved < SAVE_EVERY_MS || findings.list.length > 0) continue;
        await writeMemory(file, url, { ...memory, interrupted: tree.edge });
        saved = performance.now();
      }
    }
  } catch (thrown) {
    if (findings.list.length === 0 && tree.edge.size > 0)
      await writeMemory(file, url, { ...memory, interrupted: tree.edge });
    throw remoteFailure(context, thrown);
  }
  if (findings.list.length === 0 && head !== undefined)
    await writeMemory(file, url, { head, audited: tree.edge, interrupted: undefined });
  else await writeMemory(file, url, { ...memory, interrupted: undefined });
  const checked =
    memory.head === undefined ? 'entries, tiles, root' : 'entries, tiles, root, the head of last time';
  return report(context, { log: url, head, from: from?.size ?? 0, checked, findings });
}
