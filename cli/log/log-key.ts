import { nodeSha256 } from '../../attestation/keys/node-verifiers.ts';
import { createKey, readKey, type KeySource } from '../../attestation/keys/key-file.ts';
import { exchangeKeyFile } from '../../attestation/keys/exchange.ts';
import { logKey, newLogKey, type LogKey } from '../../attestation/keys/log-key.ts';
import { endLogKey, startLogKey } from '../../attestation/log/log-keys.ts';
import { formatVkey, noteKey } from '../../domain/log/vkey.ts';
import { logKeyId } from '../../domain/receipt/key-statement.ts';
import type { Context } from '../context.ts';
import { CliError } from '../failure.ts';
import { isGiven, untilLogged, withLog } from './database.ts';

/**
 * `beacon log rotate-log-key`: makes a new key for the checkpoints and has the old one vouch for it in the log. From that
 * entry on both sign, until the old one is retired.
 */
export async function rotateLogKey(context: Context): Promise<undefined> {
  await withLog(context, async (desk) => {
    const { pool, log, keys } = desk;
    const current = await requireKey(keys.log);
    const next = logKey((await readKey(keys.nextLog)) ?? (await createKey(keys.nextLog.file, newLogKey)));
    await startLogKey(pool, log, next, current);
    const named = nameOf(next, log.origin);
    const hint = `see that a relay runs and holds ${isGiven(keys.nextLog) ? 'BEACON_LOG_NEXT_KEY_PEM' : keys.nextLog.file}`;
    const index = await untilLogged(context, desk, named.keyId, 1, hint);
    if (context.json) {
      context.document({ ...named, start_index: index, previous: nameOf(current, log.origin).vkey });
      return;
    }
    context.line(`log key ${named.vkey} started at entry ${index}; both keys sign every checkpoint now`);
    context.note('publish it; clients that verify against this service follow it by themselves');
    context.note('when the old one is needed no more: beacon log retire-log-key');
  });
  return undefined;
}

/** `beacon log retire-log-key`: the old key signs no checkpoint any more. */
export async function retireLogKey(context: Context): Promise<undefined> {
  await withLog(context, async (desk) => {
    const { pool, log, keys } = desk;
    const old = await requireKey(keys.log);
    const next = await requireKey(keys.nextLog);
    await endLogKey(pool, log, old, next);
    const ended = nameOf(old, log.origin);
    const index = await untilLogged(context, desk, ended.keyId, 2, 'see that a relay runs');
    const exchanged = !isGiven(keys.log) && !isGiven(keys.nextLog);
    if (exchanged) await exchangeKeyFile(keys.log.file, keys.nextLog.file, desk.retired('log', ended.keyId));
    const { vkey } = nameOf(next, log.origin);
    if (context.json) {
      context.document({ ...ended, end_index: index, vkey_now: vkey, exchanged });
      return;
    }
    context.line(`log key ${ended.vkey} ended at entry ${index}; checkpoints are signed by ${vkey}`);
    if (!exchanged)
      context.note('give every relay the new key as BEACON_LOG_KEY_PEM, without BEACON_LOG_NEXT_KEY_PEM');
  });
  return undefined;
}

async function requireKey(source: KeySource): Promise<LogKey> {
  const key = await readKey(source);
  if (key !== undefined) return logKey(key);
  throw new CliError('key_missing', `there is no log key at ${source.file}`, {
    next: 'run it where a relay keeps its keys (--state); `beacon log rotate-log-key` makes a new one',
  });
}

function nameOf({ publicKey }: LogKey, origin: string): { keyId: string; vkey: string } {
  const key = noteKey(origin, publicKey, nodeSha256);
  return { keyId: logKeyId(key, nodeSha256), vkey: formatVkey(key) };
}
