import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { loadCosigner } from '../attestation/keys/cosigner-key.ts';
import type { KeySource } from '../attestation/keys/key-file.ts';
import { loadLogKeyring, type LogKeyring } from '../attestation/keys/log-keyring.ts';
import { nodeSha256 } from '../attestation/keys/node-verifiers.ts';
import { fileGuard, forgettingClosed } from '../attestation/log/guard.ts';
import { openLog } from '../attestation/log/open.ts';
import { setAsideKeys } from '../attestation/keys/set-aside.ts';
import { startSequencer, type Sequencer } from '../attestation/log/sequencer.ts';
import type { Witnessing } from '../attestation/log/witnesses.ts';
import { folderMemory } from '../attestation/witness/memory.ts';
import { SettingsError } from '../config/settings.ts';
import type { Values } from '../config/variables.ts';
import { parsePolicy } from '../domain/log/policy.ts';
import type { Log } from '../observability/log.ts';
import { listClosedLogs, readClosedVkeys } from '../store/log-close.ts';
import { setPolicy } from '../store/log-cosignatures.ts';
import type { LogHead } from '../store/log-state.ts';
import type { Process } from './process.ts';

export interface LogSequencer {
  sequencer: Sequencer;
  logHead: LogHead;
  logKeys: LogKeyring;
}

/** The sequencer with its keys, its memories outside the database, and its witnesses, as the settings say. */
export async function startLogSequencer(
  { pool, notifier, wakeups, events, use, fail }: Process,
  databaseUrl: string,
  settings: Values,
  log: Log,
): Promise<LogSequencer> {
  const state = settings.BEACON_STATE ?? '.beacon';
  const key = (pem: string | null, name: string): KeySource => ({
    pem: pem ?? undefined,
    file: path.join(state, 'keys', name),
  });
  const logHead = await openLog(pool, { origin: settings.LOG_ORIGIN ?? undefined });
  const { logId, origin } = logHead;
  const sources = {
    current: key(settings.BEACON_LOG_KEY_PEM, 'log.pem'),
    next: key(settings.BEACON_LOG_NEXT_KEY_PEM, 'log.next.pem'),
  };
  const logIsNew = logHead.vkey === null && logHead.size === 0;
  if (logIsNew) await setAsideKeys(Object.values(sources), await readClosedVkeys(pool));
  const logKeys = await loadLogKeyring(sources, { logIsNew });
  const policy = await readPolicyFile(settings.LOG_POLICY_FILE, origin);
  if (policy === undefined && settings.LOG_WITNESS_MODE === 'wait')
    throw new SettingsError('LOG_WITNESS_MODE=wait needs a LOG_POLICY_FILE that says for whom');
  await setPolicy(pool, logId, policy?.text ?? null);
  const sequencer = use(
    startSequencer({
      pool,
      databaseUrl,
      logId,
      logKeys,
      notifier,
      wakeups,
      guard: forgettingClosed(fileGuard(path.join(state, 'log-guard.json')), async (closed) =>
        (await listClosedLogs(pool)).some((log) => log.origin === closed),
      ),
      // Whoever supervises this process starts it again, with the log that follows.
      closed: fail,
      cosigner: {
        signer: await loadCosigner(
          key(settings.BEACON_COSIGNER_KEY_PEM, 'cosigner.pem'),
          `${origin}/cosigner`,
        ),
        memory: folderMemory(path.join(state, 'cosigned')),
      },
      witnessing:
        policy === undefined ? undefined : { policy: policy.policy, mode: settings.LOG_WITNESS_MODE },
      events,
      log,
    }),
  );
  return { sequencer, logHead, logKeys };
}

async function readPolicyFile(
  file: string | null,
  origin: string,
): Promise<{ policy: Witnessing['policy']; text: string } | undefined> {
  if (file === null) return undefined;
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new SettingsError(`LOG_POLICY_FILE: cannot read ${file}`, { cause });
  }
  try {
    const policy = parsePolicy(text, nodeSha256);
    if (policy.logs.length > 0 && !policy.logs.some(({ key }) => key.name === origin))
      throw new Error(
        `the policy is of other logs than ${origin}; after a log was closed, take the log lines of the old one out`,
      );
    for (const { name, url } of policy.witnesses) {
      if (url !== undefined && !/^https?:$/.test(URL.canParse(url) ? new URL(url).protocol : ''))
        throw new Error(`the URL of the witness ${name} is none`);
    }
    return { policy, text };
  } catch (cause) {
    throw new SettingsError(`LOG_POLICY_FILE: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}
